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

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from tests.peers.zennit_cases import PAIRS, error_of, resnet18, small_resnet, small_vgg, vgg11, zennits

pytest.importorskip("zennit", reason="the peers extra is not installed")


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
