"""Parameter randomization: does the map change when the network forgets what it has learned?

Adebayo et al. 2018. All of it happens on a copy: the user's model is only read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrp_widgets.engine.propagation.explainer import Explainer, Output
from lrp_widgets.engine.propagation.method import Method
from lrp_widgets.engine.propagation.target import Target, resolve_target
from lrp_widgets.evaluation.axioms.rewriting import NotSafe, copy_of
from lrp_widgets.evaluation.checks import at_least, fresh_explainer, one_input, one_of, one_tensor
from lrp_widgets.evaluation.signatures import last, result_of

__all__ = ["RandomizationCurve", "randomization", "rank_correlation", "stream_randomization"]

MODES = ("cascading", "independent")


@dataclass(frozen=True, eq=False)
class RandomizationCurve:
    """Rank correlation of R before and after layers were randomized.

    layers: their names, the one nearest to the output first ("" is the model itself).
    correlations: (n,) in [−1, 1], 1 is the same map.
    mode: "cascading" (each with all those before it) or "independent" (each alone).
    heatmaps: (n, …) R after each, in the shape of x without its batch.
    """

    layers: tuple[str, ...]
    correlations: np.ndarray
    mode: str
    heatmaps: np.ndarray

    @property
    def value(self) -> float:
        """|correlation| with all layers randomized (cascading), or the largest of any (independent): low is sound."""
        sizes = np.abs(self.correlations)
        return float(sizes[-1] if self.mode == "cascading" else sizes.max())


def stream_randomization(
    model: nn.Module | Explainer,
    x: Tensor,
    method: Method | None = None,
    target: Target = None,
    *,
    mode: str = "cascading",
    absolute: bool = False,
    seed: int = 0,
    output: Output = None,
) -> Iterator[RandomizationCurve]:
    """The same, layer by layer. To stop, ask for no more."""
    explainer = fresh_explainer("randomization", model, output)
    one_tensor("randomization", explainer.model, x)
    one_input("randomization", x)
    one_of("mode", mode, MODES)
    at_least(0, "seed", seed)
    chosen = resolve_target(target, explainer.scores(x))
    before = _array(explainer.explain(x, chosen, method).relevance)
    other = copy_of(explainer.model)
    names = layers_in_order(other, x, explainer.output)
    if not names:
        raise NotSafe(
            f"randomization needs a model with weights, {type(other).__name__} has none that it uses. "
            "Leave this test out."
        )
    draw, changed = torch.Generator().manual_seed(seed), Explainer(other, explainer.output)
    correlations: list[float] = []
    heatmaps: list[np.ndarray] = []
    for done, name in enumerate(reversed(names), 1):
        own = list(other.get_submodule(name).parameters(recurse=False))
        weights = [p.detach().clone() for p in own]
        with torch.no_grad():
            for p in own:
                noise = torch.randn(p.shape, generator=draw, dtype=torch.float64)
                p.copy_(noise.to(p) * p.double().square().mean().sqrt().to(p))
        after = _array(changed.explain(x, chosen, method).relevance)
        if mode == "independent":
            with torch.no_grad():
                for p, value in zip(own, weights, strict=True):
                    p.copy_(value)
        a, b = (np.abs(before), np.abs(after)) if absolute else (before, after)
        correlations.append(rank_correlation(a, b))
        heatmaps.append(after)
        yield RandomizationCurve(names[::-1][:done], np.array(correlations), mode, np.stack(heatmaps))


@result_of(stream_randomization)
def randomization(steps: Iterator[RandomizationCurve]) -> RandomizationCurve:
    """ρ(R, R with randomized layers): each weight w of a layer becomes rms(w) n, n ~ N(0, 1).

    x: one floating-point input with its batch dimension.  method, target: as in Explainer.explain; the class of x is
    explained throughout.  mode: "cascading" from the output down, or "independent".  absolute: ranks of |R|.
    Raises TypeError or ValueError that names what is wrong. Adebayo et al. 2018.
    """
    return last(steps)


def layers_in_order(model: nn.Module, x: Tensor, output: Output = None) -> tuple[str, ...]:
    """The modules with weights of their own, in the order in which they first run. model: a copy, it gets hooks."""
    names: dict[str, None] = {}
    hooks = []
    for name, module in model.named_modules():
        if any(True for _ in module.parameters(recurse=False)):
            hooks.append(module.register_forward_hook(lambda *_, name=name: names.setdefault(name)))
    try:
        Explainer(model, output).scores(x)
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(names)


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's ρ: the correlation of the ranks, ties sharing theirs; 0 where one of them is constant."""
    from scipy import stats

    one, other = (np.asarray(values).reshape(-1) for values in (a, b))
    if (one == one[0]).all() or (other == other[0]).all():
        return 0.0
    result: Any = stats.spearmanr(one, other)
    return float(result.statistic)


def _array(relevance: Any) -> np.ndarray:
    return relevance[0].detach().double().cpu().numpy()
