"""Modality: what an input is, and what follows from it; one file beside this for each kind of data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

__all__ = ["Bound", "Modality", "blocks", "patches"]

Bound = float | tuple[float, ...]  # one number, or one per channel
STRIP = 8  # rows of a thumbnail that is one row of values
SHARE = 49  # a region is by default so small a part of an input: as much as a 7 × 7 grid of patches


@dataclass(frozen=True)
class Modality:
    """What an input is. Without a kind: any tensor with a batch dimension, its elements in one row.

    A kind is a class in a file of its own and a line in MODALITIES. It says what differs from here.

    element, elements: what one value of a map stands for.  layout: the shape of inputs, for messages.
    channel_axis: where the channels of an input lie.  domain: where its values lie unless the samples say otherwise.
    guessed: whether a shape alone shows it.  planar: whether elements lie in rows and columns of a plane, so that an
    input can be moved, turned, cut into squares and seen beside its map.
    removable: whether regions can be removed one after another, as pixel flipping does.
    adjacent: whether elements that are neighbours in the grid are neighbours in what it shows, so that what is missing
    can be filled in from beside it.
    neighbourhood: how an input is changed a little by default, the name of one of NEIGHBOURHOODS.
    interpolation: how a coarse map is enlarged, a mode of torch.nn.functional.interpolate; "" where it cannot be.
    view: what shows a map, in the words of the widgets.
    """

    name: ClassVar[str] = "array"
    element: ClassVar[str] = "element"
    elements: ClassVar[str] = "elements"
    layout: ClassVar[str] = "(n, …)"
    channel_axis: ClassVar[int] = 1
    domain: ClassVar[tuple[float, float]] = (0.0, 1.0)
    guessed: ClassVar[bool] = True
    planar: ClassVar[bool] = False
    removable: ClassVar[bool] = False
    adjacent: ClassVar[bool] = True
    neighbourhood: ClassVar[str] = "noise"
    interpolation: ClassVar[str] = ""
    view: ClassVar[str] = "heatmap"

    def fits(self, inputs: Tensor) -> bool:
        """Whether inputs of this shape and dtype can be of this kind."""
        return inputs.ndim > 0

    def space(self, inputs: Tensor) -> tuple[int, ...]:
        """The axes along which elements lie: neither the batch nor, where there are others, the channels."""
        axes = tuple(range(1, inputs.ndim))
        return tuple(axis for axis in axes if axis != self.channel_axis) or axes

    def with_channels(self, inputs: Tensor) -> Tensor:
        """(n, channels, …): inputs that are a plain row of values get one channel."""
        return inputs if inputs.ndim > 2 else inputs.reshape(len(inputs), 1, -1)

    def without_channels(self, picture: Tensor, like: Tensor) -> Tensor:
        """What `with_channels` was made of, as `like` has it."""
        return picture.reshape(like.shape)

    def grid(self, inputs: Tensor) -> Tensor:
        """(n, channels, …): inputs as a grid of elements that can be removed one by one; here one row, (n, 1, 1, all).

        Behind the channels there are rows and columns, and before these slices, where an input has them.
        """
        return inputs.reshape(len(inputs), 1, 1, -1)

    def from_grid(self, grid: Tensor, like: Tensor) -> Tensor:
        """What `grid` was made of: (n, …) as `like` has it, whose number of rows does not matter."""
        return grid.reshape(len(grid), *like.shape[1:])

    def side(self, inputs: Tensor) -> int:
        """How large a region is by default, in elements along an axis of the grid."""
        return max(1, self.grid(inputs[:1]).shape[-1] // SHARE)

    def regions(self, inputs: Tensor, side: int) -> Tensor:
        """Labels 0, 1, … of the elements of the grid, by the region that each is in, `side` elements along each axis.

        Of the shape of the grid without batch and channels: a region has all channels of its elements.
        """
        return blocks(tuple(self.grid(inputs[:1]).shape[2:]), side)

    def image(self, x: Tensor, low: Bound, high: Bound) -> np.ndarray | None:
        """One input (without its batch dimension) as an image in [0, 1]: (h, w) or (h, w, 3); None where it is none."""
        return None

    def thumbnails(self, inputs: Tensor, low: Bound, high: Bound) -> Sequence[Any] | np.ndarray:
        """A small picture of each input, for a gallery; here a strip of greys, all inputs on one scale."""
        flat = inputs.flatten(1).float().cpu().nan_to_num(0, 0, 0).numpy()
        span = max(float(np.ptp(flat)), 1e-12)
        return ((flat - flat.min()) / span)[:, None, :].repeat(STRIP, 1)

    def uploads(self, inputs: Tensor) -> tuple[str, ...]:
        """Which files a visitor may bring as one more of these inputs: "picture", "array"; none here."""
        return ()


def patches(rows: int, columns: int, side: int) -> Tensor:
    """(rows, columns) labels of square patches in reading order; the last ones of a row or column may be smaller."""
    return blocks((rows, columns), side)


def blocks(lengths: tuple[int, ...], side: int) -> Tensor:
    """Labels of blocks, `side` elements along each axis, in reading order; the last ones of an axis may be smaller."""
    labels = torch.zeros(1, dtype=torch.long)
    for length in lengths:
        along = torch.arange(length) // side
        labels = labels[..., None] * (int(along[-1]) + 1) + along
    return labels[0]
