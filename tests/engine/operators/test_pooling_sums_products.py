"""What ops without parameters do with relevance: pooling, sums, products, routing, activations, and unknown ops."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lrp_widgets as lw
from tests.engine.networks import dense
from tests.engine.networks.running import error_of, propagated, recorded
from tests.engine.operators.operators_cases import PLAIN

PROPORTIONAL = lw.Composite((lw.Entry(lw.rules.Zero()),), max_pooling="proportional")


def against_dense(function: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """The engine shares in proportion, R_j = a_j w_jk / z_k · R_k, with the function's Jacobian as weights."""
    tape = recorded(function, x)
    start = torch.randn_like(tape.scores)
    got, passed = propagated(tape, PLAIN, start)
    for i in range(len(x)):
        layer = dense.layer_at(function, x[i : i + 1])
        assert error_of(got[i].flatten(), dense.zero(layer, start[i].flatten().numpy())) <= 1e-12
    assert passed.fallbacks == ()
    assert all(line.closes and not line.absorbed for line in passed.ledger)


LINEAR_POOLING: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...]]] = {
    "avg 1d": (lambda x: F.avg_pool1d(x, 3, 2), (2, 9)),
    "avg 2d": (lambda x: F.avg_pool2d(x, 2), (2, 6, 6)),
    "avg 2d overlapping": (lambda x: F.avg_pool2d(x, 3, 1), (2, 5, 5)),
    "avg 2d padded": (lambda x: F.avg_pool2d(x, 3, 2, padding=1), (2, 6, 5)),
    "avg 2d padding not counted": (lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), (2, 6, 6)),
    "avg 2d ceil_mode": (lambda x: F.avg_pool2d(x, 2, 2, ceil_mode=True), (2, 5, 5)),
    "avg 2d ceil_mode padded": (lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=True), (1, 6, 6)),
    "avg 2d divisor": (lambda x: F.avg_pool2d(x, 2, divisor_override=3), (2, 4, 4)),
    "sum 2d": (lambda x: F.avg_pool2d(x, 2, divisor_override=1), (2, 4, 4)),
    "avg 3d": (lambda x: F.avg_pool3d(x, 2), (1, 4, 4, 4)),
    "adaptive 1d": (lambda x: F.adaptive_avg_pool1d(x, 3), (2, 7)),
    "adaptive 2d": (lambda x: F.adaptive_avg_pool2d(x, (2, 3)), (2, 5, 7)),
    "adaptive 2d to one": (lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1), (3, 4, 4)),
    "adaptive 3d": (lambda x: F.adaptive_avg_pool3d(x, 2), (1, 4, 3, 5)),
    "mean": (lambda x: x.mean((2, 3)), (3, 4, 4)),
    "mean of all but the batch": (lambda x: x.flatten(1).mean(1, keepdim=True), (3, 4)),
    "sum": (lambda x: x.sum(-1), (3, 4)),
    "sum kept": (lambda x: x.sum(dim=(1, 2), keepdim=True), (3, 4)),
    "cumsum": (lambda x: x.cumsum(1), (5,)),
    "lp of 1": (lambda x: F.lp_pool2d(x, 1, 2), (2, 4, 4)),
    "bilinear": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), (1, 3, 3)),
    "fold": (lambda x: F.fold(F.unfold(x, 2), (4, 4), 2), (1, 4, 4)),
}


@pytest.mark.parametrize("case", LINEAR_POOLING)
def test_linear_pooling_shares_in_proportion(case: str) -> None:
    torch.manual_seed(0)
    function, shape = LINEAR_POOLING[case]
    against_dense(function, torch.rand(2, *shape).double() + 0.1)


def test_pooling_of_signed_inputs_shares_in_proportion() -> None:
    torch.manual_seed(0)
    against_dense(lambda x: F.avg_pool2d(x, 2), torch.randn(2, 2, 4, 4).double())


def test_a_window_of_zeros_keeps_its_relevance_by_name() -> None:
    x = torch.tensor([[[0.0, 0.0, 1.0, 3.0]]]).double()
    got, passed = propagated(recorded(lambda x: F.avg_pool1d(x, 2), x), PLAIN, torch.tensor([[[5.0, 8.0]]]).double())
    assert got.tolist() == [[[0, 0, 2, 6]]]
    assert [dict(line.absorbed) for line in passed.ledger if line.absorbed] == [{"no input": torch.tensor([5])}]


@pytest.mark.parametrize("layers", [1, 4])
@pytest.mark.parametrize("pool", [nn.AvgPool2d(2), nn.LPPool2d(2, 2), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1)])
def test_pooling_does_not_inflate_over_layers(layers: int, pool: nn.Module) -> None:
    torch.manual_seed(0)
    stack = nn.Sequential(*[pool] * layers, nn.Flatten()).double()
    explanation = lw.Explainer(stack).explain(torch.rand(2, 1, 16, 16).double() + 0.1, 0, lw.LRP(PLAIN))
    assert explanation.total.tolist() == pytest.approx(explanation.explained.tolist(), rel=1e-12)


def test_lp_pooling_shares_by_the_power() -> None:
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]).double()
    got, passed = propagated(
        recorded(lambda x: F.lp_pool2d(x, 2, 2), x), PLAIN, torch.full((1, 1, 1, 1), 30.0).double()
    )
    assert got.flatten().tolist() == pytest.approx([1, 4, 9, 16])
    assert passed.fallbacks == ()


def windows(
    size: tuple[int, ...], out: tuple[int, ...], kernel: int, stride: int, padding: int, dilation: int
) -> Iterator[tuple[tuple[int, ...], list[tuple[int, ...]]]]:
    """Every output place with the input places in its window, by plain counting."""
    for place in itertools.product(*map(range, out)):
        axes = [
            [p for k in range(kernel) if 0 <= (p := o * stride - padding + k * dilation) < length]
            for o, length in zip(place, size, strict=True)
        ]
        yield place, list(itertools.product(*axes))


MAX_POOLING = [
    (dims, kernel, stride, padding, dilation, ceil_mode)
    for dims, kernel, stride, padding, dilation in (
        (1, 3, 2, 1, 1),
        (1, 2, 3, 0, 2),
        (2, 2, 2, 0, 1),
        (2, 3, 2, 1, 1),
        (2, 3, 1, 1, 2),
        (2, 2, 3, 1, 1),
        (2, 3, 2, 0, 2),
        (3, 2, 2, 0, 1),
    )
    for ceil_mode in (False, True)
]


@pytest.mark.parametrize("proportional", [False, True], ids=["winner", "proportional"])
@pytest.mark.parametrize(("dims", "kernel", "stride", "padding", "dilation", "ceil_mode"), MAX_POOLING)
def test_max_pooling_against_loops(
    dims: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool, proportional: bool
) -> None:
    torch.manual_seed(0)
    size = (7, 6, 5)[:dims] if dims < 3 else (4, 5, 3)
    x = torch.rand(2, 2, *size).double() + 0.1
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[dims - 1]

    def function(x: Tensor) -> Tensor:
        return pool(x, kernel, stride, padding, dilation, ceil_mode)

    tape = recorded(function, x)
    start = torch.randn_like(tape.scores)
    got, passed = propagated(tape, PROPORTIONAL if proportional else PLAIN, start)
    expected = np.zeros(x.shape)
    out = tuple(start.shape[2:])
    for row, channel in itertools.product(range(2), range(2)):
        a, r = x[row, channel].numpy(), start[row, channel].numpy()
        for place, window in windows(size, out, kernel, stride, padding, dilation):
            if proportional:
                for j in window:
                    expected[row, channel][j] += a[j] / sum(a[i] for i in window) * r[place]
            else:
                expected[row, channel][max(window, key=lambda j: a[j])] += r[place]
    assert error_of(got, expected) <= 1e-12
    assert all(line.closes and not line.absorbed for line in passed.ledger)


def test_adaptive_max_pooling_goes_to_the_winner() -> None:
    x = torch.tensor([[[1.0, 5.0, 2.0, 3.0]]]).double()
    got, _ = propagated(
        recorded(lambda x: F.adaptive_max_pool1d(x, 2), x), PLAIN, torch.tensor([[[7.0, 9.0]]]).double()
    )
    assert got.tolist() == [[[0, 7, 0, 9]]]


# z = … of a = 2 and b = 3 (columns), R = 6 at z: what a and b get, and what stays by name. Worked by hand.
SUMS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], tuple[float, float], dict[str, float]]] = {
    "a + b": (lambda a, b: a + b, (12 / 5, 18 / 5), {}),
    "a - b": (lambda a, b: a - b, (-12, 18), {}),
    "a + 3b": (lambda a, b: torch.add(a, b, alpha=3), (12 / 11, 54 / 11), {}),
    "a - 2b": (lambda a, b: torch.sub(a, b, alpha=2), (-3, 9), {}),
    "b rsub a": (lambda a, b: torch.rsub(b, a), (-12, 18), {}),
    "a + a": (lambda a, b: a + a + 0 * b, (6, 0), {}),
    "a + b + b": (lambda a, b: a + b + b, (12 / 8, 36 / 8), {}),
    "a + 1": (lambda a, b: a + 1 + 0 * b, (4, 0), {"bias": 2}),
    "1 - a": (lambda a, b: 1 - a + 0 * b, (12, 0), {"bias": -6}),
    "a + constant": (lambda a, b: a + torch.ones(1, 1).double() + 0 * b, (4, 0), {"bias": 2}),
    "a - a": (lambda a, b: a - a + 0 * b, (0, 0), {"no input": 6}),
    "a in place": (lambda a, b: a.clone().add_(b), (12 / 5, 18 / 5), {}),
    "a broadcast": (lambda a, b: (a + torch.cat([b, b], 1)).sum(1, keepdim=True), (4 / 10 * 6, 6 / 10 * 6), {}),
}


@pytest.mark.parametrize("case", SUMS)
def test_sums_by_hand(case: str) -> None:
    function, expected, kept = SUMS[case]
    x = torch.tensor([[2.0, 3.0]]).double()
    tape = recorded(lambda x: function(x[:, :1], x[:, 1:]), x)
    got, passed = propagated(tape, PLAIN, torch.tensor([[6.0]]).double())
    assert got.flatten().tolist() == pytest.approx(list(expected), abs=1e-12)
    absorbed = {cause: float(amount) for line in passed.ledger for cause, amount in line.absorbed.items()}
    assert absorbed == pytest.approx(kept, abs=1e-12)


HALF = lw.Composite((lw.Entry(lw.rules.Zero()),), product="half")
SIGNAL = lw.Composite((lw.Entry(lw.rules.Zero()),), product="signal")

PRODUCTS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], tuple[float, float], tuple[float, float]]] = {
    # name: function, what a and b get of R = 6 under "half", and under "signal"
    "a · b": (lambda a, b: a * b, (3, 3), (3, 3)),
    "a · a": (lambda a, b: a * a + 0 * b, (6, 0), (6, 0)),
    "a · 5": (lambda a, b: a * 5 + 0 * b, (6, 0), (6, 0)),
    "a · constant": (lambda a, b: torch.tensor([[2.0]]).double() * a + 0 * b, (6, 0), (6, 0)),
    "a · σ(b)": (lambda a, b: a * b.sigmoid(), (3, 3), (6, 0)),
    "σ(b) · a": (lambda a, b: b.sigmoid() * a, (3, 3), (6, 0)),
    "a · (1 - σ(b))": (lambda a, b: a * (1 - b.sigmoid()), None, (6, 0)),
    "σ(a) · σ(b)": (lambda a, b: a.sigmoid() * b.sigmoid(), (3, 3), (3, 3)),
    "squeeze and excite": (lambda a, b: a.reshape(1, 1, 1) * b.sigmoid()[..., None].expand(1, 1, 1), (3, 3), (6, 0)),
    "a / b": (lambda a, b: a / b, (6, 0), (6, 0)),
    "5 / a": (lambda a, b: 5 / a + 0 * b, (6, 0), (6, 0)),
    "a / 5": (lambda a, b: a / 5 + 0 * b, (6, 0), (6, 0)),
    "a @ b": (lambda a, b: torch.bmm(a[..., None], b[..., None]).flatten(1), (3, 3), (3, 3)),
    "a @ b + a": (
        lambda a, b: torch.baddbmm(a[..., None], a[..., None], b[..., None]).flatten(1),
        (6 * 2 / 8 + 6 * 6 / 8 / 2, 6 * 6 / 8 / 2),
        (6 * 2 / 8 + 6 * 6 / 8 / 2, 6 * 6 / 8 / 2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("which", ["half", "signal"])
@pytest.mark.parametrize("case", PRODUCTS)
def test_products_by_hand(case: str, which: str) -> None:
    function, half, signal = PRODUCTS[case]
    expected = half if which == "half" else signal
    x = torch.tensor([[2.0, 3.0]]).double()
    tape = recorded(lambda x: function(x[:, :1], x[:, 1:]), x)
    start = torch.full_like(tape.scores, 6.0)
    got, passed = propagated(tape, HALF if which == "half" else SIGNAL, start)
    if expected is not None:
        assert got.flatten().tolist() == pytest.approx(list(expected), abs=1e-12)
    assert all(line.closes for line in passed.ledger)
    assert passed.fallbacks == ()


def test_matrix_product_with_a_constant_summand_names_it() -> None:
    x = torch.tensor([[2.0, 3.0]]).double()

    def function(x: Tensor) -> Tensor:
        return torch.baddbmm(torch.full((1, 1, 1), 4.0).double(), x[:, :1, None], x[:, 1:, None], beta=0.5).flatten(1)

    got, passed = propagated(recorded(function, x), PLAIN, torch.tensor([[8.0]]).double())
    assert got.tolist() == [[3, 3]]
    absorbed = {cause: float(amount) for line in passed.ledger for cause, amount in line.absorbed.items()}
    assert absorbed == {"bias": 2}


@pytest.mark.parametrize("pooled", [lambda x: F.max_pool1d(x, 3), lambda x: F.avg_pool1d(x, 3)], ids=["max", "average"])
def test_a_window_that_cancels_hands_nothing_on(pooled: Callable[[Tensor], Tensor]):
    x = torch.tensor([[[0.1, 0.2, -0.3]], [[0.1, 0.2, 0.3]]], dtype=torch.float64)  # 0.1 + 0.2 is not 0.3
    relevance, passed = propagated(recorded(pooled, x), PROPORTIONAL, torch.ones(2, 1, 1).double())
    assert not relevance[0].any() and bool((relevance[1] > 0).all())
    assert [line.absorbed["no input"].tolist() for line in passed.ledger if line.absorbed] == [[1.0, 0.0]]
