"""History: undo and redo over frozen values, in which one drag of a slider is one step."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

__all__ = ["BUTTONS", "History", "changed_fields"]

T = TypeVar("T")
FieldPath = tuple[str, ...]

MOST = 200  # steps that can be undone: frozen values share their parts, so each takes little memory
DRAG = 0.7  # s: moves of the same field that follow each other within this time are one drag
BUTTONS = (  # of a Toolbar
    {"name": "undo", "label": "↶ undo", "tooltip": "Take back the last change of a setting", "keys": ["mod+z"]},
    {
        "name": "redo",
        "label": "↷ redo",
        "tooltip": "Make the change again that was taken back",
        "keys": ["mod+shift+z", "mod+y"],
    },
)


class History(Generic[T]):
    """The values that something had so far, and those that were undone.

    value: the first one.  most: how many steps can be undone; older ones are dropped.
    drag: seconds. A value that differs in the same single field as the one before, and comes within this time, replaces
    it instead of making a step of its own.
    now: the clock. It is not thread-safe: call it where settings are replaced.
    """

    def __init__(
        self, value: T, most: int = MOST, drag: float = DRAG, now: Callable[[], float] = time.monotonic
    ) -> None:
        if most < 1:
            raise ValueError(f"History.most must be at least 1, got {most}.")
        self._values, self._at = [value], 0
        self._most, self._drag, self._now = most, drag, now
        self._field: FieldPath | None = None  # the single field that the last push changed
        self._time = 0.0  # of the last push

    @property
    def value(self) -> T:
        """The present value."""
        return self._values[self._at]

    @property
    def can_undo(self) -> bool:
        """Whether there is a value before the present one."""
        return self._at > 0

    @property
    def can_redo(self) -> bool:
        """Whether there is a value that an undo went back from."""
        return self._at < len(self._values) - 1

    @property
    def impossible(self) -> list[str]:
        """The names of the BUTTONS that would do nothing now."""
        return [name for name, can in (("undo", self.can_undo), ("redo", self.can_redo)) if not can]

    def push(self, value: T) -> None:
        """Add the next value, unless it equals the present one. What could be redone is dropped."""
        if value == self.value:
            return
        fields, time_ = changed_fields(self.value, value), self._now()
        field = fields[0] if len(fields) == 1 else None
        is_drag = field is not None and field == self._field and time_ - self._time <= self._drag
        del self._values[self._at + 1 :]
        if not is_drag:
            self._values.append(value)
        elif len(self._values) > 1 and value == self._values[-2]:  # dragged back to where it began
            del self._values[-1]
            field = None
        else:
            self._values[-1] = value
        del self._values[: -self._most - 1]
        self._at, self._field, self._time = len(self._values) - 1, field, time_

    def undo(self) -> T:
        """Go one step back; the value there, or the first one."""
        return self._go(-1)

    def redo(self) -> T:
        """Go one step forth; the value there, or the last one."""
        return self._go(1)

    def _go(self, by: int) -> T:
        self._at = min(len(self._values) - 1, max(0, self._at + by))
        self._field = None  # the next change is a step of its own
        return self.value


def changed_fields(before: Any, now: Any) -> list[FieldPath]:
    """Where two values differ: the fields, each with the names that lead to it, as in ("method", "composite", "alpha").

    Values that are no dataclasses, or of different classes, are compared as wholes: the path ends there.
    """
    return list(_changed(before, now, ()))


def _changed(before: Any, now: Any, path: FieldPath) -> Iterator[FieldPath]:
    if type(before) is not type(now) or not dataclasses.is_dataclass(before):
        if type(before) is not type(now) or before != now:
            yield path
        return
    for field in dataclasses.fields(before):
        if field.init:
            yield from _changed(getattr(before, field.name), getattr(now, field.name), (*path, field.name))
