"""Sweeps: one or two parameters of a setting over their values, and what each does to the explanation."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrp_widgets.engine.composites.composite import Composite
from lrp_widgets.engine.propagation.explainer import Explainer, Output
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.target import Contrast, Target
from lrp_widgets.engine.rules.bounds import Bound
from lrp_widgets.evaluation.checks import at_least, fresh_explainer, one_input, one_tensor
from lrp_widgets.evaluation.continuity.continuity import AllTheSame, walk
from lrp_widgets.evaluation.continuity.neighbourhoods import Noise
from lrp_widgets.evaluation.dataset.sparsity import gini
from lrp_widgets.evaluation.flipping.flipping import flipping_curves
from lrp_widgets.evaluation.flipping.setting import Flipping
from lrp_widgets.evaluation.signatures import last
from lrp_widgets.methods import LRP, Method
from lrp_widgets.modalities import Modality, checked_modality
from lrp_widgets.params import params_of

__all__ = ["OBJECTIVES", "SweepResult", "pareto", "sweep"]

# What can be asked of a setting, and whether a high number is better.
OBJECTIVES = {"area": False, "continuity": False, "sparsity": True, "absorbed": False}


@dataclass(frozen=True, eq=False)
class SweepResult:
    """One setting and what became of it.

    parameters: the swept names and their values.  method: the whole setting.  heatmap: (height, width), or (1, n).
    area: under f while the most relevant patches go first, in units of f.  continuity: the largest
    ‖R(x) − R(x')‖₁ / ‖x − x'‖₂ over a few noisy x'; NaN where there are none.  sparsity: Gini index of |heatmap|.
    absorbed: what the layers kept over f(x); NaN for methods that do not propagate.  explained: f(x).
    """

    parameters: tuple[tuple[str, Any], ...]
    method: Method
    heatmap: np.ndarray
    area: float
    continuity: float
    sparsity: float
    absorbed: float
    explained: float


def sweep(
    model: nn.Module | Explainer,
    x: Tensor,
    setting: Composite | Method,
    over: Mapping[str, Iterable[Any]],
    target: Target = None,
    *,
    patch: int | None = None,
    baseline: Bound = 0.0,
    neighbours: int = 4,
    seed: int = 0,
    output: Output = None,
    modality: Modality | str | None = None,
) -> Iterator[SweepResult]:
    """R of `setting` with each value of one parameter, or each pair of values of two: one result at a time.

    x: one floating-point input with its batch dimension.  setting: a composite such as lw.layered(), or a method.
    over: one or two names of its parameters, each with its values; all are checked before anything is explained.
    patch, baseline: of pixel flipping, a seventh of the picture where patch is None.
    modality: what x is, one of modalities.MODALITIES by name or value; guessed from its shape where None.
    neighbours: how many noisy inputs continuity looks at, 0 to leave it out; seed: of their noise.
    To stop, ask for no more. Raises TypeError or ValueError that names what is wrong.
    """
    explainer = fresh_explainer("sweep", model, output)
    one_tensor("sweep", explainer.model, x)
    one_input("sweep", x)
    at_least(0, "neighbours", neighbours)
    at_least(0, "seed", seed)
    x = x.detach()
    methods = _settings(setting, over)
    what = checked_modality(modality, x, "sweep")
    side = what.side(x) if patch is None else patch
    flipping = Flipping(patch=side, baseline=baseline, output=explainer.output, modality=what)
    near = Noise(max(1, neighbours), seed=seed)
    # Of their own, so that neither forgets what the other is about: the next setting is then a small change to both.
    beside = Explainer(explainer.model, explainer.output)
    for parameters, method in methods:
        explanation = explainer.explain(x, target, method)
        chosen, r = explanation.target, explanation.relevance
        area = last(flipping_curves(explainer.model, x, r, chosen, flipping)).area
        yield SweepResult(
            parameters,
            method,
            explanation.heatmap(),
            area,
            _continuity(beside, x, method, chosen, near) if neighbours else float("nan"),
            gini(explanation.heatmap()),
            _absorbed(explanation),
            float(explanation.explained[0]),
        )


def pareto(results: Sequence[SweepResult], objectives: Sequence[str] = ("area", "continuity")) -> tuple[bool, ...]:
    """Which results no other one beats: none is as good in every objective and better in one.

    objectives: of "area", "continuity", "absorbed" (its size), where low is good, and "sparsity", where high is.
    A result without one of these numbers (NaN) is never among them.
    """
    for name in objectives:
        if name not in OBJECTIVES:
            names = ", ".join(map(repr, OBJECTIVES))
            raise ValueError(f"objectives must be some of {names}, got {name!r}.")
    if not objectives:
        raise ValueError('objectives must name at least one number, got none. Take ("area", "continuity").')
    costs = np.array([[_cost(result, name) for name in objectives] for result in results])
    marked = []
    for cost in costs:
        as_good, better = (costs <= cost).all(1), (costs < cost).any(1)
        marked.append(bool(np.isfinite(cost).all() and not (as_good & better).any()))
    return tuple(marked)


def _cost(result: SweepResult, name: str) -> float:
    value = float(getattr(result, name))
    return -value if OBJECTIVES[name] else abs(value) if name == "absorbed" else value


def _settings(setting: Any, over: Any) -> list[tuple[tuple[tuple[str, Any], ...], Method]]:
    """Every method of the sweep with its parameters, the first name changing slowest."""
    if isinstance(setting, LRP):
        setting = setting.composite
    if not isinstance(setting, Composite | Method):
        raise TypeError(
            f"sweep.setting must be a composite such as lw.layered() or a method, got {setting!r}. Give one."
        )
    names = [each.name for each in params_of(setting)]
    if not isinstance(over, Mapping) or len(over) not in (1, 2):
        raise ValueError(
            f'over must be one or two parameters with their values, such as {{"alpha": (1.0, 2.0)}}, got {over!r}.'
        )
    for name in over:
        if name not in names:
            known_names = ", ".join(map(repr, names))
            raise ValueError(f"over must name parameters of {type(setting).__name__} ({known_names}), got {name!r}.")
    values = {name: list(chosen) for name, chosen in over.items()}
    empty = [name for name, chosen in values.items() if not chosen]
    if empty:
        raise ValueError(f"over must hold at least one value of {empty[0]!r}, got none.")
    settings = []
    for combination in product(*values.values()):
        parameters = tuple(zip(values, combination, strict=True))
        changed = dataclasses.replace(setting, **dict(parameters))
        settings.append((parameters, LRP(changed) if isinstance(changed, Composite) else changed))
    return settings


def _continuity(
    explainer: Explainer, x: Tensor, method: Method, target: tuple[int, ...] | Contrast, near: Noise
) -> float:
    points = near.inputs(x, torch.zeros(()), None)
    try:
        *_, path = walk(explainer, method, target, near, points, batch=near.samples + 1)
    except AllTheSame:
        return float("nan")
    return path.value


def _absorbed(explanation: Explanation) -> float:
    f = float(explanation.explained[0])
    kept = sum(float(amount[0]) for amount in explanation.absorbed.values())
    return kept / f if explanation.layers and f != 0 else float("nan")
