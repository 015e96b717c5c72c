"""Where the best input is known by a formula, the climb ends there."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw

LIKE = torch.zeros(1, 6, dtype=torch.float64)


def linear(seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(6, 4, dtype=torch.float64).eval()


def samples(n: int = 400) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    mixing = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    return torch.randn(n, 6, generator=generator, dtype=torch.float64) @ mixing + 3


@pytest.mark.parametrize("strength", [0.01, 1.0, 30.0])
def test_a_linear_model_under_l2(strength: float) -> None:
    """x* = w / 2λ, and around a mean x* = x̄ + w / 2λ."""
    model, mean = linear(), samples().mean(0)
    w = model.weight[2].detach()
    found = lw.prototype(model, lw.objectives.Logit(2), LIKE, lw.experts.L2(strength))
    torch.testing.assert_close(found.inputs, (w / (2 * strength)).expand(4, 6))
    found = lw.prototype(model, lw.objectives.Logit(2), LIKE, lw.experts.L2(strength, around=mean))
    torch.testing.assert_close(found.inputs, (mean + w / (2 * strength)).expand(4, 6))
    assert found.scores.shape == found.densities.shape == (256, 4)
    torch.testing.assert_close(found.scores[-1], model(found.inputs)[:, 2].detach())


def test_a_linear_model_under_a_gaussian() -> None:
    """x* = μ + Σ w / s."""
    model, x = linear(), samples()
    away = x - x.mean(0)
    sigma = away.T @ away / len(x)
    for strength in (0.2, 5.0):
        expert = lw.experts.Gaussian.fit(x, strength, shrinkage=0.0)
        found = lw.prototype(model, lw.objectives.Logit(1), LIKE, expert)
        expected = x.mean(0) + sigma @ model.weight[1].detach() / strength
        torch.testing.assert_close(found.inputs, expected.expand(4, 6), rtol=1e-5, atol=1e-5)


def test_a_shrunk_covariance() -> None:
    from sklearn.covariance import LedoitWolf

    x = samples(20)
    by_hand = LedoitWolf().fit(x.numpy())
    expert = lw.experts.Gaussian.fit(x)
    away = (x - x.mean(0)).numpy()
    expected = -0.5 * (away @ by_hand.precision_ * away).sum(1)
    torch.testing.assert_close(expert.log_density(x), torch.as_tensor(expected), rtol=1e-5, atol=1e-6)


def test_two_experts_add() -> None:
    """λ ‖x‖² + η ‖x − x₀‖²: x* = (w / 2 + η x₀) / (λ + η)."""
    model, x0 = linear(), samples()[0]
    expert = lw.experts.L2(0.5) + lw.experts.Near(x0, 1.5)
    found = lw.prototype(model, lw.objectives.Logit(0), LIKE, expert)
    torch.testing.assert_close(found.inputs, ((model.weight[0].detach() / 2 + 1.5 * x0) / 2.0).expand(4, 6))


def test_from_global_to_local() -> None:
    model, x0 = linear(), samples()[0]
    gaps = [
        float((lw.prototype(model, lw.objectives.Logit(0), LIKE, lw.experts.L2(0.1) + lw.experts.Near(x0, eta)).inputs
               - x0).norm())
        for eta in (0.01, 1.0, 100.0)
    ]  # fmt: skip
    assert gaps[0] > gaps[1] > gaps[2] and gaps[2] < 0.05


def test_a_linear_decoder() -> None:
    """max_z w·Dz − λ‖z‖²: z* = Dᵀ w / 2λ, x* = D z*."""
    model = linear()
    decoder = nn.Linear(3, 6, bias=False, dtype=torch.float64)
    found = lw.prototype(model, lw.objectives.Logit(3), LIKE, lw.experts.L2(0.2), lw.parameterizations.Code(decoder))
    code = decoder.weight.detach().T @ model.weight[3].detach() / 0.4
    torch.testing.assert_close(found.parameters, code.expand(4, 3))
    torch.testing.assert_close(found.inputs, (decoder.weight.detach() @ code).expand(4, 6))


def test_the_gradient_is_zero_where_a_machine_holds_it() -> None:
    model = linear()
    expert = lw.experts.RBM.fit(samples(), hidden=10, epochs=3)
    found = lw.prototype(model, lw.objectives.Logit(1), LIKE, expert)
    x = found.inputs.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((model(x)[:, 1] + expert.log_density(x)).sum(), x)
    assert float(gradient.abs().max()) < 1e-6
    numeric = _numeric_gradient(expert, found.inputs[:1])
    (own,) = torch.autograd.grad(expert.log_density(x[:1]).sum(), x)
    torch.testing.assert_close(own[0], numeric, rtol=1e-4, atol=1e-6)


def _numeric_gradient(expert: lw.experts.Expert, x: Tensor) -> Tensor:
    steps = 1e-5 * torch.eye(6, dtype=torch.float64)
    return (expert.log_density(x + steps) - expert.log_density(x - steps)) / 2e-5


def test_one_filter_under_a_norm() -> None:
    """The centre of the prototype of one convolution's neuron is its filter."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 5), nn.Flatten(), nn.Linear(3 * 25, 2)).eval()
    like = torch.zeros(1, 1, 9, 9)
    found = lw.prototype(model, lw.objectives.Neuron("0", (1, 2, 2)), like, lw.experts.L2(0.1), count=1)
    got, filter_ = found.inputs[0, 0, 2:7, 2:7].flatten(), model[0].weight[1, 0].detach().flatten()  # type: ignore[index]
    assert float(torch.cosine_similarity(got, filter_, dim=0)) > 0.9999
    assert float(found.inputs[0, 0, 0].abs().max()) < 1e-6


def test_a_channel_is_the_mean_of_its_neurons_and_a_direction_their_sum() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten()).double()
    x = torch.rand(2, 1, 5, 5, dtype=torch.float64)
    a = model[0](x)
    given = {"0": a}
    scores = model(x)
    torch.testing.assert_close(lw.objectives.Channel("0", 1).value(scores, given), a[:, 1].mean((1, 2)))
    vector = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close(
        lw.objectives.Direction("0", vector).value(scores, given),
        sum(v * a[:, k].mean((1, 2)) for k, v in enumerate(vector)),
    )
    torch.testing.assert_close(lw.objectives.Layer("0").value(scores, given), a.square().mean((1, 2, 3)))
    both = lw.objectives.Logit(0) + 0.5 * lw.objectives.Channel("0", 1) - lw.objectives.Logit(2)
    assert both.layers == ("0",)
    torch.testing.assert_close(both.value(scores, given), scores[:, 0] + 0.5 * a[:, 1].mean((1, 2)) - scores[:, 2])
    torch.testing.assert_close(lw.objectives.Contrast(0, 2).value(scores, {}), scores[:, 0] - scores[:, 2])
    probability = lw.objectives.Probability(1).value(scores, {})
    torch.testing.assert_close(probability.log(), lw.objectives.LogProbability(1).value(scores, {}))
