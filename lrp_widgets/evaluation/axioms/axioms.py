"""A report card: what an explanation should keep to, each with its number, its limit and who asks for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrp_widgets.engine.propagation.explainer import Explainer, Output
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.method import Method
from lrp_widgets.engine.propagation.target import Contrast, Target, starting_relevance
from lrp_widgets.engine.rules.bounds import Bound
from lrp_widgets.evaluation.axioms.randomization import randomization
from lrp_widgets.evaluation.axioms.rewriting import NotSafe, Rewriting, doubled, halved, same_method, shifted
from lrp_widgets.evaluation.checks import fresh_explainer, one_input, one_tensor
from lrp_widgets.evaluation.continuity.continuity import AllTheSame, continuity
from lrp_widgets.evaluation.continuity.neighbourhoods import Noise, Translation, neighbourhood_of
from lrp_widgets.evaluation.flipping.flipping import flipping_curves
from lrp_widgets.evaluation.flipping.removal import Baseline
from lrp_widgets.evaluation.flipping.setting import Flipping
from lrp_widgets.evaluation.score import Score
from lrp_widgets.evaluation.signatures import last, result_of
from lrp_widgets.methods import LRP
from lrp_widgets.modalities import Modality, checked_modality
from lrp_widgets.params import MOST_SEED, Setting, param
from lrp_widgets.wording import in_words

__all__ = ["Limits", "axioms", "stream_axioms"]

PAPER = "the paper, section on {}; the limit is ours"


@dataclass(frozen=True)
class Limits(Setting):
    """What is still good enough, and how it is measured; the literature asks for equality and gives no limits."""

    conservation: float = param(0.05, low=0, slider=(0, 1), help="|ΣR − f(x)| / |f(x)| at most.")
    negative: float = param(
        1e-6, low=0, high=1, slider=(1e-9, 1), log=True, help="Share of negative relevance at most."
    )
    jump: float = param(10.0, low=1, slider=(1, 100), step=1, help="Largest ratio at most, in medians of the ratios.")
    completeness: float = param(0.05, low=0, slider=(0, 1), help="|ΣR − (f(x) − f(x₀))| / |f(x) − f(x₀)| at most.")
    invariance: float = param(0.01, low=0, slider=(0, 1), help="max |R − R'| / max |R| at most.")
    randomized: float = param(0.5, low=0, high=1, slider=(0, 1), help="|rank correlation| at most.")
    orders: int = param(
        19, low=1, most=9999, slider=(1, 99), help="Random orders to beat: chance beats n once in n + 1 times."
    )
    shift: float = param(-1.0, slider=(-2, 2), help="Of the input, in multiples of max x − min x.")
    seed: int = param(0, low=0, most=MOST_SEED, slider=(0, 99), help="Of the random orders, noises and weights.")


@dataclass(frozen=True, eq=False)
class _Case:
    """What all rows are about."""

    explainer: Explainer
    x: Tensor
    method: Method | None
    explanation: Explanation
    limits: Limits
    baseline: Bound
    patch: int
    modality: Modality

    @property
    def target(self) -> tuple[int, ...] | Contrast:
        return self.explanation.target

    @property
    def f(self) -> float:
        return float(self.explanation.explained[0])

    @property
    def relevance(self) -> Tensor:
        return self.explanation.relevance[0].double()


def stream_axioms(
    model: nn.Module | Explainer,
    x: Tensor,
    method: Method | None = None,
    target: Target = None,
    *,
    limits: Limits = Limits(),
    baseline: Bound = 0.0,
    patch: int | None = None,
    output: Output = None,
    modality: Modality | str | None = None,
) -> Iterator[Score]:
    """The same, row by row, the quick ones first. To stop, ask for no more."""
    explainer = fresh_explainer("axioms", model, output)
    one_tensor("axioms", explainer.model, x)
    one_input("axioms", x)
    if not isinstance(limits, Limits):
        raise TypeError(f"limits must be a setting such as Limits(jump=5.0), got {limits!r}.")
    what = checked_modality(modality, x, "axioms")
    Baseline(baseline).check(what.grid(x))
    x = x.detach()
    explanation = explainer.explain(x, target, method)
    side = what.side(x) if patch is None else patch
    case = _Case(explainer, x, method, explanation, limits, baseline, side, what)
    for row in ROWS:
        yield row.measured(case)


@result_of(stream_axioms)
def axioms(steps: Iterator[Score]) -> tuple[Score, ...]:
    """The report card: conservation, positivity, continuity, selectivity, completeness, invariances, randomization.

    x: one floating-point input with its batch dimension.  method, target: as in Explainer.explain.
    limits: what passes.  baseline: x₀ of completeness, and what removed pixels become; one number or one per channel.
    patch: side of the patches that selectivity removes, a seventh of the picture where None.
    modality: what x is, one of modalities.MODALITIES by name or value; guessed from its shape where None.
    A row that this model does not allow has the value NaN, and its note says why.
    Raises TypeError or ValueError that names what is wrong.
    """
    return tuple(steps)


@dataclass(frozen=True)
class _Row:
    """One line of the card: `measure` gives value, threshold and note, or raises NotSafe with the reason."""

    name: str
    source: str
    meaning: str
    limit: str = field(default="")
    measure: Callable[[_Case], tuple[float, float, str]] = field(kw_only=True)

    def measured(self, case: _Case) -> Score:
        try:
            value, threshold, note = self.measure(case)
        except NotSafe as reason:
            threshold = float(getattr(case.limits, self.limit)) if self.limit else float("nan")
            value, note = float("nan"), str(reason)
        return Score(self.name, value, threshold, self.source, self.meaning, note=note)


def _conservation(case: _Case) -> tuple[float, float, str]:
    total = float(case.relevance.sum())
    return _share(total - case.f, case.f, "f(x)"), case.limits.conservation, f"ΣR = {total:.4g}, f(x) = {case.f:.4g}"


def _positivity(case: _Case) -> tuple[float, float, str]:
    r = case.relevance
    return _share(float(r.clamp(max=0).sum()), float(r.abs().sum()), "all relevance"), case.limits.negative, ""


def _continuity(case: _Case) -> tuple[float, float, str]:
    near = neighbourhood_of(case.modality.neighbourhood)
    if isinstance(near, Translation):
        near = Translation(reach=3.0)
    elif isinstance(near, Noise):
        near = Noise(seed=case.limits.seed)
    try:
        how: dict[str, Any] = {"kind": near, "fill": case.baseline, "modality": case.modality}
        path = continuity(case.explainer, case.x, case.method, case.target, **how)
    except AllTheSame as error:
        raise NotSafe("all inputs near this one are the same") from error
    apart = math.inf if path.value > 0 else 0.0
    value = path.value / path.median if path.median > 0 else apart
    return value, case.limits.jump, f"by {near.title}: at most {path.value:.3g}, median {path.median:.3g}"


def _selectivity(case: _Case) -> tuple[float, float, str]:
    what: dict[str, Any] = {"output": case.explainer.output, "modality": case.modality}
    ranked = Flipping(patch=case.patch, baseline=case.baseline, **what)

    def area_of(setting: Flipping) -> float:
        model, r = case.explainer.model, case.explanation.relevance
        return last(flipping_curves(model, case.x, r, case.target, setting)).area

    area, first = area_of(ranked), case.limits.seed
    chance = [area_of(replace(ranked, order="random", seed=first + i)) for i in range(case.limits.orders)]
    return area, min(chance), f"in units of f; {len(chance)} random orders: {min(chance):.3g} to {max(chance):.3g}"


def _completeness(case: _Case) -> tuple[float, float, str]:
    grid = case.modality.grid(case.x)
    empty = case.modality.from_grid(torch.zeros_like(grid) + Baseline(case.baseline).replacement(grid), case.x)
    start = float(starting_relevance(case.target, case.explainer.scores(empty)).double().sum())
    total, gained = float(case.relevance.sum()), case.f - start
    note = f"ΣR = {total:.4g}, f(x) − f(x₀) = {gained:.4g}"
    return _share(total - gained, gained, "f(x) − f(x₀)"), case.limits.completeness, note


def _implementation(case: _Case) -> tuple[float, float, str]:
    worst, notes, reasons = -1.0, [], []
    for name, rewrite in (("halved", halved), ("doubled", doubled)):
        try:
            apart = _apart(case, rewrite(case.explainer, case.x), case.x)
        except NotSafe as reason:
            reasons.append(str(reason))
            continue
        worst = max(worst, apart)
        notes.append(f"{name}: {apart:.2g}")
    if worst < 0:
        raise NotSafe(reasons[0])
    return worst, case.limits.invariance, ", ".join(notes)


def _cascading(case: _Case) -> tuple[float, float, str]:
    return _randomized(case, "cascading")


def _independent(case: _Case) -> tuple[float, float, str]:
    return _randomized(case, "independent")


def _randomized(case: _Case, mode: str) -> tuple[float, float, str]:
    curve = randomization(case.explainer, case.x, case.method, case.target, mode=mode, seed=case.limits.seed)
    texts = [f"{layer} {rho:.2f}" for layer, rho in zip(curve.layers, curve.correlations, strict=True)]
    return curve.value, case.limits.randomized, ", ".join(texts[:6]) + (", …" if len(texts) > 6 else "")


def _input_shift(case: _Case) -> tuple[float, float, str]:
    wide = float(case.x.amax() - case.x.amin())
    shift = case.limits.shift * (wide or 1.0)
    rewriting = shifted(case.explainer, case.x, shift)
    return _apart(case, rewriting, case.x + shift), case.limits.invariance, f"shifted by {shift:.3g}"


def _apart(case: _Case, rewriting: Rewriting, x: Tensor) -> float:
    """max |R − R'| / max |R|, of the model and of the same one written in another way."""
    try:
        method = same_method(case.method or LRP(), case.explainer, case.x, rewriting)
        other = Explainer(rewriting.model, case.explainer.output).explain(x, case.target, method).relevance[0].double()
    except (KeyError, ValueError) as error:
        raise NotSafe(f"the method does not fit the rewritten model ({in_words(error)})") from error
    return _share(float((case.relevance - other).abs().max()), float(case.relevance.abs().max()), "all relevance")


def _share(part: float, whole: float, name: str) -> float:
    if whole == 0 or not np.isfinite(whole):
        raise NotSafe(f"{name} is {whole:.3g}, and a share of it would say nothing")
    return abs(part) / abs(whole)


ROWS = (
    _Row(
        "conservation",
        PAPER.format("relevance propagation"),
        "|ΣR − f(x)| / |f(x)|: how much of the score the map does not account for",
        "conservation",
        measure=_conservation,
    ),
    _Row(
        "positivity",
        PAPER.format("deep Taylor decomposition"),
        "Σ|R⁻| / Σ|R|: the share of relevance that speaks against",
        "negative",
        measure=_positivity,
    ),
    _Row(
        "completeness",
        "Sundararajan et al. 2017; the limit is ours",
        "|ΣR − (f(x) − f(x₀))| / |f(x) − f(x₀)|: how much of what x adds to the baseline is not accounted for",
        "completeness",
        measure=_completeness,
    ),
    _Row(
        "continuity",
        PAPER.format("explanation continuity"),
        "max ‖R(x) − R(x')‖₁ / ‖x − x'‖₂ over its median: how far the map jumps while the input hardly moves",
        "jump",
        measure=_continuity,
    ),
    _Row(
        "selectivity",
        "the paper, section on explanation selectivity; Samek et al. 2017; the limit is the best random order",
        "area under f while the most relevant patches go first: low where the map finds what f rests on",
        measure=_selectivity,
    ),
    _Row(
        "implementation invariance",
        "Sundararajan et al. 2017; the limit is ours",
        "max |R − R'| / max |R| when every Linear is written as two: how much the map is one of the notation",
        "invariance",
        measure=_implementation,
    ),
    _Row(
        "input invariance",
        "Kindermans et al. 2019; the limit is ours",
        "max |R − R'| / max |R| when the input is shifted and the first bias undoes it",
        "invariance",
        measure=_input_shift,
    ),
    _Row(
        "randomization, cascading",
        "Adebayo et al. 2018; the limit is ours",
        "|rank correlation| of the map with that of a network whose weights are all random",
        "randomized",
        measure=_cascading,
    ),
    _Row(
        "randomization, independent",
        "Adebayo et al. 2018; the limit is ours",
        "largest |rank correlation| of the map with that of a network with one random layer",
        "randomized",
        measure=_independent,
    ),
)
