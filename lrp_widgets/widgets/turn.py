"""TURN: the lock under which a control is changed, by the user's hand in the browser or by the worker's results."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["TURN", "in_turn"]

# Two threads that change one control at the same time can leave it showing the value of one and handing on that of the
# other. A thread that waits for this lock holds no lock of a widget, so that no two threads wait for each other. What
# runs inside takes milliseconds: it requests work of the worker and does none itself.
TURN = threading.RLock()


def in_turn(act: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, run under the lock."""

    def waiting(*args: Any, **kwargs: Any) -> Any:
        with TURN:
            return act(*args, **kwargs)

    return waiting
