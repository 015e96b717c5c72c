"""Exactly what changed is done again; a run that was stopped anywhere leaves the rest right."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from tests.engine.trace.memo_cases import straight


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(1)
    return torch.rand(2, 1, 6, 6)


class Branched(nn.Module):
    """Two ways from the input to the sum, then a head."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.left, self.right = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(1, 2, 1)
        self.head = nn.Linear(2 * 36, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(torch.relu(self.left(x)) + self.right(x)).flatten(1))


def redone(explainer: lw.Explainer, x: Tensor, target: Any, composite: lw.Composite) -> int:
    return explainer.explain(x, target, lw.LRP(composite)).recomputed


def test_nothing_changed_nothing_redone(x: Tensor) -> None:
    explainer = lw.Explainer(straight())
    first = explainer.explain(x, 1, lw.LRP(lw.alpha_beta(2.0)))
    assert (first.recomputed, first.steps) == (7, 7)
    again = explainer.explain(x.clone(), [1, 1], lw.LRP(lw.alpha_beta(alpha=2.0)))  # equal, not identical
    assert again.recomputed == 0
    assert torch.equal(again.relevance, first.relevance)


def test_another_input_rule_redoes_the_first_layer_only(x: Tensor) -> None:
    explainer = lw.Explainer(straight())
    redone(explainer, x, 1, lw.alpha_beta(2.0, input="zB"))
    for rule in ("w2", "flat", "z+", "epsilon", None, "zB"):
        assert redone(explainer, x, 1, lw.alpha_beta(2.0, input=rule)) == 1, rule


def test_another_alpha_redoes_every_step_that_it_reaches(x: Tensor) -> None:
    explainer = lw.Explainer(straight())
    redone(explainer, x, 1, lw.alpha_beta(2.0, input="zB"))
    assert redone(explainer, x, 1, lw.alpha_beta(2.5, input="zB")) == 7


def test_another_rule_in_the_middle_redoes_it_and_what_lies_below(x: Tensor) -> None:
    explainer = lw.Explainer(straight())

    def composite(alpha: float) -> lw.Composite:
        return lw.Composite((lw.Entry(lw.rules.AlphaBeta(alpha), "3"), lw.Entry(lw.rules.Epsilon())))

    redone(explainer, x, 1, composite(2.0))
    assert redone(explainer, x, 1, composite(1.5)) == 4  # layers 3, 2, 1, 0
    assert redone(explainer, x, 1, composite(1.5)) == 0


def test_another_epsilon_in_dense_layers_redoes_all_without_new_forward_work(
    x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer, linearized = lw.Explainer(straight()), []
    for rule in (lw.rules.ZPlus, lw.rules.Epsilon):
        original = rule.linearize
        monkeypatch.setattr(
            rule, "linearize", lambda self, layer, a, f=original: linearized.append(layer.name) or f(self, layer, a)
        )
    redone(explainer, x, 1, lw.epsilon_plus(epsilon=0.1))
    assert linearized == ["6", "3", "0"]
    linearized.clear()
    assert redone(explainer, x, 1, lw.epsilon_plus(epsilon=0.2)) == 7
    assert linearized == ["6"]


def test_another_class_pulls_everything_and_linearizes_nothing(x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    explainer, linearized = lw.Explainer(straight()), []
    original = lw.rules.AlphaBeta.linearize
    monkeypatch.setattr(
        lw.rules.AlphaBeta,
        "linearize",
        lambda self, layer, a: linearized.append(layer.name) or original(self, layer, a),
    )
    redone(explainer, x, 1, lw.alpha_beta(2.0))
    linearized.clear()
    assert redone(explainer, x, 2, lw.alpha_beta(2.0)) == 7
    assert redone(explainer, x, lw.contrast(0, 2), lw.alpha_beta(2.0)) == 7
    assert redone(explainer, x, [0, 1], lw.alpha_beta(2.0)) == 7
    assert linearized == []


def test_another_input_redoes_everything_and_no_weights(x: Tensor) -> None:
    explainer = lw.Explainer(straight())
    redone(explainer, x, 1, lw.alpha_beta(2.0))
    layers = [step.affine for step in explainer.tape(x).steps]
    assert redone(explainer, x + 0.01, 1, lw.alpha_beta(2.0)) == 7
    assert redone(explainer, x[:1], 1, lw.alpha_beta(2.0)) == 7
    assert [step.affine for step in explainer.tape(x).steps] == layers  # the same objects, what they remember included


def test_branches_are_redone_one_by_one(x: Tensor) -> None:
    explainer = lw.Explainer(Branched())

    def composite(left: float, right: float) -> lw.Composite:
        return lw.Composite(
            (
                lw.Entry(lw.rules.AlphaBeta(left), "left"),
                lw.Entry(lw.rules.AlphaBeta(right), "right"),
                lw.Entry(lw.rules.Epsilon()),
            )
        )

    redone(explainer, x, 0, composite(2.0, 2.0))
    assert redone(explainer, x, 0, composite(2.0, 1.0)) == 1
    assert redone(explainer, x, 0, composite(1.0, 1.0)) == 1
    assert redone(explainer, x, 0, composite(2.0, 2.0)) == 2


@pytest.mark.parametrize("option", ["proportional", "winner-take-all"])
def test_another_treatment_of_max_pooling_redoes_what_lies_below(x: Tensor, option: str) -> None:
    torch.manual_seed(0)
    explainer = lw.Explainer(nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 2)))
    redone(explainer, x, 1, lw.epsilon(max_pooling="winner-take-all"))
    # Flatten and pooling are looked at again, the pooling alone gives something new; the dense layer stays.
    got = explainer.explain(x, 1, lw.LRP(lw.epsilon(max_pooling=option)))
    fresh = lw.Explainer(explainer.model).explain(x, 1, lw.LRP(lw.epsilon(max_pooling=option)))
    assert torch.equal(got.relevance, fresh.relevance)
    assert got.recomputed == (3 if option == "proportional" else 0)


CHANGES: list[Callable[[lw.alpha_beta], lw.Composite]] = [
    lambda c: c,
    lambda c: dataclasses.replace(c, alpha=1.0),
    lambda c: dataclasses.replace(c, input="w2"),
    lambda c: dataclasses.replace(c, low=-1.0),
    lambda c: dataclasses.replace(c, max_pooling="proportional"),
    lambda c: lw.epsilon(0.2),
    lambda c: lw.epsilon_plus_flat(),
    lambda c: lw.montavon2019(),
    lambda c: lw.layered(alpha=2.0),
    lambda c: lw.Composite((lw.Entry(lw.rules.Gamma(0.3)),)),
]


def test_any_walk_through_the_settings_ends_where_a_fresh_explainer_starts(x: Tensor) -> None:
    model = Branched().eval()
    explainer = lw.Explainer(model)
    generator = torch.Generator().manual_seed(3)
    base = lw.alpha_beta(2.0, input="zB", low=0, high=1)
    inputs, targets = [x, x.flip(2)], [0, 2, None, lw.contrast(0, 1), [2, 0]]
    for _ in range(40):
        pick = [int(torch.randint(n, (), generator=generator)) for n in (len(CHANGES), len(inputs), len(targets))]
        method = lw.LRP(CHANGES[pick[0]](base))
        got = explainer.explain(inputs[pick[1]], targets[pick[2]], method)
        fresh = lw.Explainer(model).explain(inputs[pick[1]], targets[pick[2]], method)
        assert torch.equal(got.relevance, fresh.relevance)
        for line, other in zip(got.layers, fresh.layers, strict=True):
            assert line.name == other.name
            assert torch.equal(line.relevance_in, other.relevance_in)
