"""Parameter randomization: which weights are changed, what is compared, and that nobody else notices."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.evaluation import randomization, stream_randomization
from lrp_widgets.evaluation.axioms.randomization import layers_in_order, rank_correlation


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 5),
        nn.ReLU(),
        nn.Linear(5, 3),
    )
    return nn.Sequential(*layers).double().eval()


X = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(0)).double()


def test_the_rank_correlation_by_hand() -> None:
    """ρ = 1 − 6 Σ d² / (n (n² − 1)) without ties; with ties the ranks are shared."""
    assert rank_correlation(np.array([10.0, 20, 30, 40]), np.array([1.0, 4, 2, 8])) == pytest.approx(1 - 6 * 2 / 60)
    assert rank_correlation(np.array([1.0, 2, 3]), np.array([-1.0, -20, -300])) == pytest.approx(-1)
    # ranks 0.5 0.5 2 3 against 0 1 2 3
    one, other = np.array([-1, -1, 0.5, 1.5]), np.array([-1.5, -0.5, 0.5, 1.5])
    expected = float(one @ other / np.sqrt((one @ one) * (other @ other)))
    assert rank_correlation(np.array([5.0, 5, 7, 9]), np.array([1.0, 2, 3, 4])) == pytest.approx(expected)
    assert rank_correlation(np.ones(4), np.arange(4)) == 0


@pytest.mark.parametrize("mode", ["cascading", "independent"])
@pytest.mark.parametrize("method", [lw.LRP(lw.epsilon()), lw.Gradient()], ids=lambda method: type(method).__name__)
def test_against_randomizing_by_hand(mode: str, method: Any) -> None:
    model, draw = network(), torch.Generator().manual_seed(3)
    before = lw.Explainer(model).explain(X, 1, method).relevance
    changed, expected = copy.deepcopy(model), []
    for name in ("6", "4", "1", "0"):
        changed = changed if mode == "cascading" else copy.deepcopy(model)
        for weights in changed.get_submodule(name).parameters():
            size = weights.detach().square().mean().sqrt()
            noise = torch.randn(weights.shape, generator=draw, dtype=torch.float64)
            weights.data = noise * size
        after = lw.Explainer(changed).explain(X, 1, method).relevance
        expected.append(rank_correlation(before.numpy(), after.numpy()))
    got = randomization(model, X, method, 1, mode=mode, seed=3)
    assert got.layers == ("6", "4", "1", "0") and got.mode == mode
    assert got.correlations.tolist() == pytest.approx(expected)
    assert got.heatmaps.shape == (4, 1, 6, 6)
    size = abs(expected[-1]) if mode == "cascading" else max(map(abs, expected))
    assert got.value == pytest.approx(size)


def test_the_model_is_left_as_it_was() -> None:
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for mode in ("cascading", "independent"):
        randomization(model, X, lw.LRP(), 1, mode=mode)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(m._forward_hooks for m in model.modules())
    assert all(p.grad is None for p in model.parameters())


def test_layer_by_layer_until_somebody_stops() -> None:
    stream = stream_randomization(network(), X, lw.Gradient(), 1)
    assert [len(next(stream).layers) for _ in range(2)] == [1, 2]
    stream.close()
    whole = randomization(network(), X, lw.Gradient(), 1)
    parts = list(stream_randomization(network(), X, lw.Gradient(), 1))
    assert parts[-1].correlations.tolist() == whole.correlations.tolist()
    other = randomization(network(), X, lw.Gradient(), 1, seed=1)
    assert other.correlations.tolist() != whole.correlations.tolist()


def test_a_map_that_knows_nothing_of_the_weights_does_not_change() -> None:
    """Chance shares f at random: with another f, the same map or its negative."""
    got = randomization(network(), X, lw.Chance(), 1)
    assert np.abs(got.correlations).tolist() == pytest.approx([1] * 4)
    assert got.value == pytest.approx(1)


def test_ranks_of_the_size_alone() -> None:
    model, weights = nn.Linear(6, 1, bias=False).double(), torch.tensor([[1.0, -2.0, 3.0, -4.0, 5.0, -6.0]])
    with torch.no_grad():
        model.weight.copy_(weights)
    x = torch.ones(1, 6).double()
    signed, size = (randomization(model, x, lw.Gradient(), 0, absolute=a, seed=2) for a in (False, True))
    after = signed.heatmaps[0]
    assert signed.correlations[0] == pytest.approx(rank_correlation(weights.numpy(), after))
    assert size.correlations[0] == pytest.approx(rank_correlation(np.arange(6), np.abs(after)))
    assert size.correlations[0] != pytest.approx(signed.correlations[0])


def test_layers_come_in_the_order_in_which_they_run() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last, self.unused, self.first = nn.Linear(4, 2), nn.Linear(2, 2), nn.Linear(3, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.first(x))

    model = Backwards().eval()
    assert layers_in_order(model, torch.rand(1, 3)) == ("first", "last")
    assert not model.first._forward_hooks


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: randomization("net", X),
            "randomization needs a torch.nn.Module, got str. Wrap a function in a Module.",
        ),
        (
            lambda: randomization(network(), X, mode="both"),
            "mode must be one of 'cascading', 'independent', got 'both'.",
        ),
        (
            lambda: randomization(nn.Sequential(nn.Flatten(), nn.ReLU()), X, lw.Gradient()),
            "randomization needs a model with weights, Sequential has none that it uses. Leave this test out.",
        ),
        (
            lambda: randomization(network(), torch.cat([X, X])),
            "randomization takes one input with its batch dimension, got shape (2, 1, 6, 6). "
            "Take one with x[i : i + 1].",
        ),
    ],
)
def test_messages(make: Any, said: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        make()
    assert str(caught.value) == said
