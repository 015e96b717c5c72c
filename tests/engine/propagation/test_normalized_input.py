"""A network that takes the mean off its input and divides by σ itself, as many of the pretrained ones do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw

MEAN, SIGMA = (0.4, 0.5, 0.3), (0.2, 0.25, 0.5)


class Normalizing(nn.Module):
    """(x − mean) / σ, and then the network."""

    def __init__(self, inner: nn.Module, mean: Tensor, sigma: Tensor) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("mean", mean)
        self.register_buffer("sigma", sigma)

    def normalized(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.sigma

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(self.normalized(x))


def network() -> Normalizing:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)
    sides = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, SIGMA))
    return Normalizing(nn.Sequential(*layers), *sides).double().eval()


def picture() -> Tensor:
    return torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(1)).double()


# What [0, 1] has become where the first layer sees it.
LOW = tuple(-m / s for m, s in zip(MEAN, SIGMA, strict=True))
HIGH = tuple((1 - m) / s for m, s in zip(MEAN, SIGMA, strict=True))
COMPOSITES = {
    "0": lw.epsilon(0.0),
    "ε": lw.epsilon(0.1),
    "αβ": lw.alpha_beta(2.0),
    "γ": lw.Composite((lw.Entry(lw.rules.Gamma(0.3)),)),
    "w² at the input": lw.alpha_beta(1.0, input="w2"),
    "flat at the input": lw.epsilon_plus_flat(),
    "z^B at the input": lw.alpha_beta(1.0, input="zB", low=LOW, high=HIGH),
}


def test_a_linear_network_by_hand() -> None:
    """f = Σ w (x − m) / s + b: R = w x / s, and −Σ w m / s stays at the subtraction, b in the layer."""
    w, m, s, x = (torch.tensor(values).double() for values in ((2.0, -3.0), (0.5, 0.25), (0.5, 2.0), (1.0, 0.75)))
    layer = nn.Linear(2, 1).double()
    with torch.no_grad():
        layer.weight.copy_(w[None])
        layer.bias.fill_(0.5)
    got = lw.Explainer(Normalizing(layer, m, s).eval()).explain(x[None], 0, lw.LRP(lw.epsilon(0.0)))
    assert got.relevance[0].tolist() == pytest.approx((w * x / s).tolist()) == [4.0, -1.125]
    lines = {line.name: line for line in got.layers}
    assert float(lines["sub"].absorbed["bias"]) == pytest.approx(-float((w * m / s).sum())) == pytest.approx(-1.625)
    assert lines["div"].absorbed == {}
    assert float(lines["inner"].absorbed["bias"]) == pytest.approx(0.5)
    assert float(got.explained) == pytest.approx(float(got.total + sum(got.absorbed.values())))


def test_a_mean_that_is_added_with_the_other_sign_is_the_same() -> None:
    class Added(Normalizing):
        def normalized(self, x: Tensor) -> Tensor:
            return (-self.mean + x) * (1 / self.sigma)

    one, x = network(), picture()
    other = Added(one.inner, one.mean, one.sigma).eval()
    got, wanted = (lw.Explainer(model).explain(x, 1, lw.LRP(lw.epsilon(0.0))) for model in (other, one))
    torch.testing.assert_close(got.relevance, wanted.relevance)


def test_what_is_taken_from_the_mean_has_the_relevance_of_its_share() -> None:
    """f = Σ w (m − x): R = −w x, and Σ w m is the bias."""

    class From(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (torch.tensor([2.0, -3.0]).double() * (0.5 - x)).sum(1, keepdim=True)

    got = lw.Explainer(From()).explain(torch.tensor([[1.0, 0.75]]).double(), 0, lw.LRP(lw.epsilon(0.0)))
    assert got.relevance[0].tolist() == pytest.approx([-2.0, 2.25])
    assert float(got.absorbed["bias"]) == pytest.approx(2 * 0.5 - 3 * 0.5)


@pytest.mark.parametrize("name", COMPOSITES)
def test_below_the_network_relevance_is_shared_between_input_and_mean(name: str) -> None:
    model, x = network(), picture()
    u = model.normalized(x)
    method = lw.LRP(COMPOSITES[name])
    got = lw.Explainer(model).explain(x, 1, method)
    bare = lw.Explainer(model.inner).explain(u, 1, method)
    torch.testing.assert_close(got.layer("div"), bare.relevance)  # the inner network is in the domain of u
    torch.testing.assert_close(got.relevance, bare.relevance * x / (x - model.mean))
    lines = {line.name: line for line in got.layers}
    kept = (bare.relevance * -model.mean / (x - model.mean)).sum((1, 2, 3))
    torch.testing.assert_close(lines["sub"].absorbed["bias"], kept)
    assert all(line.closes for line in got.layers)
    everything = got.total + sum(got.absorbed.values())
    torch.testing.assert_close(everything, got.explained)
    assert got.fallbacks == ()


@pytest.mark.parametrize("rule", [lw.rules.Flat(), lw.rules.WSquare(), lw.rules.ZBox(LOW, HIGH)], ids=str)
def test_the_first_layer_behind_the_normalization_is_the_one_of_the_input(rule: Any) -> None:
    composite = lw.Composite((lw.Entry(rule, "input"), lw.Entry(lw.rules.ZPlus())))
    layers = lw.Explainer(network()).explain(picture(), 1, lw.LRP(composite)).layers
    assert {line.name: line.rule for line in layers if line.rule is not None} == {
        "inner.0": rule,
        "inner.2": lw.rules.ZPlus(),
        "inner.5": lw.rules.ZPlus(),
    }


def test_a_box_is_the_one_of_the_normalized_input() -> None:
    """z^B hands on relevance ≥ 0 where the bounds are those of u; with [0, 1], which u leaves, it does not."""
    model, x = network(), picture()
    with torch.no_grad():
        scores = model(x)
    target = int(scores.sum(0).argmax())
    for inside, (low, high) in ((True, (LOW, HIGH)), (False, (0.0, 1.0))):
        got = lw.Explainer(model).explain(x, target, lw.LRP(lw.alpha_beta(1.0, input="zB", low=low, high=high)))
        first = got.layer("div")
        assert (bool((first >= 0).all()) or bool((first <= 0).all())) is inside
