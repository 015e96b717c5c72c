"""SmoothGrad and Smoothed against loops over the same noisy copies."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw


class Squares(nn.Module):
    """f_k = k Σ x²: the gradient is 2 k x."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).square().sum(1, keepdim=True) * torch.arange(1, 4).to(x)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).double().eval()


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 2, 6, 6).double()


def noise_of(seed: int, samples: int, shape: tuple[int, ...]) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=draw, dtype=torch.float64) for _ in range(samples)]


def test_by_hand() -> None:
    """Range 4 and noise 0.5 make σ = 2: the gradient 2 x of x² moves by 2 · 2 · the mean of the noise."""
    x = torch.tensor([[-1.0, 3.0]]).double()
    (a, b) = noise_of(7, 2, (2,))
    relevance = lw.Explainer(Squares()).explain(x, 0, lw.SmoothGrad(2, 0.5, 7)).relevance
    torch.testing.assert_close(relevance, 2 * x + 4 * (a + b)[None] / 2)


def test_the_noise_is_a_share_of_each_rows_range(x: Tensor) -> None:
    x[1] *= 10
    method = lw.SmoothGrad(samples=400, noise=0.2)
    moved = torch.stack(list(method.copies(x))) - x
    for row, each in enumerate(x):
        width = float(each.max() - each.min())
        assert float(moved[:, row].std()) == pytest.approx(0.2 * width, rel=0.02)
        assert abs(float(moved[:, row].mean())) < 4 * 0.2 * width / math.sqrt(400 * 72)


def test_it_is_the_mean_of_gradients_one_at_a_time(x: Tensor) -> None:
    model, expected = network(), torch.zeros_like(x)
    for row, target in enumerate([2, 0]):
        width = x[row].max() - x[row].min()
        for noise in noise_of(5, 9, tuple(x.shape[1:])):
            copy = (x[row] + 0.3 * width * noise)[None].requires_grad_()
            expected[row] += torch.autograd.grad(model(copy)[0, target], copy)[0][0] / 9
    got = lw.Explainer(model).explain(x, [2, 0], lw.SmoothGrad(samples=9, noise=0.3, seed=5))
    torch.testing.assert_close(got.relevance, expected, rtol=1e-12, atol=1e-14)
    assert torch.equal(got.scores, model(x).detach())
    assert got.method == lw.SmoothGrad(9, 0.3, 5) and got.target == (2, 0)


@pytest.mark.parametrize(
    "inner",
    [lw.LRP(lw.epsilon()), lw.Sensitivity(), lw.GuidedBackprop(), lw.Translated(lw.Gradient())],
    ids=lambda method: type(method).__name__,
)
@pytest.mark.parametrize("target", [1, [2, 0], lw.contrast(0, 2)], ids=str)
def test_any_method_can_be_smoothed(inner: lw.LRP, target: int, x: Tensor) -> None:
    explainer, method = lw.Explainer(network()), lw.Smoothed(inner, samples=5, noise=0.1, seed=3)
    each = [explainer.explain(copy, target, inner).relevance for copy in method.copies(x)]
    got = explainer.explain(x, target, method).relevance
    torch.testing.assert_close(got, sum(each) / 5, rtol=1e-10, atol=1e-12)


def test_without_noise_it_is_the_method_itself(x: Tensor) -> None:
    explainer = lw.Explainer(network())
    for inner in (lw.Gradient(), lw.LRP(lw.alpha_beta(2))):
        plain = explainer.explain(x, 1, inner).relevance
        smoothed = explainer.explain(x, 1, lw.Smoothed(inner, samples=3, noise=0.0)).relevance
        torch.testing.assert_close(smoothed, plain, rtol=1e-12, atol=1e-14)


def test_a_seed_is_its_noise_and_more_samples_keep_the_first(x: Tensor) -> None:
    explainer = lw.Explainer(network())
    first, again, other = (explainer.explain(x, 1, lw.SmoothGrad(seed=seed)).relevance for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    few, many = (list(lw.SmoothGrad(samples=n).copies(x)) for n in (3, 70))
    assert all(torch.equal(a, b) for a, b in zip(few, many, strict=False))


def test_smoothgrad_is_the_smoothed_gradient(x: Tensor) -> None:
    explainer = lw.Explainer(network())
    one = explainer.explain(x, 1, lw.SmoothGrad(8, 0.2, 4)).relevance
    assert torch.equal(one, explainer.explain(x, 1, lw.Smoothed(lw.Gradient(), 8, 0.2, 4)).relevance)
    assert repr(lw.SmoothGrad(8, 0.2, 4)) == "SmoothGrad(samples=8, noise=0.2, seed=4)"


def test_approximated_steps_are_named() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.special.i0(x)

    explanation = lw.Explainer(Odd()).explain(torch.rand(1, 3), 0, lw.Smoothed(lw.LRP(), samples=2))
    assert explanation.fallbacks == lw.Explainer(Odd()).explain(torch.rand(1, 3), 0).fallbacks != ()
