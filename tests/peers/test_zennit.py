"""Agreement with zennit where it is right, and the cases where it is not.

What had to be matched before the two may be compared, and why:
- The starting relevance. zennit starts with whatever `attr_output` makes of the scores (all of them by default), ours
  with f(x) at the explained class and 0 elsewhere. The tests hand zennit exactly that.
- Stabilizers. zennit adds 1e-6·sign z to the denominator of every rule and pooling layer, ours only where the rule is
  ε; elsewhere nothing is added, and what has no denominator hands nothing on. zennit gets 1e-30 there, which is exact
  but keeps 0/0 away. (`test_the_default_stabilizer_has_to_be_matched` says what it would cost not to.) In ε itself both
  have 1e-6 and sign 0 = +1.
- γ. zennit's Gamma is the form generalized to inputs of either sign, and so is ours: for z > 0 the positive products
  and a positive bias count 1 + γ times, for z < 0 the negative ones. At z = 0 zennit hands nothing on; behind a ReLU
  no relevance arrives there.
- Bias. In ε, z⁺, αβ and γ both keep it in the denominator, split by its sign; in flat and z^B it takes no part.
- The first layer. zennit gives its first-layer rule to the first convolution or dense layer in the order of
  registration, ours to all that see the input. In these networks both mean the same one.
- Max pooling. Neither has a rule for it: the gradient takes all to the winner.
- Average pooling. zennit's Norm shares in proportion to the input, as ours; adaptive pooling with overlapping windows
  included. It sees pooling only where that is a module.
- BatchNorm. zennit merges it into the layer before but leaves its eps behind, so networks are folded here by hand.
- Residual sums. zennit needs its ResNetCanonizer, which makes them a Sum module with the rule Norm: proportional.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import lrp_widgets as lw

REASON = "the peers extra is not installed"
ROUNDING = 1e-30  # a stabilizer that changes no digit
LOW, HIGH = -3.0, 3.0


@pytest.fixture(scope="module")
def zennit(torchvision_models: Any) -> Any:
    """zennit with its submodules; it imports torchvision, which is ready by then."""
    for name in ("attribution", "composites", "torchvision"):
        pytest.importorskip(f"zennit.{name}", reason=REASON)
    import zennit

    return zennit


# Composites by name: zennit's, given its keywords, and ours.
PAIRS: dict[str, tuple[Callable[..., Any], lw.Composite]] = {
    "EpsilonPlus": (lambda z, **kw: z.EpsilonPlus(**kw), lw.epsilon_plus()),
    "EpsilonAlpha2Beta1": (lambda z, **kw: z.EpsilonAlpha2Beta1(**kw), lw.epsilon_alpha2_beta1()),
    "EpsilonPlusFlat": (lambda z, **kw: z.EpsilonPlusFlat(**kw), lw.epsilon_plus_flat()),
    "EpsilonAlpha2Beta1Flat": (lambda z, **kw: z.EpsilonAlpha2Beta1Flat(**kw), lw.epsilon_alpha2_beta1_flat()),
    "EpsilonGammaBox": (
        lambda z, **kw: z.EpsilonGammaBox(low=LOW, high=HIGH, **kw),
        lw.epsilon_gamma_box(LOW, HIGH),
    ),
}
WITH_INPUT_RULE = ("EpsilonPlusFlat", "EpsilonAlpha2Beta1Flat", "EpsilonGammaBox")
DTYPES = (torch.float32, torch.float64)
BOUNDS = {torch.float32: 1e-5, torch.float64: 1e-12}  # 1e-5 is the promise; in float64 all but rounding must go


def theirs(
    zennit: Any,
    composite: str,
    model: nn.Module,
    x: Tensor,
    target: list[int],
    stabilizer: float = ROUNDING,
    canonizer: Callable[[], Any] | None = None,
) -> Tensor:
    """zennit's relevance, started with f(x) at each row's class."""
    canonizers = [] if canonizer is None else [canonizer()]
    made = PAIRS[composite][0](zennit.composites, epsilon=1e-6, stabilizer=stabilizer, canonizers=canonizers)

    def start(scores: Tensor) -> Tensor:
        return functional.one_hot(torch.tensor(target), scores.shape[1]).to(scores) * scores.detach()

    with zennit.attribution.Gradient(model, made) as attributor:
        return attributor(x.clone(), start)[1].detach()


def ours(composite: str, model: nn.Module, x: Tensor, target: list[int]) -> lw.Explanation:
    return lw.Explainer(model).explain(x, target=target, method=lw.LRP(PAIRS[composite][1]))


def distance(a: Tensor, b: Tensor) -> float:
    """The largest difference against the largest |b|."""
    return float((a.double() - b.double()).abs().max() / b.double().abs().max())


def images(side: int, rows: int = 2) -> Tensor:
    """Signed inputs inside the box."""
    return torch.randn(rows, 3, side, side, generator=torch.Generator().manual_seed(1)).clamp(LOW, HIGH)


def score(model: nn.Module, x: Tensor, target: int) -> float:
    with torch.no_grad():
        return float(model(x)[0, target])


def small_vgg() -> nn.Sequential:
    """Convolutions, both kinds of pooling and dense layers, all with biases."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, stride=2, groups=2), nn.ReLU(), nn.AvgPool2d(2, stride=1), nn.AdaptiveAvgPool2d(5),
        nn.Flatten(), nn.Dropout(), nn.Linear(400, 32), nn.ReLU(), nn.Linear(32, 10),
    )  # fmt: skip
    return model.eval()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("composite", PAIRS)
def test_agrees_on_a_small_vgg(
    composite: str, dtype: torch.dtype, zennit: Any, measured: Callable[[str, float], None]
) -> None:
    model, x = small_vgg().to(dtype), images(17).to(dtype)
    got = distance(ours(composite, model, x, [1, 2]).relevance, theirs(zennit, composite, model, x, [1, 2]))
    measured(f"from zennit, small VGG, {composite}, {dtype}", got)
    assert got <= BOUNDS[dtype]


@pytest.fixture(scope="module")
def vgg11(torchvision_models: Any) -> nn.Module:
    torch.manual_seed(0)
    model = torchvision_models.vgg11(num_classes=10, init_weights=False).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.01)  # of the size of its activations
    return model


@pytest.mark.parametrize(
    ("composite", "dtype"),
    [*((composite, torch.float32) for composite in WITH_INPUT_RULE), ("EpsilonGammaBox", torch.float64)],
    ids=str,
)
def test_agrees_on_vgg11(
    composite: str, dtype: torch.dtype, vgg11: nn.Module, zennit: Any, measured: Callable[[str, float], None]
) -> None:
    # 64 × 64 pixels come to 2 × 2 at the adaptive pooling, which spreads them over 7 × 7: its windows overlap.
    model, x = vgg11.to(dtype), images(64, rows=1).to(dtype)
    got = distance(ours(composite, model, x, [3]).relevance, theirs(zennit, composite, model, x, [3]))
    measured(f"from zennit, vgg11, {composite}, {dtype}", got)
    assert got <= BOUNDS[dtype]


def folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """The convolution followed by BatchNorm as one convolution, eps included."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    scale = norm.weight.detach() / (variance + norm.eps).sqrt()
    made = copy.deepcopy(convolution)
    made.weight = nn.Parameter(convolution.weight.detach() * scale[:, None, None, None])
    made.bias = nn.Parameter(norm.bias.detach() - mean * scale)
    return made


def resnet18(models: Any, biased: bool = True) -> nn.Module:
    """A ResNet18 in float64 whose BatchNorms do something."""
    torch.manual_seed(0)
    model = models.resnet18(num_classes=10).double().eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
            nn.init.uniform_(norm.weight, 0.5, 1.0)
            if biased:
                nn.init.normal_(norm.running_mean, std=0.1)
                nn.init.normal_(norm.bias, std=0.1)
    if not biased:
        nn.init.zeros_(model.fc.bias)
    return model


def folded_resnet(model: Any) -> nn.Module:
    """The same function without BatchNorm, folded here by hand."""
    model = copy.deepcopy(model)
    blocks = [block for layer in (model.layer1, model.layer2, model.layer3, model.layer4) for block in layer]
    model.conv1, model.bn1 = folded(model.conv1, model.bn1), nn.Identity()
    for block in blocks:
        block.conv1, block.bn1 = folded(block.conv1, block.bn1), nn.Identity()
        block.conv2, block.bn2 = folded(block.conv2, block.bn2), nn.Identity()
        if block.downsample is not None:
            block.downsample = nn.Sequential(folded(*block.downsample))
    return model


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("composite", WITH_INPUT_RULE)
def test_agrees_on_a_folded_resnet18(
    composite: str,
    dtype: torch.dtype,
    zennit: Any,
    torchvision_models: Any,
    measured: Callable[[str, float], None],
) -> None:
    model, x = folded_resnet(resnet18(torchvision_models)).to(dtype), images(64).to(dtype)
    peer = theirs(zennit, composite, model, x, [1, 2], canonizer=zennit.torchvision.ResNetCanonizer)
    got = distance(ours(composite, model, x, [1, 2]).relevance, peer)
    measured(f"from zennit, folded ResNet18, {composite}, {dtype}", got)
    assert got <= BOUNDS[dtype]


def test_the_default_stabilizer_has_to_be_matched(
    zennit: Any, torchvision_models: Any, measured: Callable[[str, float], None]
) -> None:
    """zennit's 1e-6 in every rule and pooling layer is more than rounding: it is not the equation any more."""
    model, x = folded_resnet(resnet18(torchvision_models)), images(64, rows=1)
    canonizer = zennit.torchvision.ResNetCanonizer
    peer = theirs(zennit, "EpsilonGammaBox", model, x.double(), [1], stabilizer=1e-6, canonizer=canonizer)
    got = distance(ours("EpsilonGammaBox", model, x.double(), [1]).relevance, peer)
    measured("what zennit's default stabilizer moves, ResNet18", got)
    assert 1e-5 < got < 1e-2


# Where zennit is not right, and silent about it.


def test_residuals_without_a_canonizer_multiply_relevance(
    zennit: Any, torchvision_models: Any, measured: Callable[[str, float], None]
) -> None:
    """Its eight sums hand all relevance to both sides: 2⁸ = 256 times the score. Ours needs no word about them."""
    model, x = folded_resnet(resnet18(torchvision_models, biased=False)), images(64, rows=1).double()
    f = score(model, x, 3)
    plain = theirs(zennit, "EpsilonPlus", model, x, [3])
    assert float(plain.sum()) / f == pytest.approx(256, rel=1e-3)
    canonized = theirs(zennit, "EpsilonPlus", model, x, [3], canonizer=zennit.torchvision.ResNetCanonizer)
    assert float(canonized.sum()) / f == pytest.approx(1, abs=1e-3)
    explanation = ours("EpsilonPlus", model, x, [3])
    assert float(explanation.total) / f == pytest.approx(1, abs=1e-5)
    measured("ΣR / f(x) of zennit on ResNet18 without canonizer", float(plain.sum()) / f)


def test_merging_leaves_the_eps_of_batch_norm_behind(
    zennit: Any, torchvision_models: Any, measured: Callable[[str, float], None]
) -> None:
    """Two spellings of one function must have one explanation. zennit's merged BatchNorm still divides by √(1 + eps)."""
    model, x = resnet18(torchvision_models), images(64, rows=1).double()
    by_hand = folded_resnet(model)
    with torch.no_grad():
        assert distance(model(x), by_hand(x)) <= 1e-12
    canonizer = zennit.torchvision.ResNetCanonizer
    for composite in WITH_INPUT_RULE:
        peers = [theirs(zennit, composite, m, x, [3], canonizer=canonizer) for m in (model, by_hand)]
        measured("zennit: BatchNorm merged against folded", distance(*peers))
        assert distance(*peers) > 1e-4
        mine = distance(*(ours(composite, m, x, [3]).relevance for m in (model, by_hand)))
        measured("ours: BatchNorm as it is against folded", mine)
        assert mine <= 1e-12


class Repeated(nn.Module):
    """A convolution that is applied twice, or two with the same weights."""

    def __init__(self, shared: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 3, 3, padding=1)
        self.second = self.first if shared else copy.deepcopy(self.first)
        self.activations = nn.ModuleList([nn.ReLU(), nn.ReLU()])
        self.dense = nn.Linear(3 * 64, 4)

    def forward(self, x: Tensor) -> Tensor:
        once = self.activations[0](self.first(x))
        return self.dense(self.activations[1](self.second(once)).flatten(1))


def test_a_shared_convolution_remembers_only_its_last_input(
    zennit: Any, measured: Callable[[str, float], None]
) -> None:
    """A hook stores one input per module: the first use is explained with the input of the second."""
    x = images(8).double()
    shared, written_out = (Repeated(shared).double().eval() for shared in (True, False))
    right = theirs(zennit, "EpsilonPlus", written_out, x, [1, 2])
    assert distance(theirs(zennit, "EpsilonPlus", shared, x, [1, 2]), right) > 0.1
    for model in (shared, written_out):
        got = distance(ours("EpsilonPlus", model, x, [1, 2]).relevance, right)
        measured("from zennit, a shared convolution written out", got)
        assert got <= 1e-12


class SumPooled(nn.Module):
    """Sum pooling as a function, twice: no module that a hook could hold on to."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution, self.relu = nn.Conv2d(3, 4, 3, bias=False), nn.ReLU()
        self.dense = nn.Linear(4 * 9, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        once = functional.avg_pool2d(self.relu(self.convolution(x)), 2, divisor_override=1)
        return self.dense(functional.avg_pool2d(once, 2, divisor_override=1).flatten(1))


def test_functional_sum_pooling_multiplies_relevance(zennit: Any) -> None:
    """Its gradient hands all relevance to each of the four pixels: 4ⁿ over n layers, and evenly, not in proportion."""
    model, x = SumPooled().double().eval(), images(14, rows=1).double().abs()
    f = score(model, x, 1)
    assert float(theirs(zennit, "EpsilonPlus", model, x, [1]).sum()) / f == pytest.approx(16, rel=1e-3)
    assert float(ours("EpsilonPlus", model, x, [1]).total) / f == pytest.approx(1, abs=1e-4)
