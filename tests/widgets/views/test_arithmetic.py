from __future__ import annotations

import math

import pytest

from lrp_widgets.widgets.views.arithmetic import ArithmeticView

NEURON = {"layer": "conv1", "index": "channel 3, row 5, column 7", "activation": 0.5, "relevance": 0.25}
ROWS = [
    {"name": "channel 0", "a": 0.5, "w": 2.0, "numerator": 1.0, "denominator": 4.0, "share": 0.25, "relevance": 0.8,
     "message": 0.2},
    {"name": "channel 1", "a": 0.5, "numerator": 1.0, "denominator": 0.0, "share": math.inf, "message": 0.05,
     "w": None},
]  # fmt: skip


@pytest.fixture
def view():
    return ArithmeticView()


def show(view, **more):
    view.show(NEURON, ROWS, "R_j = …", "2 of 9 receivers shown", **more)


def test_show_sends_one_message(view, monkeypatch):
    messages = []
    monkeypatch.setattr(view, "_send", lambda message, buffers=None: messages.append(sorted(message["state"])))
    show(view, trail=["input", "conv1"], direction="down", passing="keep", filtered="only neuron 3")
    assert messages == [
        ["can_filter", "direction", "equation", "filtered", "neuron", "note", "passing", "rows", "trail"]
    ]


def test_what_is_missing_is_told_from_what_is_not_finite(view):
    show(view)
    assert view.rows[0] == ROWS[0]
    assert view.rows[1] == {
        "name": "channel 1", "a": 0.5, "numerator": 1.0, "denominator": 0.0, "share": None, "message": 0.05,
    }  # fmt: skip
    assert view.neuron == NEURON


def test_trail_and_direction_stay_where_they_are_not_given(view):
    show(view, trail=["input", "conv1"], direction="down")
    show(view)
    assert (view.trail, view.direction) == (["input", "conv1"], "down")


def test_clear(view):
    show(view, trail=["input"])
    view.stale = True
    view.clear()
    assert (view.neuron, view.rows, view.trail, view.equation, view.note, view.stale) == ({}, [], [], "", "", False)


def test_the_browser_follows_and_goes_back(view):
    show(view, trail=["input", "conv1"])
    view.set_state({"stepped": {"row": 1, "count": 1}})
    view.set_state({"back": {"position": 0, "count": 1}})
    view.set_state({"direction": "down"})
    assert (view.stepped, view.back) == ({"row": 1, "count": 1}, {"position": 0, "count": 1})
    assert (view.direction, view.problem) == ("down", "")


@pytest.mark.parametrize(
    "value",
    [{"row": 2, "count": 1}, {"row": -1, "count": 1}, {"row": 0}, {"row": True, "count": 1}, {"row": "0", "count": 1}],
)
def test_a_forged_step_is_refused(view, value):
    show(view)
    view.set_state({"stepped": value})
    assert view.stepped == {}
    assert view.problem == f"ArithmeticView.stepped must be {{}} or {{row, count}} with row < 2, got {value!r}."


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (
            {"back": {"position": 2, "count": 1}},
            "ArithmeticView.back must be {} or {position, count} with position < 2, got {'position': 2, 'count': 1}.",
        ),
        ({"rows": []}, "ArithmeticView.rows cannot be set from the browser."),
        ({"trail": []}, "ArithmeticView.trail cannot be set from the browser."),
    ],
)
def test_a_forged_message_is_refused(view, message, problem):
    show(view, trail=["input", "conv1"])
    view.set_state(message)
    assert (view.back, view.problem, len(view.rows)) == ({}, problem, 2)


@pytest.mark.parametrize(
    ("neuron", "rows", "text"),
    [
        (
            {"layer": "conv1", "index": "0"},
            [],
            "ArithmeticView.show: neuron must have the fields layer, index, activation, relevance, got layer, index.",
        ),
        (
            NEURON,
            [{"name": "a"}, {"name": "b", "weight": 1.0}],
            "ArithmeticView.show: rows[1] must have fields among name, a, w, numerator, denominator, share, relevance, "
            "message, got 'weight'.",
        ),
        (
            NEURON,
            [{"a": 1.0}],
            "ArithmeticView.show: rows[0] must have fields among name, a, w, numerator, denominator, share, relevance, "
            "message, and 'name' is missing.",
        ),
    ],
)
def test_show_refuses(view, neuron, rows, text):
    with pytest.raises(ValueError) as error:
        view.show(neuron, rows, "", "")
    assert str(error.value) == text
    assert view.neuron == {}


def test_the_browser_keeps_or_blocks_the_neuron(view):
    show(view, passing="")
    assert (view.can_filter, view.passing) == (True, "")
    view.set_state({"passing": "keep"})
    view.set_state({"cleared": 1})
    assert (view.passing, view.cleared, view.problem) == ("keep", 1, "")
    view.set_state({"passing": "half"})
    assert view.passing == "keep"
    assert view.problem.startswith("The 'passing' trait of an ArithmeticView instance expected any of")
    for name, value in (("filtered", "all"), ("can_filter", False)):
        view.set_state({name: value})
        assert view.problem == f"ArithmeticView.{name} cannot be set from the browser."
    show(view)  # of the input there is no filter
    assert (view.can_filter, view.passing, view.filtered) == (False, "", "")
