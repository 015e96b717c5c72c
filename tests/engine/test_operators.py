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
from tests.engine import dense
from tests.engine.running import Function, error_of, propagated, recorded

PLAIN = lw.epsilon(0.0)
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


ROUTES: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...]]] = {
    "view": (lambda x: x.view(len(x), 2, 6), (3, 4)),
    "reshape": (lambda x: x.transpose(1, 2).reshape(len(x), 12), (3, 4)),
    "permute": (lambda x: x.permute(0, 2, 1), (3, 4)),
    "transpose": (lambda x: x.mT, (3, 4)),
    "squeeze": (lambda x: x.squeeze(1), (1, 4)),
    "unsqueeze": (lambda x: x.unsqueeze(2), (3, 4)),
    "unflatten": (lambda x: x.unflatten(1, (2, 3)), (6,)),
    "slice": (lambda x: x[:, 1:6:2], (7,)),
    "select": (lambda x: x[:, -1], (3, 4)),
    "index": (lambda x: x[:, [2, 0, 2]], (3, 4)),
    "index_select": (lambda x: x.index_select(1, torch.tensor([1, 1])), (3, 4)),
    "gather": (lambda x: x.gather(1, torch.tensor([[0, 2, 2]]).expand(len(x), -1)), (4,)),
    "take_along_dim": (lambda x: x.take_along_dim(torch.tensor([[3, 0]]), 1), (4,)),
    "narrow": (lambda x: x.narrow(1, 1, 2), (4,)),
    "chunk": (lambda x: x.chunk(3, 1)[1], (7,)),
    "split": (lambda x: x.split([1, 4, 2], 1)[1], (7,)),
    "unbind": (lambda x: x.unbind(1)[2], (3, 4)),
    "cat": (lambda x: torch.cat([x, x[:, :2], 2 * x], 1), (4,)),
    "stack": (lambda x: torch.stack([x, x], 2), (4,)),
    "expand": (lambda x: x[:, None].expand(-1, 3, -1), (4,)),
    "repeat": (lambda x: x.repeat(1, 2), (4,)),
    "repeat_interleave": (lambda x: x.repeat_interleave(2, 1), (4,)),
    "tile": (lambda x: x.tile(1, 2), (4,)),
    "roll": (lambda x: x.roll((1, 2), (1, 2)), (3, 4)),
    "flip": (lambda x: x.flip(1, 2), (3, 4)),
    "rot90": (lambda x: x.rot90(1, (1, 2)), (3, 3)),
    "diagonal": (lambda x: x.diagonal(0, 1, 2), (3, 3)),
    "tril": (lambda x: x.tril(), (3, 3)),
    "unfold": (lambda x: x.unfold(1, 3, 2), (7,)),
    "im2col": (lambda x: F.unfold(x, 2, stride=2), (2, 4, 4)),
    "pad": (lambda x: F.pad(x, (1, 2)), (2, 4)),
    "crop": (lambda x: F.pad(x, (-1, -1)), (2, 4)),
    "pad of a value": (lambda x: F.pad(x, (1, 0), value=3.0), (4,)),
    "reflect": (lambda x: F.pad(x, (2, 1), mode="reflect"), (2, 4)),
    "replicate": (lambda x: F.pad(x, (2, 1, 1, 0), mode="replicate"), (2, 3, 4)),
    "circular": (lambda x: F.pad(x, (2, 1), mode="circular"), (2, 4)),
    "masked_fill": (lambda x: x.masked_fill(torch.tensor([True, False, False, True]), 2.0), (4,)),
    "where": (lambda x: torch.where(torch.tensor([True, False, False, True]), x, 2 * x), (4,)),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), (4, 2, 2)),
    "pixel_unshuffle": (lambda x: F.pixel_unshuffle(x, 2), (1, 4, 4)),
    "channel_shuffle": (lambda x: F.channel_shuffle(x, 2), (4, 2, 2)),
    "nearest": (lambda x: F.interpolate(x, scale_factor=2), (2, 2, 2)),
    "amax": (lambda x: x.amax(1), (3, 4)),
    "max": (lambda x: x.max(2).values, (3, 4)),
    "min": (lambda x: x.min(1).values, (3, 4)),
    "topk": (lambda x: x.topk(2, 1).values, (5,)),
    "sort": (lambda x: x.sort(1, descending=True).values, (5,)),
    "maximum": (lambda x: torch.maximum(x, x.flip(1)), (5,)),
    "scatter": (lambda x: torch.zeros(len(x), 6).double().scatter(1, torch.tensor([[5, 0, 2]] * len(x)), x), (3,)),
    "index_put": (lambda x: torch.zeros(len(x), 4).double().index_put((torch.arange(len(x)),), x), (4,)),
    "contiguous": (lambda x: x.mT.contiguous(), (3, 4)),
    "to channels_last": (lambda x: x.to(memory_format=torch.channels_last), (2, 3, 3)),
}


@pytest.mark.parametrize("case", ROUTES)
def test_relevance_goes_back_where_the_element_came_from(case: str) -> None:
    torch.manual_seed(0)
    function, shape = ROUTES[case]
    x = torch.randn(2, *shape).double()
    tape = recorded(function, x)
    start = torch.randn_like(tape.scores)
    got, passed = propagated(tape, PLAIN, start)
    for i in range(2):
        # An output comes from the element where its derivative is not zero (all of 2 x comes from x).
        source = (dense.layer_at(function, x[i : i + 1]).w != 0).astype(float)
        assert source.sum(1).max() == 1
        assert error_of(got[i].flatten(), source.T @ start[i].flatten().numpy()) <= 1e-14
    assert passed.fallbacks == ()
    assert all(line.closes for line in passed.ledger)
    absorbed = set().union(*(line.absorbed for line in passed.ledger))
    assert absorbed <= {"constant"}
    assert ("constant" in absorbed) == (case in ("pad", "pad of a value", "masked_fill", "tril", "scatter"))


ACTIVATIONS = [
    getattr(nn, name)
    for name in torch.nn.modules.activation.__all__
    if name not in ("MultiheadAttention", "GLU", "Softmax", "Softmax2d", "Softmin", "LogSoftmax", "Threshold")
]


@pytest.mark.parametrize(
    "make",
    [*ACTIVATIONS, lambda: nn.Threshold(0.1, 0.0), lambda: nn.GELU("tanh"), nn.Identity, nn.Dropout, nn.AlphaDropout],
)
def test_every_activation_conserves(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    module = make().eval().double()
    x = torch.randn(3, 8).double()
    with torch.no_grad():
        tape = recorded(module, x)
    start = torch.randn(3, 8).double() * (tape.scores != 0)  # no relevance comes to a neuron that is silent
    got, passed = propagated(tape, PLAIN, start)
    assert torch.allclose(got, start, rtol=1e-9, atol=1e-12)
    assert passed.fallbacks == ()
    assert all(line.closes for line in passed.ledger)


@pytest.mark.parametrize(
    "module",
    [
        nn.ReLU(True),
        nn.ELU(inplace=True),
        nn.Hardswish(True),
        nn.SiLU(True),
        nn.LeakyReLU(0.1, True),
        nn.Dropout(0.5, True),
    ],
)
def test_activations_in_place_conserve(module: nn.Module) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5, bias=False), module, nn.Linear(5, 3, bias=False)).double().eval()
    explanation = lw.Explainer(model).explain(torch.randn(4, 6).double(), None, lw.LRP(PLAIN))
    assert explanation.total.tolist() == pytest.approx(explanation.explained.tolist(), rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_change_of_precision_inside_hands_each_its_own(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    lower, upper = nn.Linear(6, 5, bias=False).to(dtype), nn.Linear(5, 3, bias=False).double()
    model = Function(lambda x: upper(F.relu(lower(x.to(dtype))).double() + 0.0)).eval()
    explanation = lw.Explainer(model).explain(torch.rand(2, 6).double(), 1, lw.LRP(PLAIN))
    assert explanation.relevance.dtype == torch.float64
    assert explanation.layer(explanation.layers[1].name).dtype == dtype
    size = float(explanation.relevance.abs().sum())
    bound = 8 * torch.finfo(dtype).eps * size
    assert explanation.total.tolist() == pytest.approx(explanation.explained.tolist(), abs=bound)


def test_a_sum_of_two_precisions_hands_each_its_own() -> None:
    model = Function(lambda x: x.double() + F.linear(x, torch.eye(2)))
    explanation = lw.Explainer(model).explain(torch.tensor([[1.0, 3.0]]), 1, lw.LRP(PLAIN))
    assert explanation.relevance.dtype == torch.float32
    assert explanation.relevance.tolist() == [[0, 6]]


@torch.library.custom_op("lrp_widgets_tests::cube", mutates_args=())
def cube(x: Tensor) -> Tensor:
    """An operation that the engine has never heard of, with a derivative."""
    return x**3


cube.register_autograd(
    lambda ctx, grad: 3 * ctx.saved_tensors[0] ** 2 * grad,
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[0]),
)


def test_an_unknown_op_falls_back_and_is_named() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), Function(cube))
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2))
    explanation = lw.Explainer(model).explain(torch.tensor([[2.0, 1.0]]), 0, lw.LRP(PLAIN))
    assert explanation.fallbacks == ("1",)
    assert explanation.relevance.tolist() == [[pytest.approx(24), 0]]  # a ⊙ vjp(R / z) = 2 · 3 · 2² · (8 / 8)
    assert {cause: amount.tolist() for cause, amount in explanation.absorbed.items()} == {
        "fallback": [pytest.approx(-16)]
    }


def test_an_unknown_op_that_nothing_explained_passes_is_not_named() -> None:
    model = Function(lambda x: torch.cat([x, cube(x)], 1))
    assert lw.Explainer(model).explain(torch.tensor([[2.0, 1.0]]), 2, lw.LRP(PLAIN)).fallbacks != ()
    unread = Function(lambda x: (cube(x), x)[1] * 2)
    assert lw.Explainer(unread).explain(torch.tensor([[2.0, 1.0]]), 1, lw.LRP(PLAIN)).fallbacks == ()


def test_an_unknown_op_is_registered_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    explainer = lw.Explainer(Function(cube))
    x = torch.tensor([[2.0, 1.0]])
    assert explainer.explain(x, 0, lw.LRP(PLAIN)).fallbacks == ("lrp_widgets_tests::cube",)
    monkeypatch.setitem(lw.operators.OPERATORS, "lrp_widgets_tests::cube", lw.operators.identity)
    explanation = explainer.explain(x, 0, lw.LRP(PLAIN))  # the same explainer: nothing of the old treatment stays
    assert explanation.fallbacks == ()
    assert explanation.relevance.tolist() == [[8, 0]]
    assert explanation.absorbed == {}


def test_an_elementwise_op_of_two_active_tensors_is_no_identity() -> None:
    explanation = lw.Explainer(Function(lambda x: x ** (x + 1))).explain(torch.tensor([[2.0, 1.0]]), 0, lw.LRP(PLAIN))
    assert explanation.fallbacks == ("pow",)


NORMALIZED = {
    "layer": (nn.LayerNorm(6), (6,)),
    "layer without affine": (nn.LayerNorm(6, elementwise_affine=False), (5, 6)),
    "group": (nn.GroupNorm(2, 4), (4, 3, 3)),
    "instance": (nn.InstanceNorm2d(4, affine=True), (4, 3, 3)),
    "rms": (nn.RMSNorm(6), (6,)),
}


@pytest.mark.parametrize("case", NORMALIZED)
def test_normalizations_hold_their_scale_constant(case: str) -> None:
    torch.manual_seed(0)
    module, shape = NORMALIZED[case]
    module = module.double()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(2, *shape).double()
    tape = recorded(module, x)
    start = torch.randn_like(tape.scores)
    got, passed = propagated(tape, PLAIN, start)
    assert passed.fallbacks == ()
    assert all(line.closes for line in passed.ledger)
    kept = sum(amount for line in passed.ledger for amount in line.absorbed.values())
    # With the scale held constant the map is linear in x, so all but the shift is handed on, row by row.
    assert (got.flatten(1).sum(1) + kept).tolist() == pytest.approx(start.flatten(1).sum(1).tolist(), rel=1e-9)
    assert set().union(*(line.absorbed for line in passed.ledger)) <= {"bias"}


def test_fused_attention_is_its_parts() -> None:
    torch.manual_seed(0)
    q, k, v = (nn.Linear(4, 4).double() for _ in range(3))

    def spelled(x: Tensor) -> Tensor:
        weights = (q(x) @ k(x).mT / 2.0).softmax(-1)
        return (weights @ v(x)).flatten(1)

    def fused(x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q(x)[:, None], k(x)[:, None], v(x)[:, None])[:, 0].flatten(1)

    x = torch.randn(2, 3, 4).double()
    start = torch.randn(2, 12).double()
    for attention in ("AttnLRP", "held constant"):
        composite = lw.Composite((lw.Entry(lw.rules.Epsilon(1e-9)),), attention=attention)
        one, other = (propagated(recorded(f, x), composite, start) for f in (spelled, fused))
        assert torch.allclose(one[0], other[0], rtol=1e-6, atol=1e-7)
        assert all(line.closes for line in other[1].ledger)
        assert other[1].fallbacks == ()


def test_an_lstm_gives_all_to_the_signal() -> None:
    torch.manual_seed(0)
    lstm, head = nn.LSTM(3, 4, bias=False, batch_first=True).eval(), nn.Linear(4, 2, bias=False)
    model = Function(lambda x: head(lstm(x)[0][:, -1])).eval()
    explanation = lw.Explainer(model).explain(torch.randn(2, 5, 3), 1, lw.LRP(lw.epsilon(1e-9)))
    assert explanation.fallbacks == ()
    assert all(line.closes for line in explanation.layers)
    assert set(explanation.absorbed) <= {"epsilon", "no input", "constant"}
