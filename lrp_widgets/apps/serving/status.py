"""`python -m lrp_widgets --status`: visits, memory and queue of a server, for the person who started it.

A server writes its address and a token into a file that only its user can read. Whoever has the token may ask.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_runtime_dir, secure_write

__all__ = ["STATUS_PATH", "describe", "forget", "status", "tell_where"]

STATUS_PATH = "/lrp_widgets/status"
PATIENCE = 10  # s for an answer


def _file(port: int) -> Path:
    return Path(jupyter_runtime_dir()) / f"lrp_widgets-{port}.json"


def tell_where(port: int, token: str) -> None:
    """Write down that a server of this user listens on `port`. Raises OSError where that is not possible."""
    path = _file(port)
    path.parent.mkdir(parents=True, exist_ok=True)
    with secure_write(str(path)) as file:
        json.dump({"token": token}, file)


def forget(port: int) -> None:
    """Remove what `tell_where` wrote."""
    with suppress(OSError):
        _file(port).unlink()


def status(port: int) -> dict[str, Any]:
    """The figures of the server of this user on a port. Raises OSError where there is none or it does not answer."""
    try:
        token = json.loads(_file(port).read_text())["token"]
        address = f"http://127.0.0.1:{port}{STATUS_PATH}"
        request = urllib.request.Request(address, headers={"Authorization": f"token {token}"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)
    except TimeoutError:
        raise OSError(f"The server on port {port} does not answer within {PATIENCE} s.") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise OSError(f"No server of yours listens on port {port}. Name its port: --status --port …") from None


def describe(figures: dict[str, Any]) -> str:
    """The figures as lines of text."""
    memory = figures["memory"]
    visits = [visit["memory"] for visit in figures["visits"]]
    shared = f", {_size(memory['shared'])} shared by them" if memory.get("shared") else ""
    largest = f", the largest {_size(max(visits))}" if visits else ""
    lost = sum(not visit["connections"] for visit in figures["visits"])
    return "\n".join(
        (
            f"{figures['app']}, running for {figures['minutes']:.0f} min",
            f"visits   {len(visits)} of {figures['most']}" + (f", {lost} of them without a connection" if lost else ""),
            f"queue    {figures['queue']}",
            f"memory   {_size(sum(visits))} in visits{largest}{shared}; {_size(memory['server'])} in the server, "
            f"{_size(memory['ready'])} in kernels kept ready; {_size(memory['free'])} free",
        )
    )


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
