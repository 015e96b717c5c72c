"""The curves of a large network grow before one's eyes and give way to a newer request; nothing done is lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lrp_widgets as lw
from lrp_widgets.apps.explore.curves import SEEDS, Curves
from lrp_widgets.apps.session import cores


@pytest.fixture
def large(monkeypatch):
    monkeypatch.setattr(cores, "SMALL", 0)


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return lw.demo.data.digits().inputs[:1]


def counting(limit: int):
    left = [limit]

    def superseded() -> bool:
        left[0] -= 1
        return left[0] < 0

    return superseded


def test_row_by_row_it_ends_on_what_a_small_network_gets_at_once(large, x, monkeypatch):
    explainer = lw.Explainer(lw.demo.models.digits_cnn())
    explanation = explainer.explain(x)
    grown = list(Curves(explainer, 0.0).of(x, explanation, lambda: False))
    assert len(grown) > 5 and grown[0][1] is None
    monkeypatch.setattr(cores, "SMALL", 1e12)
    (whole,) = Curves(explainer, 0.0).of(x, explanation, lambda: False)
    np.testing.assert_allclose(grown[-1][0].values, whole[0].values, rtol=1e-5, atol=1e-5)
    assert f"of {SEEDS} orders" in grown[-1][1].band and "of 8 orders" in whole[1].band


def test_it_gives_way_and_goes_on_with_the_orders_that_are_done(large, x):
    explainer = lw.Explainer(lw.demo.models.digits_cnn())
    explanation, curves = explainer.explain(x), Curves(explainer, 0.0)
    assert len(list(curves.of(x, explanation, lambda: True))) == 1
    steps = len(list(curves.of(x, explanation, lambda: False)))
    again = list(curves.of(x, explanation, lambda: False))
    assert len(again) == steps - SEEDS  # the orders were kept
    assert again[0][1] is not None
    other = Curves(explainer, 0.0)
    stopped = list(other.of(x, explanation, counting(steps)))  # somewhere among the orders
    assert len(stopped) < steps
