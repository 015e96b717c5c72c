"""The arithmetic of one neuron: the numbers of the equation are the numbers of the engine."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.analysis.neuron import TERMS, Calculator, Neuron
from lrp_widgets.engine.layers.layer import ALL, Layer
from lrp_widgets.engine.rules import RULES, Pullback, Rule, ZBox


class Residual(nn.Module):
    """Signed inputs, biases, a residual sum, pooling and a dense head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        x = x + self.second(x)
        return self.head(nn.functional.max_pool2d(x, 2).flatten(1))


@pytest.fixture
def x() -> Tensor:
    return torch.rand(2, 2, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def calculator(x: Tensor, rule: Rule, row: int = 1) -> Calculator:
    composite = lw.Composite((lw.Entry(rule),))
    tape, passed, *_ = lw.Explainer(Residual().double()).propagate(x, composite, 2, lambda: False)
    return Calculator(tape, composite, passed.relevance, row)


def test_every_rule_says_its_terms():
    assert set(TERMS) == set(RULES)


def kinds() -> list[Rule]:
    made: list[Rule] = [rule() for rule in RULES if rule is not ZBox]
    return [*made, lw.rules.ZBox(-1.0, 2.0), lw.rules.Epsilon(0.3, relative=True)]


@pytest.mark.parametrize("rule", kinds(), ids=str)
@pytest.mark.parametrize("layer", ["first", "second", "head"])
def test_the_messages_are_those_that_the_rule_sends(x, rule, layer):
    known = calculator(x, rule)
    step = known.steps[layer]
    values = known.tape.values
    a, z = values[step.inputs[0]][1:], values[step.outputs[0]][1:]  # type: ignore[index]
    arrived = known.relevance[step.outputs[0]][1:]  # type: ignore[index]
    pullback = rule.linearize(Layer(step.affine, a, z), a)
    for j in ((0, 3, 4), (1, 0, 7)) if layer != "head" else ((5,), (60,)):
        found = known.of(Neuron(layer, j), most=10_000)
        dense = torch.zeros_like(z)
        for k in range(z.numel()):  # slow and obvious: one receiver at a time
            one = torch.zeros_like(z)
            one.view(-1)[k] = arrived.flatten()[k]
            dense.view(-1)[k] = pullback(one)[0][(0, *j)]
        assert found.count == len(found.messages) == int((dense != 0).sum())
        for message in found.messages:
            expected = float(dense[(0, *message.other.index)])
            assert message.relevance == pytest.approx(expected, rel=1e-9, abs=1e-15)
            assert message.share * message.relevance_of_k == pytest.approx(expected, rel=1e-9, abs=1e-15)
            assert message.numerator is not None
            assert message.denominator is not None
            again = message.numerator / message.denominator * message.relevance_of_k
            assert again == pytest.approx(expected, rel=1e-9, abs=1e-15)
            (back,) = [m for m in known.of(message.other, 10_000).messages if m.other.index == j]
            assert back.relevance == pytest.approx(expected, rel=1e-9, abs=1e-15)
            assert (back.weight, back.activation) == pytest.approx((message.weight, message.activation))
        assert found.total == pytest.approx(float(dense.sum()), rel=1e-9, abs=1e-15)


def test_a_rule_without_terms_still_says_its_shares(x):
    @dataclass(frozen=True)
    class Halved(Rule):
        equation = "R_j = …"
        reference = "nobody"

        def linearize(self, layer: Layer, a: Tensor) -> Pullback:
            return lambda relevance: (a * layer.adjoint(0.5 * relevance / layer.z, ALL), {"half": 0.5 * relevance})

    found = calculator(x, Halved()).of(Neuron("head", (5,)))
    assert [m.numerator for m in found.messages] == [None]
    (message,) = found.messages
    assert message.other == Neuron("head", (2,), leaves=True)
    assert message.relevance == pytest.approx(found.relevance)


def test_up_and_down_through_the_network(x):
    known = calculator(x, lw.rules.Epsilon())
    pixel = known.at_input((1, 3, 4))
    assert pixel == Neuron("first", (1, 3, 4))
    receiver = known.of(pixel).messages[0].other
    entering = known.above(receiver)
    assert entering == Neuron("second", receiver.index)
    assert known.below(entering) == Neuron("first", receiver.index, leaves=True)
    seen = known.above(Neuron("second", (1, 2, 2), leaves=True))
    if seen is not None:  # unless it lost the pooling
        assert seen == Neuron("head", (1 * 16 + 1 * 4 + 1,))
    assert known.above(Neuron("head", (2,), leaves=True)) is None
    assert known.below(pixel) is None
    largest = known.of(Neuron("head", (2,), leaves=True)).messages[0].other
    under = known.below(largest)
    assert under is not None
    assert under.layer in ("first", "second")
    channel, row, column = under.index
    assert largest.index[0] == channel * 16 + row // 2 * 4 + column // 2


@pytest.mark.parametrize(
    ("neuron", "message"),
    [
        (Neuron("third", (1,)), "Neuron.layer must be one of first, second, head, got 'third'."),
        (Neuron("first", (2, 0, 0)), "Neuron.index must lie in the shape (2, 8, 8) of 'first', got (2, 0, 0)."),
        (Neuron("head", (3,), leaves=True), "Neuron.index must lie in the shape (3,) of 'head', got (3,)."),
    ],
)
def test_a_neuron_that_is_not_there(x, neuron, message):
    with pytest.raises(ValueError) as caught:
        calculator(x, lw.rules.Zero()).of(neuron)
    assert str(caught.value) == message
