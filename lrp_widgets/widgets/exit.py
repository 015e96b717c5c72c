"""Exit: background threads end before Python does."""

from __future__ import annotations

import atexit
import ctypes
import threading
from collections.abc import Callable

__all__ = ["end_before_exit"]

PATIENCE = 1.0  # s that a thread has to end by itself
LONGEST = 60.0  # s that a single operation may still take

_running: list[tuple[threading.Thread, Callable[[], None]]] = []


def end_before_exit(thread: threading.Thread, stop: Callable[[], None]) -> None:
    """Call `stop` when Python exits, and wait until the thread has ended; one that does not is interrupted.

    A daemon thread that is inside of torch when Python shuts down makes C++ abort the whole process ("terminate called
    without an active exception"), and a script that worked would end with an error.
    """
    _running[:] = [(other, ends) for other, ends in _running if other.is_alive()]
    _running.append((thread, stop))


@atexit.register
def _end() -> None:
    for _, stop in _running:
        stop()
    for thread, _ in _running:
        thread.join(PATIENCE)
        if thread.is_alive():  # a model may take minutes: SystemExit is raised in it, as by Ctrl-C in a script
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
            thread.join(LONGEST)
