"""A layer's activations and relevance with the channels behind the batch: (n, channels, …), however the layer lies."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.filter import axis_of_channels
from lrp_widgets.wording import brief

__all__ = ["activations_at", "batches", "relevance_at", "totals"]


def activations_at(explainer: Explainer, x: Any, layer: str) -> Tensor:
    """What a layer hands on at x, (n, channels, …). Raises KeyError with the known names, or ValueError."""
    tape = explainer.tape(x)
    value = _checked_value(tape.value_at, layer)
    return _channels_first(tape.values[value], axis_of_channels(value, tape), layer)


def relevance_at(explanation: Explanation, layer: str) -> Tensor:
    """The relevance at a layer's output, (n, channels, …). Raises KeyError with the known names, or ValueError."""
    relevance = _checked_value(explanation.layer, layer)
    return _channels_first(relevance, explanation.channel_axis(layer), layer)


def _checked_value(of: Any, layer: Any) -> Any:
    if not isinstance(layer, str) or not layer:
        raise TypeError(f"layer must be the name of a layer, got {brief(layer)}. Take it from model.named_modules().")
    return of(layer)


def _channels_first(tensor: Tensor, axis: int, layer: str) -> Tensor:
    if tensor.ndim < 2:
        raise ValueError(f"The layer {layer!r} has no channels: its output has the shape {tuple(tensor.shape)}.")
    return tensor.detach().movedim(axis, 1)


def batches(n: int, size: int) -> list[slice]:
    """The rows of each batch."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def totals(tensor: Tensor) -> Tensor:
    """(n, channels, …) added up over the positions: (n, channels), float64 on the CPU."""
    return tensor.double().reshape(*tensor.shape[:2], -1).sum(2).cpu()
