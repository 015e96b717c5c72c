"""Gradient, sensitivity and simple Taylor against finite differences and what the paper says of their sums."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.methods import METHODS, Method


def smooth() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(27, 4)).double().eval()


def rectified() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 3, 2, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3, 4, bias=False)
    return nn.Sequential(*layers).double().eval()


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 1, 4, 4).double()


def differences(model: nn.Module, x: Tensor, targets: list[int], h: float = 1e-6) -> Tensor:
    """∂f/∂x_i by taking a step to either side, one element after the other."""
    answer = torch.zeros_like(x)
    with torch.no_grad():
        for row, target in enumerate(targets):
            for i in range(x[row].numel()):
                step = torch.zeros(x[row].numel(), dtype=x.dtype)
                step[i] = h
                step = step.reshape(1, *x.shape[1:])
                here = x[row : row + 1]
                up, down = model(here + step)[0, target], model(here - step)[0, target]
                answer[row].view(-1)[i] = (up - down) / (2 * h)
    return answer


def test_gradient_is_what_a_small_step_changes(x: Tensor) -> None:
    model, targets = smooth(), [2, 0, 3]
    got = lw.Explainer(model).explain(x, targets, lw.Gradient())
    expected = differences(model, x, targets)
    assert torch.allclose(got.relevance, expected, rtol=1e-6, atol=1e-8)
    squared = lw.Explainer(model).explain(x, targets, lw.Sensitivity())
    assert torch.allclose(squared.relevance, expected**2, rtol=1e-6, atol=1e-8)
    assert torch.allclose(squared.total, (expected**2).flatten(1).sum(1), rtol=1e-6)  # Σ R = ‖∇f‖²
    taylor = lw.Explainer(model).explain(x, targets, lw.SimpleTaylor())
    assert torch.allclose(taylor.relevance, expected * x, rtol=1e-6, atol=1e-8)


def test_simple_taylor_sums_to_f_without_biases(x: Tensor) -> None:
    explanation = lw.Explainer(rectified()).explain(x, None, lw.SimpleTaylor())
    assert torch.allclose(explanation.total, explanation.explained, rtol=1e-12)


def test_simple_taylor_is_lrp_0_on_rectified_networks(x: Tensor) -> None:
    explainer = lw.Explainer(rectified())
    taylor, lrp = (explainer.explain(x, 1, method) for method in (lw.SimpleTaylor(), lw.LRP(lw.epsilon(0.0))))
    assert torch.allclose(taylor.relevance, lrp.relevance, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("method", [lw.Gradient(), lw.Sensitivity(), lw.SimpleTaylor()], ids=lambda m: m.title)
def test_what_an_explanation_by_gradient_holds(method: Any, x: Tensor) -> None:
    model = smooth()
    explanation = lw.Explainer(model).explain(x, [1, 2, 3], method)
    scores = model(x).detach()
    assert torch.equal(explanation.scores, scores)
    assert explanation.explained.tolist() == scores[range(3), [1, 2, 3]].tolist()
    assert explanation.target == (1, 2, 3)
    assert explanation.layers == () and explanation.fallbacks == () and explanation.absorbed == {}
    assert not explanation.relevance.requires_grad
    with pytest.raises(KeyError, match=f"{type(method).__name__} does not propagate through layers"):
        explanation.layer("0")


@pytest.mark.parametrize("method", [lw.Gradient(), lw.Sensitivity(), lw.SimpleTaylor()], ids=lambda m: m.title)
def test_a_model_that_writes_into_its_input(method: Any) -> None:
    class Doubles(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mul_(2.0)

    x = torch.tensor([[3.0, 5.0]])
    explanation = lw.Explainer(Doubles()).explain(x, 1, method)
    expected = {"Gradient": 2.0, "Sensitivity": 4.0, "Simple Taylor": 10.0}[method.title]
    assert explanation.relevance.tolist() == [[0, expected]]
    assert x.tolist() == [[3, 5]]


def test_lrp_is_deep_taylor_unless_told_otherwise(x: Tensor) -> None:
    explainer = lw.Explainer(rectified())
    assert lw.LRP() == lw.LRP(lw.deep_taylor())
    default = explainer.explain(x, 1)
    assert default.method == lw.LRP(lw.deep_taylor())
    assert torch.equal(default.relevance, explainer.explain(x, 1, lw.LRP(lw.deep_taylor())).relevance)


def test_a_method_that_someone_adds() -> None:
    class Constant(Method):
        """R_i = 1."""

        def relevance(self, explainer: lw.Explainer, x: Tensor, target: Any, abandoned: Any = None) -> lw.Explanation:
            return lw.Explainer(explainer.model).explain(x, target).replace(relevance=torch.ones_like(x), method=self)

    explanation = lw.Explainer(nn.Linear(2, 2)).explain(torch.rand(1, 2), 0, Constant())
    assert explanation.relevance.tolist() == [[1, 1]]
    assert Constant not in METHODS
