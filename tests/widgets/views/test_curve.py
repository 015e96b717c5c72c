"""CurveView: what is shown before the figure exists is drawn once it does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lrp_widgets.evaluation.flipping.curve import Curve
from lrp_widgets.widgets import CurveView

REMOVED = np.linspace(0, 1, 5)


def falling(start: float = 4.0, unit: str = "logit") -> Curve:
    return Curve(REMOVED, start * (1 - REMOVED), "most relevant first", unit)


def band(mean: float = 3.0) -> Curve:
    values = np.full(5, mean)
    return Curve(REMOVED, values, "random", "logit", values - 1, values + 1)


def drawn(view: CurveView) -> dict[str, tuple[list[float], list[float]]]:
    """The lines of the figure by name."""
    return {
        line.name: ([] if line.x is None else list(line.x), [] if line.y is None else list(line.y))
        for line in view.figure.data
    }


def test_before_the_start_there_is_no_figure_but_its_numbers():
    view = CurveView()
    assert (view.figure, view.children, view.head.waiting) == (None, (view.head,), True)
    view.show(falling(), band())
    assert view.figure is None
    assert view.head.title == "Pixel flipping"
    assert view.head.text == "most relevant first · area 2.00 · random 3.00 (low is selective)"


def test_start_draws_what_was_shown_before_it():
    view = CurveView()
    view.show(falling(), band())
    view.start()
    assert (view.children, view.head.waiting) == ((view.head, view.figure), False)
    assert drawn(view) == {
        "this explanation": ([0, 0.25, 0.5, 0.75, 1], [4, 3, 2, 1, 0]),
        "random orders: mean and band": ([0, 0.25, 0.5, 0.75, 1], [3] * 5),
        "lowest": ([0, 0.25, 0.5, 0.75, 1], [2] * 5),
        "highest": ([0, 0.25, 0.5, 0.75, 1], [4] * 5),
    }


def test_start_with_nothing_to_show_waits_for_it():
    view = CurveView()
    view.start()
    assert all(line == ([], []) for line in drawn(view).values())
    view.show(falling())
    assert drawn(view)["this explanation"][1] == [4, 3, 2, 1, 0]


def test_there_is_one_figure_however_often_it_is_started():
    view = CurveView()
    view.start()
    figure = view.figure
    view.start()
    view.show(falling())
    assert view.figure is figure


def test_only_1_d_float32_goes_to_the_browser():
    view = CurveView()
    view.show(falling(), band())
    view.start()
    for line in view.figure.data:
        for values in (line.x, line.y):
            assert (values.ndim, values.dtype) == (1, np.float32)


def test_a_curve_without_random_orders_keeps_no_band_of_another():
    view = CurveView()
    view.start()
    view.show(falling(), band())
    view.show(falling(2.0))
    assert drawn(view) == {
        "this explanation": ([0, 0.25, 0.5, 0.75, 1], [2, 1.5, 1, 0.5, 0]),
        "random orders: mean and band": ([], []),
        "lowest": ([], []),
        "highest": ([], []),
    }
    assert view.head.text == "most relevant first · area 1.00 (low is selective)"


def test_one_random_order_has_no_band():
    view = CurveView()
    view.start()
    view.show(falling(), band())
    view.show(falling(), Curve(REMOVED, REMOVED, "random"))
    assert drawn(view)["lowest"] == drawn(view)["highest"] == ([], [])
    assert drawn(view)["random orders: mean and band"][1] == list(REMOVED)


@pytest.mark.parametrize(("unit", "title"), [("logit", "f(x)"), ("probability", "p(class | x)"), ("bits", "bits")])
def test_the_axis_says_what_the_score_is(unit, title):
    view = CurveView()
    view.start()
    view.show(falling(unit=unit))
    assert view.figure.layout.yaxis.title.text == title


def test_an_unfinished_curve_says_so():
    view = CurveView()
    view.show(Curve(REMOVED[:3], np.array([4.0, 3.0, 2.0]), "most relevant first"))
    assert view.head.text == "most relevant first · area 1.50 (low is selective) · still running"


def test_negative_areas_are_written_with_a_minus():
    view = CurveView()
    view.show(falling(-1.0), band(-2.0))
    assert view.head.text == "most relevant first · area −0.50 · random −2.00 (low is selective)"


def test_a_curve_is_one_message_to_the_figure(monkeypatch):
    view = CurveView()
    view.start()
    sent: list[Any] = []
    monkeypatch.setattr(type(view.figure), "_send_update_msg", lambda *args, **kwargs: sent.append(args), raising=True)
    view.show(falling(), band())
    assert len(sent) == 1
