"""CompositeEditor: a rule for each third of the network and for any single layer."""

from __future__ import annotations

from typing import Any

import pytest

import lrp_widgets as lw
from lrp_widgets.engine.rules import RULES
from lrp_widgets.widgets import CompositeEditor
from lrp_widgets.widgets.controls.composite import AS_ITS_PART, named

LAYERS = ("conv1", "conv2", "fc")


@pytest.fixture
def editor() -> CompositeEditor:
    made = CompositeEditor()
    made.show(LAYERS, dict.fromkeys(LAYERS, lw.rules.Gamma()))
    return made


def pick(picker: Any, name: str) -> None:
    picker.picker.set_state({"index": picker.picker.options.index(name)})


def test_every_rule_can_be_chosen_for_every_part(editor):
    assert set(editor.parts) == {"lower", "middle", "upper"}
    for part, picker in editor.parts.items():
        for name, rule in zip(picker.picker.options, RULES, strict=True):
            pick(picker, name)
            assert type(getattr(editor.value, part)) is rule


def test_sliders_replace_the_composite_once_a_move(editor):
    seen: list[Any] = []
    editor.observe(lambda change: seen.append(change["new"]), "value")
    editor.split.inner.set_state({"value": [0.2, 0.5]})
    editor.parts["lower"].editor.control("gamma").inner.set_state({"value": 0.7})
    assert [value.split for value in seen] == [(0.2, 0.5), (0.2, 0.5)]
    assert seen[-1].lower == lw.rules.Gamma(0.7)


def test_a_layer_is_overridden_and_given_back(editor):
    assert editor.own.layout.display == "none"  # no layer in hand
    editor.chooser.set_state({"index": 1})
    assert (editor.chooser.value, editor.own.layout.display) == ("conv2", None)
    pick(editor.own, "αβ")
    editor.own.editor.control("alpha").inner.set_state({"value": 3.0})
    assert editor.value.overrides == (lw.Entry(lw.rules.AlphaBeta(3.0), "conv2"),)
    editor.chooser.set_state({"index": 0})
    assert editor.own.picker.value == AS_ITS_PART
    editor.choose("conv2")
    assert (editor.own.picker.value, editor.own.value) == ("αβ", lw.rules.AlphaBeta(3.0))
    pick(editor.own, AS_ITS_PART)
    assert editor.value.overrides == ()


def test_the_list_has_the_output_on_top_and_says_the_rules(editor):
    editor.value = lw.by_depth(overrides=(lw.Entry(lw.rules.Flat(), "conv1"),))
    editor.show(LAYERS, {"conv1": lw.rules.Flat(), "conv2": lw.rules.Gamma(0.5), "fc": lw.rules.Zero()})
    assert editor.chooser.options == (("fc · LRP-0", "fc"), ("conv2 · γ 0.5", "conv2"), ("conv1 · flat (own)", "conv1"))
    assert named(lw.rules.Epsilon(0.25, relative=True)) == "ε 0.25 · rms z"


def test_a_value_set_from_python_moves_the_controls(editor):
    editor.value = lw.by_depth(upper=lw.rules.Epsilon(0.1), split=(0.1, 0.2), input="flat")
    assert editor.parts["upper"].picker.value == "ε"
    assert editor.parts["upper"].editor.control("epsilon").value == 0.1
    assert (editor.split.value, editor.input.value) == ((0.1, 0.2), "flat")


def test_what_the_browser_forges_is_refused(editor):
    before = editor.value
    editor.split.inner.set_state({"max": 5.0, "value": [0.5, 3.0]})
    assert editor.problem.startswith("by_depth.split must be two rising numbers")
    editor.chooser.set_state({"index": 9})
    assert "Invalid selection" in editor.problem
    assert editor.value == before


def test_a_box_without_zero_offers_no_rule_that_needs_one():
    editor = CompositeEditor(lw.by_depth(low=0.5, high=1.0, input="w2"))
    assert "z^B" not in editor.parts["lower"].picker.options
