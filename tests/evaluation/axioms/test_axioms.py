"""The report card, row by row, by hand."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.evaluation import Limits, Score, stream_axioms
from lrp_widgets.evaluation.axioms.axioms import ROWS

NAMES = (
    *("conservation", "positivity", "completeness", "continuity", "selectivity", "implementation invariance"),
    *("input invariance", "randomization, cascading", "randomization, independent"),
)


def linear(*weights: float, bias: float | None = None) -> nn.Module:
    layer = nn.Linear(len(weights), 1, bias is not None).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weights]))
        if bias is not None:
            layer.bias.fill_(bias)
    return nn.Sequential(layer).eval()


def card(model: nn.Module, x: Any, method: Any, **more: Any) -> dict[str, Score]:
    x = x if isinstance(x, Tensor) else torch.tensor([x]).double()
    return {row.name: row for row in lw.axioms(model, x, method, 0, **more)}


def test_every_row_says_its_number_limit_source_and_meaning() -> None:
    rows = lw.axioms(linear(2.0, -1.0, 3.0), torch.tensor([[1.0, 2.0, 3.0]]).double(), lw.SimpleTaylor())
    assert tuple(row.name for row in rows) == NAMES
    for row in rows:
        assert row.measured and not math.isnan(row.threshold)
        assert row.passes is (row.value <= row.threshold)
        assert row.source and row.meaning and "\n" not in row.meaning
        assert f"{row.value:.3g}, at most {row.threshold:.3g}" in str(row)
        with pytest.raises(dataclasses.FrozenInstanceError):
            row.value = 1.0  # type: ignore[misc]


def test_a_linear_model_by_hand() -> None:
    """f = 2x − y + 1 at (3, 2): f = 5, R = (6, −2)."""
    rows = card(linear(2.0, -1.0, bias=1.0), [3.0, 2.0], lw.SimpleTaylor())
    assert rows["conservation"].value == pytest.approx(1 / 5) and rows["conservation"].passes is False
    assert rows["conservation"].note == "ΣR = 4, f(x) = 5"
    assert rows["positivity"].value == pytest.approx(2 / 8)
    assert rows["completeness"].value == pytest.approx(0, abs=1e-12)  # f(x) − f(0) = 4
    assert rows["selectivity"].value == pytest.approx((5 / 2 - 1 + 1 / 2) / 2)  # 5, −1, 1
    # y first: 5, 7, 1; the least of both orders
    assert rows["selectivity"].threshold == pytest.approx((5 / 2 - 1 + 1 / 2) / 2)
    assert rows["implementation invariance"].value == pytest.approx(0, abs=1e-12)
    # The range is 1, so x' = (2, 1), and R' = (4, −1): 2 of 6.
    assert rows["input invariance"].value == pytest.approx(2 / 6)
    assert rows["input invariance"].note == "shifted by -1"


def test_completeness_has_a_baseline() -> None:
    rows = card(linear(2.0, -1.0), [3.0, 2.0], lw.SimpleTaylor(), baseline=1.0)
    assert rows["completeness"].value == pytest.approx((4 - 3) / 3)
    assert rows["completeness"].note == "ΣR = 4, f(x) − f(x₀) = 3"
    assert rows["selectivity"].value == pytest.approx((4 / 2 + 0 + 1 / 2) / 2)  # 4, 0, 1


def test_a_gradient_is_invariant_and_explains_no_value() -> None:
    rows = card(linear(2.0, -1.0), [3.0, 2.0], lw.Gradient())
    assert rows["input invariance"].value == 0 and rows["input invariance"].passes
    assert rows["implementation invariance"].value == pytest.approx(0, abs=1e-12)
    assert rows["conservation"].value == pytest.approx((4 - 1) / 4)


def test_z_plus_depends_on_the_notation() -> None:
    """test_rewriting.py has it by hand: (1, 0) becomes (2, 0)."""
    row = card(linear(2.0, -1.0), [1.0, 1.0], lw.LRP(lw.deep_taylor()))["implementation invariance"]
    assert row.value == pytest.approx(1) and row.passes is False
    assert row.note == "halved: 1, doubled: 0"


def test_alpha_one_beta_zero_has_the_four_of_the_paper() -> None:
    """Conservation, positivity, continuity and selectivity on a ReLU network without biases."""
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(144, 1, bias=False), nn.ReLU()
    model = nn.Sequential(*layers).double().eval()
    with torch.no_grad():
        model[3].weight.abs_()
    x = torch.zeros(1, 1, 8, 8).double()
    x[0, 0, 2:5, 2:5] = torch.rand(3, 3).double() + 0.5
    rows = card(model, x, lw.LRP(lw.alpha_beta(1.0)), patch=2)
    for name in ("conservation", "positivity", "continuity", "selectivity"):
        assert rows[name].passes, str(rows[name])
    assert rows["conservation"].value < 1e-12 and rows["positivity"].value == 0
    assert rows["continuity"].note.startswith("by translation: ")


def test_jumps_are_told_in_medians() -> None:
    """The golden case: simple Taylor of max(x, y) jumps where they are equal."""

    class Larger(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.amax(1, keepdim=True)

    x = torch.tensor([[1.0, 0.999]]).double()
    path = lw.continuity(Larger(), x, lw.SimpleTaylor(), 0, kind="noise")
    row = card(Larger(), x, lw.SimpleTaylor())["continuity"]
    assert row.value == pytest.approx(path.value / path.median)
    assert row.note == f"by noise: at most {path.value:.3g}, median {path.median:.3g}"


def test_selectivity_must_beat_every_random_order() -> None:
    weights = np.arange(1.0, 9.0)
    model, x = linear(*weights), torch.ones(1, 8).double()
    good, bad = (card(model, x, method)["selectivity"] for method in (lw.SimpleTaylor(), lw.Chance(4)))
    chance = [lw.pixel_flipping(model, x, x, 0, patch=1, order="random", seed=seed).area for seed in range(19)]
    assert good.threshold == bad.threshold == pytest.approx(min(chance))
    assert good.passes is True and bad.passes is False
    assert good.note == f"in units of f; 19 random orders: {min(chance):.3g} to {max(chance):.3g}"
    fewer = card(model, x, lw.SimpleTaylor(), limits=Limits(orders=2, seed=5))["selectivity"]
    two = [lw.pixel_flipping(model, x, x, 0, patch=1, order="random", seed=seed).area for seed in (5, 6)]
    assert fewer.threshold == pytest.approx(min(two))


def test_a_row_that_cannot_be_measured_says_why() -> None:
    class Bare(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum(1, keepdim=True) - 2

    rows = card(Bare(), [1.0, 1.0], lw.Gradient())
    said = {name: str(row) for name, row in rows.items() if row.passes is None}
    assert said == {
        "conservation": "conservation: not measured, f(x) is 0, and a share of it would say nothing "
        "[the paper, section on relevance propagation; the limit is ours]",
        "continuity": "continuity: not measured, all inputs near this one are the same "
        "[the paper, section on explanation continuity; the limit is ours]",
        "implementation invariance": "implementation invariance: not measured, the model has no plain nn.Linear that "
        "could be written in another way [Sundararajan et al. 2017; the limit is ours]",
        "input invariance": "input invariance: not measured, no nn.Linear or convolution sees the input as it is "
        "[Kindermans et al. 2019; the limit is ours]",
        **{
            f"randomization, {mode}": f"randomization, {mode}: not measured, randomization needs a model with weights, "
            "Bare has none that it uses. Leave this test out. [Adebayo et al. 2018; the limit is ours]"
            for mode in ("cascading", "independent")
        },
    }


def test_limits_decide() -> None:
    loose = card(linear(2.0, -1.0, bias=1.0), [3.0, 2.0], lw.SimpleTaylor(), limits=Limits(conservation=0.3))
    assert loose["conservation"].threshold == 0.3 and loose["conservation"].passes is True
    moved = card(linear(2.0, -1.0), [3.0, 2.0], lw.SimpleTaylor(), limits=Limits(shift=-2.0))
    assert moved["input invariance"].value == pytest.approx(4 / 6)


def test_rows_come_one_by_one_and_the_model_stays() -> None:
    model, x = linear(2.0, -1.0, bias=1.0), torch.tensor([[3.0, 2.0]]).double()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    explainer = lw.Explainer(model)
    explainer.explain(x, 0)
    stream = stream_axioms(explainer, x, lw.SimpleTaylor())
    assert next(stream).name == NAMES[0]
    rest = list(stream)
    assert [row.name for row in rest] == list(NAMES[1:]) and len(ROWS) == len(NAMES)
    assert explainer.remembers(x)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_score_that_must_be_large() -> None:
    score = Score("s", 0.5, 0.4, "the paper", "m", above=True)
    assert score.passes is True and str(score) == "s: 0.5, at least 0.4: passes. m [the paper]"
    assert dataclasses.replace(score, value=0.3).passes is False
    assert dataclasses.replace(score, threshold=math.nan).passes is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "net"}, "TypeError: axioms needs a torch.nn.Module, got str. Wrap a function in a Module."),
        ({"limits": 3}, "TypeError: limits must be a setting such as Limits(jump=5.0), got 3."),
        (
            {"x": torch.ones(2, 2).double()},
            "ValueError: axioms takes one input with its batch dimension, got shape (2, 2). "
            "Take one with x[i : i + 1].",
        ),
        (
            {"baseline": (0, 0)},
            "ValueError: pixel_flipping.baseline must be one number or one per channel (1), got 2.",
        ),
    ],
)
def test_messages(changes: Any, said: str) -> None:
    given: Any = {"model": linear(1.0, 2.0), "x": torch.ones(1, 2).double(), "method": lw.Gradient()}
    with pytest.raises((ValueError, TypeError)) as caught:
        lw.axioms(**given | changes)
    assert f"{type(caught.value).__name__}: {caught.value}" == said
    with pytest.raises(ValueError, match=r"^Limits.jump must be at least 1.0, got 0.$"):
        Limits(jump=0)
