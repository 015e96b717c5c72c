"""What is measured of an explanation over a data set: settings that describe themselves; METRICS at the bottom.

A metric of your own is a frozen setting with one method, `measure(explainer, x, target, explanation)`. It gets one
input with its batch dimension and returns a number; where its class says `batched = True`, it gets a whole batch and
returns one number a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.target import starting_relevance
from lrp_widgets.engine.rules.bounds import Bound, checked_bound
from lrp_widgets.evaluation.axioms.randomization import MODES, randomization
from lrp_widgets.evaluation.continuity.continuity import AllTheSame, walk
from lrp_widgets.evaluation.continuity.neighbourhoods import Neighbourhood, Translation, neighbourhood_of
from lrp_widgets.evaluation.dataset.sparsity import gini
from lrp_widgets.evaluation.flipping.flipping import flipping_curves, probabilities
from lrp_widgets.evaluation.flipping.ranking import in_order, relevance_of_regions
from lrp_widgets.evaluation.flipping.removal import Baseline, Removal, removal_of
from lrp_widgets.evaluation.flipping.setting import Flipping
from lrp_widgets.evaluation.signatures import last
from lrp_widgets.modalities import Modality, checked_modality
from lrp_widgets.params import MOST_SEED, Setting, choice, param, switch

__all__ = ["METRICS", "Absorbed", "Completeness", "Continuity", "Metric", "Positivity"]
__all__ += ["Randomization", "Selectivity", "Sparsity"]


@dataclass(frozen=True)
class Metric(Setting):
    """A number for an explanation: its title, its source, which way is better, and `measure`."""

    title: ClassVar[str] = ""
    reference: ClassVar[str] = ""
    better: ClassVar[str] = ""  # "low" or "high"; "" where neither is
    batched: ClassVar[bool] = False  # measures a whole batch at once

    def measure(self, explainer: Explainer, x: Tensor, target: tuple[int, ...], explanation: Explanation) -> Any:
        """One number, or, where batched, one a row; NaN where there is none to measure.

        explainer: a fresh one for the model.  x: (1, …), where batched (n, …).  target: the class of each row.
        explanation: of x and that target; its `method` explains other inputs in the same way.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Selectivity(Metric):
    """∫ f d(removed) while the most relevant patches go first: low where the map finds what f rests on."""

    title: ClassVar[str] = "Selectivity: area under pixel flipping"
    reference: ClassVar[str] = "the paper, section on explanation selectivity; Samek et al. 2017"
    better: ClassVar[str] = "low"

    patch: int = param(4, low=1, most=4096, slider=(1, 16), unit="px", help="Side of the square patches.")
    removal: Removal = field(default_factory=Baseline)
    order: str = choice("most", ("most", "least", "random"), help="Which patches go first.")
    ranking: str = choice("once", ("once", "again"), help="Rank once, or explain again after each removal.")
    unit: str = choice("logit", ("logit", "probability"), help="What f is.")
    normalized: bool = switch(False, help="As shares of f(x).")
    steps: int = param(
        0, low=0, most=10_000, slider=(0, 100), help="How many scores after the first; 0 is one for each patch."
    )
    modality: Modality | str | None = field(default=None, kw_only=True, repr=False)  # that of the samples in evaluate()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "removal", removal_of(self.removal))
        if self.ranking == "again" and self.order == "random":
            raise ValueError('Selectivity.ranking "again" needs an order to rank by, got "random". Rank once.')

    @property
    def batched(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Ranked again, all rows are explained together after each removal."""
        return self.ranking == "again"

    def measure(self, explainer: Explainer, x: Tensor, target: tuple[int, ...], explanation: Explanation) -> Any:
        if self.batched:
            return self._again(explainer, x, target, explanation)
        setting = Flipping(
            patch=self.patch,
            order=self.order,
            unit=self.unit,
            steps=self.steps or None,
            seed=int(torch.randint(2**31, ())),
            output=explainer.output,
            removal=self.removal,
            modality=self.modality,
        )
        curve = last(flipping_curves(explainer.model, x, explanation.relevance, target, setting))
        return self._area(curve.values, curve.removed)

    def _again(self, explainer: Explainer, x: Tensor, target: tuple[int, ...], explanation: Explanation) -> list[float]:
        modality = checked_modality(self.modality, x, "Selectivity")
        pictures, labels = modality.grid(x), modality.regions(x, self.patch)
        self.removal.check(pictures, modality)
        regions = int(labels.max()) + 1
        counts = torch.linspace(0, regions, min(self.steps or regions, regions) + 1).round().long()
        gone = torch.zeros(len(x), regions, dtype=torch.bool)
        now, scores = explanation, []
        for more in [*counts.diff().tolist(), 0]:
            scores.append(self._scores(now))
            if not more:
                break
            for row, relevance in enumerate(now.relevance):
                one = pictures[row : row + 1]
                ranked = in_order(
                    relevance_of_regions(relevance, x[row : row + 1], one, labels, modality=modality), self.order
                )
                gone[row, ranked[~gone[row, ranked]][:more]] = True
            pixels = gone[:, labels].to(x.device)[:, None, None]
            left = [self.removal.removed(one[None], away) for one, away in zip(pictures, pixels, strict=True)]
            now = explainer.explain(modality.from_grid(torch.cat(left), x), target, explanation.method)
        table = torch.stack(scores, 1).double().cpu().numpy()
        return [self._area(values, (counts / regions).numpy()) for values in table]

    def _scores(self, explanation: Explanation) -> Tensor:
        if self.unit == "logit":
            return explanation.explained
        shares = probabilities(explanation.scores.reshape(len(explanation.scores), -1))
        return shares.gather(1, torch.tensor(explanation.target, device=shares.device)[:, None])[:, 0]

    def _area(self, values: np.ndarray, removed: np.ndarray) -> float:
        area = float(np.trapezoid(values, removed))
        if not self.normalized:
            return area
        return area / float(values[0]) if values[0] > 0 else float("nan")


@dataclass(frozen=True)
class Continuity(Metric):
    """max ‖R(x) − R(x')‖₁ / ‖x − x'‖₂ over x' near x: low is continuous."""

    title: ClassVar[str] = "Continuity: how far the map jumps"
    reference: ClassVar[str] = "the paper, section on explanation continuity"
    better: ClassVar[str] = "low"

    near: Neighbourhood = field(default_factory=Translation)
    scale: str = choice(
        "none",
        ("none", "relevance", "median"),
        labels=("as it is", "over the mean of Σ|R|", "over the median ratio"),
        help="What the largest ratio is divided by. Methods whose R has other units compare only over something.",
    )
    fill: float = param(0.0, slider=(-1, 1), help="What comes in from outside a picture that is moved.")
    modality: Modality | str | None = field(default=None, kw_only=True, repr=False)  # that of the samples in evaluate()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "near", neighbourhood_of(self.near))

    def measure(self, explainer: Explainer, x: Tensor, target: tuple[int, ...], explanation: Explanation) -> float:
        if self.near.picture and not checked_modality(self.modality, x, "Continuity").planar:
            raise ValueError(
                f"{self.near} needs a picture (1, channels, height, width), got shape {tuple(x.shape)}. "
                'Take Continuity("noise").'
            )
        points = self.near.inputs(x, torch.tensor(self.fill, dtype=x.dtype, device=x.device), None)
        together = len(self.near.places())
        try:
            *_, path = walk(explainer, explanation.method, target, self.near, points, batch=together)
        except AllTheSame:
            return float("nan")
        if self.scale == "none":
            return path.value
        size = path.median if self.scale == "median" else float(np.abs(path.relevance).sum() / len(path.relevance))
        return path.value / size if size > 0 else float("nan")


@dataclass(frozen=True)
class Sparsity(Metric):
    """The Gini index of |R| pooled over channels: 0 is all alike, 1 all in one pixel."""

    title: ClassVar[str] = "Sparsity: Gini index"
    reference: ClassVar[str] = "Hurley & Rickard 2009; Chalasani et al. 2020"
    better: ClassVar[str] = "high"
    batched: ClassVar[bool] = True

    def measure(
        self, explainer: Explainer, x: Tensor, target: tuple[int, ...], explanation: Explanation
    ) -> list[float]:
        return [gini(explanation.heatmap(row)) for row in range(len(x))]


@dataclass(frozen=True)
class Completeness(Metric):
    """|ΣR − f(x)| / |f(x)|: how much of the score the map does not account for."""

    title: ClassVar[str] = "Completeness: score not accounted for"
    reference: ClassVar[str] = "the paper, section on relevance propagation; Sundararajan et al. 2017"
    better: ClassVar[str] = "low"
    batched: ClassVar[bool] = True

    baseline: Bound | None = None  # an input x₀ of this number: then f(x) − f(x₀) stands in place of f(x)
    modality: Modality | str | None = field(default=None, kw_only=True, repr=False)  # that of the samples in evaluate()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.baseline is not None:
            object.__setattr__(self, "baseline", checked_bound("Completeness", "baseline", self.baseline))

    def measure(
        self, explainer: Explainer, x: Tensor, target: tuple[int, ...], explanation: Explanation
    ) -> list[float]:
        f = explanation.explained
        if self.baseline is not None:
            value = torch.tensor(self.baseline, dtype=x.dtype, device=x.device)
            channels = checked_modality(self.modality, x, "Completeness").channel_axis
            value = value.reshape([-1 if axis == channels else 1 for axis in range(x.ndim)]) if value.ndim else value
            start = starting_relevance(target, explainer.scores(torch.zeros_like(x) + value))
            f = f - start.reshape(len(x), -1).double().sum(1).cpu()
        return _shares(explanation.total - f, f)


@dataclass(frozen=True)
class Absorbed(Metric):
    """|Σ absorbed| / |f(x)|: what the layers kept (biases, ε); NaN for methods without a ledger."""

    title: ClassVar[str] = "Absorbed: kept by the layers"
    reference: ClassVar[str] = "the paper, section on relevance propagation"
    better: ClassVar[str] = "low"
    batched: ClassVar[bool] = True

    def measure(
        self, explainer: Explainer, x: Tensor, target: tuple[int, ...], explanation: Explanation
    ) -> list[float]:
        if not explanation.layers:
            return [float("nan")] * len(x)
        absorbed = sum(explanation.absorbed.values(), torch.zeros(len(x), dtype=torch.float64))
        return _shares(absorbed, explanation.explained)


@dataclass(frozen=True)
class Positivity(Metric):
    """Σ|R⁻| / Σ|R|: the share of relevance that speaks against."""

    title: ClassVar[str] = "Positivity: share of negative relevance"
    reference: ClassVar[str] = "the paper, section on deep Taylor decomposition"
    better: ClassVar[str] = "low"
    batched: ClassVar[bool] = True

    def measure(
        self, explainer: Explainer, x: Tensor, target: tuple[int, ...], explanation: Explanation
    ) -> list[float]:
        relevance = explanation.relevance.reshape(len(x), -1).double().cpu()
        return _shares(relevance.clamp(max=0).sum(1), relevance.abs().sum(1))


@dataclass(frozen=True)
class Randomization(Metric):
    """|ρ(R, R of the network with random weights)|: low where the map depends on what was learned."""

    title: ClassVar[str] = "Randomization: |rank correlation|"
    reference: ClassVar[str] = "Adebayo et al. 2018"
    better: ClassVar[str] = "low"

    mode: str = choice("cascading", MODES, help="All layers from the output down, or the worst one alone.")
    seed: int = param(0, low=0, most=MOST_SEED, slider=(0, 99), help="Of the random weights.")

    def measure(self, explainer: Explainer, x: Tensor, target: tuple[int, ...], explanation: Explanation) -> float:
        return randomization(explainer, x, explanation.method, target, mode=self.mode, seed=self.seed).value


METRICS: tuple[type[Metric], ...] = (
    Selectivity,
    Continuity,
    Sparsity,
    Completeness,
    Absorbed,
    Positivity,
    Randomization,
)


def _shares(part: Tensor, whole: Tensor) -> list[float]:
    """|part| / |whole| of each row; NaN where the whole is 0."""
    sizes: Sequence[float] = whole.double().abs().tolist()
    parts: Sequence[float] = part.double().abs().tolist()
    return [a / b if b > 0 else float("nan") for a, b in zip(parts, sizes, strict=True)]
