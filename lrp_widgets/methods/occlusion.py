"""Occlusion: what f loses where a patch of the input is covered."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

import torch
from torch import Tensor

from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.method import Method, never
from lrp_widgets.methods.copies import score_of
from lrp_widgets.methods.question import ask, one_tensor
from lrp_widgets.modalities import modality_of
from lrp_widgets.params import choice, param, params_of
from lrp_widgets.wording import brief

__all__ = ["Occlusion"]

Window = tuple[slice, ...]


@dataclass(frozen=True)
class Occlusion(Method):
    """R_i = mean over the patches p ∋ i of f(x) − f(x without p): in units of f, the same for all channels of a pixel.

    patch, stride: in pixels; 0 takes a seventh of the picture (of a row of features, a 49th) and half a patch.
    value: what a covered pixel becomes: "zero", "mean" (each channel's, over the picture) or a number.
    """

    title: ClassVar[str] = "Occlusion"
    equation: ClassVar[str] = "R_i = mean over the patches p ∋ i of f(x) − f(x without p)"
    reference: ClassVar[str] = "Zeiler & Fergus 2014, section 4.2"

    patch: int = param(0, low=0, slider=(0, 32), unit="px", help="Side of the patch that is covered; 0: a seventh.")
    stride: int = param(0, low=0, slider=(0, 32), unit="px", help="From one patch to the next; 0: half a patch.")
    value: str | float = choice(
        "zero", ("zero", "mean"), symbol="covered by", help="What covered pixels become: 0, or the picture's mean."
    )

    def __post_init__(self) -> None:
        value = self.value
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number and value not in ("zero", "mean"):
            raise ValueError(
                f"{type(self).__name__}.value must be 'zero', 'mean' or a finite number, got {brief(value)}."
            )
        for field in params_of(self):
            field.check(type(self).__name__, "zero" if field.name == "value" else getattr(self, field.name))

    def relevance(
        self, explainer: Explainer, x: Any, target: Any, abandoned: Callable[[], bool] = never
    ) -> Explanation:
        """One forward pass for each patch, many of them in a batch. x: one floating-point tensor."""
        x = one_tensor(self, explainer, x)
        question = ask(explainer, x, target)
        picture = modality_of(x).with_channels(x)
        windows, whole = self._windows(list(picture.shape[2:]))
        covering = self._covering(picture)
        copies = (_covered(picture, window, covering).reshape(x.shape) for window in windows)
        f = question.f(question.scores)
        wide = torch.promote_types(f.dtype, torch.float32)
        lost = torch.zeros((len(x), 1, *picture.shape[2:]), dtype=wide, device=x.device)
        times = torch.zeros_like(lost[:1])
        for window, score in zip(windows, score_of(explainer, copies, question, abandoned), strict=True):
            lost[window] += (f.to(wide) - score.to(wide)).reshape(-1, *[1] * (lost.ndim - 1))
            times[window] += 1
        relevance = (lost / times.clamp(min=1)).expand(picture.shape).reshape(x.shape)
        notes = () if whole else (f"pixels between the patches were never covered: {type(self).__name__}.stride",)
        return question.explanation(self, relevance.to(x.dtype, copy=True), notes=notes)

    def _windows(self, space: list[int]) -> tuple[list[Window], bool]:
        """Where the patches lie, the last ones as much of them as there is; and whether they leave nothing out."""
        auto = max(1, round(min(space) / 7)) if len(space) > 1 else max(1, space[0] // 49)
        sides = [min(self.patch or auto, size) for size in space]
        strides = [self.stride or max(1, side // 2) for side in sides]
        starts = [range(0, size - side + step, step) for size, side, step in zip(space, sides, strides, strict=True)]
        windows = [
            (slice(None), slice(None), *(slice(at, at + side) for at, side in zip(place, sides, strict=True)))
            for place in product(*starts)
        ]
        reached = all(step <= side or size == side for size, side, step in zip(space, sides, strides, strict=True))
        return windows, reached

    def _covering(self, picture: Tensor) -> Tensor:
        """What covered pixels become: one number, or one for each channel of each row."""
        if self.value == "mean":
            return picture.mean(tuple(range(2, picture.ndim)), keepdim=True)
        return picture.new_tensor(0.0 if isinstance(self.value, str) else self.value)


def _covered(picture: Tensor, window: Window, covering: Tensor) -> Tensor:
    covered = picture.clone()
    covered[window] = covering
    return covered
