"""Sight: along each axis of the picture, what every position of a value sees, and how one step changes it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["OTHER", "Line", "Sight", "Unseen", "broadcast", "gathered", "pixels", "regrouped", "resized", "united"]

OTHER = -1  # the axis of what is no row and no column: batch, channels
Factor = tuple[int, int]  # which axis of the picture (0: rows, 1: columns, OTHER), and how long it is
Layout = tuple[tuple[Factor, ...], ...]  # for each axis of a tensor the factors it is made of, the slowest first


class Unseen(Exception):
    """Why it cannot be said what the positions of a value see."""


@dataclass(frozen=True, eq=False)
class Line:
    """What the positions of a map see along one axis of the picture.

    start, size: the window of position 0 without regard to the picture's edge, in pixels; start may be outside.
    stride: from one position's window to the next; 0 where all positions see the same.
    rows: (positions, pixels), the share of each pixel in what a position sees when every layer looks evenly at its
    window. They sum to 1 (to 0 where padding is all there is); with stride 0 one row stands for every position.
    """

    start: int
    stride: int
    size: int
    rows: np.ndarray

    def through(self, answers: int, kernel: int, stride: int, padding: int, dilation: int) -> Line:
        """Behind a window of `kernel` places: a convolution or a pooling with so many answers."""
        if self.stride == 0:
            return self
        places = np.arange(answers)[:, None] * stride - padding + np.arange(kernel) * dilation
        answer, tap = np.nonzero((places >= 0) & (places < len(self.rows)))
        looks = np.zeros((answers, len(self.rows)))
        looks[answer, places[answer, tap]] = 1
        looks[:, ~self.rows.any(1)] = 0
        start, size = self.start - padding * self.stride, self.size + (kernel - 1) * dilation * self.stride
        return Line(start, self.stride * stride, size, _even(looks) @ self.rows)

    def everywhere(self) -> Line:
        """What all positions see together."""
        row = _even(self.rows[self.rows.any(1)].sum(0, keepdims=True))
        seen = np.flatnonzero(row[0])
        start, stop = (int(seen[0]), int(seen[-1]) + 1) if len(seen) else (0, 0)
        return Line(start, 0, stop - start, row)

    def taken(self, first: int, step: int, count: int) -> Line:
        """Every `step`-th position from `first` on; those beyond either end see nothing, being padding."""
        if self.stride == 0:
            return self
        places = first + step * np.arange(count)
        inside = (places >= 0) & (places < len(self.rows))
        rows = np.where(inside[:, None], self.rows[places.clip(0, len(self.rows) - 1)], 0.0)
        return Line(self.start + first * self.stride, self.stride * step, self.size, rows)


@dataclass(frozen=True, eq=False)
class Sight:
    """What each element of a value sees: along the picture's rows and columns, and which of its axes these are."""

    lines: tuple[Line, Line]
    layout: Layout

    def axis_of(self, which: int) -> int | None:
        """The axis that holds the picture's rows (0) or columns (1) and nothing else, None where there is none."""
        return next((i for i, factors in enumerate(self.layout) if factors == ((which, _length(factors)),)), None)


def pixels(shape: Sequence[int]) -> Sight:
    """A picture (batch, channels, height, width): every position sees itself."""
    batch, channels, height, width = shape
    rows, columns = (Line(0, 1, 1, np.eye(length)) for length in (height, width))
    return Sight((rows, columns), (((OTHER, batch),), ((OTHER, channels),), ((0, height),), ((1, width),)))


def gathered(sight: Sight, axes: Sequence[int]) -> Sight:
    """Every element sees what those see that lie along these axes with it."""
    held = {which for axis in axes for which, _ in sight.layout[axis]}
    lines = tuple(line.everywhere() if which in held else line for which, line in enumerate(sight.lines))
    return Sight(lines, sight.layout)  # type: ignore[arg-type]


def broadcast(sight: Sight, shape: Sequence[int]) -> Sight:
    """The value expanded to a larger shape: where it is repeated, all see the same."""
    layout: list[tuple[Factor, ...]] = [((OTHER, size),) for size in shape]
    lines = list(sight.lines)
    for back, factors in enumerate(reversed(sight.layout), 1):
        if _length(factors) == shape[-back]:
            layout[-back] = factors
            continue
        for which, _ in factors:  # of length 1
            if which != OTHER:
                lines[which] = lines[which].everywhere()
                layout[-back] = ((which, shape[-back]),)
    return Sight((lines[0], lines[1]), tuple(layout))


def united(sights: Sequence[Sight], shape: Sequence[int]) -> Sight:
    """What the elements see of several values that are put together one by one, as in a sum."""
    wide = [broadcast(sight, shape) for sight in sights]
    layout = []
    for factors in zip(*(sight.layout for sight in wide), strict=True):
        told = {known for known in factors if any(which != OTHER for which, _ in known)}
        if len(told) > 1:
            raise Unseen("it puts rows and columns of different values together")
        layout.append(told.pop() if told else factors[0])
    rows, columns = (_together([sight.lines[which] for sight in wide]) for which in (0, 1))
    return Sight((rows, columns), tuple(layout))


def _together(lines: Sequence[Line]) -> Line:
    if all(line is lines[0] for line in lines):
        return lines[0]
    strides = {line.stride for line in lines}
    if len(strides - {0}) > 1:
        said = " and ".join(map(str, sorted(strides)))
        raise Unseen(f"it puts together maps whose positions lie {said} pixels apart")
    counts = {len(line.rows) for line in lines if line.stride}
    if len(counts) > 1:
        raise Unseen("it puts together maps of different size")
    rows = _even(sum((line.rows for line in lines), np.zeros((max(counts, default=1), lines[0].rows.shape[1]))))
    if 0 in strides:
        return Line(0, 0, 0, rows).everywhere()
    start = min(line.start for line in lines)
    return Line(start, lines[0].stride, max(line.start + line.size for line in lines) - start, rows)


def regrouped(sight: Sight, shape: Sequence[int]) -> Sight:
    """The same elements in the same order in another shape. Raises Unseen where rows or columns are cut up."""
    left = [factor for factors in sight.layout for factor in factors]
    layout: list[tuple[Factor, ...]] = []
    for size in shape:
        held: list[Factor] = []
        need = size
        while left and (need > 1 or (not held and left[0][1] == 1)):
            which, length = left.pop(0)
            if need % length == 0:
                held.append((which, length))
                need //= length
            elif which == OTHER and length % need == 0:
                held.append((OTHER, need))
                left.insert(0, (OTHER, length // need))
                need = 1
            else:
                raise Unseen("it cuts rows or columns into pieces")
        layout.append(tuple(held) or ((OTHER, 1),))
    if left and layout:
        layout[-1] += tuple(left)
    return Sight(sight.lines, tuple(_simple(factors) for factors in layout))


def _simple(factors: tuple[Factor, ...]) -> tuple[Factor, ...]:
    """Without factors of length 1, unless nothing else is there; of those, rows or columns first."""
    told = tuple(factor for factor in factors if factor[1] > 1)
    return told or (max(factors),)


def resized(layout: Layout, axis: int, size: int) -> Layout:
    """The layout with another length of one axis."""
    which = layout[axis][0][0] if len(layout[axis]) == 1 else OTHER
    return tuple(((which, size),) if i == axis % len(layout) else known for i, known in enumerate(layout))


def _length(factors: tuple[Factor, ...]) -> int:
    return math.prod(length for _, length in factors)


def _even(rows: Any) -> np.ndarray:
    """Rows that sum to 1, those of zeros as they are."""
    totals = rows.sum(1, keepdims=True)
    return rows / np.where(totals == 0, 1, totals)
