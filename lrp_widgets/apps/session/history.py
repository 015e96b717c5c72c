"""History: undo and redo over frozen values; what one drag of a slider did is one step."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

__all__ = ["BUTTONS", "History", "changed_fields"]

T = TypeVar("T")
Path = tuple[str, ...]

MOST = 200  # steps kept: frozen values share their parts, so one costs little
DRAG = 0.7  # s between two moves of the same field that are one drag
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
    """The values something had, the present one among them.

    value: the one to begin with.  most: steps kept; the oldest are forgotten.
    drag: seconds within which another value of the same single field belongs to the step before it; it takes its place.
    now: the clock. Not for several threads at once: call it where settings are replaced.
    """

    def __init__(
        self, value: T, most: int = MOST, drag: float = DRAG, now: Callable[[], float] = time.monotonic
    ) -> None:
        if most < 1:
            raise ValueError(f"History.most must be at least 1, got {most}.")
        self._values, self._at = [value], 0
        self._most, self._drag, self._now = most, drag, now
        self._moved: Path | None = None  # the one field that the last push moved, and when
        self._when = 0.0

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
        """Take the next value; one that equals the present is none. What could be redone is forgotten."""
        if value == self.value:
            return
        fields, when = changed_fields(self.value, value), self._now()
        moved = fields[0] if len(fields) == 1 else None
        goes_on = moved is not None and moved == self._moved and when - self._when <= self._drag
        del self._values[self._at + 1 :]
        if not goes_on:
            self._values.append(value)
        elif len(self._values) > 1 and value == self._values[-2]:  # dragged back to where it began
            del self._values[-1]
            moved = None
        else:
            self._values[-1] = value
        del self._values[: -self._most - 1]
        self._at, self._moved, self._when = len(self._values) - 1, moved, when

    def undo(self) -> T:
        """Go one step back; the value there, or the first one."""
        return self._go(-1)

    def redo(self) -> T:
        """Go one step forth; the value there, or the last one."""
        return self._go(1)

    def _go(self, by: int) -> T:
        self._at = min(len(self._values) - 1, max(0, self._at + by))
        self._moved = None  # what is moved from here on is a step of its own
        return self.value


def changed_fields(before: Any, now: Any) -> list[Path]:
    """Where two values differ: the fields, each with the names that lead to it, as in ("method", "composite", "alpha").

    Values that are no dataclasses, or of different ones, differ as wholes: the path ends there.
    """
    return list(_changed(before, now, ()))


def _changed(before: Any, now: Any, path: Path) -> Iterator[Path]:
    if type(before) is not type(now) or not dataclasses.is_dataclass(before):
        if type(before) is not type(now) or before != now:
            yield path
        return
    for field in dataclasses.fields(before):
        if field.init:
            yield from _changed(getattr(before, field.name), getattr(now, field.name), (*path, field.name))
