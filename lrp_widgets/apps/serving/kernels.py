"""The kernels of a server, each with a bound on its memory: one that wants more ends alone."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import traitlets
from jupyter_core.utils import ensure_async
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.web import HTTPError

from lrp_widgets.apps.serving.provisioner import ForkServer

__all__ = ["BoundedKernels", "first_is_ready", "replace_dead"]


class BoundedKernels(AsyncMappingKernelManager):
    """Jupyter's manager, which sets the bound on a kernel as soon as its process is there.

    What a process asks for beyond it is refused by the system (RLIMIT_DATA): Python raises MemoryError, torch an error
    that says how much it wanted, and a library that can say neither ends the process. Linux alone has this for a
    process that another one started; elsewhere there is no bound.
    """

    most_memory = traitlets.Int(0, min=0).tag(config=True)  # Bytes; 0 for no bound.
    warm_notebook = traitlets.Unicode("").tag(
        config=True
    )  # Kernels are forks that have loaded what it needs; "": none.

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fork_server = ForkServer(Path(self.warm_notebook), self.most_memory) if self.warm_notebook else None

    async def start_kernel(self, *args: Any, **kwargs: Any) -> str:  # type: ignore[override]
        """Start a kernel. Returns its id."""
        kernel: str = await super().start_kernel(*args, **kwargs)  # type: ignore[misc]
        process = getattr(self.get_kernel(kernel).provisioner, "pid", None)
        if self.most_memory and process and hasattr(psutil, "RLIMIT_DATA"):
            with suppress(psutil.Error, OSError):  # it has ended already; or a bound of the system's own is lower
                psutil.Process(process).rlimit(psutil.RLIMIT_DATA, (self.most_memory, self.most_memory))
        return kernel


async def replace_dead(manager: Any) -> None:
    """Take kernels that have ended out of the pool of those kept ready, and start others in their places.

    manager: Voila's, which hands out whatever stands in its pools.
    """
    for notebook, pool in [*manager._pools.items()]:
        dead = [task for task in pool if task.done() and not await _lives(manager, task)]
        dead = [task for task in dead if task in pool]  # the others were handed out or replaced meanwhile
        if not dead:
            continue
        pool[:] = [task for task in pool if task not in dead]
        manager.fill_if_needed(notebook_name=notebook)
        for task in dead:
            if not task.cancelled() and task.exception() is None:
                task.result()["task"].add_done_callback(lambda page: page.cancelled() or page.exception())  # known
                with suppress(HTTPError, KeyError):  # it was forgotten already
                    await ensure_async(manager.shutdown_kernel(task.result()["kernel_id"], now=True))


async def first_is_ready(manager: Any) -> None:
    """Wait for the kernel that Voila would hand out next: one that ends while it starts is noticed only then."""
    for pool in [*manager._pools.values()]:
        if pool:
            await asyncio.wait(pool[:1])
    await replace_dead(manager)


async def _lives(manager: Any, task: Any) -> bool:
    """Whether the kernel of a place in a pool runs, and has made its page or still makes it."""
    if task.cancelled() or task.exception() is not None:
        return False
    page = task.result()["task"]
    if page.done() and (page.cancelled() or page.exception() is not None):
        return False
    with suppress(HTTPError, KeyError):  # Jupyter has forgotten it
        return await ensure_async(manager.get_kernel(task.result()["kernel_id"]).is_alive())
    return False
