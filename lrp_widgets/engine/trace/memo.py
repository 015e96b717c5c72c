"""Recompute what changed, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from torch import Tensor

__all__ = ["Memo"]

Value = TypeVar("Value")


class Memo:
    """Cells that remember one value each, with the inputs it was made from.

    `memo(cell, make, *inputs)` calls `make(*inputs)` only where an input changed: tensors are compared by identity,
    everything else by `==`. Which layers an altered setting touches falls out of that, and a run that is abandoned or
    raises leaves every cell right. `computed` counts the calls.
    """

    def __init__(self) -> None:
        self._cells: dict[Hashable, tuple[tuple[Any, ...], Any]] = {}
        self.computed = 0

    def __call__(self, cell: Hashable, make: Callable[..., Value], *inputs: Any) -> Value:
        stored = self._cells.get(cell)
        if stored is not None and _same(stored[0], inputs):
            return stored[1]
        value = make(*inputs)
        self._cells[cell] = (inputs, value)  # the inputs are kept alive here, so identity cannot lie
        self.computed += 1
        return value

    def __len__(self) -> int:
        return len(self._cells)

    def fork(self) -> Memo:
        """A memo that knows the same: what it learns from here on, this one does not hear of."""
        other = Memo()
        other._cells = dict(self._cells)
        return other

    def clear(self) -> None:
        """Forget everything."""
        self._cells.clear()


def _same(before: tuple[Any, ...], now: tuple[Any, ...]) -> bool:
    return len(before) == len(now) and all(
        a is b or (not isinstance(a, Tensor) and not isinstance(b, Tensor) and type(a) is type(b) and a == b)
        for a, b in zip(before, now, strict=True)
    )
