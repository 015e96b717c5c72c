"""Agreement with captum where it is right, and the cases where it is not.

What had to be matched before the two may be compared, and why:
- The starting relevance. captum pulls back 1 at the target and multiplies by the score afterwards; LRP is linear in
  the relevance, so that is f(x) at the class, as in ours.
- Stabilizers. captum adds its STABILITY_FACTOR (1e-9, EpsilonRule: epsilon) times sign z in every rule, pooling
  included; ours only in the ε rule. It gets 1e-30 where ours has none. In ε both have 1e-6 and sign 0 = +1.
- Pooling. captum gives pooling layers the ε rule: with the gradient of the layer that is winner-take-all for max and
  proportional for average pooling, as in ours.
- γ and α1β0 change the weights alone, whatever the sign of the input and of z: the equations hold for inputs ≥ 0
  (and for γ, z ≥ 0, as it is behind a ReLU), so they are compared there, and without biases, which captum leaves as
  they are.
- captum knows modules, and only some: flatten is a function here, and its input must require gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw

REASON = "the peers extra is not installed"
ROUNDING = 1e-30  # a stabilizer that changes no digit
DTYPES = (torch.float32, torch.float64)
LRP_BOUNDS = {torch.float32: 1e-5, torch.float64: 1e-12}
GRADIENT_BOUNDS = {torch.float32: 1e-6, torch.float64: 1e-12}


@pytest.fixture(scope="module")
def captum() -> Any:
    for name in ("tqdm", "matplotlib"):  # which captum imports
        pytest.importorskip(name, reason=REASON)
    return pytest.importorskip("captum.attr", reason=REASON)


class SmallVGG(nn.Module):
    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=bias), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, bias=bias), nn.ReLU(),
            nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1, bias=bias), nn.ReLU(), nn.AvgPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(256, 32, bias=bias), nn.ReLU(), nn.Linear(32, 10, bias=bias)
        )
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).flatten(1))


def images(dtype: torch.dtype) -> Tensor:
    return torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1)).to(dtype)


def rule(captum: Any, name: str, stabilizer: float, **settings: float) -> Any:
    from captum.attr._utils import lrp_rules

    made = getattr(lrp_rules, name)(**settings)
    made.STABILITY_FACTOR = stabilizer
    return made


def theirs(captum: Any, model: nn.Module, x: Tensor, target: list[int], convolution: Callable[[], Any]) -> Tensor:
    """captum's LRP: the rule in convolutions, ε in dense layers, nothing added in pooling layers."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.rule = convolution()
        elif isinstance(module, nn.Linear):
            module.rule = rule(captum, "EpsilonRule", 1e-6)
        elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
            module.rule = rule(captum, "EpsilonRule", ROUNDING)
    return captum.LRP(model).attribute(x.clone().requires_grad_(), target=torch.tensor(target)).detach()


def ours(method: Any, model: nn.Module, x: Tensor, target: list[int]) -> Tensor:
    return lw.Explainer(model).explain(x, target=target, method=method).relevance


def distance(a: Tensor, b: Tensor) -> float:
    """The largest difference against the largest |b|."""
    return float((a.detach().double() - b.double()).abs().max() / b.double().abs().max())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_epsilon_agrees(dtype: torch.dtype, captum: Any, measured: Callable[[str, float], None]) -> None:
    model, x = SmallVGG().to(dtype), images(dtype)
    peer = theirs(captum, model, x, [1, 2], lambda: rule(captum, "EpsilonRule", 1e-6))
    got = distance(ours(lw.LRP(lw.epsilon(1e-6)), model, x, [1, 2]), peer)
    measured(f"from captum, EpsilonRule, {dtype}", got)
    assert got <= LRP_BOUNDS[dtype]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("name", "settings", "mine"),
    [("GammaRule", {"gamma": 0.25}, lw.rules.Gamma(0.25)), ("Alpha1_Beta0_Rule", {}, lw.rules.ZPlus())],
    ids=["gamma", "z+"],
)
def test_positive_inputs_agree(
    name: str,
    settings: dict[str, float],
    mine: lw.rules.Rule,
    dtype: torch.dtype,
    captum: Any,
    measured: Callable[[str, float], None],
) -> None:
    model, x = SmallVGG(bias=False).to(dtype), images(dtype).abs()
    peer = theirs(captum, model, x, [1, 2], lambda: rule(captum, name, ROUNDING, **settings))
    composite = lw.Composite((lw.Entry(mine, "convolution"), lw.Entry(lw.rules.Epsilon(1e-6))))
    got = distance(ours(lw.LRP(composite), model, x, [1, 2]), peer)
    measured(f"from captum, {name}, {dtype}", got)
    assert got <= LRP_BOUNDS[dtype]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gradients_agree(dtype: torch.dtype, captum: Any, measured: Callable[[str, float], None]) -> None:
    model, x = SmallVGG().to(dtype), images(dtype)
    target = torch.tensor([1, 2])
    peers = {
        lw.Gradient(): captum.Saliency(model).attribute(x.clone().requires_grad_(), target=target, abs=False),
        lw.SimpleTaylor(): captum.InputXGradient(model).attribute(x.clone().requires_grad_(), target=target),
    }
    for method, peer in peers.items():
        got = distance(ours(method, model, x, [1, 2]), peer.detach())
        measured(f"from captum, {method.title}, {dtype}", got)
        assert got <= GRADIENT_BOUNDS[dtype]


# Where captum is not right.


def test_the_sign_split_is_of_the_product(captum: Any) -> None:
    """a = (1, −1), w = (2, −1): the products are (2, 1), both positive. captum keeps only w⁺ = (2, 0)."""
    model = nn.Sequential(nn.Linear(2, 1, bias=False)).double()
    model[0].weight.data = torch.tensor([[2.0, -1.0]]).double()
    x = torch.tensor([[1.0, -1.0]]).double()
    model[0].rule = rule(captum, "Alpha1_Beta0_Rule", ROUNDING)
    peer = captum.LRP(model).attribute(x.clone().requires_grad_(), target=0)
    assert peer.tolist()[0] == pytest.approx([3.0, 0.0])  # nothing for the second input, which gave a third of f = 3
    assert ours(lw.LRP(lw.alpha_beta(1)), model, x, [0]).tolist()[0] == pytest.approx([2.0, 1.0])


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList(nn.Linear(4, 4, bias=False) for _ in range(3))
        self.last = nn.Linear(4, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = x + block(x)
        return self.last(x)


def test_residuals_multiply_relevance(captum: Any) -> None:
    """A plain sum hands all relevance to both sides, without a word: 2ⁿ for n of them (but for what meets again)."""
    model = Residual().double().eval()
    x = torch.randn(1, 4, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        f = float(model(x)[0, 0])
    peer = theirs(captum, model, x, [0], lambda: None)
    assert float(peer.sum()) / f > 2
    assert float(ours(lw.LRP(lw.epsilon()), model, x, [0]).sum()) / f == pytest.approx(1, abs=1e-4)


class Shared(nn.Module):
    def __init__(self, shared: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.load_state_dict(self.first.state_dict())
        if shared:
            self.second = self.first
        self.last = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.second(self.first(x)))


def test_a_shared_layer_is_refused(captum: Any) -> None:
    """captum says so, at least. Ours explains it as the same network written out."""
    x = torch.randn(1, 4, generator=torch.Generator().manual_seed(1)).double()
    shared, written_out = (Shared(shared).double().eval() for shared in (True, False))
    right = ours(lw.LRP(lw.epsilon()), written_out, x, [0])
    assert distance(ours(lw.LRP(lw.epsilon()), shared, x, [0]), right) <= 1e-12
    assert distance(theirs(captum, written_out, x, [0], lambda: None), right) <= 1e-12
    with pytest.raises(RuntimeError, match="used more than once"):
        theirs(captum, shared, x, [0], lambda: None)
