"""An editor has one control a described field; each move replaces the frozen setting, or is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import ipywidgets
import pytest

import lrp_widgets as lw
from lrp_widgets.engine.composites.presets import PRESETS
from lrp_widgets.engine.rules import RULES, Rule
from lrp_widgets.methods import METHODS
from lrp_widgets.params import Setting, param, params_of
from lrp_widgets.widgets import SettingEditor


@dataclass(frozen=True)
class Between(Setting):
    """Two numbers that must rise: no single field can know that."""

    start: float = param(0.2, low=0, high=1)
    stop: float = param(0.8, low=0, high=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start > self.stop:
            raise ValueError(f"Between.start must not exceed Between.stop, got {self.start} and {self.stop}.")


@dataclass(frozen=True)
class Pair(Setting):
    """A setting with two settings inside."""

    first: Between = field(default_factory=Between)
    second: lw.rules.Gamma = field(default_factory=lw.rules.Gamma)


@dataclass(frozen=True)
class Tempered(Rule):
    """A stranger's rule."""

    equation: ClassVar[str] = "R_j = tempered"
    temperature: float = param(1.5, low=0.5, high=4, symbol="T", help="How warm.")

    def note(self, name: str) -> str:
        return f"1/T = {1 / self.temperature:.2f}" if name == "temperature" else ""


@dataclass(frozen=True)
class tempered(lw.Composite):
    """A stranger's composite: one own rule everywhere."""

    temperature: float = param(1.5, low=0.5, high=4, symbol="T", help="How warm.")


def changes_of(editor: Any) -> list[Any]:
    """The values that an editor will tell."""
    seen: list[Any] = []
    editor.observe(lambda change: seen.append(change["new"]), "value")
    return seen


@pytest.mark.parametrize("kind", [*RULES, *PRESETS, *METHODS], ids=lambda kind: kind.__name__)
def test_every_field_has_a_control_with_its_note(kind):
    setting = kind()
    editor = SettingEditor(setting)
    for known in params_of(setting):
        control = editor.control(known.name)
        assert control.value == getattr(setting, known.name)
        assert control.children[1].value == setting.note(known.name)


def test_beta_is_shown_beside_alpha():
    editor = SettingEditor(lw.LRP(lw.alpha_beta(2)))
    note = editor.control("alpha").children[1]
    assert (note.value, note.layout.display) == ("β = 1.00", None)
    editor.control("alpha").inner.set_state({"value": 1.35})
    assert note.value == "β = 0.35"


def test_a_strangers_rule_brings_its_slider():
    editor = SettingEditor(Tempered())
    control = editor.control("temperature")
    assert isinstance(control.inner, ipywidgets.FloatSlider)
    assert (control.inner.min, control.inner.max, control.inner.description) == (0.5, 4, "T")
    assert (control.inner.tooltip, control.children[1].value) == ("How warm.\nR_j = tempered", "1/T = 0.67")
    control.inner.set_state({"value": 2.0})
    assert editor.value == Tempered(2.0)
    assert control.children[1].value == "1/T = 0.50"


def test_a_strangers_composite_brings_its_slider_inside_lrp():
    entries = (lw.Entry(Tempered(), "any"),)
    editor = SettingEditor(lw.LRP(tempered(entries)))
    editor.control("temperature").inner.set_state({"value": 3.0})
    assert editor.value == lw.LRP(tempered(entries, temperature=3.0))


def test_a_move_replaces_the_setting_and_does_nothing_else():
    before = lw.LRP(lw.layered())
    editor = SettingEditor(before)
    seen = changes_of(editor)
    editor.control("gamma").inner.set_state({"value": 0.5})
    assert seen == [lw.LRP(lw.layered(gamma=0.5))]
    assert before == lw.LRP(lw.layered())


def test_a_value_from_python_moves_all_controls_and_is_told_once():
    editor = SettingEditor(lw.LRP(lw.layered()))
    seen = changes_of(editor)
    wanted = lw.LRP(lw.layered(alpha=2.5, gamma=0.75, epsilon=0.01, split=(0.1, 0.2), input="w2"))
    editor.value = wanted
    assert seen == [wanted]
    names = ("alpha", "gamma", "epsilon", "split", "input")
    shown = [editor.control(name).inner.value for name in names]
    assert shown == [2.5, 0.75, pytest.approx(0.01), (0.1, 0.2), "w2"]
    assert editor.control("alpha").children[1].value == "β = 1.50"


def test_two_fields_that_do_not_go_together_are_refused():
    editor = SettingEditor(Between())
    seen = changes_of(editor)
    editor.control("start").inner.set_state({"value": 0.9})
    assert editor.problem == "Between.start must not exceed Between.stop, got 0.9 and 0.8."
    assert (editor.value, seen) == (Between(), [])
    assert (editor.control("start").value, editor.control("start").inner.value) == (0.2, 0.2)
    editor.control("stop").inner.set_state({"value": 0.5})  # and it lives on
    assert (editor.value, editor.problem) == (Between(0.2, 0.5), "")


def test_the_same_refusal_twice_is_told_twice():
    editor = SettingEditor(Between())
    told: list[str] = []
    editor.observe(lambda change: told.append(change["new"]), "problem")
    for _ in range(2):
        editor.control("start").inner.set_state({"value": 0.9})
    assert len([text for text in told if text]) == 2


def test_a_forged_slider_is_refused_and_the_editor_lives_on():
    editor = SettingEditor(lw.LRP(lw.alpha_beta(2)))
    seen = changes_of(editor)
    editor.control("alpha").inner.set_state({"max": 99.0, "value": 99.0})
    assert editor.problem == "alpha_beta.alpha must lie in [1.0, 10.0], got 99.0."
    assert (editor.value, seen, editor.control("alpha").inner.max) == (lw.LRP(lw.alpha_beta(2)), [], 3)
    editor.control("alpha").inner.set_state({"value": 1.5})
    assert (editor.value, editor.problem) == (lw.LRP(lw.alpha_beta(1.5)), "")


def test_a_box_without_zero_is_refused_by_the_input_rule():
    editor = SettingEditor(lw.LRP(lw.epsilon(low=0.5, high=1.0)))
    index = [value for _, value in editor.control("input").inner.options].index("zB")
    editor.control("input").inner.set_state({"index": index})
    assert editor.problem.startswith("epsilon.low")
    assert editor.control("input").value is None


def test_controls_are_found_in_every_setting_inside():
    editor = SettingEditor(Pair())
    editor.control("gamma").inner.set_state({"value": 0.5})
    editor.control("stop").inner.set_state({"value": 0.9})
    assert editor.value == Pair(Between(0.2, 0.9), lw.rules.Gamma(0.5))
    with pytest.raises(KeyError):
        editor.control("alpha")


def test_another_kind_of_setting_brings_its_own_controls():
    editor = SettingEditor(lw.LRP(lw.alpha_beta()))
    editor.value = lw.LRP(lw.epsilon(0.1))
    assert editor.control("epsilon").inner.value == pytest.approx(0.1)
    with pytest.raises(KeyError):
        editor.control("alpha")
    editor.value = lw.Gradient()
    assert editor.children == ()
    editor.value = lw.LRP(lw.alpha_beta(2.5))
    assert editor.control("alpha").inner.value == 2.5
    editor.control("alpha").inner.set_state({"value": 1.25})
    assert editor.value == lw.LRP(lw.alpha_beta(1.25))


def test_controls_are_made_once_for_each_kind():
    editor = SettingEditor(lw.LRP(lw.alpha_beta()))
    kinds = [lw.LRP(preset()) for preset in PRESETS] + [lw.Gradient()]
    for setting in kinds:
        editor.value = setting
    made = len(ipywidgets.widgets.widget._instances)
    for setting in kinds * 3:
        editor.value = setting
    assert len(ipywidgets.widgets.widget._instances) == made
