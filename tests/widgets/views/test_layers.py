from __future__ import annotations

import pytest

from lrp_widgets.widgets.views.layers import LayersView

ROWS = [
    {"name": "fc", "op": "linear", "out": 7.5, "in": 7.4, "positive": 8.0, "negative": -0.5, "absorbed": {"bias": 0.1}},
    {"name": "flatten", "op": "aten.view.default", "out": 7.4, "in": 7.4, "positive": 7.9, "negative": -0.5},
    {"name": "conv1", "op": "convolution", "out": 7.4, "in": 7.4, "positive": 7.4},
]


@pytest.fixture
def view():
    return LayersView()


def test_show_sends_one_message(view, monkeypatch):
    messages = []
    monkeypatch.setattr(view, "_send", lambda message, buffers=None: messages.append(message["state"].keys()))
    view.show(ROWS, selected="conv1")
    assert [sorted(keys) for keys in messages] == [["rows", "selected"]]


def test_rows_are_filled_up(view):
    view.show(ROWS)
    assert view.rows[2] == {
        "name": "conv1", "op": "convolution", "out": 7.4, "in": 7.4, "positive": 7.4, "negative": 0.0, "absorbed": {},
        "unexplained": 0.0, "moves": False, "fault": "", "closes": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("op", "moves"),
    [("view", True), ("aten.t.default", True), ("Flatten", True), ("aten._unsafe_view.default", True),
     ("relu", False), ("addmm", False), ("", False), ("aten.max_pool2d.default", False), ("cat", True)],
)  # fmt: skip
def test_steps_that_only_move_data(view, op, moves):
    view.show([{"name": "step", "op": op}, {"name": "other", "op": op, "moves": not moves}])
    assert [row["moves"] for row in view.rows] == [moves, not moves]


def test_faults(view):
    view.show(
        [
            {"name": "exact", "out": 7.0, "in": 7.0},
            {"name": "rounded", "out": 7.0, "in": 7.0, "unexplained": 0.006},
            {"name": "cancelled", "out": 0.0, "in": 0.001, "positive": 5.0, "negative": -5.0, "unexplained": -0.001},
            {"name": "lost", "out": 7.0, "in": 6.9, "unexplained": 0.1},
            {"name": "broken", "out": float("nan"), "in": 7.0},
        ]
    )
    assert view.faults == ["lost", "broken"]
    assert view.rows[4]["out"] is None


def test_the_choice_is_kept_where_it_still_exists(view):
    view.show(ROWS, selected="conv1")
    view.show(ROWS)
    assert view.selected == "conv1"
    view.show(ROWS[:2])
    assert view.selected == ""


def test_the_input_may_be_a_row(view):
    view.show([*ROWS, {"name": "", "op": "the map", "out": 7.4}], selected="")
    assert view.rows[-1]["name"] == view.selected == ""


@pytest.mark.parametrize(
    ("row", "end"), [({"name": "x", "outs": 1.0}, "got 'outs'."), ({"out": 1.0}, "and 'name' is missing.")]
)
def test_show_refuses(view, row, end):
    with pytest.raises(ValueError) as error:
        view.show([{"name": "a"}, row])
    assert str(error.value) == (
        "LayersView.show: rows[1] must have fields among name, op, out, in, positive, negative, unexplained, absorbed, "
        f"moves, fault, {end}"
    )


def test_a_forged_choice_is_refused(view):
    view.show(ROWS)
    view.set_state({"selected": "fc"})
    view.set_state({"selected": "nowhere"})
    assert (view.selected, view.problem) == ("fc", "LayersView.selected must be a row's name or '', got 'nowhere'.")
    view.set_state({"rows": []})
    assert (len(view.rows), view.problem) == (3, "LayersView.rows cannot be set from the browser.")


def test_a_row_with_a_fault_in_words_does_not_close(view):
    view.show(
        [{"name": "small", "out": 7.0, "in": 6.999, "unexplained": 0.001, "fault": "0.001 of 7 unexplained"}, ROWS[0]]
    )
    assert view.faults == ["small"]
    assert [row["fault"] for row in view.rows] == ["0.001 of 7 unexplained", ""]
