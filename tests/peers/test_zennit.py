"""Agreement with zennit where it is right, on networks whose BatchNorm was folded by hand; and where it is not.

Conventions that have to be met, none of which is a difference between the rules:
- zennit adds a stabilizer (1e-6·sign z) to every denominator, pooling included; here only ε adds one, and what has no
  denominator hands nothing on. Its stabilizer is set to 1e-30. In ε both have 1e-6, with sign 0 = +1.
- zennit returns the relevance as the "gradient" of the input; what it starts from is `grad_outputs`: f at the class.
- zennit asks for a Sum module wherever branches meet (its canonizer puts one into torchvision's residual blocks), and
  for ReLUs that are not in place.
- Its canonizer merges BatchNorm into convolutions and leaves BatchNorm's eps behind, which moves relevance by 1e-3:
  all BatchNorm is folded before either tool sees the network.
- γ: both have the form for inputs of either sign. For z > 0 the positive products and a positive bias count 1 + γ
  times, for z < 0 the negative ones. At z = 0 zennit hands nothing on; behind a ReLU nothing arrives there.
- Bias: in ε, z⁺, αβ and γ it stays in the denominator, split by its sign; in flat and z^B it takes no part.
- The rule of the first layer: zennit's goes to the first one in the order of registration, ours to all that see the
  input. In these networks that is the same one.
- Max pooling has no rule in either: its gradient gives all to the winner. Average pooling (zennit's Norm) shares in
  proportion, where the windows of adaptive pooling overlap, too; zennit sees it only where it is a module.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

import lrp_widgets as lw

pytest.importorskip("zennit", reason="the peers extra is not installed")

from torchvision import models
from zennit.composites import (
    EpsilonAlpha2Beta1,
    EpsilonAlpha2Beta1Flat,
    EpsilonGammaBox,
    EpsilonPlus,
    EpsilonPlusFlat,
)
from zennit.layer import Sum
from zennit.torchvision import ResNetBasicBlockCanonizer, ResNetCanonizer

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

# Without a rule for the input: it is signed, so that z⁺ and αβ have products of all four signs to split.
SIGNED: dict[str, tuple[Callable[..., Any], lw.Composite]] = {
    "EpsilonPlus": (
        lambda **more: EpsilonPlus(epsilon=1e-6, stabilizer=NOTHING, **more),
        lw.epsilon_plus(epsilon=1e-6),
    ),
    "EpsilonAlpha2Beta1": (
        lambda **more: EpsilonAlpha2Beta1(epsilon=1e-6, stabilizer=NOTHING, **more),
        lw.epsilon_alpha2_beta1(alpha=2.0, epsilon=1e-6),
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


@pytest.fixture(scope="module", params=["small VGG", "small ResNet", "vgg11", "resnet18"])
def network(request: pytest.FixtureRequest) -> Iterator[tuple[str, nn.Module, nn.Module, Tensor, tuple[Any, ...]]]:
    """Name, the network, the same folded by hand, an input (all float64), and the canonizers that zennit needs."""
    torch.manual_seed(0)
    known = {"small VGG": small_vgg, "small ResNet": small_resnet, "vgg11": vgg11, "resnet18": resnet18}
    made = known[request.param]()
    model, by_hand, x, canonizers = made
    yield request.param, model, by_hand, x.double(), canonizers


@pytest.mark.parametrize("name", PAIRS)
def test_agrees_with_zennit(name: str, network: Any, measured: Callable[[str, float], None]) -> None:
    which, model, by_hand, x, canonizers = network
    make, composite = PAIRS[name]
    expected = zennits(make(canonizers=list(canonizers)), by_hand, x, 3)
    # On the folded network, and (where it is small) on the one with BatchNorm, which the tape folds.
    kinds = {"folded by hand": by_hand} | ({"with BatchNorm": model} if which.startswith("small") else {})
    for kind, same in kinds.items():
        explanation = lw.Explainer(same).explain(x, 3, lw.LRP(composite))
        assert explanation.fallbacks == ()
        assert all(line.closes for line in explanation.layers)
        error = error_of(explanation.relevance, expected)
        measured(f"zennit {name} on {which} ({kind}), of max|R|", error)
        assert error <= 1e-12  # 1e-5 is the promise; in double precision only rounding may be left


@pytest.mark.parametrize("name", PAIRS)
def test_agrees_with_zennit_in_single_precision(
    name: str, network: Any, measured: Callable[[str, float], None]
) -> None:
    which, _, by_hand, x, canonizers = network
    make, composite = PAIRS[name]
    single, x = copy.deepcopy(by_hand).float(), x.float()
    expected = zennits(make(canonizers=list(canonizers)), single, x, 3)
    error = error_of(lw.Explainer(single).explain(x, 3, lw.LRP(composite)).relevance, expected)
    measured(f"zennit {name} on {which}, both in single precision, of max|R|", error)
    assert error <= 1e-5


@pytest.mark.parametrize("name", PAIRS)
def test_single_precision_agrees_with_double(name: str, measured: Callable[[str, float], None]) -> None:
    torch.manual_seed(0)
    _, by_hand, x, _ = small_vgg()
    make, composite = PAIRS[name]
    expected = zennits(make(), copy.deepcopy(by_hand), x.double(), 3)
    error = error_of(lw.Explainer(by_hand.float()).explain(x, 3, lw.LRP(composite)).relevance, expected)
    measured(f"zennit {name} on small VGG, single against double precision, of max|R|", error)
    assert error <= 1e-4


@pytest.mark.parametrize("make_network", [small_vgg, small_resnet])
@pytest.mark.parametrize("name", SIGNED)
def test_agrees_with_zennit_on_signed_inputs(
    name: str, make_network: Callable[[], Any], measured: Callable[[str, float], None]
) -> None:
    torch.manual_seed(0)
    _, by_hand, x, _ = make_network()
    make, composite = SIGNED[name]
    expected = zennits(make(), by_hand, x.double(), 3)
    error = error_of(lw.Explainer(by_hand).explain(x.double(), 3, lw.LRP(composite)).relevance, expected)
    measured(f"zennit {name} on signed inputs, of max|R|", error)
    assert error <= 1e-12


# What goes wrong in zennit, without a word, and does not here.


def without_biases(model: nn.Module) -> nn.Module:
    """Nothing is left to absorb relevance."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            nn.init.zeros_(module.running_mean)
        if isinstance(bias := getattr(module, "bias", None), Tensor):
            nn.init.zeros_(bias)
    return model


def share(relevance: Tensor, model: nn.Module, x: Tensor) -> float:
    """ΣR of f(x), for class 3."""
    with torch.no_grad():
        return float(relevance.sum() / model(x)[:, 3].sum())


@pytest.fixture(scope="module")
def unbiased_resnet18() -> tuple[nn.Module, Tensor]:
    """A ResNet18 without BatchNorm and without biases."""
    torch.manual_seed(0)
    _, by_hand, x, _ = resnet18()
    return without_biases(by_hand), x[..., :32, :32].double()


def test_its_default_stabilizer_is_more_than_rounding(
    unbiased_resnet18: Any, measured: Callable[[str, float], None]
) -> None:
    """1e-6 in every rule and pooling layer: what is compared then is not the equation any more."""
    model, x = unbiased_resnet18
    default = EpsilonPlusFlat(epsilon=1e-6, canonizers=[ResNetBasicBlockCanonizer()])
    expected = zennits(PAIRS["EpsilonPlusFlat"][0](canonizers=[ResNetBasicBlockCanonizer()]), model, x, 3)
    error = error_of(zennits(default, model, x, 3), expected)
    measured("what zennit's default stabilizer moves on resnet18, of max|R|", error)
    assert 1e-6 < error < 1e-2


def test_sums_without_a_module_multiply_relevance(
    unbiased_resnet18: Any, measured: Callable[[str, float], None]
) -> None:
    """Without a canonizer each of the eight sums hands all it gets to both sides: 2⁸ = 256 times the score."""
    model, x = unbiased_resnet18
    make, composite = SIGNED["EpsilonPlus"]
    plain = share(zennits(make(), model, x, 3), model, x)
    measured("ΣR / f(x): zennit on resnet18 without a canonizer", plain)
    assert plain == pytest.approx(256, rel=1e-3)
    canonized = zennits(make(canonizers=[ResNetBasicBlockCanonizer()]), model, x, 3)
    assert share(canonized, model, x) == pytest.approx(1, abs=1e-3)
    mine = lw.Explainer(model).explain(x, 3, lw.LRP(composite)).relevance
    measured("|ΣR / f(x) − 1|: here, on resnet18 as it is", abs(share(mine, model, x) - 1))
    assert share(mine, model, x) == pytest.approx(1, abs=1e-5)
    assert error_of(mine, canonized) <= 1e-12


def test_its_merged_batch_norm_is_another_function(measured: Callable[[str, float], None]) -> None:
    """Two spellings of one function should have one explanation; a merged BatchNorm still divides by √(1 + eps)."""
    torch.manual_seed(0)
    model, by_hand, x, _ = resnet18()
    x = x[..., :32, :32].double()
    with torch.no_grad():
        assert error_of(model(x), by_hand(x)) <= 1e-12
    make, composite = PAIRS["EpsilonPlusFlat"]
    theirs = [zennits(make(canonizers=[ResNetCanonizer()]), same, x, 3) for same in (model, by_hand)]
    measured("zennit: BatchNorm merged by its canonizer against by hand, of max|R|", error_of(*theirs))
    assert error_of(*theirs) > 1e-5
    mine = [lw.Explainer(same).explain(x, 3, lw.LRP(composite)).relevance for same in (model, by_hand)]
    measured("here: BatchNorm as it is against folded by hand, of max|R|", error_of(*mine))
    assert error_of(*mine) <= 1e-12


class Twice(nn.Module):
    """A convolution that is applied twice, or two of the same weights."""

    def __init__(self, shared: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3, padding=1)
        self.second = self.first if shared else copy.deepcopy(self.first)
        self.relu1, self.relu2, self.dense = nn.ReLU(), nn.ReLU(), nn.Linear(3 * 64, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(self.relu2(self.second(self.relu1(self.first(x)))).flatten(1))


def test_a_shared_convolution_remembers_only_its_last_input(measured: Callable[[str, float], None]) -> None:
    """Its hook stores one input a module: the first use of a layer is explained with the input of the last."""
    networks = []
    for shared in (True, False):
        torch.manual_seed(0)
        networks.append(Twice(shared).double().eval())
    once, twice = networks
    x = torch.randn(2, 3, 8, 8).double()
    make, composite = SIGNED["EpsilonPlus"]
    right = zennits(make(), twice, x, 3)
    wrong = error_of(zennits(make(), once, x, 3), right)
    measured("zennit: a convolution used twice against written out, of max|R|", wrong)
    assert wrong > 0.1
    for model in networks:
        mine = error_of(lw.Explainer(model).explain(x, 3, lw.LRP(composite)).relevance, right)
        measured("here: a convolution used twice against written out, of max|R|", mine)
        assert mine <= 1e-12


class SumPooled(nn.Module):
    """Sum pooling by a function, two times."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.relu = nn.Conv2d(3, 4, 3, bias=False), nn.ReLU()
        self.dense = nn.Linear(4 * 9, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pooled = functional.avg_pool2d(self.relu(self.convolution(x)), 2, divisor_override=1)
        return self.dense(functional.avg_pool2d(pooled, 2, divisor_override=1).flatten(1))


def test_pooling_without_a_module_multiplies_relevance() -> None:
    """The gradient of sum pooling hands all it gets to each of four pixels: 4ⁿ, and evenly instead of in proportion."""
    torch.manual_seed(0)
    model, x = SumPooled().double().eval(), torch.rand(1, 3, 14, 14).double()
    make, composite = SIGNED["EpsilonPlus"]
    assert share(zennits(make(), model, x, 3), model, x) == pytest.approx(16, rel=1e-3)
    mine = lw.Explainer(model).explain(x, 3, lw.LRP(composite)).relevance
    assert share(mine, model, x) == pytest.approx(1, abs=1e-4)
