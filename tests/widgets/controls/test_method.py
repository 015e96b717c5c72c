"""MethodPicker: choices by name that remember their values."""

from __future__ import annotations

from typing import Any

import pytest

import lrp_widgets as lw
from lrp_widgets.widgets import MethodPicker

ALPHA, EPSILON, GRADIENT = lw.LRP(lw.alpha_beta(2)), lw.LRP(lw.epsilon(0.1)), lw.Gradient()


@pytest.fixture
def picker() -> MethodPicker:
    return MethodPicker([("αβ", ALPHA), ("ε", EPSILON), ("gradient", GRADIENT)])


def pick(picker: MethodPicker, name: str) -> None:
    """Choose a name the way the browser does."""
    picker.picker.set_state({"index": picker.picker.options.index(name)})


def move(picker: MethodPicker, name: str, value: Any) -> None:
    """Move a slider the way the browser does."""
    picker.editor.control(name).inner.set_state({"value": value})


def test_the_first_choice_is_shown_unless_another_is_named(picker):
    assert (picker.picker.value, picker.value) == ("αβ", ALPHA)
    other = MethodPicker([("αβ", ALPHA), ("ε", EPSILON)], first="ε")
    assert (other.picker.value, other.value) == ("ε", EPSILON)
    assert other.editor.control("epsilon").value == 0.1


def test_a_choice_is_told_once(picker):
    seen: list[Any] = []
    picker.observe(lambda change: seen.append(change["new"]), "value")
    pick(picker, "ε")
    pick(picker, "gradient")
    assert seen == [EPSILON, GRADIENT]


def test_each_choice_remembers_its_values(picker):
    move(picker, "alpha", 1.5)
    pick(picker, "ε")
    move(picker, "epsilon", 1.0)
    pick(picker, "gradient")
    pick(picker, "αβ")
    assert picker.value == lw.LRP(lw.alpha_beta(1.5))
    assert picker.editor.control("alpha").inner.value == 1.5
    pick(picker, "ε")
    assert picker.value == lw.LRP(lw.epsilon(1.0))
    assert picker.editor.control("epsilon").inner.value == pytest.approx(1.0)


def test_reset_brings_back_the_defaults_of_the_choice_in_force_only(picker):
    move(picker, "alpha", 1.5)
    pick(picker, "ε")
    move(picker, "epsilon", 1.0)
    picker.restore.click()
    assert picker.value == EPSILON
    assert picker.editor.control("epsilon").inner.value == pytest.approx(0.1)
    pick(picker, "αβ")
    assert picker.value == lw.LRP(lw.alpha_beta(1.5))
    picker.restore.click()
    assert picker.value == ALPHA


def test_reset_without_a_change_tells_nothing(picker):
    seen: list[Any] = []
    picker.observe(lambda change: seen.append(change["new"]), "value")
    picker.restore.click()
    assert seen == []


def test_two_choices_of_one_kind_do_not_share_values():
    picker = MethodPicker([("weak", lw.LRP(lw.epsilon(1e-6))), ("strong", lw.LRP(lw.epsilon(1.0)))])
    move(picker, "epsilon", 1e-3)
    pick(picker, "strong")
    assert picker.value == lw.LRP(lw.epsilon(1.0))
    pick(picker, "weak")
    assert picker.value == lw.LRP(lw.epsilon(1e-3))


def test_a_forged_slider_is_told_and_changes_nothing(picker):
    move(picker, "alpha", 1.5)
    picker.editor.control("alpha").inner.set_state({"max": 1e6, "value": 1e5})
    assert picker.problem == "alpha_beta.alpha must lie in [1.0, 10.0], got 100000.0."
    assert picker.value == lw.LRP(lw.alpha_beta(1.5))
    move(picker, "alpha", 1.25)
    assert (picker.value, picker.problem) == (lw.LRP(lw.alpha_beta(1.25)), "")


@pytest.mark.parametrize("index", [99, -2, "1"])
def test_a_forged_choice_is_told_and_changes_nothing(picker, index):
    told: list[str] = []
    picker.observe(lambda change: told.append(change["new"]), "problem")
    for _ in range(2):
        picker.picker.set_state({"index": index})
    assert len([text for text in told if text.startswith("method: ")]) == 2
    assert (picker.value, picker.picker.value) == (ALPHA, "αβ")
    pick(picker, "gradient")
    assert picker.value == GRADIENT


def test_each_control_goes_back_to_what_its_choice_began_with():
    picker = MethodPicker(
        [("own", lw.LRP(lw.alpha_beta(2.5, input="w2"))), ("other", lw.LRP(lw.alpha_beta(1.0, input="w2")))]
    )
    alpha, rule = (picker.editor.control(name) for name in ("alpha", "input"))
    assert not {"lrp-changed"} & {*alpha._dom_classes, *rule._dom_classes}
    alpha.inner.set_state({"value": 1.5})
    assert alpha.reset.tooltip == "Reset α to 2.5"
    alpha.reset.click()
    assert picker.value == lw.LRP(lw.alpha_beta(2.5, input="w2"))
    picker.offer("own", lw.LRP(lw.alpha_beta(2.0, input="w2")))  # it was as it began, and begins elsewhere now
    assert "lrp-changed" in alpha._dom_classes
    alpha.reset.click()
    assert alpha.value == 2.0
