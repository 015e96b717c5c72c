"""A control is made from a described field, and refuses what the field refuses."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import ipywidgets
import pytest

from lrp_widgets.engine.composites.presets import PRESETS, layered
from lrp_widgets.engine.rules import RULES, AlphaBeta, Epsilon, Gamma
from lrp_widgets.methods import METHODS
from lrp_widgets.params import Param, Setting, choice, param, params_of, span, switch
from lrp_widgets.widgets.controls.control import NONE, Control

KINDS = {
    "number": (ipywidgets.FloatSlider, ipywidgets.FloatLogSlider),
    "integer": (ipywidgets.IntSlider,),
    "range": (ipywidgets.FloatRangeSlider,),
    "choice": (ipywidgets.Dropdown,),
    "switch": (ipywidgets.Checkbox,),
}


@dataclass(frozen=True)
class Stranger(Setting):
    """A setting that nobody told the controls about."""

    strength: float = param(0.5, low=0, high=2, symbol="σ", help="How strong.")
    count: int = param(3, low=1, high=9)
    small: float = param(0.0, low=0, slider=(1e-4, 1), log=True)
    mode: str | None = choice(None, (None, "loud"), labels=("quiet", "loud · very"), symbol="mode of it")
    on: bool = switch(True, symbol="on?")
    part: tuple[float, float] = span((0.25, 0.5), low=0, high=1)


def control_of(setting: Any, name: str) -> Control:
    """The control of one field of a setting."""
    known = next(known for known in params_of(setting) if known.name == name)
    return Control(known, getattr(setting, name), type(setting).__name__)


def all_fields() -> list[Any]:
    """Every described field of every rule, preset and method."""
    settings = [setting() for setting in (*RULES, *PRESETS, *METHODS)]
    return [
        pytest.param(setting, known, id=f"{type(setting).__name__}.{known.name}")
        for setting in settings
        for known in params_of(setting)
    ]


@pytest.mark.parametrize(("setting", "known"), all_fields())
def test_a_slider_is_as_its_field_describes_it(setting, known: Param):
    control = Control(known, getattr(setting, known.name), type(setting).__name__)
    inner = control.inner
    assert isinstance(inner, KINDS[known.kind])
    assert isinstance(inner, ipywidgets.FloatLogSlider) == known.log
    assert (inner.description, inner.tooltip) == (known.label, known.help)
    assert control.value == known.default
    if known.kind in ("number", "integer", "range"):
        low, high = known.shown
        ends = (inner.base**inner.min, inner.base**inner.max) if known.log else (inner.min, inner.max)
        assert ends == pytest.approx((low, high))
        assert known.low <= ends[0] and ends[1] <= known.high
    if known.kind == "choice":
        assert inner.options == tuple(
            zip(
                known.labels or tuple(str(each) for each in known.choices),
                [NONE if each is None else each for each in known.choices],
                strict=True,
            )
        )


def test_the_kinds_of_a_strangers_fields():
    inner = {known.name: Control(known, getattr(Stranger(), known.name)).inner for known in params_of(Stranger)}
    assert [type(each).__name__ for each in inner.values()] == [
        "FloatSlider", "IntSlider", "FloatLogSlider", "Dropdown", "Checkbox", "FloatRangeSlider",
    ]  # fmt: skip
    strength = inner["strength"]
    assert (strength.min, strength.max, strength.description, strength.tooltip) == (0, 2, "σ", "How strong.")
    assert (inner["count"].min, inner["count"].max, inner["count"].step) == (1, 9, 1)
    assert (inner["small"].min, inner["small"].max, inner["small"].base) == (-4, 0, 10)
    assert inner["mode"].options == (("quiet", NONE), ("loud · very", "loud"))
    assert (inner["part"].min, inner["part"].max, inner["part"].value) == (0, 1, (0.25, 0.5))


@pytest.mark.parametrize(
    ("name", "sent", "value"),
    [
        ("strength", 1.25, 1.25),
        ("count", 7, 7),
        ("small", 0.01, 0.01),
        ("part", [0.1, 0.9], (0.1, 0.9)),
        ("on", False, False),
    ],
)
def test_a_move_in_the_browser_becomes_the_value(name, sent, value):
    control = control_of(Stranger(), name)
    seen: list[Any] = []
    control.observe(lambda change: seen.append(change["new"]), "value")
    control.inner.set_state({"value": sent})
    assert seen == [value]
    assert type(control.value) is type(value)


def test_a_choice_in_the_browser_becomes_the_value():
    control = control_of(Stranger(), "mode")
    control.inner.set_state({"index": 1})
    assert control.value == "loud"


def test_a_value_set_from_python_moves_the_slider_and_says_so_once():
    control = control_of(AlphaBeta(), "alpha")
    seen: list[Any] = []
    control.observe(lambda change: seen.append(change["new"]), "value")
    control.value = 1.5
    assert (control.inner.value, seen) == (1.5, [1.5])


@pytest.mark.parametrize(("value", "ends"), [(7.5, (1, 7.5)), (2.0, (1, 3))])
def test_a_value_outside_of_what_a_slider_spans_widens_it(value, ends):
    inner = control_of(AlphaBeta(value), "alpha").inner
    assert (inner.min, inner.max, inner.value) == (*ends, value)


def test_a_value_outside_of_what_a_log_slider_spans_widens_it():
    control = control_of(Epsilon(2e-11), "epsilon")
    assert (control.inner.min, control.inner.max) == (-11, 1)
    control.value = 300.0
    assert (control.inner.min, control.inner.max) == (-9, 3)
    assert control.inner.value == pytest.approx(300)


def test_zero_stands_at_the_lowest_place_of_a_log_slider():
    control = control_of(Epsilon(0.0), "epsilon")
    assert (control.value, control.inner.value) == (0.0, pytest.approx(1e-9))
    control.value = 0.5
    control.value = 0.0
    assert (control.value, control.inner.value) == (0.0, pytest.approx(1e-9))


def test_a_forged_maximum_and_value_are_refused():
    control = control_of(AlphaBeta(2.0), "alpha")
    control.inner.set_state({"max": 1000.0, "value": 50.0})
    assert control.problem == "AlphaBeta.alpha must lie in [1.0, 10.0], got 50.0."
    assert (control.value, control.inner.value, control.inner.min, control.inner.max) == (2.0, 2.0, 1, 3)
    control.inner.set_state({"value": 1.3})  # and it lives on
    assert (control.value, control.problem) == (1.3, "")


def test_a_forged_minimum_and_value_are_refused():
    control = control_of(Gamma(0.25), "gamma")
    control.inner.set_state({"min": -5.0, "value": -1.0})
    assert control.problem == "Gamma.gamma must lie in [0.0, 1000.0], got -1.0."
    assert (control.value, control.inner.value, control.inner.min, control.inner.max) == (0.25, 0.25, 0, 1)


def test_a_forged_nan_is_refused():
    control = control_of(Epsilon(1e-6), "epsilon")
    control.inner.set_state({"value": float("nan")})
    assert control.problem == "Epsilon.epsilon must be at least 0.0, got nan."
    assert control.value == control.inner.value == 1e-6


def test_a_forged_range_is_refused():
    control = control_of(Stranger(), "part")
    control.inner.set_state({"min": -3.0, "value": [-2.0, 0.5]})
    assert control.problem == "Stranger.part must be two rising numbers in [0.0, 1.0], got (-2.0, 0.5)."
    assert (control.value, control.inner.value, control.inner.min) == ((0.25, 0.5), (0.25, 0.5), 0)


@pytest.mark.parametrize(
    ("name", "state", "problem"),
    [
        ("strength", {"value": "loud"}, "σ: The 'value' trait of a FloatSlider instance expected a float"),
        ("strength", {"min": 50.0}, "σ: Setting min > max"),
        ("count", {"value": None}, "count: "),
        ("mode", {"index": 99}, "mode of it: Invalid selection: index out of bounds"),
        ("on", {"value": "perhaps"}, "on?: The 'value' trait of a Checkbox instance expected a boolean"),
        ("part", {"value": [0.1]}, "part: "),
    ],
)
def test_what_ipywidgets_refuses_is_told_too(name, state, problem):
    control = control_of(Stranger(), name)
    before = dict(control.inner.get_state())
    control.inner.set_state(state)
    assert control.problem.startswith(problem)
    assert control.value == getattr(Stranger(), name)
    assert dict(control.inner.get_state()) == before


def test_the_same_mistake_twice_is_told_twice():
    control = control_of(AlphaBeta(), "alpha")
    told: list[str] = []
    control.observe(lambda change: told.append(change["new"]), "problem")
    for _ in range(2):
        control.inner.set_state({"max": 1000.0, "value": 50.0})
    assert [text for text in told if text] == ["AlphaBeta.alpha must lie in [1.0, 10.0], got 50.0."] * 2


def test_python_may_not_set_what_the_field_refuses_either():
    control = control_of(AlphaBeta(2.0), "alpha")
    with pytest.raises(ValueError, match=r"^AlphaBeta\.alpha must lie in \[1\.0, 10\.0\], got 0\.5\.$"):
        control.value = 0.5
    assert (control.value, control.inner.value) == (2.0, 2.0)


def test_a_note_is_shown_only_where_there_is_one():
    control = control_of(AlphaBeta(), "alpha")
    note = control.children[1]
    assert note.layout.display == "none"
    control.note("β = 1.00")
    assert (note.value, note.layout.display) == ("β = 1.00", None)
    control.note("")
    assert note.layout.display == "none"


def test_a_range_too_narrow_for_a_step_of_a_hundredth_still_moves():
    known = dataclasses.replace(Param("number", 0.0, 1e-3), name="tiny", default=5e-4)
    inner = Control(known, 5e-4, "Tiny").inner
    assert inner.step == pytest.approx(1e-5)


def test_a_logarithmic_slider_gives_numbers_of_four_digits():
    """The browser's powers of ten differ from Python's in the last digit: one position must be one setting."""
    known = next(p for p in params_of(Epsilon()) if p.name == "epsilon")
    control = Control(known, 1e-6)
    for sent in (1.2589254117941661e-06, 1.2589254117941673e-06):
        control.inner.set_state({"value": sent})
        assert control.value == 1.259e-06
    control.value = 1.23456e-3  # from Python it is taken as it is
    assert control.value == 1.23456e-3


def test_the_positions_beside_a_value():
    numbers = {p.name: p for p in params_of(layered())}
    assert numbers["alpha"].beside(2.0) == (1.95, 2.05)
    assert numbers["alpha"].beside(1.0) == (1.05,)  # nothing below the slider
    assert numbers["alpha"].beside(2.0, 2) == (1.9, 2.1)
    assert numbers["epsilon"].beside(1e-6) == (7.943e-07, 1.259e-06)
    assert numbers["epsilon"].beside(0.25) == (0.1995, 0.3162)  # between two places: where the slider goes from there
    assert numbers["alpha"].beside(2.01) == (1.95, 2.05)
    assert numbers["epsilon"].beside(0.0) == ()
    assert numbers["input"].beside("zB") == (None, "w2", "z+", "flat", "epsilon")
    assert numbers["split"].beside((0.2, 0.8)) == ()


def test_what_the_browser_makes_of_a_range_is_no_move():
    """Of 28 layers 27 end at 0.964…, a place between two steps: the browser says 0.95, and nobody moved anything."""
    control = control_of(Stranger(part=(0.0, 27 / 28)), "part")
    control.inner.set_state({"value": [0.0, 0.95]})
    assert control.value == (0.0, 27 / 28)
    control.inner.set_state({"value": [0.0, 0.9]})
    assert control.value == (0.0, 0.9)


@pytest.mark.parametrize(
    ("setting", "name", "said", "typed", "moved"),
    [(Epsilon(0.25), "epsilon", 10**-0.6, 0.26, 10**-0.5), (Gamma(0.123), "gamma", 0.12, 0.121, 0.13)],
    ids=["logarithmic", "linear"],
)
def test_what_the_browser_makes_of_a_value_between_two_places_is_no_move(setting, name, said, typed, moved):
    """A preset's ε = 0.25 stays what it is when somebody looks at it."""
    control = control_of(setting, name)
    control.inner.set_state({"value": said})
    assert control.value == getattr(setting, name)
    control.inner.set_state({"value": typed})
    assert control.value == typed
    control.value = getattr(setting, name)
    assert control.inner.value == control.value
    control.inner.set_state({"value": moved})
    assert control.value == pytest.approx(moved, rel=1e-4)
    control.inner.set_state({"value": said})
    assert control.value == pytest.approx(said, rel=1e-4)


def test_what_was_moved_has_a_reset_of_its_own():
    control = control_of(AlphaBeta(), "alpha")
    assert control.reset is None  # nothing to reset: no widget
    control.inner.set_state({"value": 2.5})
    assert "lrp-changed" in control._dom_classes
    assert (control.reset.tooltip, control.children[-1]) == ("Reset α to 2", control.reset)
    seen: list[Any] = []
    control.observe(lambda change: seen.append(change["new"]), "value")
    control.reset.click()
    assert (seen, control.inner.value) == ([2.0], 2.0)
    assert "lrp-changed" not in control._dom_classes
    reset = control.reset
    control.value = 1.5
    assert control.reset is reset  # a browser never forgets a widget


@pytest.mark.parametrize(
    ("name", "home", "said"),
    [
        ("mode", "loud", "mode of it to loud · very"),
        ("part", (0.1, 0.2), "part to 0.1 – 0.2"),
        ("on", False, "on? to off"),
    ],
)
def test_a_reset_goes_where_it_is_told_to(name, home, said):
    control = control_of(Stranger(), name)
    control.home = home
    assert control.reset.tooltip == f"Reset {said}"
    control.reset.click()
    assert control.value == home
    control.home = getattr(Stranger(), name)
    assert "lrp-changed" in control._dom_classes
    assert control.reset.tooltip != f"Reset {said}"
