"""TURN: what a hand does in the browser and what the worker brings into a control take turns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["TURN", "in_turn"]

# A control that two threads move at once ends between the two: it shows the one value, and hands on the other. Whoever
# waits here holds no lock of a widget, and what is done inside takes milliseconds: it asks for work and does none.
TURN = threading.RLock()


def in_turn(act: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, run when it is its turn."""

    def waiting(*args: Any, **kwargs: Any) -> Any:
        with TURN:
            return act(*args, **kwargs)

    return waiting
