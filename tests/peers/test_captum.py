"""Agreement with captum where it is right: LRP on plain VGG-like networks, the gradient methods; and where it is not.

Conventions that have to be met, none of which is a difference between the rules:
- captum's LRP wants a rule on each module (and has none for nn.Flatten: it is a function here), ReLUs that are not in
  place and no module used twice. The input must ask for gradients, or captum warns.
- It pulls 1 at the target back and multiplies by the score at the end. LRP is linear in the relevance: that is f there.
- It adds its STABILITY_FACTOR·sign z to every denominator (1e-9, or the ε of EpsilonRule), pooling included; here only
  ε adds one. It is set to 1e-30 where ours has none.
- Pooling takes the ε rule there: with the layer's gradient that is winner-take-all for max pooling and in proportion
  for average pooling, as here.
- γ and α1β0 change the weights alone, whatever the sign of the inputs and of z. The equations hold for inputs ≥ 0 (and
  γ for z ≥ 0, as it is behind a ReLU): they are compared there, without biases, which captum leaves as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw

pytest.importorskip("captum", reason="the peers extra is not installed")

from captum.attr import LRP, InputXGradient, Saliency
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule, GammaRule, PropagationRule

NOTHING = 1e-30


class VGGLike(nn.Module):
    def __init__(self, pool: Any, bias: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, padding=1, bias=bias), nn.ReLU(), pool(2)),
            *(nn.Conv2d(8, 12, 3, padding=1, bias=bias), nn.ReLU()),
            *(nn.Conv2d(12, 12, 3, bias=bias), nn.ReLU(), pool(2)),
        )
        self.classifier = nn.Sequential(
            nn.Linear(108, 20, bias=bias), nn.ReLU(), nn.Dropout(), nn.Linear(20, 5, bias=bias)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


def vgg_like(pool: type[nn.Module], bias: bool = True) -> nn.Module:
    torch.manual_seed(0)
    return VGGLike(pool, bias).double().eval()


def captums(model: nn.Module, x: Tensor, target: int, rules: dict[type[nn.Module], Callable[[], Any]]) -> Tensor:
    """captum's relevance with a rule for each type of layer; nothing is added to the denominators of pooling layers."""
    rules = dict.fromkeys((nn.MaxPool2d, nn.AvgPool2d), lambda: EpsilonRule(NOTHING)) | rules
    for module in model.modules():
        if type(module) in rules:
            module.rule = rules[type(module)]()
    return LRP(model).attribute(x.clone().requires_grad_(), target=target).detach()


def exact(rule: PropagationRule) -> PropagationRule:
    """The rule with nothing added to its denominators."""
    rule.STABILITY_FACTOR = NOTHING
    return rule


def error_of(got: Tensor, expected: Tensor) -> float:
    """The largest difference, of the largest |R|."""
    return float((got.double() - expected.double()).abs().max() / expected.double().abs().max())


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(2, 3, 16, 16).double()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("pool", [nn.MaxPool2d, nn.AvgPool2d])
@pytest.mark.parametrize("epsilon", [1e-9, 1e-6, 1e-4, 0.1])
def test_epsilon_agrees_with_captum(
    pool: type[nn.Module], epsilon: float, dtype: torch.dtype, x: Tensor, measured: Callable[[str, float], None]
) -> None:
    model, peer, x = vgg_like(pool).to(dtype), vgg_like(pool).to(dtype), x.to(dtype)
    rule = dict.fromkeys((nn.Conv2d, nn.Linear), lambda: EpsilonRule(epsilon))
    expected = captums(peer, x, 2, rule)
    error = error_of(lw.Explainer(model).explain(x, 2, lw.LRP(lw.epsilon(epsilon))).relevance, expected)
    measured(f"captum LRP-ε (ε = {epsilon}, {pool.__name__}, {dtype}), of max|R|", error)
    # Where a sum nearly cancels, single precision moves captum's own answer; by how much depends on the processor.
    precise = captums(vgg_like(pool).double(), x.double(), 2, rule)
    assert error <= max(1e-5, 4 * error_of(expected, precise))


@pytest.mark.parametrize("pool", [nn.MaxPool2d, nn.AvgPool2d])
@pytest.mark.parametrize(
    ("make", "rule"),
    [(lambda: GammaRule(gamma=0.25), lw.rules.Gamma(0.25)), (Alpha1_Beta0_Rule, lw.rules.ZPlus())],
    ids=["gamma", "z+"],
)
def test_rules_for_positive_inputs_agree_with_captum(
    make: Callable[[], PropagationRule],
    rule: lw.rules.Rule,
    pool: type[nn.Module],
    x: Tensor,
    measured: Callable[[str, float], None],
) -> None:
    x = x.abs()
    expected = captums(
        vgg_like(pool, False), x, 2, {nn.Conv2d: lambda: exact(make()), nn.Linear: lambda: EpsilonRule(1e-6)}
    )
    composite = lw.Composite((lw.Entry(rule, "convolution"), lw.Entry(lw.rules.Epsilon(1e-6))))
    error = error_of(lw.Explainer(vgg_like(pool, False)).explain(x, 2, lw.LRP(composite)).relevance, expected)
    measured(f"captum {type(make()).__name__} on positive inputs, of max|R|", error)
    assert error <= 1e-12


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
    error = error_of(got, expected)
    measured(f"captum, {method.title}, of max|R|", error)
    assert error <= 1e-6


# What goes wrong in captum, and does not here.


def test_the_sign_split_is_of_the_product() -> None:
    """a = (1, −1), w = (2, −1): both products, 2 and 1, speak for f = 3. captum's α1β0 keeps w⁺ = (2, 0) alone."""
    model = nn.Sequential(nn.Linear(2, 1, bias=False)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[2.0, -1.0]]))
    x = torch.tensor([[1.0, -1.0]]).double()
    expected = captums(model, x, 0, {nn.Linear: lambda: exact(Alpha1_Beta0_Rule())})
    assert expected[0].tolist() == pytest.approx([3.0, 0.0])
    mine = lw.Explainer(model).explain(x, 0, lw.LRP(lw.alpha_beta(1))).relevance
    assert mine[0].tolist() == pytest.approx([2.0, 1.0])


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(4, 4, bias=False) for _ in range(3))
        self.last = nn.Linear(4, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = x + block(x)
        return self.last(x)


def test_sums_without_a_module_multiply_relevance(measured: Callable[[str, float], None]) -> None:
    """A plain sum hands all it gets to both sides, and what skips a layer is multiplied by its input once more."""
    torch.manual_seed(0)
    model, x = Residual().double().eval(), torch.randn(1, 4).double()
    with torch.no_grad():
        f = float(model(x)[0, 0])
    theirs = float(captums(model, x, 0, {nn.Linear: lambda: EpsilonRule(1e-6)}).sum()) / f
    measured("ΣR / f(x): captum on three residual sums", theirs)
    assert theirs > 2
    assert float(lw.Explainer(model).explain(x, 0, lw.LRP(lw.epsilon())).total) / f == pytest.approx(1, abs=1e-4)


class Twice(nn.Module):
    def __init__(self, shared: bool) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)
        self.second = self.first if shared else nn.Linear(4, 4)
        self.second.load_state_dict(self.first.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.second(self.first(x)))


def test_a_layer_used_twice_is_refused() -> None:
    """captum says so, at least. Here it is the same as written out."""
    networks = []
    for shared in (True, False):
        torch.manual_seed(0)
        networks.append(Twice(shared).double().eval())
    once, twice = networks
    x, rule = torch.randn(1, 4).double(), {nn.Linear: lambda: EpsilonRule(1e-6)}
    right = captums(twice, x, 0, rule)
    for model in networks:
        assert error_of(lw.Explainer(model).explain(x, 0, lw.LRP(lw.epsilon())).relevance, right) <= 1e-12
    with pytest.raises(RuntimeError, match="used more than once"):
        captums(once, x, 0, rule)
