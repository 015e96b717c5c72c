"""The positions of a method's sliders for which an exported page carries maps, and how many there may be."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from lrp_widgets.methods import Method
from lrp_widgets.params import Param, params_of

__all__ = ["Axis", "Grid", "grid_of"]

MIN_JOINT = 5  # positions of each slider, where the page has every combination


@dataclass(frozen=True)
class Axis:
    """One slider: the field that it moves, its positions in order, and the index of the present one."""

    path: tuple[str, ...]  # of the field: ("composite", "alpha")
    param: Param
    values: tuple[Any, ...]
    at: int

    @property
    def label(self) -> str:
        """The symbol or the name of what it moves."""
        return self.param.label

    def texts(self, method: Method) -> list[str]:
        """The text of each position, with what follows from it: "1.35 · β = 0.35"."""
        return [self._text(_owner(_moved(method, self, value), self), value) for value in self.values]

    def _text(self, owner: Any, value: Any) -> str:
        if self.param.kind == "choice":
            labels = self.param.labels or tuple(map(str, self.param.choices))
            return labels[self.param.choices.index(value)]
        note = owner.note(self.param.name)
        return f"{value:.4g}" + (f" · {note}" if note else "")


@dataclass(frozen=True)
class Grid:
    """All positions: every combination (joint), or each slider moved by itself while the others stay."""

    method: Method
    axes: tuple[Axis, ...]
    joint: bool

    def __len__(self) -> int:
        counts = [len(axis.values) for axis in self.axes]
        return int(np.prod(counts)) if self.joint else sum(counts)

    def __iter__(self) -> Iterator[Method]:
        """The methods: jointly the last slider runs fastest; else one slider after the other."""
        if self.joint:
            for values in product(*(axis.values for axis in self.axes)):
                method = self.method
                for axis, value in zip(self.axes, values, strict=True):
                    method = _moved(method, axis, value)
                yield method
        else:
            for axis in self.axes:
                for value in axis.values:
                    yield _moved(self.method, axis, value)


def grid_of(method: Method, most: int, positions: int = 21) -> Grid:
    """The sliders and choices of a method (of LRP: of its composite) with at most `most` positions altogether.

    positions: the most of one slider. Jointly where that leaves each slider at least five, else one slider at a time.
    The position where a slider stands is always one of them; what is folded away in the dashboard stays as it is.
    Raises ValueError where not even the positions of the choices fit.
    """
    for joint in (True, False):
        for count in range(positions, (MIN_JOINT if joint else 2) - 1, -1):
            grid = Grid(method, tuple(_axes(method, count)), joint)
            if len(grid) <= most:
                return grid
    grid = Grid(method, tuple(_axes(method, 2)), False)
    raise ValueError(f"The maps of {len(grid)} positions must fit, there is room for {most}. Allow more bytes.")


def _axes(method: Method, count: int) -> Iterator[Axis]:
    composite = getattr(method, "composite", None)
    owners = [((), method)] + ([(("composite",), composite)] if composite is not None else [])
    params = [((*path, param.name), owner, param) for path, owner in owners for param in params_of(owner)]
    # Choices come last and change most often: another rule at the input only costs the work of one layer.
    for path, owner, param in sorted(params, key=lambda item: item[2].kind == "choice"):
        present = getattr(owner, param.name)
        if param.kind in ("number", "integer"):
            values = _numbers(param, present, count)
        elif param.kind == "choice" and not param.advanced and present in param.choices:
            values = tuple(value for value in param.choices if _allowed(owner, param.name, value))
        else:
            continue
        yield Axis(path, param, values, values.index(present))


def _numbers(param: Param, present: float, count: int) -> tuple[float, ...]:
    """Positions over the span of the slider, the present one among them."""
    low, high = param.shown
    if param.kind == "integer":
        even = np.unique(np.linspace(low, high, count).round().astype(int)).tolist()
    elif param.log:
        even = [float(f"{value:.4g}") for value in np.geomspace(low, high, count)]
    else:
        even = [round(value, 10) for value in np.linspace(low, high, count).tolist()]
    if present not in even:  # it replaces the nearest position, but no end
        inside = range(1, len(even) - 1) if len(even) > 2 and low < present < high else range(len(even))
        scale = np.log if param.log and present > 0 else float
        even[min(inside, key=lambda i: abs(scale(even[i]) - scale(present)))] = present
    return tuple(sorted(even))


def _allowed(owner: Any, name: str, value: Any) -> bool:
    try:
        dataclasses.replace(owner, **{name: value})
    except ValueError:  # z^B in a box that does not hold zero
        return False
    return True


def _owner(method: Any, axis: Axis) -> Any:
    return getattr(method, axis.path[0]) if len(axis.path) > 1 else method


def _moved(method: Any, axis: Axis, value: Any) -> Any:
    owner = dataclasses.replace(_owner(method, axis), **{axis.path[-1]: value})
    return dataclasses.replace(method, **{axis.path[0]: owner}) if len(axis.path) > 1 else owner
