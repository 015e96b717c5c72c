"""Areas under curves and between them, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.evaluation import Curve

MOST = Curve(np.array([0.0, 0.5, 1.0]), np.array([4.0, 1.0, 0.0]), "most relevant first", "logit")
LEAST = Curve(np.array([0.0, 0.5, 1.0]), np.array([4.0, 3.0, 0.0]), "least relevant first", "logit")


def test_the_area_by_hand() -> None:
    assert MOST.area == MOST.auc(normalized=False) == pytest.approx((2.5 + 0.5) / 2)
    assert MOST.auc(normalized=True) == pytest.approx(1.5 / 4)


def test_shares_of_the_first_score() -> None:
    curve = replace(MOST, low=np.array([2.0, 0.0, -4.0]), high=np.array([8.0, 4.0, 0.0]), band="b", removal="r")
    got = curve.normalized()
    assert got.values.tolist() == [1, 0.25, 0]
    assert got.low is not None and got.low.tolist() == [0.5, 0, -1]
    assert got.high is not None and got.high.tolist() == [2, 1, 0]
    assert got.unit == "logit / logit of the whole input"
    assert (got.order, got.ranking, got.removal, got.of, got.band) == (curve.order, "ranked once", "r", "patches", "b")
    assert MOST.normalized().low is None


def test_between_two_curves_by_hand() -> None:
    assert lw.area_between(MOST, LEAST) == pytest.approx((0 + 2) / 2 * 0.5 + (2 + 0) / 2 * 0.5)
    assert lw.area_between(MOST, LEAST, normalized=True) == pytest.approx(1 / 4)


def test_between_curves_at_other_shares() -> None:
    """The corner of one at 0.25, of the other at 0.5: by hand, trapezium by trapezium."""
    most = replace(MOST, removed=np.array([0.0, 0.25, 1.0]))
    gaps = [0, 3.5 - 1, 3 - 2 / 3, 0]
    expected = sum((a + b) / 2 * w for a, b, w in zip(gaps, gaps[1:], (0.25, 0.25, 0.5), strict=False))
    assert lw.area_between(most, LEAST) == pytest.approx(expected)
    assert lw.area_between(most, LEAST) == pytest.approx(LEAST.area - most.area)


def test_a_linear_model_has_the_area_of_its_weights() -> None:
    model, x = nn.Linear(4, 1, bias=False), torch.ones(1, 4)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[8.0, 4.0, 2.0, 1.0]]))
    most, least = (lw.pixel_flipping(model, x, model.weight, 0, patch=1, order=o) for o in ("most", "least"))
    # 15 7 3 1 0 against 15 14 12 8 0
    assert lw.area_between(most, least) == pytest.approx((7 + 9 + 7) / 4)
    assert lw.area_between(most, least, normalized=True) == pytest.approx(23 / 4 / 15)


@pytest.mark.parametrize(
    ("most", "least", "said"),
    [
        (
            LEAST,
            LEAST,
            "area_between.most must be a curve with the most relevant first, got 'least relevant first'. "
            'Make it with pixel_flipping(…, order="most").',
        ),
        (
            MOST,
            MOST,
            "area_between.least must be a curve with the least relevant first, got 'most relevant first'. "
            'Make it with pixel_flipping(…, order="least").',
        ),
        (
            MOST,
            replace(LEAST, unit="probability"),
            "area_between takes curves with one unit, got 'logit' and 'probability'. Make them all alike.",
        ),
        (
            replace(MOST, ranking="ranked again each time"),
            LEAST,
            "area_between takes curves with one ranking, got 'ranked again each time' and 'ranked once'. "
            "Make them all alike.",
        ),
        (
            replace(MOST, removed=np.array([0.0, 0.25, 0.5])),
            LEAST,
            "area_between takes whole curves, got one that ends at 50% removed. Wait for the last one of the stream.",
        ),
    ],
)
def test_what_cannot_be_compared(most: Curve, least: Curve, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        lw.area_between(most, least)
    assert str(caught.value) == said


@pytest.mark.parametrize("first", [0.0, -2.0, float("nan")])
def test_no_share_of_nothing(first: float) -> None:
    curve: Any = replace(MOST, values=np.array([first, 1.0, 0.0]))
    for make in (lambda: curve.auc(normalized=True), curve.normalized):
        with pytest.raises(ValueError) as caught:
            make()
        assert str(caught.value) == (
            f"The first score must be positive to normalize by it, got {first:.3g}. "
            "Leave it as it is with normalized=False."
        )
