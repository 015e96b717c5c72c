"""The metrics of a data set on networks so small that every number can be worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.evaluation.dataset.metrics import Metric


def dense(weights: list[list[float]], bias: list[float] | None = None) -> nn.Linear:
    layer = nn.Linear(len(weights[0]), len(weights), bias is not None).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights))
        if bias is not None:
            layer.bias.copy_(torch.tensor(bias))
    return layer


def measure(metric: Metric, model: nn.Module, x: Any, method: Any, target: int = 0) -> list[float]:
    """What the metric says of each row of a batch."""
    x = x if isinstance(x, Tensor) else torch.tensor(x).double()
    explainer = lw.Explainer(nn.Sequential(model).eval())
    values = metric.measure(explainer, x, (target,) * len(x), explainer.explain(x, target, method))
    return list(values)


def test_positivity_is_the_share_of_what_speaks_against() -> None:
    """f = 2x − y: R = (6, −2), (2, 1), (−4, −4), (0, 0)."""
    values = measure(
        lw.metrics.Positivity(),
        dense([[2.0, -1.0]]),
        [[3.0, 2.0], [1.0, -1.0], [-2.0, 4.0], [0.0, 0.0]],
        lw.SimpleTaylor(),
    )
    assert values[:3] == pytest.approx([2 / 8, 0, 1])
    assert math.isnan(values[3])


def test_completeness_is_the_share_of_the_score_that_the_map_does_not_explain() -> None:
    """f = 2x − y + 1: ΣR = 4, 3, 0, −1 and f = 5, 4, 1, 0."""
    model, x = dense([[2.0, -1.0]], [1.0]), [[3.0, 2.0], [1.0, -1.0], [0.0, 0.0], [0.0, 1.0]]
    values = measure(lw.metrics.Completeness(), model, x, lw.SimpleTaylor())
    assert values[:3] == pytest.approx([1 / 5, 1 / 4, 1])
    assert math.isnan(values[3])


def test_completeness_counts_what_the_input_adds_to_a_baseline() -> None:
    """f = 2x − y + 1 is 2 at (1, 1): of 5 − 2 and 4 − 2 the maps explain 4 and 3."""
    model, x = dense([[2.0, -1.0]], [1.0]), [[3.0, 2.0], [1.0, -1.0]]
    assert measure(lw.metrics.Completeness(1.0), model, x, lw.SimpleTaylor()) == pytest.approx([1 / 3, 1 / 2])
    # One number a feature: f(1, 3) = 0, so that all of f counts.
    assert measure(lw.metrics.Completeness((1.0, 3.0)), model, x, lw.SimpleTaylor()) == pytest.approx([1 / 5, 1 / 4])


def test_completeness_takes_the_baseline_of_the_class_that_is_explained() -> None:
    """The second score is 3y + 2, 5 at the baseline (1, 1); at (0, 4) it is 14, of which R explains 12."""
    model = dense([[2.0, -1.0], [0.0, 3.0]], [1.0, 2.0])
    assert measure(lw.metrics.Completeness(1.0), model, [[0.0, 4.0]], lw.SimpleTaylor(), 1) == pytest.approx([3 / 9])


def test_completeness_has_a_baseline_for_each_channel_of_a_picture() -> None:
    """f = (the first channel of a row of two pixels) + 2 (the second one): 13, and 2 + 8 at the baseline (1, 2)."""
    x = torch.tensor([[[[5.0, 0.0]], [[4.0, 0.0]]]]).double()
    model = nn.Sequential(nn.Flatten(), dense([[1.0, 1.0, 2.0, 2.0]]))
    values = measure(lw.metrics.Completeness((1.0, 2.0)), model, x, lw.SimpleTaylor())
    assert values == pytest.approx([(13 - 3) / 3])


def test_absorbed_adds_up_what_all_layers_keep_with_its_sign() -> None:
    """f = 2 (2x + 1) − 4: at x = 1 the upper bias keeps −4 and the lower one 6 · 1 / 3 = 2, of f = 2."""
    model = nn.Sequential(dense([[2.0]], [1.0]), dense([[2.0]], [-4.0]))
    values = measure(lw.metrics.Absorbed(), model, [[1.0], [4.0]], lw.LRP(lw.epsilon(0.0)))
    # At x = 4: f = 14, the lower bias keeps 18 · 1 / 9 = 2.
    assert values == pytest.approx([2 / 2, 2 / 14])


def test_absorbed_is_no_number_without_a_ledger_and_without_a_score() -> None:
    model = dense([[1.0]], [-1.0])
    assert all(map(math.isnan, measure(lw.metrics.Absorbed(), model, [[2.0], [3.0]], lw.Gradient())))
    nothing, half = measure(lw.metrics.Absorbed(), model, [[1.0], [3.0]], lw.LRP(lw.epsilon(0.0)))
    assert math.isnan(nothing) and half == pytest.approx(1 / 2)


def test_selectivity_is_the_area_under_the_scores_as_they_are_or_as_shares() -> None:
    """f = 3x + y, x first: 4, 1, 0 at (1, 1). As shares of f the areas are a fourth; without a score there is none."""
    model, x = dense([[3.0, 1.0]]), torch.ones(1, 2).double()
    area = (4 / 2 + 1) / 2
    for ranking in ("once", "again"):
        settings: dict[str, Any] = {"patch": 1, "ranking": ranking}
        for normalized, wanted in ((False, area), (True, area / 4)):
            metric = lw.metrics.Selectivity(**settings, normalized=normalized)
            got = torch.as_tensor(_one(metric, model, x))
            assert got.tolist() == pytest.approx(wanted), (ranking, normalized)
        assert math.isnan(_one(lw.metrics.Selectivity(**settings, normalized=True), model, -x))
    for ranking in ("once", "again"):  # what is gone has no relevance, which is least: it must not go again
        metric = lw.metrics.Selectivity(patch=1, order="least", ranking=ranking)
        assert _one(metric, model, x) == pytest.approx((4 / 2 + 3) / 2)


def _one(metric: Metric, model: nn.Module, x: Tensor) -> float:
    explainer = lw.Explainer(nn.Sequential(model).eval())
    value = metric.measure(explainer, x, (0,), explainer.explain(x, 0, lw.SimpleTaylor()))
    return float(value[0] if isinstance(value, list) else value)


def test_sparsity_is_the_gini_index_of_each_row() -> None:
    """|R| = (1, 1, 1, 1) is 0; all in one of four is 1 − 1/4; (3, 1, 0, 0) is 1 − (2/4)(0 + 0 + 1.5 · ¼ + ½ · ¾)."""
    model = dense([[1.0, 1.0, 1.0, 1.0]])
    x = [[1.0, -1.0, 1.0, 1.0], [0.0, 0.0, -5.0, 0.0], [3.0, 0.0, 1.0, 0.0]]
    values = measure(lw.metrics.Sparsity(), model, x, lw.SimpleTaylor())
    # 1 − 2 Σ_i |R|_(i) / Σ|R| · (n − i + ½) / n with |R|_(1) ≤ … ≤ |R|_(n)
    assert values == pytest.approx([0, 3 / 4, 1 - 2 * (1 / 4 * 1.5 / 4 + 3 / 4 * 0.5 / 4)], abs=1e-9)
