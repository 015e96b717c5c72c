"""What a server tells the person who started it."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from typing import Any

import psutil
from tornado.web import HTTPError

from lrp_widgets.apps.serving.answers import PlainErrors
from lrp_widgets.apps.serving.capacity import available_memory

__all__ = ["Figures"]


class Figures(PlainErrors):
    """Visits, queue and memory as JSON, for whoever has the token."""

    def initialize(self, server: Any) -> None:
        """server: the one that is asked about."""
        self._server = server

    async def get(self) -> None:
        """Answer. Raises HTTPError without the token."""
        offered = self.request.headers.get("Authorization", "")
        if not secrets.compare_digest(offered.encode(), f"token {self._server.token_of_status}".encode()):
            raise HTTPError(403, "Only the person who started this server may ask: python -m lrp_widgets --status")
        server, visits = self._server, self._server.visits
        now = visits.clock()
        processes = {
            kernel: _process_of(server.kernel_manager, kernel) for kernel in server.kernel_manager.list_kernel_ids()
        }
        # Summing up the pages of a process takes some milliseconds for each.
        memory = await asyncio.to_thread(lambda: {kernel: _memory(pid) for kernel, pid in processes.items()})
        own = await asyncio.to_thread(_memory, psutil.Process().pid)
        forks = server.kernel_manager.fork_server
        shared = _loaded(forks.pid) if forks is not None else 0
        present = {
            kernel: {
                "minutes": (now - visit.since) / 60,
                "connections": visit.connections,
                "memory": memory.get(kernel, 0),
            }
            for kernel, visit in visits.by_kernel.items()
        }
        ready = sum(count for kernel, count in memory.items() if kernel not in present)
        self.write(
            {
                "app": server.app_name,
                "minutes": (now - server.began) / 60,
                "most": visits.most,
                "visits": [*present.values()],
                "queue": len(visits.waiting),
                "memory": {"server": own, "ready": ready, "shared": shared, "free": available_memory()},
            }
        )


def _process_of(manager: Any, kernel: str) -> int | None:
    with suppress(KeyError):
        return getattr(manager.get_kernel(kernel).provisioner, "pid", None)
    return None


def _memory(pid: int | None) -> int:
    """Bytes that would be free without a process."""
    if pid is None:
        return 0
    try:
        return psutil.Process(pid).memory_full_info().uss
    except psutil.Error:  # gone since
        return 0


def _loaded(pid: int | None) -> int:
    """Bytes of a process that do not lie in files: what its forks share with it."""
    with suppress(psutil.Error):
        memory = psutil.Process(pid).memory_info() if pid is not None else None
        return 0 if memory is None else memory.rss - getattr(memory, "shared", 0)
    return 0
