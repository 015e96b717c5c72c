"""Sweeps against one explanation after the other, and the Pareto set by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.evaluation import SweepResult, gini, pareto
from lrp_widgets.evaluation.continuity.neighbourhoods import Noise


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3)
    return nn.Sequential(*layers).double().eval()


X = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)).double()


def test_gini_by_hand() -> None:
    assert gini([1, 1, 1, 1]) == pytest.approx(0)
    assert gini([0, 0, 0, 5]) == pytest.approx(3 / 4)
    # 1 − 2 (1/6 · 2.5/3 + 2/6 · 1.5/3 + 3/6 · 0.5/3)
    assert gini(torch.tensor([[-3.0, 1.0, 2.0]])) == pytest.approx(1 - 2 * (2.5 + 3 + 1.5) / 18)
    assert np.isnan(gini(np.zeros(3)))
    values = np.random.default_rng(0).exponential(size=30)
    spread = np.abs(values[:, None] - values).sum() / (2 * 30 * values.sum())  # the mean difference of two of them
    assert gini(values) == pytest.approx(spread)


def test_against_one_explanation_after_the_other() -> None:
    model, over = network(), {"alpha": (1.0, 2.0, 3.0), "epsilon": (1e-6, 0.1)}
    results = list(lw.sweep(model, X, lw.layered(), over, 2, patch=2))
    assert [result.parameters for result in results] == [
        (("alpha", a), ("epsilon", e)) for a in over["alpha"] for e in over["epsilon"]
    ]
    for result in results:
        method = lw.LRP(lw.layered(**dict(result.parameters)))
        assert result.method == method
        explanation = lw.Explainer(model).explain(X, 2, method)
        assert np.abs(result.heatmap - explanation.heatmap()).max() < 1e-12
        assert result.explained == pytest.approx(float(model(X)[0, 2].detach()))
        assert result.area == pytest.approx(lw.pixel_flipping(model, X, explanation.relevance, 2, patch=2).area)
        assert result.continuity == pytest.approx(lw.continuity(model, X, method, 2, kind=Noise(4)).value)
        assert result.sparsity == pytest.approx(gini(explanation.heatmap()))
        kept = result.explained - float(explanation.total[0])
        assert result.absorbed == pytest.approx(kept / result.explained)


def test_a_split_and_a_whole_method_can_be_swept() -> None:
    model, splits = network(), [(0.2, 0.5), (0.5, 0.9)]
    by_split = list(lw.sweep(model, X, lw.LRP(lw.montavon2019()), {"split": splits}, neighbours=0))
    assert [result.method for result in by_split] == [lw.LRP(lw.montavon2019(split=split)) for split in splits]
    assert all(np.isnan(result.continuity) for result in by_split)
    (smooth,) = lw.sweep(model, X, lw.SmoothGrad(), {"samples": [3]}, neighbours=0)
    assert smooth.method == lw.SmoothGrad(samples=3)
    assert np.isnan(smooth.absorbed)


def test_only_what_is_asked_for_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    before = lw.LRP.relevance

    def counted(self: Any, *args: Any, **more: Any) -> Any:
        made.append(self)
        return before(self, *args, **more)

    monkeypatch.setattr(lw.LRP, "relevance", counted)
    stream = lw.sweep(network(), X, lw.alpha_beta(), {"alpha": [1.0, 1.5, 2.0]}, neighbours=0)
    next(stream)
    next(stream)
    stream.close()
    assert [method.composite.alpha for method in made] == [1.0, 1.5]


def test_a_small_change_stays_small() -> None:
    """Both Explainers keep their tape, and a rule of the last layers leaves the first ones' linearization alone."""
    calls: list[int] = []
    model = network()

    def note(module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        if module is model:
            calls.append(len(args[0]))

    # Of all modules: a hook of the model's own that notes something is a change of the model.
    hook = nn.modules.module.register_module_forward_hook(note)
    try:
        stream = lw.sweep(model, X, lw.layered(), {"epsilon": [0.01, 0.1, 1.0]}, 2, patch=8)
        next(stream)
        calls.clear()
        list(stream)
    finally:
        hook.remove()
    assert calls == [2, 2]  # the curves alone: before and after the one patch


def test_an_explainer_keeps_what_it_remembers() -> None:
    explainer = lw.Explainer(network())
    other = X + 1
    explainer.explain(other, 0)
    list(lw.sweep(explainer, X, lw.alpha_beta(), {"alpha": [1.0]}, neighbours=1))
    assert explainer.remembers(other)


def result(area: float, continuity: float, sparsity: float = 0.5, absorbed: float = 0.0) -> SweepResult:
    return SweepResult((), lw.LRP(), np.zeros((1, 1)), area, continuity, sparsity, absorbed, 1.0)


def test_the_pareto_set_by_hand() -> None:
    results = [result(1, 4), result(2, 2), result(4, 1), result(3, 3), result(2, 5), result(float("nan"), 0)]
    assert pareto(results) == (True, True, True, False, False, False)
    assert pareto(results, ("area",)) == (True, False, False, False, False, False)
    assert pareto([result(1, 1), result(1, 1)]) == (True, True)  # neither is better
    assert pareto([result(1, 1), result(1, 2)]) == (True, False)
    sparse = [result(1, 1, sparsity=0.3), result(1, 1, sparsity=0.9)]
    assert pareto(sparse, ("sparsity",)) == (False, True)
    assert pareto([result(1, 1, absorbed=-0.5), result(1, 1, absorbed=0.1)], ("absorbed",)) == (False, True)
    assert pareto([]) == ()


def test_results_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        result(1, 1).area = 2  # type: ignore[misc]


def swept(setting: Any = None, over: Any = None, **more: Any) -> Any:
    setting = lw.alpha_beta() if setting is None else setting
    return next(lw.sweep(network(), X, setting, {"alpha": [1.0]} if over is None else over, **more))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: swept(over={"gamma": [1.0]}),
            "ValueError: over must name parameters of alpha_beta ('max_pooling', 'product', 'attention', 'input', "
            "'alpha'), got 'gamma'.",
        ),
        (
            lambda: swept(over={}),
            'ValueError: over must be one or two parameters with their values, such as {"alpha": (1.0, 2.0)}, got {}.',
        ),
        (lambda: swept(over={"alpha": []}), "ValueError: over must hold at least one value of 'alpha', got none."),
        (
            lambda: swept(over={"alpha": [1.0, 0.5]}),
            "ValueError: alpha_beta.alpha must lie in [1.0, 10.0], got 0.5.",
        ),
        (
            lambda: swept("alpha_beta"),
            "TypeError: sweep.setting must be a composite such as lw.layered() or a method, got 'alpha_beta'. "
            "Give one.",
        ),
        (lambda: swept(neighbours=-1), "ValueError: neighbours must be a whole number, at least 0, got -1."),
        (
            lambda: pareto([], ("auc",)),
            "ValueError: objectives must be some of 'area', 'continuity', 'sparsity', 'absorbed', got 'auc'.",
        ),
        (
            lambda: pareto([], ()),
            'ValueError: objectives must name at least one number, got none. Take ("area", "continuity").',
        ),
    ],
)
def test_messages(make: Any, said: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        make()
    assert f"{type(caught.value).__name__}: {caught.value}" == said
