"""The translation trick against shifting by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw


def network(stride: int = 2) -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3, stride=stride), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)
    model = nn.Sequential(*layers).eval()
    model(torch.rand(1, 1, 7, 8))
    return model.double()


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 1, 7, 8).double()


@pytest.mark.parametrize(
    "inner", [lw.LRP(lw.epsilon()), lw.SimpleTaylor(), lw.Occlusion(2)], ids=lambda method: type(method).__name__
)
@pytest.mark.parametrize("shift", [0, 1, 3])
@pytest.mark.parametrize("target", [1, [2, 0]], ids=str)
def test_it_is_the_mean_of_rolled_inputs_rolled_back(inner: Any, shift: int, target: Any, x: Tensor) -> None:
    explainer, expected, steps = lw.Explainer(network()), torch.zeros_like(x), range(-shift, shift + 1)
    for down in steps:
        for right in steps:
            rolled = explainer.explain(x.roll((down, right), (2, 3)), target, inner).relevance
            expected += rolled.roll((-down, -right), (2, 3)) / len(steps) ** 2
    got = explainer.explain(x, target, lw.Translated(inner, shift))
    torch.testing.assert_close(got.relevance, expected, rtol=1e-10, atol=1e-12)
    assert torch.equal(got.scores, explainer.scores(x))


def test_by_hand_at_the_edge() -> None:
    """f = x₀ on (3, 5, 7): shifted right the edge comes in again, another 3; shifted left f is 5, which goes back."""
    first = nn.Linear(3, 1, bias=False).double()
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, 0.0, 0.0]]))
    x, explainer = torch.tensor([[3.0, 5.0, 7.0]]).double(), lw.Explainer(first)
    edge = explainer.explain(x, 0, lw.Translated(lw.SimpleTaylor(), 1, "edge")).relevance
    assert edge.tolist() == [pytest.approx([6 / 3, 5 / 3, 0])]
    wrapped = explainer.explain(x, 0, lw.Translated(lw.SimpleTaylor(), 1)).relevance
    assert wrapped.tolist() == [pytest.approx([3 / 3, 5 / 3, 7 / 3])]


@pytest.mark.parametrize("border", ["wrap", "edge"])
def test_nothing_is_lost_on_the_way_back(border: str, x: Tensor) -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2, bias=False)
    )
    explainer, seen = lw.Explainer(model.double().eval()), []
    model.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach().clone()))
    got = explainer.explain(x, 1, lw.Translated(lw.SimpleTaylor(), 2, border))
    shifted = torch.cat(seen[1:])  # the first is the question
    f = explainer.scores(shifted)[:, 1].reshape(25, 2).mean(0)
    torch.testing.assert_close(got.total, f)


def test_the_grid_of_a_stride_goes_away(x: Tensor) -> None:
    """With stride 2 and kernel 3, every other row is seen twice: shifts by one pixel even that out."""
    torch.manual_seed(0)
    conv = nn.Conv2d(1, 1, 3, stride=2, bias=False)
    nn.init.constant_(conv.weight, 1.0)
    model = nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.LazyLinear(1, bias=False)).eval()
    flat = torch.ones(1, 1, 21, 21)
    model(flat)
    nn.init.constant_(model[3].weight, 1.0)

    def unevenness(method: Any) -> float:
        inner = lw.Explainer(model).explain(flat, 0, method).relevance[0, 0, 5:-5, 5:-5]
        return float(inner.std() / inner.mean())

    assert unevenness(lw.LRP(lw.epsilon())) > 0.3
    assert unevenness(lw.Translated(lw.LRP(lw.epsilon()))) < 0.4 * unevenness(lw.LRP(lw.epsilon()))


def test_sequences_move_along_their_last_axis_alone() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).double()
    x = torch.rand(1, 3, 4).double()
    expected = sum(x.roll(s, 2).flatten() * model[1].weight[0].detach() for s in (-1, 0, 1))
    explanation = lw.Explainer(model).explain(x, 0, lw.Translated(lw.SimpleTaylor()))
    assert float(explanation.total) == pytest.approx(float(expected.sum()) / 3)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: lw.Translated("LRP"), "Translated.method must be a method such as lw.LRP(lw.epsilon()), got 'LRP'."),
        (lambda: lw.Translated(shift=-1), "Translated.shift must be at least 0, got -1."),
        (lambda: lw.Translated(border="zero"), "Translated.border must be one of 'wrap', 'edge', got 'zero'."),
        (
            lambda: lw.Smoothed(lw.rules.Zero()),
            "Smoothed.method must be a method such as lw.LRP(lw.epsilon()), got Zero().",
        ),
        (lambda: lw.SmoothGrad(noise=-0.1), "SmoothGrad.noise must be at least 0.0, got -0.1."),
    ],
)
def test_what_the_settings_may_be(make: Any, said: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        make()
    assert str(caught.value) == said
