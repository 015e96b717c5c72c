"""The smallest change to another class: closed forms of linear models, bounds, what is kept, experts, curved models."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw

GENERATOR = torch.Generator().manual_seed(0)
W = torch.randn(1, 6, dtype=torch.float64, generator=GENERATOR)
X = torch.randn(1, 6, dtype=torch.float64, generator=GENERATOR)


def linear(w: Tensor, b: float = 0.3) -> nn.Module:
    layer = nn.Linear(w.shape[1], len(w), dtype=torch.float64)
    layer.weight.data, layer.bias.data = w.clone(), torch.full((len(w),), b, dtype=torch.float64)
    return layer.eval()


def test_a_linear_model_has_a_closed_form():
    model = linear(W)
    f = model(X).item()
    found = lw.counterfactual(lw.Explainer(model), X, to=int(f < 0))
    torch.testing.assert_close(found.inputs, X - f * W / W.square().sum(), rtol=1e-10, atol=1e-12)
    assert found.reached and abs(found.margin) < 1e-9
    assert found.distance == pytest.approx(abs(f) / float(W.norm()))
    torch.testing.assert_close(found.changes, found.inputs - X)


def test_two_classes_meet_half_way():
    w = torch.randn(3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    model = linear(w)
    scores = model(X)[0].detach()
    top, to = int(scores.argmax()), int(scores.argsort()[-2])
    d = w[to] - w[top]
    found = lw.counterfactual(lw.Explainer(model), X, to=to)
    expected = X + float(scores[top] - scores[to]) * d / d.square().sum()
    torch.testing.assert_close(found.inputs, expected, rtol=1e-9, atol=1e-12)
    beyond = lw.counterfactual(lw.Explainer(model), X, to=to, margin=0.5)
    assert int(beyond.scores.argmax()) == to and beyond.margin == pytest.approx(0.5)


def test_what_is_kept_stays_to_the_last_bit_and_bounds_hold():
    model = linear(W)
    f = model(X).item()
    keep = torch.tensor([[True, False, True, False, False, False]])
    explainer = lw.Explainer(model)
    found = lw.counterfactual(explainer, X, to=int(f < 0), keep=keep)
    assert torch.equal(found.inputs[keep], X[keep])
    free = W * ~keep
    torch.testing.assert_close(found.inputs, X - f * free / free.square().sum(), rtol=1e-10, atol=1e-12)
    reach = 0.7 * abs(f) / float(W.norm())  # less than the way without bounds moves the largest
    largest = float((f * W / W.square().sum()).abs().max())
    bound = max(0.8 * largest, 1.05 * abs(f) / float(W.abs().sum()))
    assert reach > 0 and bound < largest
    low, high = X - bound, X + bound
    bounded = lw.counterfactual(explainer, X, to=int(f < 0), low=low, high=high)
    assert bounded.reached and bool((bounded.inputs >= low).all()) and bool((bounded.inputs <= high).all())
    inside = (bounded.changes.abs() < bound - 1e-9) & (bounded.changes != 0)
    ratio = (bounded.changes / W)[inside]  # clip(x + λ w): what is not at its bound moves along w
    assert 0 < int(inside.sum()) < 6
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), rtol=1e-6, atol=1e-9)


def test_where_bounds_leave_no_way_it_is_said():
    model = linear(W)
    f = model(X).item()
    found = lw.counterfactual(lw.Explainer(model), X, to=int(f < 0), low=X - 1e-3, high=X + 1e-3)
    assert not found.reached
    assert float(found.changes.abs().max()) <= 1e-3 + 1e-12
    nothing = lw.counterfactual(lw.Explainer(model), X, to=int(f < 0), keep=torch.ones(1, 6, dtype=torch.bool))
    assert not nothing.reached and torch.equal(nothing.inputs, X)


class Ball(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (x * torch.tensor([1.0, 2.0], dtype=x.dtype)).square().sum(1, keepdim=True) - 1


def test_a_curved_model_against_a_search_on_a_grid():
    start = torch.tensor([[1.5, 1.0]], dtype=torch.float64)
    found = lw.counterfactual(lw.Explainer(Ball().eval()), start, to=0)
    angle = torch.linspace(0, 2 * torch.pi, 200_001, dtype=torch.float64)
    on = torch.stack([angle.cos(), angle.sin() / 2], 1)
    nearest = float((on - start).norm(dim=1).min())
    assert found.reached and found.distance == pytest.approx(nearest, rel=1e-4)


def test_an_expert_pulls_towards_what_is_plausible():
    """−½‖x' − x‖² − s‖x'‖² on w x' + b = 0: the point of that plane nearest to x / (1 + 2 s)."""
    model, strength = linear(W), 0.1
    f = model(X).item()
    found = lw.counterfactual(lw.Explainer(model), X, to=int(f < 0), expert=lw.experts.L2(strength), steps=500)
    bare = X / (1 + 2 * strength)
    expected = bare - model(bare).item() * W / W.square().sum()
    torch.testing.assert_close(found.inputs, expected, rtol=1e-5, atol=1e-6)


def test_a_digit_becomes_another_one():
    model, samples = lw.demo.models.digits_cnn(), lw.demo.data.digits()
    x = samples.inputs[:1]
    explainer = lw.Explainer(model)
    ordered = explainer.scores(x)[0].argsort(descending=True)
    found = lw.counterfactual(explainer, x, to=int(ordered[1]), low=0, high=1, margin=0.1)
    assert found.reached and int(found.scores.argmax()) == int(ordered[1])
    assert float(found.inputs.min()) >= 0 and float(found.inputs.max()) <= 1
    assert 0 < found.distance < float(x.norm())


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"to": 2}, r"to must be a class in \[0, 1\], got 2"),
        ({"to": "a"}, "to must be a class"),
        ({"to": True}, "to must be a class"),
        ({"keep": torch.ones(5)}, "keep must broadcast to the input"),
        ({"low": 9}, "x must lie between low and high"),
        ({"low": 1, "high": 0}, "low must not be above high"),
        ({"margin": -1}, "margin must be a number from 0 up"),
        ({"steps": 0}, "steps must lie in"),
        ({"x": X.expand(2, 6)}, "takes one input with its batch dimension"),
        ({"x": X.long()}, "must be floating point"),
    ],
)
def test_bad_input(more, said):
    arguments: dict[str, Any] = {"x": X, "to": 1} | more
    with pytest.raises((TypeError, ValueError), match=said):
        lw.counterfactual(lw.Explainer(linear(W)), **arguments)
