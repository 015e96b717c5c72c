"""Routing, activations, precisions, unknown operators, normalizations and attention."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lrp_widgets as lw
from tests.engine.networks import dense
from tests.engine.networks.running import Function, error_of, propagated, recorded
from tests.engine.operators.operators_cases import PLAIN

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
