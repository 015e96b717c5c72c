"""A layer's activations and relevance with the channels behind the batch: (n, channels, …), however the layer lies."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.filter import axis_of_channels
from lrp_widgets.wording import brief

__all__ = ["activations_at", "batches", "checked_channel", "checked_count", "own_explainer", "relevance_at", "totals"]


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


def checked_channel(channel: Any, count: int, layer: str) -> int:
    """A channel of a layer that has `count` of them. Raises TypeError or ValueError."""
    if isinstance(channel, bool) or not isinstance(channel, int):
        raise TypeError(f"channel must be a whole number, got {brief(channel)}.")
    if not 0 <= channel < count:
        raise ValueError(f"channel must lie in [0, {count - 1}], the channels of {layer!r}, got {channel}.")
    return channel


def checked_count(name: str, value: Any, most: int, of: str) -> int:
    """A number of things of which there are at most `most`. Raises TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, got {brief(value)}.")
    if not 1 <= value <= most:
        raise ValueError(f"{name} must lie in [1, {most}], {of}, got {value}.")
    return value


def own_explainer(explainer: Any) -> Explainer:
    """Another explainer of the same model and output: what the first one remembers is left alone."""
    if not isinstance(explainer, Explainer):
        raise TypeError(f"explainer must be an lw.Explainer, got {brief(explainer)}. Make one: lw.Explainer(model).")
    return Explainer(explainer.model, explainer.output)


def batches(n: int, size: int) -> list[slice]:
    """The rows of each batch."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def totals(tensor: Tensor) -> Tensor:
    """(n, channels, …) added up over the positions: (n, channels), float64 on the CPU."""
    return tensor.double().reshape(*tensor.shape[:2], -1).sum(2).cpu()
