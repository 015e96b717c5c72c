"""Agreement with captum of the methods that LRP is compared with, where captum can do them; and where it cannot.

Conventions that have to be met:
- captum asks for an input with gradients, or warns; it puts hooks on nn.ReLU modules and knows no other ReLU.
- NoiseTunnel draws its own noise: here captum's Saliency explains the noisy copies that ours makes.
- GuidedGradCam interpolates to the nearest pixel unless told otherwise; Grad-CAM's paper, and ours, is bilinear.
- Occlusion covers what its window has the shape of: here all channels.
- IntegratedGradients weighs its steps, and Occlusion adds up, in single precision whatever the dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw

pytest.importorskip("captum", reason="the peers extra is not installed")

from captum.attr import (
    Deconvolution,
    GuidedBackprop,
    GuidedGradCam,
    IntegratedGradients,
    LayerAttribution,
    LayerGradCam,
    Occlusion,
    Saliency,
)

Measured = Callable[[str, float], None]


class CNN(nn.Module):
    """A ReLU module for each ReLU, as captum needs it."""

    def __init__(self, pool: type[nn.Module]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), pool(2)),
            *(nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3), nn.ReLU(), pool(2)),
        )
        self.classifier = nn.Sequential(nn.Linear(108, 20), nn.ReLU(), nn.Dropout(), nn.Linear(20, 5))
        nn.init.normal_(self.features[1].running_mean, std=0.1)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


CASES = pytest.mark.parametrize(
    ("pool", "dtype", "target"),
    [
        (pool, dtype, target)
        for pool in (nn.MaxPool2d, nn.AvgPool2d)
        for dtype in (torch.float64, torch.float32)
        for target in (2, [4, 1])
    ],
    ids=str,
)


def made(pool: type[nn.Module], dtype: torch.dtype) -> tuple[nn.Module, Tensor]:
    model = CNN(pool).to(dtype)
    torch.manual_seed(1)
    return model, torch.randn(2, 3, 16, 16).to(dtype)


SINGLE = 1e-7  # where captum is in single precision


def agree(name: str, got: Tensor, expected: Tensor, measured: Measured, double: float = 1e-12) -> None:
    """Within 1e-5 of max |R|; in double precision within `double`."""
    assert got.shape == expected.shape and got.dtype == expected.dtype
    assert bool(expected.any())
    error = float((got.double() - expected.double()).abs().max() / expected.double().abs().max())
    measured(f"captum {name} ({got.dtype}), of max|R|", error)
    assert error <= (double if got.dtype == torch.float64 else 1e-5)


def leaf(x: Tensor) -> Tensor:
    return x.clone().requires_grad_()


@CASES
@pytest.mark.parametrize(("steps", "baseline"), [(50, 0.0), (7, 0.3)])
def test_integrated_gradients(
    pool: Any, dtype: torch.dtype, target: Any, steps: int, baseline: float, measured: Measured
) -> None:
    model, x = made(pool, dtype)
    expected, delta = IntegratedGradients(model).attribute(
        leaf(x), baselines=baseline, target=target, n_steps=steps, return_convergence_delta=True
    )
    explanation = lw.Explainer(model).explain(x, target, lw.IntegratedGradients(baseline, steps))
    agree("IntegratedGradients", explanation.relevance, expected.detach(), measured, SINGLE)
    assert explanation.convergence is not None
    size = float(explanation.explained.abs().max())
    error = float((explanation.convergence - delta.detach().double()).abs().max()) / size
    measured(f"captum's convergence delta ({dtype}), of f", error)
    assert error <= (SINGLE if dtype == torch.float64 else 1e-5)


@CASES
def test_smoothgrad_on_the_same_noisy_copies(pool: Any, dtype: torch.dtype, target: Any, measured: Measured) -> None:
    model, x = made(pool, dtype)
    method = lw.SmoothGrad(samples=6, noise=0.2, seed=3)
    saliency = Saliency(model)
    each = [saliency.attribute(leaf(copy), target=target, abs=False).detach() for copy in method.copies(x)]
    got = lw.Explainer(model).explain(x, target, method).relevance
    agree("Saliency on our noisy copies", got, torch.stack(each).mean(0), measured)


@CASES
@pytest.mark.parametrize(
    ("method", "peer"),
    [(lw.GuidedBackprop(), GuidedBackprop), (lw.Deconvolution(), Deconvolution)],
    ids=["guided", "deconvolution"],
)
@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
def test_guided_backprop_and_deconvolution(
    pool: Any, dtype: torch.dtype, target: Any, method: Any, peer: Any, measured: Measured
) -> None:
    model, x = made(pool, dtype)
    expected = peer(model).attribute(leaf(x), target=target).detach()
    agree(peer.__name__, lw.Explainer(model).explain(x, target, method).relevance, expected, measured)


LAYERS = ["features.0", "features.1", "features.2", "features.3", "features.6", "features.8"]


@CASES
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("rectify", [True, False])
def test_grad_cam(pool: Any, dtype: torch.dtype, target: Any, layer: str, rectify: bool, measured: Measured) -> None:
    model, x = made(pool, dtype)
    small = LayerGradCam(model, model.get_submodule(layer)).attribute(leaf(x), target=target, relu_attributions=rectify)
    expected = LayerAttribution.interpolate(small.detach(), (16, 16), interpolate_mode="bilinear")
    got = lw.Explainer(model).explain(x, target, lw.GradCAM(layer, rectify)).relevance
    agree("LayerGradCam", got, expected.expand_as(x), measured)


@CASES
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
def test_guided_grad_cam(pool: Any, dtype: torch.dtype, target: Any, layer: str, measured: Measured) -> None:
    model, x = made(pool, dtype)
    expected = GuidedGradCam(model, model.get_submodule(layer)).attribute(
        leaf(x), target=target, interpolate_mode="bilinear"
    )
    got = lw.Explainer(model).explain(x, target, lw.GuidedGradCAM(layer)).relevance
    agree("GuidedGradCam", got, expected.detach(), measured)


@CASES
@pytest.mark.parametrize(("patch", "stride"), [(4, 2), (4, 4), (5, 3), (16, 1)])
@pytest.mark.parametrize("value", ["zero", "mean", 0.5])
def test_occlusion(
    pool: Any, dtype: torch.dtype, target: Any, patch: int, stride: int, value: Any, measured: Measured
) -> None:
    model, x = made(pool, dtype)
    mean = x.mean((2, 3), keepdim=True).expand_as(x)
    with torch.no_grad():
        expected = Occlusion(model).attribute(
            x,
            sliding_window_shapes=(3, patch, patch),
            strides=(3, stride, stride),
            target=target,
            baselines={"zero": 0, "mean": mean}.get(value, value),
        )
    got = lw.Explainer(model).explain(x, target, lw.Occlusion(patch, stride, value)).relevance
    agree("Occlusion", got, expected.to(dtype), measured, SINGLE)


@pytest.mark.parametrize("in_place", [False, True])
def test_grad_cam_of_what_a_relu_in_place_writes_over(in_place: bool) -> None:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3), nn.ReLU(in_place), nn.Flatten(), nn.Linear(64, 2)
    model, x = nn.Sequential(*layers).double().eval(), torch.randn(1, 1, 6, 6).double()
    small = LayerGradCam(model, model[0]).attribute(leaf(x), target=1).detach()
    expected = LayerAttribution.interpolate(small, (6, 6), interpolate_mode="bilinear")
    ours = lw.Explainer(model).explain(x, 1, lw.GradCAM("0", rectify=False)).relevance
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-12)


# What goes wrong in captum, and does not here.


class Spelled(nn.Module):
    """One network, and its ReLU in any spelling."""

    def __init__(self, rectify: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.out = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 2)
        self.one, self.other = rectify(), rectify()
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.other(self.second(self.one(self.first(x)))))


class Functional(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x)


@pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU")
def test_a_relu_that_is_no_module_is_missed_by_captum(measured: Measured) -> None:
    torch.manual_seed(1)
    x, shared = torch.randn(2, 6).double(), nn.ReLU()
    right = GuidedBackprop(Spelled(nn.ReLU)).attribute(leaf(x), target=1).detach()
    for kind in (nn.ReLU, lambda: shared, lambda: nn.ReLU(inplace=True)):
        theirs = GuidedBackprop(Spelled(kind)).attribute(leaf(x), target=1).detach()
        torch.testing.assert_close(theirs, right)
    for kind in (nn.ReLU, lambda: shared, lambda: nn.ReLU(inplace=True), Functional):
        ours = lw.Explainer(Spelled(kind)).explain(x, 1, lw.GuidedBackprop()).relevance
        torch.testing.assert_close(ours, right, rtol=1e-10, atol=1e-12)
    theirs = GuidedBackprop(Spelled(Functional)).attribute(leaf(x), target=1).detach()
    gradient = lw.Explainer(Spelled(Functional)).explain(x, 1, lw.Gradient()).relevance
    torch.testing.assert_close(theirs, gradient)  # the plain gradient, without a word
    error = float((theirs - right).abs().max() / right.abs().max())
    measured("captum GuidedBackprop on a functional ReLU, of max|R|", error)
    assert error > 0.5
