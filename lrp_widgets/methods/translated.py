"""The translation trick: the mean over small shifts of the input, each shifted back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product, tee
from typing import Any, ClassVar

import torch
from torch import Tensor

from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.lrp import LRP
from lrp_widgets.engine.propagation.method import Method, check_method, never
from lrp_widgets.methods.copies import check_runs, mean_of, relevance_of, runs_of
from lrp_widgets.methods.question import ask, one_tensor
from lrp_widgets.modalities import modality_of
from lrp_widgets.params import choice, param

__all__ = ["Translated"]


@dataclass(frozen=True)
class Translated(Method):
    """R(x) = 1/|T| Σ_τ τ⁻¹(R(τ(x))): any method, averaged over shifts τ of the input, which takes grids away.

    method: what explains each shift.  shift: T is all of −shift … shift pixels along every axis of the picture.
    Nothing is lost on the way back: ΣR is the mean of the ΣR of the shifted inputs.
    """

    title: ClassVar[str] = "Translated"
    equation: ClassVar[str] = "R(x) = 1/|T| Σ_τ τ⁻¹(R(τ(x)))"
    reference: ClassVar[str] = "the paper, section on the translation trick"

    method: Method = field(default_factory=LRP)
    shift: int = param(
        1, low=0, most=32, slider=(0, 4), unit="px", help="How far the input is shifted either way, in pixels."
    )
    border: str = choice(
        "wrap",
        ("wrap", "edge"),
        labels=("from the other side", "the edge repeated"),
        help="What comes in at the border: what went out at the other side, or the outermost pixels again.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_method("Translated.method", self.method)
        check_runs(self)

    @property
    def runs(self) -> int:
        """How many runs of the network an explanation of a picture takes, each with a way back."""
        return (2 * self.shift + 1) ** 2 * runs_of(self.method)

    def relevance(
        self, explainer: Explainer, x: Any, target: Any, abandoned: Callable[[], bool] = never
    ) -> Explanation:
        """(2 shift + 1) explanations for each axis. x: one floating-point tensor; features are a row of pixels."""
        x = one_tensor(self, explainer, x)
        question = ask(explainer, x, target)
        axes = modality_of(x).space(x)
        steps = range(-self.shift, self.shift + 1)
        every = (self._sources(x, dict(zip(axes, by, strict=True))) for by in product(steps, repeat=len(axes)))
        shifts, ways_back = tee(every)  # made as they are needed: a volume has many
        parts = relevance_of(self.method, explainer, (_moved(x, s) for s in shifts), question, abandoned)
        returned = ((_back(part, s), whole) for (part, whole), s in zip(parts, ways_back, strict=True))
        return mean_of(self, question, returned)

    def _sources(self, x: Tensor, by: dict[int, int]) -> dict[int, Tensor]:
        """Along each axis, the place that each pixel of the shifted input comes from."""
        places = {axis: torch.arange(x.shape[axis], device=x.device) - step for axis, step in by.items()}
        if self.border == "wrap":
            return {axis: place % x.shape[axis] for axis, place in places.items()}
        return {axis: place.clamp(0, x.shape[axis] - 1) for axis, place in places.items()}


def _moved(x: Tensor, sources: dict[int, Tensor]) -> Tensor:
    for axis, source in sources.items():
        x = x.index_select(axis, source)
    return x


def _back(relevance: Tensor, sources: dict[int, Tensor]) -> Tensor:
    """Each pixel's relevance to where it came from."""
    for axis, source in sources.items():
        relevance = torch.zeros_like(relevance).index_add(axis, source, relevance)
    return relevance
