"""Agreement with captum: LRP-ε on a plain VGG-like network, and the gradient methods.

Conventions that have to be met: captum's LRP wants a rule on each module, ReLUs that are not in place and no module
used twice; it starts from f at the target and multiplies its gradients by the input at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw

pytest.importorskip("captum", reason="peers extra is not installed")

from captum.attr import LRP, InputXGradient, Saliency
from captum.attr._utils.lrp_rules import EpsilonRule


def vgg_like(pool: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    layers = (
        *(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), pool(2)),
        *(nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3), nn.ReLU(), pool(2)),
        *(nn.Flatten(), nn.Linear(108, 20), nn.ReLU(), nn.Dropout(), nn.Linear(20, 5)),
    )
    return nn.Sequential(*layers).double().eval()


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 3, 16, 16).double()


@pytest.mark.parametrize("pool", [nn.MaxPool2d, nn.AvgPool2d])
@pytest.mark.parametrize("epsilon", [1e-9, 1e-4, 0.1])
def test_epsilon_agrees_with_captum(
    pool: type[nn.Module], epsilon: float, x: Tensor, measured: Callable[[str, float], None]
) -> None:
    model, peer = vgg_like(pool), vgg_like(pool)
    for module in peer.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.rule = EpsilonRule(epsilon)
        elif isinstance(module, pool):
            module.rule = EpsilonRule(1e-30)
    expected = LRP(peer).attribute(x.clone().requires_grad_(), target=2).detach()
    got = lw.Explainer(model).explain(x, 2, lw.LRP(lw.epsilon(epsilon))).relevance
    error = float((got - expected).abs().max() / expected.abs().max())
    measured(f"captum LRP-ε (ε = {epsilon}, {pool.__name__}), of max|R|", error)
    assert error <= 1e-5


@pytest.mark.parametrize("target", [0, [4, 1]])
@pytest.mark.parametrize(
    ("method", "peer"),
    [
        (lw.Gradient(), lambda model, x, t: Saliency(model).attribute(x, target=t, abs=False)),
        (lw.Sensitivity(), lambda model, x, t: Saliency(model).attribute(x, target=t, abs=True) ** 2),
        (lw.SimpleTaylor(), lambda model, x, t: InputXGradient(model).attribute(x, target=t)),
    ],
    ids=["Saliency", "Saliency squared", "InputXGradient"],
)
def test_gradient_methods_agree_with_captum(
    method: Any, peer: Any, target: Any, x: Tensor, measured: Callable[[str, float], None]
) -> None:
    model = vgg_like(nn.MaxPool2d)
    got = lw.Explainer(model).explain(x, target, method).relevance
    expected = peer(model, x.clone().requires_grad_(), target).detach()
    error = float((got - expected).abs().max() / expected.abs().max())
    measured(f"captum, {method.title}, of max|R|", error)
    assert error <= 1e-6
