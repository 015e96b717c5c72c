"""Closing: every widget that an app has made, and the apps that an earlier run of a cell has left open."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import ipywidgets

__all__ = ["close_widgets_of", "replace_earlier"]

OURS = ("lrp_widgets.apps.", "lrp_widgets.widgets.")  # whose objects hold widgets
_closing = threading.Lock()  # a widget that two threads close at once raises
CONTAINERS = (list, tuple, set, frozenset)


def close_widgets_of(app: ipywidgets.Widget) -> None:
    """Close every widget that an app holds, but not itself.

    ipywidgets closes the comm of one widget at a time and keeps all others for ever: an app has some 400 of them.
    """
    with _closing:
        for widget in list(_widgets_of(app)):
            widget.close()


def _widgets_of(app: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    """Children, layouts, styles, and pages that were not shown yet."""
    waiting, seen = [app], set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        waiting.extend(_inside(value))
        if isinstance(value, ipywidgets.Widget) and value is not app:
            yield value


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, CONTAINERS):
        return value
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, ipywidgets.Widget):
        return (*value._trait_values.values(), *vars(value).values())
    return vars(value).values() if type(value).__module__.startswith(OURS) and hasattr(value, "__dict__") else ()


class _Closes(Protocol):
    def close(self) -> None: ...


_open: dict[tuple[str, str], tuple[Any, list[weakref.ref[_Closes]]]] = {}  # by cell: the run, and what it opened


def replace_earlier(app: _Closes) -> None:
    """Close what an earlier run of the cell that runs now has opened; outside of IPython, nothing.

    A cell is told by the id that JupyterLab and others send with it, and where there is none by its text.
    """
    if (at := _cell()) is None:
        return
    cell, run = at
    before, apps = _open.get(cell, (run, []))
    if before != run:
        for reference in apps:
            if (earlier := reference()) is not None:
                earlier.close()
        apps = []
    _open[cell] = (run, [*apps, weakref.ref(app)])


def _cell() -> tuple[tuple[str, str], Any] | None:
    """The cell that runs now, and which run of it this is; None where no cell runs."""
    python = sys.modules.get("IPython")
    shell = None if python is None else python.get_ipython()
    if shell is None:
        return None
    message = shell.get_parent() if hasattr(shell, "get_parent") else {}
    header = message.get("header", {})
    if header.get("msg_type", "execute_request") != "execute_request":  # a button was pressed
        return None
    run = header.get("msg_id", shell.execution_count)
    if (name := message.get("metadata", {}).get("cellId")) is not None:
        return ("id", str(name)), run
    texts = shell.history_manager.input_hist_raw if shell.history_manager else []
    return (("text", texts[-1]), run) if texts and texts[-1] else None
