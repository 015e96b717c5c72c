"""Integrated gradients against integrals that are known, sums over many small steps, and what completeness says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.apps.session.formatting import status


class Squares(nn.Module):
    """f_k = k Σ x²."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).square().sum(1, keepdim=True) * torch.arange(1, 4).to(x)


class Product(nn.Module):
    """f = x₀ x₁, and a second output that is its negative."""

    def forward(self, x: Tensor) -> Tensor:
        f = x[:, 0] * x[:, 1]
        return torch.stack([f, -f], 1)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).double().eval()


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 2, 6, 6).double()


@pytest.mark.parametrize("steps", [1, 2, 50])
def test_by_hand(steps: int) -> None:
    """From 0 to (3, 5), x₀ x₁ = 15 is split evenly; from 1, R₀ = 2 ∫ (1 + 4 t) dt = 6 and R₁ = 4 ∫ (1 + 2 t) dt = 8."""
    x, explainer = torch.tensor([[3.0, 5.0]]).double(), lw.Explainer(Product())
    from_zero = explainer.explain(x, 0, lw.IntegratedGradients(steps=steps))
    assert from_zero.relevance.tolist() == [pytest.approx([7.5, 7.5])]
    from_one = explainer.explain(x, 0, lw.IntegratedGradients(1.0, steps))
    assert from_one.relevance.tolist() == [pytest.approx([6.0, 8.0])]
    for explanation in (from_zero, from_one):
        assert explanation.convergence is not None
        assert explanation.convergence.tolist() == pytest.approx([0.0], abs=1e-12)
    both = explainer.explain(x, lw.contrast(0, 1), lw.IntegratedGradients(1.0, steps))
    assert both.relevance.tolist() == [pytest.approx([12.0, 16.0])]


def test_of_squares_it_is_x_squared_minus_the_baseline_squared(x: Tensor) -> None:
    got = lw.Explainer(Squares()).explain(x, [2, 0], lw.IntegratedGradients(-0.5, 3)).relevance
    torch.testing.assert_close(got, (x**2 - 0.25) * torch.tensor([3, 1]).reshape(2, 1, 1, 1))


def test_it_is_the_mean_of_gradients_along_the_way(x: Tensor) -> None:
    """10 000 small steps, one after the other."""
    model, start, n = network(), torch.full_like(x, 0.3), 10_000
    mean = torch.zeros_like(x)
    for part in ((torch.arange(n) + 0.5) / n).double().split(500):
        points = (start + part.reshape(-1, 1, 1, 1, 1) * (x - start)).flatten(0, 1).requires_grad_()
        gradient = torch.autograd.grad(model(points)[:, 1].sum(), points)[0]
        mean += gradient.reshape(len(part), *x.shape).sum(0) / n
    got = lw.Explainer(model).explain(x, 1, lw.IntegratedGradients(0.3, 200)).relevance
    torch.testing.assert_close(got, (x - start) * mean, rtol=0, atol=float(got.abs().max()) * 0.01)


def test_convergence_says_what_is_missing(x: Tensor) -> None:
    model, explainer = network(), lw.Explainer(network())
    with torch.no_grad():
        difference = (model(x) - model(torch.full_like(x, 0.2)))[:, 2]
    sizes = []
    for steps in (2, 20, 200):
        explanation = explainer.explain(x, 2, lw.IntegratedGradients(0.2, steps))
        missing = explanation.relevance.flatten(1).sum(1) - difference
        assert explanation.convergence is not None and explanation.convergence.dtype == torch.float64
        torch.testing.assert_close(explanation.convergence, missing)
        worst = float(missing[missing.abs().argmax()])
        assert explanation.notes == (f"ΣR − (f(x) − f(x')) = {worst:.1e}".replace("-", "−"),)
        assert explanation.notes[0] in status(explanation)
        sizes.append(float(missing.abs().max()))
    assert sizes[0] > 3 * sizes[1] > 9 * sizes[2] > 0
    assert explainer.explain(x, 2, lw.Gradient()).convergence is None


def test_where_the_input_is_the_baseline_there_is_nothing_to_explain() -> None:
    explanation = lw.Explainer(Squares()).explain(torch.full((1, 4), 0.5), 0, lw.IntegratedGradients(0.5))
    assert not explanation.relevance.any()


def test_what_the_settings_may_be() -> None:
    with pytest.raises(ValueError, match=r"^IntegratedGradients\.steps must be at least 1, got 0\.$"):
        lw.IntegratedGradients(steps=0)
    with pytest.raises(TypeError, match=r"^IntegratedGradients\.baseline must be a number, got 'black'\.$"):
        lw.IntegratedGradients("black")
