"""LinesView: what is sent, what is refused, and how the browser divides an axis."""

from __future__ import annotations

import numpy as np
import pytest

from lrp_widgets.widgets.views.lines import MOST_POINTS, LinesView

LINE = {"name": "f(x)", "x": [0, 0.5, 1], "y": [2, np.nan, 1]}


@pytest.fixture
def view():
    return LinesView()


def test_show_sends_one_message(view, monkeypatch):
    messages = []
    monkeypatch.setattr(view, "_send", lambda message, buffers=None: messages.append(message["state"]))
    view.show([LINE], "area 1", marks=[{"x": 1, "y": 1, "text": "jump"}], position=0.5, percent=True)
    assert len(messages) == 1
    assert messages[0].keys() == {"lines", "text", "marks", "position", "percent", "sequence"}
    assert view.lines == [
        {"name": "f(x)", "colour": 0, "dashed": False, "points": False, "x": [0.0, 0.5, 1.0], "y": [2.0, None, 1.0]}
    ]
    assert view.marks == [{"x": 1.0, "y": 1.0, "text": "jump"}]


def test_a_band_goes_with_its_line(view):
    view.show([{**LINE, "low": [1, 1, 1], "high": [3, np.inf, 3]}])
    assert (view.lines[0]["low"], view.lines[0]["high"]) == ([1.0, 1.0, 1.0], [3.0, None, 3.0])


def test_a_long_line_is_thinned(view):
    many = np.arange(2.5 * MOST_POINTS)
    view.show([{"x": many, "y": many}])
    assert len(view.lines[0]["x"]) <= MOST_POINTS
    assert view.lines[0]["x"][:2] == [0.0, 3.0]


def test_what_was_greyed_is_fresh_when_shown(view):
    view.stale = True
    view.show([LINE])
    assert not view.stale


def test_x_and_y_of_two_lengths(view):
    message = r"^LinesView\.show: x and y of a line must be of one length, got shapes \(2,\) and \(3,\)\.$"
    with pytest.raises(ValueError, match=message):
        view.show([{"x": [1, 2], "y": [1, 2, 3]}])


def test_the_browser_may_write_nothing(view):
    view.set_state({"text": "forged"})
    assert (view.text, view.problem) == ("", "LinesView.text cannot be set from the browser.")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([0, 1, 5], [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ([-3, 21, 5], [0, 5, 10, 15, 20]),
        ([0.74, 0.77, 3], [0.74, 0.75, 0.76, 0.77]),
        ([2, 2, 4], [2]),
    ],
)
def test_ticks_are_round_numbers(node, given, wanted):
    assert node("axes", "ticksOf(...given)", given) == pytest.approx(wanted)


def test_what_is_not_finite_leaves_a_gap(node):
    assert node("axes", "pathOf(given)", [[0, 1], [2, 3], None, [4, 5]]) == "M0.0 1.0L2.0 3.0M4.0 5.0"
