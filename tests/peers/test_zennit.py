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
  proportion, where the windows of adaptive pooling overlap, too; zennit sees it only where it is a module."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from zennit.composites import (
    EpsilonAlpha2Beta1,
    EpsilonPlus,
    EpsilonPlusFlat,
)
from zennit.torchvision import ResNetBasicBlockCanonizer, ResNetCanonizer

import lrp_widgets as lw
from lrp_widgets.engine.trace.convolution import plainly
from tests.peers.zennit_cases import NOTHING, PAIRS, error_of, resnet18, small_resnet, small_vgg, vgg11, zennits

pytest.importorskip("zennit", reason="the peers extra is not installed")

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


@pytest.fixture(scope="module", params=["small VGG", "small ResNet", "vgg11", "resnet18"])
def network(request: pytest.FixtureRequest) -> Iterator[tuple[str, nn.Module, nn.Module, Tensor, tuple[Any, ...]]]:
    """Name, the network, the same folded by hand, an input (all float64), and the canonizers that zennit needs."""
    torch.manual_seed(0)
    networks = {"small VGG": small_vgg, "small ResNet": small_resnet, "vgg11": vgg11, "resnet18": resnet18}
    model, by_hand, x, canonizers = networks[request.param]()
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
    """With the same convolutions to the last digits; with those for channels last as far off as these round.

    They add up all products of a neuron in one row, as a dense layer does (relative error 8e-7 at 512 channels), where
    torch's usual ones add up groups of channels (2e-7).
    """
    which, _, by_hand, x, canonizers = network
    make, composite = PAIRS[name]
    single = copy.deepcopy(by_hand).float()
    zennit = zennits(make(canonizers=list(canonizers)), single, x.float(), 3)
    truth = zennits(make(canonizers=list(canonizers)), copy.deepcopy(by_hand), x, 3)
    with plainly():
        plain = error_of(lw.Explainer(single).explain(x.float(), 3, lw.LRP(composite)).relevance, zennit)
    measured(f"zennit {name} on {which}, both in single precision, of max|R|", plain)
    assert plain <= 1e-5
    quick = error_of(lw.Explainer(single).explain(x.float(), 3, lw.LRP(composite)).relevance, truth)
    measured(f"zennit {name} on {which}, single against double precision, of max|R|", quick)
    assert quick <= 6 * max(2e-6, error_of(zennit, truth))


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
