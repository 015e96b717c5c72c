"""Guided backprop and deconvolution: by hand, against hand-written backward passes, and however a ReLU is spelled."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lrp_widgets as lw

METHODS = pytest.mark.parametrize("method", [lw.GuidedBackprop(), lw.Deconvolution()], ids=lambda m: m.title)


def dense(*rows: tuple[float, ...]) -> nn.Linear:
    layer = nn.Linear(len(rows[0]), len(rows), bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows))
    return layer


def test_by_hand() -> None:
    """z = (3, −1, 5), and (2, 7, −4) arrives: guided keeps 2, deconvolution 2 and 7, the gradient 2 and −4."""
    model = nn.Sequential(dense((1, 0), (0, 1), (2, 1)), nn.ReLU(), dense((2, 7, -4)))
    x, explainer = torch.tensor([[3.0, -1.0]]).double(), lw.Explainer(model)
    assert explainer.explain(x, 0, lw.GuidedBackprop()).relevance.tolist() == [[2, 0]]
    assert explainer.explain(x, 0, lw.Deconvolution()).relevance.tolist() == [[2, 7]]
    assert explainer.explain(x, 0, lw.Gradient()).relevance.tolist() == [[2 - 4 * 2, -4]]


class Guided(torch.autograd.Function):
    """ReLU with the way back of guided backprop."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return z.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, s: Tensor) -> Tensor:
        return s.clamp(min=0) * (ctx.saved_tensors[0] > 0)


class Deconvolved(Guided):
    """ReLU with the way back of deconvolution."""

    @staticmethod
    def backward(ctx: Any, s: Tensor) -> Tensor:
        return s.clamp(min=0)


class Net(nn.Module):
    """Residual, shared, pooled and normalized; `rectify` is called four times."""

    def __init__(self, rectify: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.again = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.out = nn.BatchNorm2d(4), nn.Linear(36, 3)
        for tensor in (self.norm.weight, self.norm.bias, self.norm.running_mean):
            nn.init.normal_(tensor)
        self.rectify = rectify
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        a = self.rectify(self.norm(self.first(x)))
        a = a + self.rectify(self.again(a))
        a = self.rectify(self.again(a) - 0.1)
        return self.out(self.rectify(F.max_pool2d(a, 2) - 0.2).flatten(1))


SPELLINGS: dict[str, Any] = {
    "one shared module": nn.ReLU(),
    "one shared module in place": nn.ReLU(inplace=True),
    "torch.relu": torch.relu,
    "torch.relu_": torch.relu_,
    "F.relu in place": lambda z: F.relu(z, inplace=True),
    "clamp(min=0)": lambda z: z.clamp(min=0),
    "clamp_(0)": lambda z: z.clamp_(0),
    "clamp_min": lambda z: z.clamp_min(0.0),
    "threshold": nn.Threshold(0, 0),
    "threshold in place": nn.Threshold(0.0, 0.0, inplace=True),
    "ReLU6 that is never full": nn.ReLU6(),
    "hardtanh": nn.Hardtanh(0, 1e6),
    "maximum": lambda z: torch.maximum(z, torch.zeros_like(z)),
    "maximum, turned": lambda z: torch.maximum(torch.zeros(1).to(z), z),
    "through a view": lambda z: (z.view(-1).relu_(), z)[1],
}


@METHODS
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("target", [1, [2, 0], lw.contrast(0, 1)], ids=str)
def test_however_the_relu_is_spelled(spelling: str, target: Any, method: Any) -> None:
    own = Net((Guided if type(method) is lw.GuidedBackprop else Deconvolved).apply)
    torch.manual_seed(2)
    x = torch.rand(2, 2, 6, 6).double()
    leaf = x.clone().requires_grad_()
    scores = own(leaf)
    chosen = scores[:, 0] - scores[:, 1]
    if isinstance(target, int | list):
        chosen = scores[range(2), target]
    (expected,) = torch.autograd.grad(chosen.sum(), leaf)
    got = lw.Explainer(Net(SPELLINGS[spelling])).explain(x, target, method)
    torch.testing.assert_close(got.relevance, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(got.scores, scores.detach())
    assert got.notes == ()
    gradient = lw.Explainer(Net(torch.relu)).explain(x, target, lw.Gradient()).relevance
    assert float((got.relevance - gradient).abs().max()) > 0.01


@METHODS
@pytest.mark.parametrize(
    "other", [F.leaky_relu, torch.tanh, F.gelu, nn.Hardtanh(-1, 1), lambda z: z.clamp(max=0.5), nn.Threshold(0.1, 0.3)]
)
def test_what_is_no_relu_goes_back_as_its_derivative(other: Any, method: Any) -> None:
    x = torch.rand(2, 2, 6, 6).double()
    explainer = lw.Explainer(Net(other))
    got = explainer.explain(x, 1, method)
    torch.testing.assert_close(got.relevance, explainer.explain(x, 1, lw.Gradient()).relevance, rtol=1e-9, atol=1e-12)
    assert got.notes == ("no ReLU on the way: this is the gradient",)


@METHODS
def test_a_full_relu6(method: Any) -> None:
    """Above 6 nothing passes by its derivative; deconvolution does not look."""
    model = nn.Sequential(dense((1,), (2,)), nn.ReLU6(), dense((1, 1)))
    relevance = lw.Explainer(model).explain(torch.tensor([[4.0]]).double(), 0, method).relevance
    assert relevance.tolist() == [[{"Guided backprop": 1.0, "Deconvolution": 3.0}[method.title]]]


@METHODS
def test_a_step_that_broadcasts_and_a_ceiling_of_its_own(method: Any) -> None:
    """max(0, x) over three zeros is x three times; a clamp whose ceiling depends on x as well is no ReLU."""

    class Wide(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.maximum(x, torch.zeros(3)).sum(1, keepdim=True)

    class Ceiling(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.clamp(x, torch.zeros(1), 2 * x)

    x = torch.tensor([[2.0], [5.0]])
    assert lw.Explainer(Wide()).explain(x, 0, method).relevance.tolist() == [[3], [3]]
    assert lw.Explainer(Ceiling()).explain(x, 0, method).relevance.tolist() == [[1], [1]]


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.out = nn.Embedding(9, 5), nn.Linear(5, 3)
        self.double().eval()

    def forward(self, ids: Tensor, scale: Tensor, mask: Tensor) -> Tensor:
        return self.out(((self.words(ids) * scale[..., None]).relu() * mask[..., None]).mean(1))


@METHODS
def test_tokens_and_several_tensors(method: Any) -> None:
    model, ids = Words(), torch.tensor([[1, 2, 3], [4, 5, 1]])
    scale, mask = torch.rand(2, 3).double() + 0.5, torch.tensor([[1, 1, 0], [1, 1, 1]])
    given = {"ids": ids, "scale": scale, "mask": mask}
    words, leaf = model.words(ids).detach().requires_grad_(), scale.clone().requires_grad_()
    rectify = (Guided if type(method) is lw.GuidedBackprop else Deconvolved).apply
    f = model.out((rectify(words * leaf[..., None]) * mask[..., None]).mean(1))[:, 2].sum()
    of_words, of_scale = torch.autograd.grad(f, (words, leaf))
    got = lw.Explainer(model).explain(given, 2, method).relevance
    torch.testing.assert_close(got["ids"], of_words.sum(-1))
    torch.testing.assert_close(got["scale"], of_scale)
    assert not got["mask"].any()
    assert {part.dtype for part in got.values()} == {torch.float64}


@METHODS
def test_what_is_detached_passes_nothing_as_in_the_gradient(method: Any) -> None:
    class Detached(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.relu() + 5 * x.detach()

    got = lw.Explainer(Detached()).explain(torch.tensor([[2.0, 3.0]]), 1, method).relevance
    assert got.tolist() == [[0, 1]]


@METHODS
def test_what_the_output_does_not_depend_on_has_none(method: Any) -> None:
    class Halved(nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x.relu()

    one, other = lw.Explainer(Halved()).explain((torch.ones(1, 2), torch.ones(1, 3)), 1, method).relevance
    assert one.tolist() == [[0, 1]] and other.tolist() == [[0, 0, 0]]
