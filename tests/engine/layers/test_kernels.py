"""Quick paths beside plain ones: the same numbers, and to the last bit the same whatever was remembered before."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import lrp_widgets as lw
from lrp_widgets.engine.layers import kernels
from lrp_widgets.engine.layers.affine import Affine
from lrp_widgets.engine.layers.kernels import ALL, LARGE, MINUS, PLUS, Convolution, Dense, Part
from lrp_widgets.engine.layers.layer import Layer
from lrp_widgets.engine.trace.convolution import plainly, pointwise, quick
from lrp_widgets.engine.trace.memory_budget import MemoryBudget
from lrp_widgets.engine.trace.tape import record

PARTS = (ALL, PLUS, MINUS, Part(1.25, 1), Part(1, 1.25), Part(2, 0), Part(0, 3))
GEOMETRIES = {
    "3x3": {"kernel_size": 3, "padding": 1},
    "stride": {"kernel_size": 3, "stride": 2, "padding": 1},
    "rest": {"kernel_size": 4, "stride": 3},
    "dilated": {"kernel_size": 3, "dilation": 2},
    "groups": {"kernel_size": 3, "groups": 2},
    "depthwise": {"kernel_size": 3, "groups": 4},
    "1x1": {"kernel_size": 1},
    "1x1, stride": {"kernel_size": 1, "stride": 2},
    "1x1, around": {"kernel_size": 1, "padding": 1},
    "oblong": {"kernel_size": (1, 3), "stride": (1, 2), "padding": (0, 1)},
}


def room_of(bytes_: int) -> MemoryBudget:
    budget = MemoryBudget()
    budget.left = bytes_
    return budget


def affine_of(layer: nn.Module, x: torch.Tensor, budget: MemoryBudget) -> Affine:
    """The affine map of a layer, as a tape has it."""
    from lrp_widgets.engine.layers.canonize import canonize
    from lrp_widgets.engine.trace.memo import Memo

    tape = canonize(record(layer.eval(), x, lambda result: result), Memo(), budget)
    (affine,) = [step.affine for step in tape.steps if step.affine is not None]
    return affine


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_a_part_is_made_of_both_signs(part):
    w = torch.randn(5, 7)
    expected = part.plus * w.clamp(min=0) + part.minus * w.clamp(max=0)
    torch.testing.assert_close(part.of(w), expected)
    assert part.of(w) is w or part != ALL


@pytest.mark.parametrize("packed", [False, True], ids=["unpacked", "packed"])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("part", PARTS[:4], ids=str)
def test_a_convolution_and_its_adjoint(geometry, part, packed):
    torch.manual_seed(0)
    x = torch.randn(2, 4, 11, 10)
    layer = nn.Conv2d(4, 8, bias=False, **GEOMETRIES[geometry])
    affine = affine_of(layer, x, room_of(2**20 if packed else 0))
    assert isinstance(affine.kernel, Convolution) and quick(x, affine.weight, affine.geometry)
    z = affine.kernel.forward(x, part)
    s = torch.randn_like(z)
    back = affine.kernel.adjoint(s, part, x)
    copies = 2 if not pointwise(affine.weight, affine.geometry) else part != ALL  # of which nothing is packed
    assert affine.budget.taken == (copies * affine.weight.nbytes if packed and part != PARTS[3] else 0)
    with plainly():
        assert not quick(x, affine.weight, affine.geometry)
        plain_z, plain_back = affine.kernel.forward(x, part), affine.kernel.adjoint(s, part, x)
    torch.testing.assert_close(z, plain_z, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(back, plain_back, rtol=1e-5, atol=1e-5)
    # <W a, s> = <a, Wᵀ s>
    torch.testing.assert_close((z * s).double().sum(), (x * back).double().sum(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 5])
def test_what_a_convolution_answers_lies_channels_last(channels, kernel):
    """Also of one channel, where torch would rather have it the other way: pooling is then five times as slow."""
    layer = nn.Conv2d(channels, 8, kernel)
    tape = record(layer, torch.randn(3, channels, 9, 9), lambda answer: answer)
    assert tape.scores.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("geometry", [name for name, given in GEOMETRIES.items() if "groups" not in given])
@pytest.mark.parametrize("part", PARTS, ids=str)
def test_back_to_few_channels(geometry, part, channels, monkeypatch):
    torch.manual_seed(0)
    x = torch.randn(2, channels, 11, 10)
    layer = nn.Conv2d(channels, 8, bias=False, **GEOMETRIES[geometry])
    affine = affine_of(layer, x, room_of(2**20))
    s = torch.randn_like(affine.kernel.forward(x, part)).contiguous(memory_format=torch.channels_last)
    assert not kernels.to_few(s, affine.weight, affine.geometry)  # a small one is not worth it
    expected = affine.kernel.adjoint(s, part, x)
    monkeypatch.setattr(kernels, "MANY", 1)
    assert kernels.to_few(s, affine.weight, affine.geometry)
    back = affine.kernel.adjoint(s, part, x)
    assert back.shape == x.shape
    torch.testing.assert_close(back, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("part", PARTS, ids=str)
@pytest.mark.parametrize("silent", [0.0, 0.9], ids=["all reached", "few reached"])
def test_a_large_dense_layer_is_cut_in_pieces(part, silent):
    torch.manual_seed(0)
    outputs = LARGE // 2048 + 3
    layer, x = nn.Linear(2048, outputs, bias=False), torch.randn(2, 2048)
    affine = affine_of(layer, x, room_of(2**30))
    assert isinstance(affine.kernel, Dense)
    s = torch.randn(2, outputs) * (torch.rand(outputs) >= silent)
    w = part.of(layer.weight.detach())
    torch.testing.assert_close(affine.kernel.forward(x, part), x @ w.T, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(affine.kernel.adjoint(s, part, x), s @ w, rtol=1e-4, atol=1e-4)
    assert affine.budget.taken == 0  # nothing was copied


def test_what_was_explained_before_changes_no_bit():
    """Packed weights come and go with what was asked before: nobody may see that in a picture."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, groups=2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16 * 4, 5),
    ).eval()  # fmt: skip
    x, other = torch.rand(1, 3, 26, 26), torch.rand(1, 3, 26, 26)
    old = lw.Explainer(model)
    for method in (lw.LRP(lw.alpha_beta(alpha=2)), lw.LRP(lw.epsilon()), lw.LRP(lw.epsilon_gamma_box(low=0, high=1))):
        fresh = lw.Explainer(model).explain(x, 1, method)
        for before in (other, other + 0.1, x):
            explanation = old.explain(before, 1, method)
        assert old._budget.taken > 0
        assert torch.equal(explanation.relevance, fresh.relevance)
        assert torch.equal(explanation.scores, fresh.scores)
        with plainly():
            plain = lw.Explainer(model).explain(x, 1, method)
        torch.testing.assert_close(explanation.relevance, plain.relevance, rtol=1e-4, atol=1e-5)
        assert [layer.name for layer in plain.layers] == [layer.name for layer in explanation.layers]


def test_where_there_is_no_room_nothing_is_kept(monkeypatch):
    monkeypatch.setattr(MemoryBudget, "LIMIT", 0)
    explainer = lw.Explainer(lw.demo.models.digits_cnn())
    x = lw.demo.data.digits().inputs[:1]
    explanation = explainer.explain(x, 3, lw.LRP(lw.alpha_beta(alpha=2)))
    assert explainer._budget.taken == 0
    monkeypatch.undo()
    assert torch.equal(explanation.relevance, lw.Explainer(explainer.model).explain(x, 3, explanation.method).relevance)


def test_other_weights_are_packed_anew():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3), nn.Flatten()).eval()
    explainer, x = lw.Explainer(model), torch.rand(1, 2, 5, 5)
    for _ in range(2):
        explainer.explain(x, 0)
        with torch.no_grad():
            model[0].weight.mul_(-1)
            model[2].weight.add_(0.1)
    assert torch.equal(explainer.explain(x, 0).relevance, lw.Explainer(model).explain(x, 0).relevance)


@pytest.mark.parametrize("small", [False, True], ids=["z⁻ = z − z⁺", "z⁻ by itself"])
def test_the_negative_sum_is_precise_either_way(small):
    torch.manual_seed(0)
    a = torch.rand(1, 64)
    w = torch.randn(40, 64)
    if small:
        w[:20] = w[:20].abs()
        w[:20, 0] = -1e-5  # z⁻ is a millionth of z⁺ there
    layer = nn.Linear(64, 40)
    layer.weight.data = w
    affine = affine_of(layer, a, MemoryBudget())
    at = Layer(affine, a, functional.linear(a, w, layer.bias).detach())
    assert (at.reciprocal_negative is not None) == small
    assert at.reciprocal_negative is None or at.reciprocal_negative[1] is None
    exact = (a.double() * w.double()).clamp(max=0).sum(1) + layer.bias.double().clamp(max=0)
    _, one_over_minus = at.shares(torch.ones_like(at.z))
    torch.testing.assert_close(one_over_minus[0].double(), 1 / exact, rtol=3e-6, atol=0)
