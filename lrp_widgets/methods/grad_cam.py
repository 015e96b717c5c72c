"""Grad-CAM: the maps of a layer, weighted by their mean gradient; alone or times guided backpropagation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.method import Method, never
from lrp_widgets.engine.trace.step import Step
from lrp_widgets.engine.trace.tape import Tape
from lrp_widgets.methods.axes import (
    CHANNELS,
    MOVES,
    ORDERS,
    VIEWS,
    Axes,
    Layout,
    axes_of,
    is_only,
    layout_of,
    untold_after,
)
from lrp_widgets.methods.backward import backward, chain_rule
from lrp_widgets.methods.guided_backprop import GuidedBackprop
from lrp_widgets.methods.question import ask_of_tape, one_tensor
from lrp_widgets.modalities import modality_of
from lrp_widgets.params import switch
from lrp_widgets.wording import brief

__all__ = ["GradCAM", "GuidedGradCAM"]

MODES = ("linear", "bilinear", "trilinear")  # of interpolation, by the number of axes of space
MOST_AXES = 64  # that a tensor has
MOST_TOKENS_BESIDE = 8  # a class token, a token of distillation and registers, where no step tells how many there are


@dataclass(frozen=True)
class GradCAM(Method):
    """R = max(0, Σ_k α_k A^k) with α_k = mean ∂f/∂A^k: where a layer's maps speak for f, in the size of the input.

    layer: whose output A is, as it is called in the model (or in an explanation by LRP); "" is the last step that
    makes maps of more than one pixel which f depends on, and `notes` name it.
    channels: the axis of that output which holds the channels, where the recorded steps do not tell: they do where
    channels come last (Swin, ConvNeXt), and where pixels are tokens (ViT), which are laid out as the grid that they
    come from; tokens of a class or registers are left out.
    The map is interpolated (bilinear) to the size of the input, and the same for all channels of a pixel.
    """

    title: ClassVar[str] = "Grad-CAM"
    equation: ClassVar[str] = "R = max(0, Σ_k α_k A^k), α_k = mean ∂f/∂A^k"
    reference: ClassVar[str] = "Selvaraju et al. 2017"

    layer: str = ""
    rectify: bool = switch(True, symbol="only what speaks for f", help="The ReLU of the paper: leave out Σ α A < 0.")
    channels: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.layer, str):
            raise TypeError(
                f"{type(self).__name__}.layer must be the name of a layer, got {self.layer!r}. "
                'Take it from model.named_modules(), or "" for the last layer with maps.'
            )
        axis = self.channels
        if axis is not None and (isinstance(axis, bool) or not isinstance(axis, int) or abs(axis) > MOST_AXES):
            raise TypeError(
                f"{type(self).__name__}.channels must be the number of an axis, such as -1, got {brief(self.channels)}."
            )

    def relevance(
        self, explainer: Explainer, x: Any, target: Any, abandoned: Callable[[], bool] = never
    ) -> Explanation:
        """One recorded forward pass and one way back. x: one tensor (batch, channels, space in 1 to 3 dimensions)."""
        x = one_tensor(self, explainer, x)
        modality = modality_of(x)
        if not modality.interpolation:
            raise ValueError(
                f"The input of {type(self).__name__} must have maps (batch, channels, height, width), got shape "
                f"{tuple(x.shape)}. Explain it with another method."
            )
        tape, question = ask_of_tape(explainer, x, target)
        axes, own = axes_of(tape, modality.channel_axis)
        space = [place for place in range(1, x.ndim) if place != own]
        arrived = backward(tape, question.slope, chain_rule, abandoned)
        value, name, layout = self._chosen(tape, axes, [x.shape[place] for place in space], arrived)
        a = _as_maps(tape.values[value], layout)
        gradient = _as_maps(arrived.get(value, torch.zeros_like(tape.values[value])), layout)
        cam = (gradient.mean(tuple(range(2, a.ndim)), keepdim=True) * a).sum(1, keepdim=True)
        cam = cam.clamp(min=0) if self.rectify else cam
        large = functional.interpolate(cam, [x.shape[place] for place in space], mode=MODES[len(space) - 1])
        relevance = large.movedim(1, own).expand(x.shape).to(x.dtype).contiguous()
        return question.explanation(self, relevance, notes=(_note(a, name, tape.values[value], layout),))

    def _chosen(
        self, tape: Tape, axes: dict[int, Axes], sizes: list[int], arrived: dict[int, Tensor]
    ) -> tuple[int, str, Layout]:
        """The value of the layer, its name and its layout. Raises KeyError or ValueError where it has no maps."""
        owner, layers = type(self).__name__, _maps(tape, axes, len(sizes))
        if self.layer:
            value = tape.value_at(self.layer)
            return value, self.layer, self._layout(value, tape, axes, sizes, list(layers.values()))
        if not layers:
            raise ValueError(
                f"{owner} needs a layer whose output has maps as the input has them, this model has none. "
                "Explain it with another method."
            )
        chosen = None
        for value in reversed(layers):
            layout = layout_of(axes[value], len(sizes))
            assert layout is not None
            chosen = chosen or (value, layers[value], layout)
            # Behind the last attention to a class token, the other tokens say nothing of f.
            if value in arrived and bool(_as_maps(arrived[value], layout).any()):
                chosen = value, layers[value], layout
                break
        assert chosen is not None
        if (behind := untold_after(tape, axes, chosen[0])) is not None:
            raise ValueError(
                f"{owner} cannot tell which axes of {behind!r} and of what is behind it are space, and all that it can "
                f"tell lies before: {chosen[1]}. Name a layer: layer=…, if need be with channels=…."
            )
        return chosen

    def _layout(self, value: int, tape: Tape, axes: dict[int, Axes], sizes: list[int], names: list[str]) -> Layout:
        """How the layer that was named is laid out. Raises ValueError where that cannot be told."""
        owner, shape = type(self).__name__, tuple(tape.values[value].shape)
        choices = f"Choose a layer with maps: {', '.join(names) or 'there is none'}."
        if self.channels is None and (layout := layout_of(axes.get(value), len(sizes))) is not None:
            return layout
        rows = len(tape.values[tape.inputs[0]])
        if shape[0] != rows or len(shape) not in (len(sizes) + 2, 3):
            raise ValueError(
                f"{owner}.layer must make maps as the input has them, {self.layer!r} makes {shape}. {choices}"
            )
        if self.channels is None:
            raise ValueError(
                f"{owner} cannot tell which axis of {self.layer!r}, {shape}, holds the channels. Say which one, for "
                f"instance channels=-1. {choices}"
            )
        channels = self.channels + len(shape) if self.channels < 0 else self.channels
        if not 1 <= channels < len(shape):
            raise ValueError(
                f"{owner}.channels must be an axis of {self.layer!r}, {shape}, behind that of the batch, "
                f"got {self.channels}."
            )
        rest = tuple(place for place in range(1, len(shape)) if place != channels)
        if len(rest) == len(sizes):
            return Layout(channels, rest)
        tokens = shape[rest[0]]
        for beside in range(MOST_TOKENS_BESIDE + 1):
            for side in range(1, max(sizes) + 1):
                grid = tuple(size // side for size in sizes)
                whole = not any(size % side for size in sizes)
                if whole and prod(grid) == tokens - beside and prod(grid) > 1:
                    return Layout(channels, rest, grid, beside)
        raise ValueError(
            f"{owner} lays tokens out as a grid, and the {tokens} tokens of {self.layer!r} are none that fits an input "
            f"of {' × '.join(map(str, sizes))}, also without up to {MOST_TOKENS_BESIDE} others before it. {choices}"
        )


def _as_maps(value: Tensor, layout: Layout) -> Tensor:
    """(batch, channels, …space) of a value, tokens laid out as their grid."""
    maps = value.permute(0, layout.channels, *layout.space)
    if layout.grid is None:
        return maps
    return maps[:, :, layout.before : layout.before + prod(layout.grid)].unflatten(2, layout.grid)


def _note(a: Tensor, name: str, value: Tensor, layout: Layout) -> str:
    """Which maps they were, and which tokens were none of them."""
    size = " × ".join(map(str, a.shape[2:]))
    if layout.grid is None:
        return f"{size} maps of {name}"
    beside = value.shape[layout.space[0]] - prod(layout.grid)
    left_out = f", {beside} token{'s' * (beside > 1)} left out" if beside else ""
    return f"{size} maps of {name}{left_out}"


def _maps(tape: Tape, axes: dict[int, Axes], space: int) -> dict[int, str]:
    """The values that are maps of more than one pixel, with the name of their step.

    Not those that only order numbers anew, nor what is taken apart into heads behind them.
    """
    apart = {value for step in tape.steps if step.op in VIEWS for value in step.inputs if _is_split(step, tape, axes)}
    names = {}
    for step in tape.steps:
        for value in step.outputs:
            if value is None or step.op in VIEWS | ORDERS | MOVES or value in apart:
                continue
            layout = layout_of(axes.get(value), space)
            shape = tape.values[value].shape
            if layout is not None and prod(layout.grid or [shape[place] for place in layout.space]) > 1:
                names[value] = step.name
    return names


def _is_split(step: Step, tape: Tape, axes: dict[int, Axes]) -> bool:
    """Whether a view takes the channels apart."""
    before, after = axes.get(step.inputs[0]), axes.get(step.output)
    if before is None or not any(is_only(axis, CHANNELS) for axis in before):
        return False
    return after is None or not any(factor.role == CHANNELS for axis in after for factor in axis)


@dataclass(frozen=True)
class GuidedGradCAM(GradCAM):
    """R_i = GradCAM_i · GuidedBackprop_i: where the layer's maps speak for f, in the detail of guided backprop."""

    title: ClassVar[str] = "Guided Grad-CAM"
    equation: ClassVar[str] = "R_i = GradCAM_i · GuidedBackprop_i"
    reference: ClassVar[str] = "Selvaraju et al. 2017"

    def relevance(
        self, explainer: Explainer, x: Any, target: Any, abandoned: Callable[[], bool] = never
    ) -> Explanation:
        """Two ways back. x: as GradCAM takes it."""
        cam = super().relevance(explainer, x, target, abandoned)
        guided = GuidedBackprop().relevance(explainer, x, cam.target, abandoned)
        return cam.replace(relevance=cam.relevance * guided.relevance)
