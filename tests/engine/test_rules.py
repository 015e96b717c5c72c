"""Every rule × affine operation × bias × sign of the input, against the dense rewrite; and numbers worked by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.rules import Rule
from tests.engine import dense
from tests.engine.running import error_of, propagated, recorded

BATCH = 2


@dataclass(frozen=True)
class Op:
    """z = function(x, w, b) with x (batch, *row) and w of the given shape.

    axis: of a row, the one that holds channels (for bounds given per channel).
    bias: its shape, None where the operation takes none.
    """

    name: str
    row: tuple[int, ...]
    weight: tuple[int, ...]
    bias: tuple[int, ...] | None
    function: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    axis: int = 0


OPS = (
    Op("conv1d", (3, 7), (4, 3, 3), (4,), lambda x, w, b: F.conv1d(x, w, b)),
    Op("conv1d stride", (3, 8), (4, 3, 3), (4,), lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=1)),
    Op("conv1d groups", (4, 7), (6, 2, 3), (6,), lambda x, w, b: F.conv1d(x, w, b, dilation=2, padding=2, groups=2)),
    Op("conv2d", (2, 5, 5), (3, 2, 3, 3), (3,), lambda x, w, b: F.conv2d(x, w, b)),
    Op("conv2d padded", (2, 4, 4), (2, 2, 3, 3), (2,), lambda x, w, b: F.conv2d(x, w, b, padding=(2, 1))),
    Op("conv2d stride", (2, 6, 5), (3, 2, 3, 2), (3,), lambda x, w, b: F.conv2d(x, w, b, stride=(2, 3), padding=1)),
    Op("conv2d dilation", (2, 6, 6), (2, 2, 3, 3), (2,), lambda x, w, b: F.conv2d(x, w, b, dilation=(2, 1))),
    Op("conv2d depthwise", (4, 4, 4), (8, 1, 3, 3), (8,), lambda x, w, b: F.conv2d(x, w, b, groups=4, stride=2)),
    Op("conv2d same", (2, 4, 4), (2, 2, 3, 3), (2,), lambda x, w, b: F.conv2d(x, w, b, padding="same")),
    Op("conv3d", (2, 3, 4, 3), (3, 2, 2, 2, 2), (3,), lambda x, w, b: F.conv3d(x, w, b, stride=(1, 2, 1), padding=1)),
    Op("conv3d groups", (2, 3, 3, 3), (4, 1, 2, 2, 2), (4,), lambda x, w, b: F.conv3d(x, w, b, groups=2)),
    Op("transposed 1d", (3, 4), (3, 2, 3), (2,), lambda x, w, b: F.conv_transpose1d(x, w, b, stride=2)),
    Op(
        "transposed 1d groups",
        (4, 4),
        (4, 2, 3),
        (4,),
        lambda x, w, b: F.conv_transpose1d(x, w, b, stride=2, padding=1, output_padding=1, groups=2),
    ),
    Op("transposed 2d", (2, 3, 3), (2, 3, 2, 2), (3,), lambda x, w, b: F.conv_transpose2d(x, w, b, dilation=2)),
    Op(
        "transposed 2d groups",
        (4, 3, 2),
        (4, 1, 3, 3),
        (2,),
        lambda x, w, b: F.conv_transpose2d(x, w, b, stride=(2, 3), padding=1, output_padding=(1, 2), groups=2),
    ),
    Op("transposed 3d", (2, 2, 2, 2), (2, 2, 2, 2, 2), (2,), lambda x, w, b: F.conv_transpose3d(x, w, b, padding=1)),
    Op("linear", (6,), (5, 6), (5,), lambda x, w, b: F.linear(x, w, b)),
    Op("linear 3d", (3, 4), (5, 4), (5,), lambda x, w, b: F.linear(x, w, b), axis=1),
    Op("linear 4d", (2, 2, 4), (3, 4), (3,), lambda x, w, b: F.linear(x, w, b), axis=2),
    Op("linear transposed", (4, 3), (5, 4), (5,), lambda x, w, b: F.linear(x.transpose(1, 2), w, b)),
    Op("x @ W", (6,), (6, 5), None, lambda x, w, b: x @ w),
    Op("x @ W + b", (6,), (6, 5), (5,), lambda x, w, b: x @ w if b is None else x @ w + b),
    Op("x @ W 3d", (3, 4), (4, 5), None, lambda x, w, b: x @ w, axis=1),
    Op("W @ x 3d", (4, 3), (5, 4), None, lambda x, w, b: w @ x),
    Op("bmm", (3, 4), (4, 5), None, lambda x, w, b: torch.bmm(x, w.expand(len(x), -1, -1)), axis=1),
    Op("bmm left", (4, 3), (5, 4), None, lambda x, w, b: torch.bmm(w.expand(len(x), -1, -1), x)),
    Op("addmm", (6,), (6, 5), (5,), lambda x, w, b: torch.addmm(x.new_zeros(5) if b is None else b, x, w)),
    Op(
        "addmm scaled",
        (6,),
        (6, 5),
        (5,),
        lambda x, w, b: torch.addmm(x.new_zeros(5) if b is None else b, x, w, beta=0.5, alpha=-2.0),
    ),
    Op(
        "addmm of nothing",
        (6,),
        (6, 5),
        None,
        lambda x, w, b: torch.addmm(x.new_full((5,), float("nan")), x, w, beta=0, alpha=3.0),
    ),
    Op(
        "baddbmm",
        (3, 4),
        (4, 5),
        (3, 5),
        lambda x, w, b: torch.baddbmm(x.new_zeros(1) if b is None else b, x, w.expand(len(x), -1, -1), beta=2.0),
        axis=1,
    ),
    Op(
        "baddbmm left",
        (4, 3),
        (5, 4),
        (5, 3),
        lambda x, w, b: torch.baddbmm(x.new_zeros(1) if b is None else b, w.expand(len(x), -1, -1), x, alpha=0.5),
    ),
    Op("einsum", (6,), (5, 6), None, lambda x, w, b: torch.einsum("bi,oi->bo", x, w)),
    Op("einsum 3d", (3, 4), (5, 4), None, lambda x, w, b: torch.einsum("bij,oj->bio", x, w), axis=1),
    Op("mv", (6,), (6,), None, lambda x, w, b: torch.mv(x, w)[:, None]),
    Op(
        "addmv",
        (6,),
        (6,),
        (1,),
        lambda x, w, b: torch.addmv(x.new_zeros(1) if b is None else b, x, w, beta=2.0, alpha=0.5)[:, None],
    ),
)

BIASES = ("none", "positive", "negative", "mixed")

Slow = Callable[[dense.Dense, dense.Array, dense.Array, dense.Array], dense.Array]


def rules_for(low: tuple[float, ...], high: tuple[float, ...]) -> dict[str, tuple[Rule, Slow]]:
    """Each rule at several settings beside its dense rewrite; low and high are what z^B per channel gets."""
    r = lw.rules
    return {
        "0": (r.Zero(), lambda layer, s, l, h: dense.zero(layer, s)),
        "ε = 1e-6": (r.Epsilon(1e-6), lambda layer, s, l, h: dense.epsilon(layer, s, 1e-6)),
        "ε = 0.3": (r.Epsilon(0.3), lambda layer, s, l, h: dense.epsilon(layer, s, 0.3)),
        "γ = 0.1": (r.Gamma(0.1), lambda layer, s, l, h: dense.gamma(layer, s, 0.1)),
        "γ = 1": (r.Gamma(1.0), lambda layer, s, l, h: dense.gamma(layer, s, 1.0)),
        "α = 1": (r.AlphaBeta(1.0), lambda layer, s, l, h: dense.alpha_beta(layer, s, 1.0)),
        "α = 1.3": (r.AlphaBeta(1.3), lambda layer, s, l, h: dense.alpha_beta(layer, s, 1.3)),
        "α = 2": (r.AlphaBeta(2.0), lambda layer, s, l, h: dense.alpha_beta(layer, s, 2.0)),
        "z⁺": (r.ZPlus(), lambda layer, s, l, h: dense.z_plus(layer, s)),
        "w²": (r.WSquare(), lambda layer, s, l, h: dense.w_square(layer, s)),
        "flat": (r.Flat(), lambda layer, s, l, h: dense.flat(layer, s)),
        "z^B": (r.ZBox(-2.5, 3.0), lambda layer, s, l, h: dense.z_box(layer, s, 0 * l - 2.5, 0 * h + 3.0)),
        "z^B per channel": (r.ZBox(low, high), lambda layer, s, l, h: dense.z_box(layer, s, l, h)),
    }


def drawn_bias(kind: str, shape: tuple[int, ...]) -> Tensor | None:
    b = torch.randn(shape)
    return {"none": None, "positive": b.abs(), "negative": -b.abs(), "mixed": b}[kind]


@pytest.mark.parametrize("signed", [False, True], ids=["inputs >= 0", "signed inputs"])
@pytest.mark.parametrize(
    ("op", "bias"),
    [(op, bias) for op in OPS for bias in BIASES if op.bias is not None or bias == "none"],
    ids=lambda value: value.name if isinstance(value, Op) else value,
)
def test_rule_against_dense(op: Op, bias: str, signed: bool, measured: Callable[[str, float], None]) -> None:
    torch.manual_seed(0)
    # Drawn in float32, so that both precisions compute from the same numbers. Some inputs are exactly zero.
    x = torch.randn(BATCH, *op.row) * (torch.rand(BATCH, *op.row) < 0.7)
    x = x if signed else x.clamp(min=0)
    w = torch.randn(op.weight)
    b = drawn_bias(bias, op.bias) if op.bias is not None else None
    channels = op.row[op.axis]
    low = tuple(-2.5 - 0.1 * c for c in range(channels))
    high = tuple(3.0 + 0.2 * c for c in range(channels))
    shape = [-1 if axis == op.axis else 1 for axis in range(len(op.row))]
    low_map, high_map = (np.broadcast_to(np.array(v).reshape(shape), op.row).flatten() for v in (low, high))

    def function(dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
        weight, shift = w.to(dtype), None if b is None else b.to(dtype)
        return lambda x: op.function(x, weight, shift)

    layers = [dense.layer_at(function(torch.float64), x[i : i + 1]) for i in range(BATCH)]
    relevance = torch.randn(BATCH, len(layers[0].b)).double()
    # A sum that all but cancels has few digits in float32, whoever computes it: no relevance arrives there.
    terms = np.stack([np.abs(layer.w * layer.a).sum(1) + np.abs(layer.b) for layer in layers])
    sound = torch.from_numpy(np.abs(np.stack([layer.z for layer in layers])) >= 0.03 * terms)
    for dtype, start, bound in ((torch.float64, relevance, 1e-10), (torch.float32, relevance * sound, 1e-5)):
        tape = recorded(function(dtype), x.to(dtype))
        for name, (rule, slow) in rules_for(low, high).items():
            expected = np.stack(
                [slow(layer, s, low_map, high_map) for layer, s in zip(layers, start.numpy(), strict=True)]
            )
            got, passed = propagated(tape, rule, start.reshape(tape.scores.shape).to(dtype))
            assert got.dtype == dtype
            error = error_of(got, expected)
            measured(f"rule {name} against the dense rewrite, {str(dtype).removeprefix('torch.')}", error)
            assert error <= bound, f"{rule} differs by {error:.1e} of max|R| in {dtype}"
            for line in passed.ledger:
                assert line.closes, f"{rule}: {line.unexplained.tolist()} unexplained at {line.name}"


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
