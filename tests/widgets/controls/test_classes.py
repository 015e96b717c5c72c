from __future__ import annotations

import pytest

from lrp_widgets.widgets.controls.classes import ClassPicker


@pytest.fixture
def picker():
    return ClassPicker()


def test_show_sends_one_message(picker, monkeypatch):
    messages = []
    monkeypatch.setattr(picker, "_send", lambda message, buffers=None: messages.append(message["state"]))
    picker.show(["cat", "dog"], [1.0, 3.0], [0.1, 0.9], selected=0)
    assert messages == [{"names": ["cat", "dog"], "scores": [1.0, 3.0], "probabilities": [0.1, 0.9], "selected": 0}]


def test_auto_follows_the_top_class(picker):
    picker.show(["cat", "dog"], [1.0, 3.0], [0.1, 0.9])
    assert picker.selected == 1
    picker.show(["cat", "dog"], [4.0, 3.0], [0.7, 0.3])
    assert picker.selected == 0


def test_a_choice_by_hand_stays(picker):
    picker.show(["cat", "dog"], [1.0, 3.0], [0.1, 0.9])
    picker.set_state({"selected": 0, "auto": False})
    picker.show(["cat", "dog"], [1.0, 9.0], [0.0, 1.0])
    assert picker.selected == 0


def test_other_classes_end_a_choice_that_is_not_among_them(picker):
    picker.auto = False
    picker.show(["a", "b", "c"], [0, 1, 2], [0, 0, 1], selected=2)
    picker.show(["a", "b"], [5, 1], [1, 0])
    assert picker.selected == 0


def test_numbers_that_json_cannot_carry(picker):
    picker.show(["a", "b", "c"], [float("nan"), float("-inf"), 1.0], [float("nan"), 0.0, 0.0])
    assert picker.scores == [None, None, 1.0] and picker.probabilities == [None, 0.0, 0.0]
    assert picker.top == picker.selected == 2
    picker.show(["a"], [float("nan")], [float("nan")])
    assert picker.top == picker.selected == -1


def test_the_first_of_equal_scores_is_on_top(picker):
    picker.show(["a", "b"], [2.0, 2.0], [0.5, 0.5])
    assert picker.top == 0


def test_show_refuses_lists_of_different_lengths(picker):
    with pytest.raises(ValueError) as error:
        picker.show(["a", "b"], [1.0, 2.0], [1.0])
    assert str(error.value) == (
        "ClassPicker.show: names, scores and probabilities must have one entry per class, got 2, 2 and 1."
    )


@pytest.mark.parametrize("forged", [2, -2, 10**9])
def test_a_forged_choice_is_refused(picker, forged):
    picker.show(["a", "b"], [1.0, 2.0], [0.3, 0.7])
    picker.set_state({"selected": forged, "auto": False})
    assert (picker.selected, picker.auto) == (1, True)
    assert picker.problem == f"ClassPicker.selected must lie in [-1, 1], got {forged}."


def test_scores_without_probabilities_stand_alone(picker):
    picker.show(["dose"], [0.7], None)
    assert (picker.scores, picker.probabilities, picker.selected) == ([0.7], [], 0)
    with pytest.raises(ValueError):
        picker.show(["dose"], [0.7, 0.8], None)
    with pytest.raises(ValueError):
        picker.show(["dose"], [0.7], [])
