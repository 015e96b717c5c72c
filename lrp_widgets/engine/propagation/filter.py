"""Filter: let only a part of a layer hand relevance on, and see what passes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lrp_widgets.engine.trace.tape import Step, Tape
from lrp_widgets.params import Setting
from lrp_widgets.polygon import polygon_mask

__all__ = ["Filter", "axis_of_channels", "channel_axis", "filters_at"]


@dataclass(frozen=True)
class Filter(Setting):
    """R_j → R_j · 1[j ∈ S]: below `layer`, relevance flows only through the set S of its neurons.

    layer: a module or a step, as in Explanation.layer.
    channels: those of S, () for all.  region: a polygon of (x, y) in shares of the map's width and height, () for all
    of it; a neuron is inside if its centre is.  neuron: the index of a single one, without the batch: (channel, row,
    column), (token, feature) or (feature,).  block: S is everything but these.
    What is cut off stands in the ledger as "filter". Achtibat et al. 2023 call it a condition (CRP).
    """

    layer: str
    channels: tuple[int, ...] = ()
    region: tuple[tuple[float, float], ...] = ()
    block: bool = False
    neuron: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.layer, str) or not self.layer:
            raise ValueError(f"Filter.layer must be the name of a layer, got {self.layer!r}.")
        if not isinstance(self.channels, tuple) or not all(type(c) is int and c >= 0 for c in self.channels):
            raise ValueError(f"Filter.channels must be a tuple of channel numbers from 0, got {self.channels!r}.")
        if not isinstance(self.neuron, tuple) or not all(type(i) is int and i >= 0 for i in self.neuron):
            raise ValueError(
                f"Filter.neuron must be an index such as (channel, row, column), counted from 0, got {self.neuron!r}."
            )
        if not _is_polygon(self.region):
            raise ValueError(
                f"Filter.region must be a tuple of at least three points (x, y) with 0 ≤ x, y ≤ 1, got {self.region!r}."
            )
        if not isinstance(self.block, bool):
            raise TypeError(f"Filter.block must be True or False, got {self.block!r}.")

    def mask(self, like: Tensor, axis: int | None = None) -> Tensor:
        """S as 1 and 0, in a shape that broadcasts against the relevance of the layer (batch, channels, …).

        axis: where the layer has its channels; behind the batch where it is None, and last for three axes (tokens).
        """
        chosen = torch.ones([1] * like.ndim, dtype=like.dtype, device=like.device)
        if self.channels:
            chosen = chosen * self._channels(like, axis)
        if self.region:
            if like.ndim != 4:
                raise ValueError(
                    f"Filter.region needs a layer with maps (batch, channels, height, width); "
                    f"{self.layer!r} has the shape {tuple(like.shape)}. Leave the region out."
                )
            inside = polygon_mask(self.region, like.shape[2], like.shape[3], shares=True)
            chosen = chosen * torch.from_numpy(inside).to(like)[None, None]
        if self.neuron:
            chosen = chosen * self._neuron(like)
        return 1 - chosen if self.block else chosen

    def _neuron(self, like: Tensor) -> Tensor:
        shape = tuple(like.shape[1:])
        if len(self.neuron) != len(shape) or not all(i < n for i, n in zip(self.neuron, shape, strict=True)):
            raise ValueError(f"Filter.neuron must lie in {shape}, the shape of {self.layer!r}, got {self.neuron}.")
        mask = torch.zeros_like(like[:1])
        mask[(0, *self.neuron)] = 1
        return mask

    def _channels(self, like: Tensor, axis: int | None) -> Tensor:
        if like.ndim < 2:
            raise ValueError(f"Filter.channels needs a layer with channels; {self.layer!r} has none.")
        if axis is None:
            axis = _usual_axis(like)
        count = like.shape[axis]
        if max(self.channels) >= count:
            raise ValueError(
                f"Filter.channels must lie in [0, {count - 1}], the channels of {self.layer!r}, "
                f"got {max(self.channels)}."
            )
        mask = torch.zeros(count, dtype=like.dtype, device=like.device)
        mask[list(self.channels)] = 1
        return mask.reshape([-1 if i == axis else 1 for i in range(like.ndim)])


def _is_polygon(region: object) -> bool:
    if not isinstance(region, tuple):
        return False
    if not region:
        return True
    points = [point for point in region if isinstance(point, tuple) and len(point) == 2]
    numbers = [number for point in points for number in point]
    finite = all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in numbers)
    return len(points) == len(region) >= 3 and finite and all(0 <= n <= 1 for n in numbers)


def _usual_axis(like: Tensor) -> int:
    return 1 if like.ndim != 3 else 2  # (batch, tokens, channels)


def axis_of_channels(value: int, tape: Tape) -> int:
    """Where a value has its channels: as the layers around it tell, behind the batch where they do not."""
    axis = channel_axis(value, tape)
    return _usual_axis(tape.values[value]) if axis is None else axis


def channel_axis(value: int, tape: Tape) -> int | None:
    """Where a value of three axes has its channels: signals (batch, channels, time), tokens (batch, tokens, channels).

    It is told by the layer that the value comes from, or for an input by the one that reads it; None where neither
    tells.
    """
    if tape.values[value].ndim != 3:
        return None
    maker = {output: step for step in tape.steps for output in step.outputs if output is not None}
    turned = False
    at = value
    while at in maker:
        step = maker[at]
        own = _axis_of_layer(step)
        if own is not None:
            return 3 - own if turned else own
        if step.op in ("transpose", "permute", "mT") and _swaps_last_two(step):
            turned = not turned
        # Pooling over time runs as pooling of pictures that are one pixel high.
        before = [v for v in step.inputs if tape.values[v].ndim == 3 or step.op in ("squeeze", "unsqueeze")]
        if not before:
            return None
        at = before[0]
    readers = (_axis_of_layer(step) for step in tape.steps if at in step.inputs)
    axis = next((own for own in readers if own is not None), None)
    return None if axis is None else 3 - axis if turned else axis


def _axis_of_layer(step: Step) -> int | None:
    if step.affine is not None:
        return 1 if step.affine.kind in ("convolution", "normalization") else 2
    if step.op in ("native_layer_norm", "embedding", "_softmax"):
        return 2
    return 1 if step.op.endswith(("pool1d", "pool2d", "pool2d_with_indices")) or "group_norm" in step.op else None


def _swaps_last_two(step: Step) -> bool:
    if step.op == "permute":
        return [axis % 3 for axis in step.args[1]] == [0, 2, 1]
    return {axis % 3 for axis in step.args[1:3]} == {1, 2}


def filters_at(filters: tuple[Filter, ...], tape: Tape) -> dict[int, tuple[Filter, ...]]:
    """The filters of each value of a tape. Raises ValueError where no layer has the name."""
    by_value: dict[int, tuple[Filter, ...]] = {}
    for filter_ in filters:
        try:
            value = tape.value_at(filter_.layer)
        except KeyError as error:
            raise ValueError(f"Filter.layer: {error.args[0]}") from None
        by_value[value] = (*by_value.get(value, ()), filter_)
    return by_value
