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
from lrp_widgets.engine.trace.tape import Tape
from lrp_widgets.methods.backward import backward, chain_rule
from lrp_widgets.methods.guided_backprop import GuidedBackprop
from lrp_widgets.methods.question import ask_of_tape, one_tensor
from lrp_widgets.modalities import modality_of
from lrp_widgets.params import switch

__all__ = ["GradCAM", "GuidedGradCAM"]

# Behind these the axes need not be batch, channels, space any more; a convolution's answer always has them so.
REARRANGING = ("view", "_unsafe_view", "permute", "transpose", "t", "as_strided", "as_strided_scatter", "bmm")


@dataclass(frozen=True)
class GradCAM(Method):
    """R = max(0, Σ_k α_k A^k) with α_k = mean ∂f/∂A^k: where a layer's maps speak for f, in the size of the input.

    layer: whose output A is, as it is called in the model (or in an explanation by LRP); "" is the last step that
    makes maps of more than one pixel, and `notes` name it.
    The map is interpolated (bilinear) to the size of the input, and the same for all channels of a pixel.
    """

    title: ClassVar[str] = "Grad-CAM"
    equation: ClassVar[str] = "R = max(0, Σ_k α_k A^k), α_k = mean ∂f/∂A^k"
    reference: ClassVar[str] = "Selvaraju et al. 2017"

    layer: str = ""
    rectify: bool = switch(True, symbol="only what speaks for f", help="The ReLU of the paper: leave out Σ α A < 0.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.layer, str):
            raise TypeError(
                f"{type(self).__name__}.layer must be the name of a layer, got {self.layer!r}. "
                'Take it from model.named_modules(), or "" for the last layer with maps.'
            )

    def relevance(
        self, explainer: Explainer, x: Any, target: Any, abandoned: Callable[[], bool] = never
    ) -> Explanation:
        """One recorded forward pass and one way back. x: one tensor (batch, channels, space in 1 to 3 dimensions)."""
        x = one_tensor(self, explainer, x)
        mode = modality_of(x).interpolation
        if not mode:
            raise ValueError(
                f"The input of {type(self).__name__} must have maps (batch, channels, height, width), got shape "
                f"{tuple(x.shape)}. Explain it with another method."
            )
        tape, question = ask_of_tape(explainer, x, target)
        value, name = self._chosen(tape, x)
        a = tape.values[value]
        arrived = backward(tape, question.slope, chain_rule, abandoned)
        gradient = arrived.get(value, torch.zeros_like(a))
        space = tuple(range(2, a.ndim))
        cam = (gradient.mean(space, keepdim=True) * a).sum(1, keepdim=True)
        cam = cam.clamp(min=0) if self.rectify else cam
        large = functional.interpolate(cam, x.shape[2:], mode=mode)
        size = " × ".join(map(str, a.shape[2:]))
        relevance = large.expand(x.shape).to(x.dtype).contiguous()
        return question.explanation(self, relevance, notes=(f"{size} maps of {name}",))

    def _chosen(self, tape: Tape, x: Tensor) -> tuple[int, str]:
        """The value of the layer and its name. Raises KeyError or ValueError where there is none with maps."""
        owner, layers = type(self).__name__, _maps(tape, x)
        if self.layer:
            value = tape.value_at(self.layer)
            shape = tuple(tape.values[value].shape)
            if len(shape) == x.ndim and shape[0] == len(x):
                return value, self.layer
            names = ", ".join(layers.values()) or "there is none"
            raise ValueError(
                f"{owner}.layer must make maps as the input has them, {self.layer!r} makes {shape}. "
                f"Choose a layer with maps: {names}."
            )
        if not layers:
            raise ValueError(
                f"{owner} needs a layer whose output has maps as the input has them, this model has none. "
                "Explain it with another method."
            )
        return list(layers.items())[-1]


def _maps(tape: Tape, x: Tensor) -> dict[int, str]:
    """The values that are maps (batch, channels, space) of more than one pixel, with the name of their step."""
    maps, names = {tape.inputs[0]}, {}
    for step in tape.steps:
        same_axes = step.op not in REARRANGING and any(value in maps for value in step.inputs)
        for value in step.outputs:
            shape = () if value is None else tape.values[value].shape
            if value is not None and len(shape) == x.ndim and (same_axes or step.op == "convolution"):
                maps.add(value)
                if prod(shape[2:]) > 1:
                    names[value] = step.name
    return names


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
