"""Means over a data set against a loop that draws samples one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import lrp_widgets as lw
from lrp_widgets.evaluation import Curve, bootstrap


def curve(*values: float, removed: Any = None, **more: Any) -> Curve:
    shares = np.linspace(0, 1, len(values)) if removed is None else np.array(removed)
    return Curve(shares, np.array(values), "most relevant first", "logit", **more)


def test_the_interval_of_a_normal_mean() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    mean, low, high = bootstrap(values, draws=4000)
    half = 1.96 * values.std(ddof=1) / np.sqrt(400)
    assert mean == pytest.approx(values.mean())
    assert (mean - low, high - mean) == pytest.approx((half, half), rel=0.06)


def test_against_drawing_one_by_one() -> None:
    values, draw = np.array([0.0, 1.0, 5.0]), np.random.default_rng(7)
    means = [np.mean([values[draw.integers(3)] for _ in range(3)]) for _ in range(3000)]
    _, low, high = bootstrap(values, confidence=0.6, draws=3000, seed=1)
    assert (low, high) == pytest.approx(tuple(np.quantile(means, [0.2, 0.8])), abs=0.35)
    # Two samples: the mean of a draw is the one, the other or between them, with ¼, ¼ and ½.
    assert bootstrap(np.array([0.0, 1.0]), confidence=0.9)[1:] == (0, 1)
    assert bootstrap(np.array([0.0, 1.0]), confidence=0.4)[1:] == (0.5, 0.5)


def test_the_seed_decides() -> None:
    values = np.random.default_rng(0).normal(size=(20, 3))
    one, again, other = (bootstrap(values, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one[1], again[1]) and not np.array_equal(one[1], other[1])


def test_the_mean_of_curves() -> None:
    got = lw.mean_curve([curve(4, 2, 0), curve(2, 2, -2), curve(3, 2, 2)])
    assert got.values.tolist() == pytest.approx([3, 2, 0])
    assert got.low is not None and got.high is not None
    assert (got.low <= got.values).all() and (got.values <= got.high).all()
    assert got.low[1] == got.high[1] == pytest.approx(2)
    assert (got.order, got.unit) == ("most relevant first", "logit")
    assert got.band == "95 % bootstrap interval of the mean of 3"


def test_confident_inputs_need_not_weigh_more() -> None:
    got = lw.mean_curve([curve(100, 0, 0), curve(1, 1, 1)], normalized=True)
    assert got.values.tolist() == [1, 0.5, 0.5]
    assert got.unit == "logit / logit of the whole input"


def test_curves_recorded_at_other_shares() -> None:
    got = lw.mean_curve([curve(2, 0), curve(2, 2, 0, removed=[0, 0.5, 1])])
    assert got.removed.tolist() == pytest.approx(np.linspace(0, 1, 101).tolist())
    assert got.values[[0, 25, 50, 75, 100]].tolist() == pytest.approx([2, 1.75, 1.5, 0.75, 0])


def test_one_curve_has_no_spread() -> None:
    got = lw.mean_curve([curve(2, 1, 0)])
    assert got.values.tolist() == [2, 1, 0]
    assert got.low is not None and np.isnan(got.low).all()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: lw.mean_curve([]), "ValueError: mean_curve needs at least one curve, got none."),
        (
            lambda: lw.mean_curve([np.ones(3)]),  # type: ignore[list-item]
            "TypeError: mean_curve takes curves as lw.pixel_flipping makes them, got ndarray.",
        ),
        (
            lambda: lw.mean_curve([curve(1, 0), replace(curve(1, 0), order="random")]),
            "ValueError: mean_curve takes curves with one order, got 'most relevant first' and 'random'. "
            "Make them all alike.",
        ),
        (
            lambda: lw.mean_curve([curve(1, 0), replace(curve(1, 0), removal="blurred")]),
            "ValueError: mean_curve takes curves with one removal, got '' and 'blurred'. Make them all alike.",
        ),
        (lambda: bootstrap([]), "ValueError: bootstrap needs at least one sample, got none."),
        (
            lambda: bootstrap([1.0], confidence=95),
            "ValueError: confidence must lie between 0 and 1, got 95.",
        ),
        (lambda: bootstrap([1.0], draws=0), "ValueError: draws must be a whole number, at least 1, got 0."),
    ],
)
def test_messages(make: Any, said: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        make()
    assert f"{type(caught.value).__name__}: {caught.value}" == said
