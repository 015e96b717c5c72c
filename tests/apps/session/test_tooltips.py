"""Every control says what it does: a sentence, and where it moves the calculation, the equation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ipywidgets
import pytest

import lrp_widgets as lw
from lrp_widgets.engine.composites.presets import PRESETS
from lrp_widgets.engine.rules import RULES
from lrp_widgets.methods import LRP, METHODS, WRAPPERS
from lrp_widgets.params import params_of
from lrp_widgets.widgets import MethodPicker, SettingEditor
from lrp_widgets.widgets.controls.control import Control

SETTINGS = [kind() for kind in (*RULES, *PRESETS, *METHODS, *WRAPPERS)]
TOUCHED = (
    ipywidgets.Button, ipywidgets.ToggleButton, ipywidgets.ToggleButtons, ipywidgets.Dropdown, ipywidgets.Select,
    ipywidgets.SelectMultiple, ipywidgets.Checkbox, ipywidgets.FloatSlider, ipywidgets.IntSlider,
    ipywidgets.FloatLogSlider,
    ipywidgets.FloatRangeSlider, ipywidgets.Text, ipywidgets.FloatText, ipywidgets.IntText, ipywidgets.Combobox,
)  # fmt: skip


def within(widget: Any) -> Iterator[Any]:
    """A widget and everything in it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from within(child)


def controls(widget: Any) -> Iterator[Control]:
    return (each for each in within(widget) if isinstance(each, Control))


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: type(setting).__name__)
def test_every_parameter_is_told_in_a_sentence_with_its_equation(setting):
    found = [*controls(SettingEditor(setting))]
    assert len(found) >= len(params_of(setting))
    for control in found:
        sentence, _, equation = control.tooltip.partition("\n")
        assert sentence.endswith("."), control.tooltip
        assert "=" in equation, control.tooltip
        assert control.inner.tooltip == control.tooltip


@pytest.mark.parametrize(
    ("setting", "name", "said"),
    [
        (lw.alpha_beta(), "alpha", lw.rules.AlphaBeta.equation),
        (lw.layered(), "alpha", lw.rules.AlphaBeta.equation),
        (lw.layered(), "gamma", lw.rules.Gamma.equation),
        (lw.layered(), "epsilon", lw.rules.Epsilon.equation),
        (lw.layered(), "split", "depth of layer i of n = (i + ½) / n"),
        (lw.SmoothGrad(), "noise", lw.SmoothGrad.equation),
        (lw.rules.Gamma(), "gamma", lw.rules.Gamma.equation),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_equation_is_that_of_the_rule_that_the_parameter_belongs_to(setting, name, said):
    assert setting.told(name).partition("\n")[2] == said


def test_the_input_rule_is_told_with_the_equation_of_each():
    told = lw.epsilon().told("input")
    for kind in (lw.rules.ZBox, lw.rules.WSquare, lw.rules.ZPlus, lw.rules.Flat, lw.rules.Epsilon):
        assert kind.equation in told


def test_the_list_of_methods_tells_the_one_in_force():
    picker = MethodPicker([("a", LRP(lw.alpha_beta())), ("g", lw.Gradient())])
    assert picker.picker.tooltip == "\n".join(
        (
            "Method, or preset of rules.",
            "αβ in every layer: α1β0 is deep Taylor, α2β1 shows negative evidence (the paper, section on LRP).",
            lw.rules.ZPlus.equation,
            lw.rules.AlphaBeta.equation,
        )
    )
    picker.picker.value = "g"
    assert picker.picker.tooltip == "Method, or preset of rules.\nR_i = ∂f/∂x_i: what would change f."


def untold(app: Any) -> list[str]:
    found = []
    for widget in within(app):
        if isinstance(widget, ipywidgets.ToggleButtons):
            told = len(widget.tooltips) == len(widget.options) and all(widget.tooltips)
        else:
            told = not isinstance(widget, TOUCHED) or bool(widget.tooltip)
        if not told:
            found.append(f"{type(widget).__name__} {widget.description or getattr(widget, 'options', '')}")
    return found


def test_every_control_of_the_dashboard_has_a_tooltip(explored):
    app = explored()
    seen = set()
    for name in app.methods.picker.options:
        app.methods.picker.value = name
        assert untold(app) == []
        seen.update(within(app))
    assert sum(isinstance(widget, TOUCHED) for widget in seen) > 50


def test_every_control_of_the_other_app_has_a_tooltip(assessed):
    app = assessed()
    assert untold(app) == []
    assert sum(isinstance(widget, TOUCHED) for widget in within(app)) > 30


def test_every_control_of_the_scan_has_a_tooltip():
    app = lw.scan()
    try:
        assert untold(app) == []
        assert sum(isinstance(widget, TOUCHED) for widget in within(app)) > 10
    finally:
        app.close()
