"""What the tests of the comparison with zennit share."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torchvision import models
from zennit.composites import (
    EpsilonAlpha2Beta1Flat,
    EpsilonGammaBox,
    EpsilonPlusFlat,
)
from zennit.layer import Sum
from zennit.torchvision import ResNetBasicBlockCanonizer

import lrp_widgets as lw

LOW, HIGH = (-2.0, -1.5, -1.0), (1.0, 2.0, 3.0)
NOTHING = 1e-30


def bound(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(1, -1, 1, 1)


PAIRS: dict[str, tuple[Callable[..., Any], lw.Composite]] = {
    "EpsilonPlusFlat": (
        lambda **more: EpsilonPlusFlat(epsilon=1e-6, stabilizer=NOTHING, **more),
        lw.epsilon_plus_flat(epsilon=1e-6),
    ),
    "EpsilonAlpha2Beta1Flat": (
        lambda **more: EpsilonAlpha2Beta1Flat(epsilon=1e-6, stabilizer=NOTHING, **more),
        lw.epsilon_alpha2_beta1_flat(alpha=2.0, epsilon=1e-6),
    ),
    "EpsilonGammaBox": (
        lambda **more: EpsilonGammaBox(
            low=bound(LOW), high=bound(HIGH), gamma=0.25, epsilon=1e-6, stabilizer=NOTHING, **more
        ),
        lw.epsilon_gamma_box(LOW, HIGH, gamma=0.25, epsilon=1e-6),
    ),
}


def as_trained(model: nn.Module, x: Tensor) -> nn.Module:
    """BatchNorm with statistics of real activations, scales and shifts of its own; biases of either sign."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            module.momentum = None  # a mean over all that is seen
        elif isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.normal_(module.bias, std=0.1)
    model.train()
    with torch.no_grad():
        model(x)
    return model.eval().double()


def folded(model: nn.Module, names: list[tuple[str, str]]) -> nn.Module:
    """A copy with each BatchNorm folded into its convolution and replaced by nothing."""
    model = copy.deepcopy(model)
    for conv_name, norm_name in names:
        conv, norm = model.get_submodule(conv_name), model.get_submodule(norm_name)
        weight, bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(bias)
        parent, _, name = norm_name.rpartition(".")
        setattr(model.get_submodule(parent), name, nn.Identity())
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return model


def zennits(composite: Any, model: nn.Module, x: Tensor, target: int) -> Tensor:
    leaf = x.clone().requires_grad_()
    with composite.context(model) as modified:
        scores = modified(leaf)
        start = torch.zeros_like(scores)
        start[:, target] = scores[:, target].detach()
        (relevance,) = torch.autograd.grad(scores, leaf, start)
    return relevance


class Branch(nn.Module):
    """A residual block in zennit's spelling: the branches meet in a Sum."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer)
        self.conv2, self.bn2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False), nn.BatchNorm2d(outer)
        self.down, self.bnd = nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)
        self.relu1, self.relu2, self.sum = nn.ReLU(), nn.ReLU(), Sum()

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(self.sum(torch.stack([inner, self.bnd(self.down(x))], -1)))


def error_of(got: Tensor, expected: Tensor) -> float:
    """The largest difference, of the largest |R|."""
    return float((got.double() - expected.double()).abs().max() / expected.double().abs().max())


def small_vgg() -> tuple[nn.Module, nn.Module, Tensor, tuple[Any, ...]]:
    x = torch.randn(2, 3, 16, 16).clamp(-1, 1)
    features = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Conv2d(12, 16, 3), nn.BatchNorm2d(16), nn.ReLU()),
    )
    head = nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Dropout(), nn.Linear(20, 5))
    model = as_trained(nn.Sequential(features, head), x)
    return model, folded(model, [("0.0", "0.1"), ("0.4", "0.5"), ("0.8", "0.9")]), x, ()


def small_resnet() -> tuple[nn.Module, nn.Module, Tensor, tuple[Any, ...]]:
    x = torch.randn(2, 3, 16, 16).clamp(-1, 1)
    stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
    layers = stem, Branch(8, 8, 1), Branch(8, 12, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5)
    model = as_trained(nn.Sequential(*layers), x)
    pairs = [
        (f"{i}.{conv}", f"{i}.{norm}")
        for i in (1, 2)
        for conv, norm in (("conv1", "bn1"), ("conv2", "bn2"), ("down", "bnd"))
    ]
    return model, folded(model, [("0.0", "0.1"), *pairs]), x, ()


def vgg11() -> tuple[nn.Module, nn.Module, Tensor, tuple[Any, ...]]:
    x = torch.randn(1, 3, 64, 64).clamp(-1, 1)
    model = models.VGG(models.vgg.make_layers(models.vgg.cfgs["A"], batch_norm=True), init_weights=False)
    # Its own head has 120 million weights; one of the same shape will do.
    model.classifier = nn.Sequential(
        *(
            nn.Linear(512 * 49, 64),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(64, 32),
            nn.ReLU(),
            nn.Dropout(),
            nn.Linear(32, 10),
        )
    )
    model = as_trained(model, torch.cat([x, x.flip(3), -x]))
    norms = [i for i, layer in enumerate(model.features) if isinstance(layer, nn.BatchNorm2d)]
    return model, folded(model, [(f"features.{i - 1}", f"features.{i}") for i in norms]), x, ()


def resnet18() -> tuple[nn.Module, nn.Module, Tensor, tuple[Any, ...]]:
    x = torch.randn(1, 3, 64, 64).clamp(-1, 1)
    model = as_trained(models.resnet18(num_classes=10), torch.cat([x, x.flip(3), -x]))
    pairs = [("conv1", "bn1")]
    for name, module in model.named_modules():
        if isinstance(module, models.resnet.BasicBlock):
            pairs += [(f"{name}.conv{i}", f"{name}.bn{i}") for i in (1, 2)]
            if module.downsample is not None:
                pairs.append((f"{name}.downsample.0", f"{name}.downsample.1"))
    return model, folded(model, pairs), x, (ResNetBasicBlockCanonizer(),)
