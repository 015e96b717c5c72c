"""Turns: whatever a hand does in the browser never meets what the worker brings into a control."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets
import pytest
from widgets.meeting import Meeting, side_by_side

import lrp_widgets as lw
from lrp_widgets.widgets.browser import BrowserWidget, Finite
from lrp_widgets.widgets.controls.control import guard
from lrp_widgets.widgets.controls.method import MethodPicker
from lrp_widgets.widgets.controls.resettable import Resettable
from lrp_widgets.widgets.turn import TURN, in_turn


def test_two_acts_in_turn_never_meet():
    meeting = Meeting()
    side_by_side(in_turn(meeting.come), in_turn(meeting.come))
    assert (meeting.came, meeting.met) == (2, False)


def test_an_act_in_turn_has_its_arguments_and_its_result_and_may_hold_another():
    assert in_turn(lambda *args, **kwargs: (args, kwargs))(1, two=2) == ((1,), {"two": 2})
    assert in_turn(in_turn(lambda: "inner"))() == "inner"


def test_a_turn_ends_with_its_act_even_where_that_raises():
    with pytest.raises(ZeroDivisionError):
        in_turn(lambda: 1 / 0)()
    free: list[bool] = []
    side_by_side(lambda: free.append(TURN.acquire(timeout=5)) or TURN.release())
    assert free == [True]


class Dial(BrowserWidget):
    _esm = "export default {}"

    angle = Finite(0.0).tag(sync=True, from_browser=True)


def message_to_a_widget_of_ours(meeting: Meeting) -> Callable[[], None]:
    dial = Dial()
    dial.observe(meeting.come, "angle")
    return lambda: dial.set_state({"angle": 1.0})


def message_to_a_control_of_ipywidgets(meeting: Meeting) -> Callable[[], None]:
    slider = guard(ipywidgets.IntSlider(), print)
    slider.observe(meeting.come, "value")
    return lambda: slider.set_state({"value": 3})


def reset_of_a_control(meeting: Meeting) -> Callable[[], None]:
    control = Resettable(ipywidgets.Checkbox(False), "Reset to off")
    control.inner.value = True
    control.inner.observe(meeting.come, "value")
    assert control.reset is not None
    return control.reset.click


def reset_of_a_method(meeting: Meeting) -> Callable[[], None]:
    picker = MethodPicker([("epsilon", lw.epsilon())])
    picker.value = lw.epsilon(epsilon=0.5)
    picker.observe(meeting.come, "value")
    return picker.restore.click


@pytest.mark.parametrize(
    "hand",
    [
        message_to_a_widget_of_ours,
        message_to_a_control_of_ipywidgets,
        reset_of_a_control,
        reset_of_a_method,
    ],
    ids=lambda hand: hand.__name__,
)
def test_a_hand_and_the_worker_never_meet(hand):
    meeting = Meeting()
    side_by_side(hand(meeting), in_turn(meeting.come))
    assert (meeting.came, meeting.met) == (2, False)
