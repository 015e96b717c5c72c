"""Grad-CAM by hand, against autograd, and which layer it takes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lrp_widgets as lw


class Net(nn.Module):
    """BatchNorm behind a convolution, ReLU in place, pooling down to one pixel."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(2)
        self.second = nn.Conv2d(4, 5, 3, padding=1)
        self.head = nn.Linear(5, 3)
        for tensor in (self.first[1].weight, self.first[1].bias, self.first[1].running_mean):
            nn.init.normal_(tensor)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.above(self.pool(self.first(x))))

    def above(self, a: Tensor) -> Tensor:
        a = torch.relu_(self.second(a) - 0.1)
        return F.adaptive_avg_pool2d(a, 1).flatten(1)


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 2, 8, 6).double()


def cam_of(a: Tensor, f: Tensor, size: Any) -> Tensor:
    (gradient,) = torch.autograd.grad(f, a, retain_graph=True)
    summed = torch.zeros_like(a[:, :1])
    for row in range(len(a)):
        for k in range(a.shape[1]):
            summed[row, 0] += gradient[row, k].mean() * a[row, k]
    return F.interpolate(summed.detach(), size, mode="bilinear", align_corners=False)


def test_by_hand() -> None:
    """Maps A¹ = x and A² = 2 x with weights 3 and −1 on their sums: α = (3, −1), and Σ α A = 3 x − 2 x = x."""
    conv = nn.Conv2d(1, 2, 1, bias=False)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1))
    head = nn.Linear(8, 1, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[3.0] * 4 + [-1.0] * 4]))
    model = nn.Sequential(conv, nn.Flatten(), head)
    x = torch.tensor([[[[1.0, -2.0], [3.0, 0.5]]]])
    explainer = lw.Explainer(model)
    assert explainer.explain(x, 0, lw.GradCAM()).relevance.tolist() == [[[[1, 0], [3, 0.5]]]]
    assert explainer.explain(x, 0, lw.GradCAM(rectify=False)).relevance.tolist() == x.tolist()
    # The network is linear, so that guided backprop is the gradient: 3 · 1 − 1 · 2.
    assert explainer.explain(x, 0, lw.GuidedGradCAM()).relevance.tolist() == [[[[1, -0.0], [3, 0.5]]]]


@pytest.mark.parametrize("target", [1, [2, 0], lw.contrast(0, 2)], ids=str)
@pytest.mark.parametrize("layer", ["first.0", "first.1", "first", "pool", "second", ""])
def test_each_layer_is_itself(layer: str, target: Any, x: Tensor) -> None:
    """The convolution is before BatchNorm, and none is what an in-place ReLU made of it afterwards."""
    model = Net()
    a = {"first.0": model.first[0](x), "first.1": model.first[1](model.first[0](x))}
    a["first"] = a["first.1"].relu()
    a["pool"] = model.pool(a["first"])
    a["second"] = model.second(a["pool"])
    a[""] = (a["second"] - 0.1).relu()
    at = a[layer].detach().requires_grad_()
    after = [
        ("first.0", lambda v: model.first[1](v)),
        ("first.1", lambda v: v.relu()),
        ("first", lambda v: model.pool(v)),
        ("pool", lambda v: model.second(v)),
        ("second", lambda v: (v - 0.1).relu()),
        ("", lambda v: model.head(v.mean((2, 3)))),
    ]
    scores = at
    for _, function in after[[name for name, _ in after].index(layer) :]:
        scores = function(scores)
    f = scores[:, 0] - scores[:, 2]
    if isinstance(target, int | list):
        f = scores[range(2), target]
    expected = cam_of(at, f.sum(), x.shape[2:])
    explainer = lw.Explainer(model)
    plain = explainer.explain(x, target, lw.GradCAM(layer, rectify=False))
    torch.testing.assert_close(plain.relevance, expected.expand_as(x), rtol=1e-10, atol=1e-12)
    size = " × ".join(map(str, at.shape[2:]))
    assert plain.notes == (f"{size} maps of {layer or 'relu'}",)


def test_the_relu_comes_before_the_interpolation(x: Tensor) -> None:
    explainer = lw.Explainer(Net())
    tape = explainer.tape(x)
    a = tape.values[tape.value_at("relu")]
    signed = explainer.explain(x, 1, lw.GradCAM(rectify=False)).relevance
    assert a.shape[2:] == (4, 3)
    leaf = a.clone().requires_grad_()
    f = Net().head(leaf.mean((2, 3)))[:, 1].sum()
    alpha = torch.autograd.grad(f, leaf)[0].mean((2, 3), keepdim=True)
    small = (alpha * a).sum(1, keepdim=True)
    torch.testing.assert_close(signed[:, :1], F.interpolate(small, (8, 6), mode="bilinear"))
    rectified = explainer.explain(x, 1, lw.GradCAM()).relevance
    torch.testing.assert_close(rectified[:, :1], F.interpolate(small.clamp(min=0), (8, 6), mode="bilinear"))
    assert bool((small < 0).any()) and bool((small > 0).any())


def test_guided_grad_cam_is_the_product(x: Tensor) -> None:
    explainer = lw.Explainer(Net())
    cam, guided, both = (
        explainer.explain(x, [2, 0], method)
        for method in (lw.GradCAM("pool"), lw.GuidedBackprop(), lw.GuidedGradCAM("pool"))
    )
    assert torch.equal(both.relevance, cam.relevance * guided.relevance)
    assert bool(both.relevance.any()) and both.method == lw.GuidedGradCAM("pool")


@pytest.mark.parametrize("target", [0, 1, 2, lw.contrast(0, 2)], ids=str)
def test_both_factors_are_of_the_class_that_is_asked_for(x: Tensor, target: Any) -> None:
    explainer = lw.Explainer(Net())
    methods = lw.GradCAM("pool", rectify=False), lw.GuidedBackprop(), lw.GuidedGradCAM("pool", rectify=False)
    cam, guided, both = (explainer.explain(x, target, method).relevance for method in methods)
    assert torch.equal(both, cam * guided)


class Turned(nn.Module):
    """Channels last inside, and attention over pixels above, which has no maps where its axes say so."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.mix, self.out = nn.Conv2d(1, 6, 2, stride=2), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        a = self.conv(x).relu()
        a = (a.permute(0, 2, 3, 1) + self.mix(a.permute(0, 2, 3, 1))).flatten(1, 2)[:, None]
        attention = (a @ a.transpose(2, 3)).softmax(-1)
        return self.out((attention @ a).mean((1, 2)))


def test_what_is_no_map_is_not_taken_for_one() -> None:
    """What the attention makes of each pixel is a map of the same pixels; its weights are none."""
    model, x = Turned().double().eval(), torch.rand(2, 1, 8, 8).double()
    explanation = lw.Explainer(model).explain(x, 1, lw.GradCAM(rectify=False))
    assert explanation.notes == ("4 × 4 maps of bmm#2",)
    a = model.conv(x).relu().permute(0, 2, 3, 1)
    a = (a + model.mix(a)).flatten(1, 2)
    seen = ((a @ a.transpose(1, 2)).softmax(-1) @ a).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model.out(seen.mean(1))[:, 1].sum(), seen)
    small = ((gradient.mean(1, keepdim=True) * seen).sum(2)).detach().reshape(2, 1, 4, 4)
    torch.testing.assert_close(explanation.relevance, F.interpolate(small, (8, 8), mode="bilinear"))


@pytest.mark.parametrize(("shape", "mode"), [((2, 9), "linear"), ((2, 6, 5, 4), "trilinear")])
def test_sequences_and_volumes(shape: tuple[int, ...], mode: str) -> None:
    conv = (nn.Conv1d, nn.Conv3d)[len(shape) > 2](2, 3, 3, stride=2, padding=1)
    model = nn.Sequential(conv, nn.ReLU()).double().eval()
    x = torch.randn(2, *shape).double()

    class Summed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x).flatten(2).sum(2) * torch.tensor([1.0, -0.5, 2.0]).double()

    a = model(x).detach()
    weights = torch.tensor([0.0, 0.0, 2.0]).double().reshape(1, 3, *[1] * len(shape[1:]))
    expected = F.interpolate((a * weights).sum(1, keepdim=True), shape[1:], mode=mode)
    got = lw.Explainer(Summed()).explain(x, 2, lw.GradCAM()).relevance
    torch.testing.assert_close(got, expected.expand_as(x))


def error_of(model: nn.Module, x: Tensor, method: Any) -> str:
    with pytest.raises((TypeError, ValueError, KeyError)) as caught:
        lw.Explainer(model).explain(x, 0, method)
    return f"{type(caught.value).__name__}: {caught.value.args[0]}"


def test_where_there_are_no_maps_it_says_so(x: Tensor) -> None:
    flat = nn.Sequential(nn.Flatten(), nn.Linear(96, 2)).double()
    assert error_of(flat, x, lw.GradCAM()) == (
        "ValueError: GradCAM needs a layer whose output has maps as the input has them, this model has none. "
        "Explain it with another method."
    )
    assert error_of(flat, x.flatten(1), lw.GuidedGradCAM()) == (
        "ValueError: The input of GuidedGradCAM must have maps (batch, channels, height, width), got shape (2, 96). "
        "Explain it with another method."
    )
    assert error_of(Net(), x, lw.GradCAM("head")) == (
        "ValueError: GradCAM.layer must make maps as the input has them, 'head' makes (2, 3). "
        "Choose a layer with maps: first.0, first.1, first.2, pool, second, sub, relu."
    )
    assert error_of(Net(), x, lw.GradCAM("features.9")).startswith(
        "KeyError: No recorded layer is called 'features.9'. The recorded ones are: first.0, first.1, "
    )
    with pytest.raises(TypeError) as caught:
        lw.GuidedGradCAM(nn.ReLU())
    assert str(caught.value) == (
        "GuidedGradCAM.layer must be the name of a layer, got ReLU(). "
        'Take it from model.named_modules(), or "" for the last layer with maps.'
    )
