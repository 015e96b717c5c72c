"""Toolbar: buttons by name; what the page forges is refused."""

from __future__ import annotations

from typing import Any

import pytest

from lrp_widgets.widgets import Toolbar

BUTTONS = ({"name": "pin", "label": "pin", "tooltip": "Keep it"}, {"name": "go", "label": "go", "tooltip": "Go on"})


@pytest.fixture
def toolbar() -> Toolbar:
    return Toolbar(BUTTONS, "an app")


def test_a_press_is_told_by_name(toolbar):
    pressed: list[str] = []
    toolbar.on_press(pressed.append)
    for count, name in enumerate(("pin", "go", "go")):
        toolbar.set_state({"pressed": {"name": name, "count": count}})
    assert (pressed, toolbar.problem) == (["pin", "go", "go"], "")


@pytest.mark.parametrize(
    ("pressed", "said"),
    [
        (
            {"name": "rm", "count": 1},
            "Toolbar.pressed must be the name of a button and a count, got {'name': 'rm', 'count': 1}."),
        ({"name": "go"}, "Toolbar.pressed must be the name of a button and a count, got {'name': 'go'}."),
        ({"name": "pin", "count": 1}, "Toolbar.pressed: 'pin' is disabled now."),
    ],
)  # fmt: skip
def test_a_forged_press_is_refused(toolbar, pressed: dict[str, Any], said):
    toolbar.disabled = ["pin"]
    toolbar.set_state({"pressed": pressed})
    assert (toolbar.problem, toolbar.pressed) == (said, {})


def test_the_list_of_keys_is_pythons(toolbar):
    bar = Toolbar(BUTTONS, more_keys=[("mod+z", "Undo")])
    bar.set_state({"more_keys": []})
    assert (bar.more_keys, bar.problem) == ([("mod+z", "Undo")], "Toolbar.more_keys cannot be set from the browser.")


def test_a_button_with_an_unknown_field_is_refused():
    with pytest.raises(ValueError, match="Toolbar: a button must have fields among group, keys, label, name, tooltip"):
        Toolbar(({"name": "x", "colour": "red"},))
