"""Rules on numbers worked by hand, and where a rule has a case of its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.rules import Rule
from tests.engine.networks import dense
from tests.engine.networks.running import error_of, propagated, recorded
from tests.engine.rules.rules_cases import rules_for


@pytest.mark.parametrize("kind", ["convolution", "linear", "linear over three axes", "W @ x.T"])
@pytest.mark.parametrize("signed", [False, True])
def test_relative_epsilon_is_taken_per_row(kind: str, signed: bool) -> None:
    torch.manual_seed(1)
    row = {"convolution": (3, 4, 4), "linear over three axes": (5, 6)}.get(kind, (6,))
    scale = torch.tensor([1.0, 30.0]).reshape(-1, *[1] * len(row))  # rows of very different size
    x = torch.randn(2, *row).double() * scale
    x = x if signed else x.abs()
    linear, convolution = nn.Linear(6, 5).double(), nn.Conv2d(3, 4, 3).double()

    def function(x: Tensor) -> Tensor:
        if kind == "W @ x.T":
            return (linear.weight @ x.T).T
        return convolution(x) if kind == "convolution" else linear(x)

    tape = recorded(function, x)
    start = torch.randn_like(tape.scores)
    got, _ = propagated(tape, lw.rules.Epsilon(0.25, relative=True), start)
    for i in range(2):
        layer = dense.layer_at(function, x[i : i + 1])
        assert (
            error_of(got[i].flatten(), dense.epsilon(layer, start[i].flatten().numpy(), 0.25, relative=True)) <= 1e-12
        )


@pytest.mark.parametrize("small", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_alpha_beta_with_little_negative_evidence(small: float, dtype: torch.dtype, bound: float) -> None:
    # z⁻ taken as z − z⁺ would keep nothing but rounding here.
    torch.manual_seed(0)
    w = torch.randn(8, 50)
    w = torch.where(w < 0, w * small, w)
    x, start = torch.rand(3, 50), torch.randn(3, 8)
    tape = recorded(lambda x: F.linear(x, w.to(dtype)), x.to(dtype))
    got, passed = propagated(tape, lw.rules.AlphaBeta(2.0), start.to(dtype))
    for i in range(3):
        layer = dense.layer_at(lambda row: F.linear(row, w.double()), x[i : i + 1])
        assert error_of(got[i], dense.alpha_beta(layer, start[i].double().numpy(), 2.0)) <= bound
    assert all(line.closes for line in passed.ledger)


# One neuron with the inputs (1, −1), or (2, 1), worked by hand: products, then what each rule makes of R = 1.
#   1: w (2, 1), no bias: products (2, −1), z = 1
#   2: w (1, −2), no bias: products (1, 2), z = 3: both are positive though one weight and one input are negative
#   3: w (1, 3), b = 1: products (1, −3), z = −1
#   4: w (1, 1), b = −2 at (2, 1): products (2, 1), z = 1
BY_HAND = {
    "α=2, 1": (lw.rules.AlphaBeta(2.0), (1, -1), (2, 1), 0, (2, -1), {}),
    "α=2, 2": (lw.rules.AlphaBeta(2.0), (1, -1), (1, -2), 0, (2 / 3, 4 / 3), {"one-signed": -1}),
    "α=2, 3": (lw.rules.AlphaBeta(2.0), (1, -1), (1, 3), 1, (1, -1), {"bias": 1}),
    "α=2, 4": (lw.rules.AlphaBeta(2.0), (2, 1), (1, 1), -2, (4 / 3, 2 / 3), {"bias": -1}),
    "α=3, 1": (lw.rules.AlphaBeta(3.0), (1, -1), (2, 1), 0, (3, -2), {}),
    "α=1, 1": (lw.rules.AlphaBeta(1.0), (1, -1), (2, 1), 0, (1, 0), {}),
    "z⁺, 3": (lw.rules.ZPlus(), (1, -1), (1, 3), 1, (1 / 2, 0), {"bias": 1 / 2}),
    "γ=1, 1": (lw.rules.Gamma(1.0), (1, -1), (2, 1), 0, (4 / 3, -1 / 3), {}),
    "γ=1, 2": (lw.rules.Gamma(1.0), (1, -1), (1, -2), 0, (1 / 3, 2 / 3), {}),
    "γ=1, 3": (lw.rules.Gamma(1.0), (1, -1), (1, 3), 1, (-1 / 4, 6 / 4), {"bias": -1 / 4}),
    "γ=1, 4": (lw.rules.Gamma(1.0), (2, 1), (1, 1), -2, (1, 1 / 2), {"bias": -1 / 2}),
    "γ=½, 1": (lw.rules.Gamma(0.5), (1, -1), (2, 1), 0, (3 / 2, -1 / 2), {}),
    "z^B, 1": (lw.rules.ZBox(-1.0, 1.0), (1, -1), (2, 1), 0, (1, 0), {}),
    "z^B, 2": (lw.rules.ZBox(-1.0, 1.0), (1, -1), (1, -2), 0, (1 / 3, 2 / 3), {}),
    "z^B, 3": (lw.rules.ZBox(-2.0, 1.0), (1, -1), (1, 3), 1, (1 / 2, 1 / 2), {}),
    "z^B, 4": (lw.rules.ZBox(0.0, 4.0), (2, 1), (1, -1), -2, (2 / 5, 3 / 5), {}),
    "z^B per channel": (lw.rules.ZBox((-1.0, -3.0), (1.0, 2.0)), (1, -1), (2, -1), 0, (4 / 7, 3 / 7), {}),
    "0, 3": (lw.rules.Zero(), (1, -1), (1, 3), 1, (-1, 3), {"bias": -1}),
    "ε=1, 1": (lw.rules.Epsilon(1.0), (1, -1), (2, 1), 0, (1, -1 / 2), {"epsilon": 1 / 2}),
    "ε=1, 3": (lw.rules.Epsilon(1.0), (1, -1), (1, 3), 1, (-1 / 2, 3 / 2), {"bias": -1 / 2, "epsilon": 1 / 2}),
    "w², 1": (lw.rules.WSquare(), (1, -1), (2, 1), 0, (4 / 5, 1 / 5), {}),
    "w², 3": (lw.rules.WSquare(), (1, -1), (1, 3), 1, (1 / 10, 9 / 10), {}),
    "flat, 1": (lw.rules.Flat(), (1, -1), (2, 1), 0, (1 / 2, 1 / 2), {}),
    "flat, a weight of 0": (lw.rules.Flat(), (1, -1), (2, 0), 1, (1 / 2, 1 / 2), {}),
}


@pytest.mark.parametrize("case", BY_HAND)
@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_by_hand(case: str, kind: str) -> None:
    rule, a, w, b, expected, kept = BY_HAND[case]
    weight, bias = torch.tensor([w]).double(), torch.tensor([b]).double()
    x = torch.tensor([a]).double()
    if kind == "convolution":
        tape = recorded(lambda x: F.conv1d(x, weight[..., None], bias if b else None), x[..., None])
    else:
        tape = recorded(lambda x: F.linear(x, weight, bias if b else None), x)
    got, passed = propagated(tape, rule, torch.ones_like(tape.scores))
    assert got.flatten().tolist() == pytest.approx(list(expected), abs=1e-14)
    line = next(line for line in passed.ledger if line.rule is not None)
    assert {cause: float(amount) for cause, amount in line.absorbed.items()} == pytest.approx(kept, abs=1e-14)
    assert float(line.relevance_out) == 1
    assert float(line.relevance_in) == pytest.approx(sum(expected), abs=1e-14)


@pytest.mark.parametrize(
    ("rule", "cause"),
    [
        (lw.rules.Zero(), "no input"),
        (lw.rules.Epsilon(0.1), "epsilon"),
        (lw.rules.Gamma(0.5), "no input"),
        (lw.rules.AlphaBeta(2.0), "one-signed"),
        (lw.rules.ZPlus(), "one-signed"),
        (lw.rules.ZBox(-1.0, 1.0), None),
        (lw.rules.WSquare(), None),
        (lw.rules.Flat(), None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Rule) else str(value),
)
def test_a_neuron_without_input_keeps_its_relevance_by_name(rule: Rule, cause: str | None) -> None:
    w = torch.tensor([[1.0, 2.0], [-1.0, 3.0]]).double()
    tape = recorded(lambda x: F.linear(x, w), torch.zeros(1, 2).double())
    got, passed = propagated(tape, rule, torch.tensor([[3.0, 4.0]]).double())
    absorbed = {name: float(amount) for name, amount in passed.ledger[-1].absorbed.items()}
    if cause is None:  # these share by the weights alone (z^B: by the weights and the box)
        assert float(got.sum()) == pytest.approx(7)
        assert absorbed == {}
    else:
        assert not got.any()
        assert absorbed == {cause: 7}


def test_sign_of_zero_counts_as_plus() -> None:
    tape = recorded(lambda x: F.linear(x, torch.ones(1, 2).double()), torch.tensor([[1.0, -1.0]]).double())
    got, _ = propagated(tape, lw.rules.Epsilon(0.5), torch.ones(1, 1).double())
    assert got.tolist() == [[2.0, -2.0]]


def test_bounds_of_a_flattened_picture_cover_their_channel() -> None:
    torch.manual_seed(0)
    w = torch.randn(3, 8).double()
    x, start = torch.rand(2, 2, 4).double(), torch.randn(2, 3).double()

    def function(x: Tensor) -> Tensor:
        return F.linear(x.flatten(1), w)

    got, _ = propagated(recorded(function, x), lw.rules.ZBox((-1.0, -0.5), (1.0, 2.0)), start)
    low, high = np.array([-1.0] * 4 + [-0.5] * 4), np.array([1.0] * 4 + [2.0] * 4)
    for i in range(2):
        layer = dense.layer_at(function, x[i : i + 1])
        assert error_of(got[i].flatten(), dense.z_box(layer, start[i].numpy(), low, high)) <= 1e-13


@pytest.mark.parametrize("rule", [rule for rule, _ in rules_for((-3.0, -2.0), (3.0, 2.0)).values()], ids=str)
def test_another_layout_in_memory_is_the_same_layer(rule: Rule) -> None:
    torch.manual_seed(0)
    x, w = torch.randn(2, 2, 5, 5).clamp(-2, 2).double(), torch.randn(4, 2, 3, 3).double()
    start = torch.randn(2, 4, 3, 3).double()
    plain, _ = propagated(recorded(lambda x: F.conv2d(x, w), x), rule, start)
    last = torch.channels_last
    turned = w.to(memory_format=last)
    tape = recorded(lambda x: F.conv2d(x, turned), x.to(memory_format=last))
    other, _ = propagated(tape, rule, start.to(memory_format=last))
    assert error_of(other, plain.numpy()) <= 1e-12


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w, b: x @ w.T + b,
        lambda x, w, b: b + x.matmul(w.T),
        lambda x, w, b: x @ w.T + b[None],
        lambda x, w, b: F.linear(x, w).add_(b),
        lambda x, w, b: torch.addmm(b, x, w.T),
        lambda x, w, b: (w @ x.T + b[:, None]).T,
        lambda x, w, b: F.linear(x[:, None, None], w, b).flatten(1),
        lambda x, w, b: F.linear(torch.stack([x, 0 * x], 2).transpose(1, 2), w, b)[
            :, 0
        ],  # its tensor is not contiguous
        lambda x, w, b: F.conv1d(x[..., None], w[..., None], b).flatten(1),
        lambda x, w, b: (F.conv1d(x[..., None], w[..., None]) + b[:, None]).flatten(1),
    ],
    ids=["x@w+b", "b+x@w", "x@w+b[None]", "add_", "addmm", "w@x+b", "4d", "3d not contiguous", "conv", "conv+b"],
)
@pytest.mark.parametrize("rule", [rule for rule, _ in rules_for((-3.0,) * 6, (3.0,) * 6).values()], ids=str)
def test_a_layer_is_the_same_however_it_is_spelled(
    function: Callable[[Tensor, Tensor, Tensor], Tensor], rule: Rule
) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 6).double()
    w, b = nn.Parameter(torch.randn(5, 6).double()), nn.Parameter(torch.randn(5).double())
    start = torch.randn(2, 5).double()
    plain, _ = propagated(recorded(lambda x: F.linear(x, w, b), x), rule, start)
    got, passed = propagated(recorded(lambda x: function(x, w, b), x), rule, start)
    assert error_of(got, plain.detach().numpy()) <= 1e-12
    assert all(line.closes for line in passed.ledger)
