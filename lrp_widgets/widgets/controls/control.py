"""From a described parameter to its control: a slider, a log slider, a drop-down, a checkbox."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets
import traitlets

from lrp_widgets.params import LOG_STEP, Param, place_near
from lrp_widgets.widgets.controls.resettable import WithReset
from lrp_widgets.widgets.turn import TURN

__all__ = ["Control", "guard"]

_STYLE = {"description_width": "76px"}
_WIDE = {"width": "auto"}
RANGE_STEP = 0.05
NONE = "(none)"


def guard(widget: Any, tell: Callable[[str], None]) -> Any:
    """Report what a widget of ipywidgets refuses from the browser; by itself it raises where no user sees it."""
    take = widget.set_state

    def set_state(sync_data: Mapping[str, Any]) -> None:
        try:
            with TURN:
                take(sync_data)
        except Exception as error:  # also one that a handler raises
            widget.send_state([name for name in sync_data if name in widget.keys])
            tell(f"{widget.description or type(widget).__name__}: {error}")

    widget.set_state = set_state
    return widget


class Control(WithReset):
    """One parameter: its symbol, its slider or drop-down, a note on what follows from it, and a reset.

    value: the parameter's value, checked against its description. What a browser forges is refused: the control goes
    back to the value it had, and `problem` says why.
    home: what the reset goes back to, the parameter's default unless it is set.  tooltip: what the parameter does.
    """

    value = traitlets.Any()
    problem = traitlets.Unicode("")  # Why the last value was refused, "" after a good one.

    def __init__(self, param: Param, value: Any, owner: str = "") -> None:
        self._param, self._owner = param, owner
        self._home = value if param.default is dataclasses.MISSING else param.default
        self._moving = False
        self.inner = guard(_widget_of(param, value), self._tell)
        self._note = ipywidgets.HTML("", layout={"display": "none"})
        self._note.add_class("lrp-note")
        super().__init__([self.inner, self._note], value=value)
        self.add_class("lrp-control")
        self.inner.observe(self._moved, "value")
        self.observe(self._set, "value")
        self._mark()

    @property
    def home(self) -> Any:
        return self._home

    @home.setter
    def home(self, value: Any) -> None:
        if value != self._home:
            self._home = value
            if self.reset is not None:
                self.reset.tooltip = self._back()
            self._mark()

    @property
    def tooltip(self) -> str:
        return self.inner.tooltip

    @tooltip.setter
    def tooltip(self, text: str) -> None:
        self.inner.tooltip = text

    def _mark(self) -> None:
        self._offer(self.value != self._home)

    def _go_back(self) -> None:
        self.value = self._home

    def _back(self) -> str:
        param, home = self._param, self._home
        text = _text_of(home)
        if param.kind == "choice" and param.labels and home in param.choices:
            text = param.labels[param.choices.index(home)]
        return f"Reset {param.label} to {text}"

    def note(self, text: str) -> None:
        """Show what follows from the value, beside it; "" for nothing."""
        self._note.value = text
        self._note.layout.display = None if text else "none"

    def _moved(self, change: Any) -> None:
        if self._moving:
            return
        value = _from_inner(self._param, change["new"])
        try:
            self._param.check(self._owner, value)
        except (TypeError, ValueError) as error:
            self._put_back()
            self._tell(str(error))
            return
        self.problem = ""
        if not _is_echo(self._param, value, self.value):
            self.value = value

    def _tell(self, problem: str) -> None:
        self.problem = ""  # so that the same mistake is reported again when it is repeated
        self.problem = problem

    @traitlets.validate("value")
    def _check_value(self, proposal: Any) -> Any:
        self._param.check(self._owner, proposal["value"])
        return proposal["value"]

    def _set(self, change: Any) -> None:
        if _from_inner(self._param, self.inner.value) != change["new"]:
            self._put_back()
        self._mark()

    def _put_back(self) -> None:
        """Bring the inner control, its ends and its step included, back to `value`."""
        self._moving = True
        try:
            with self.inner.hold_trait_notifications():
                for name, place in _places(self._param, self.value).items():
                    setattr(self.inner, name, place)
                self.inner.value = _to_inner(self._param, self.value)
        finally:
            self._moving = False


def _places(param: Param, value: Any) -> dict[str, Any]:
    """The ends and the step of a slider: what the parameter shows, widened where its value lies outside."""
    if param.kind not in ("number", "integer", "range"):
        return {}
    low, high = param.shown
    if param.kind == "range":
        return {"min": low, "max": high, "step": param.step or RANGE_STEP}
    if param.log:
        exponents = (math.floor(math.log10(low)), math.ceil(math.log10(high)))
        exponent = math.log10(value) if value > 0 else exponents[0]
        low, high = min(exponents[0], math.floor(exponent)), max(exponents[1], math.ceil(exponent))
        return {"min": low, "max": high, "step": LOG_STEP}
    low, high = min(low, value), max(high, value)
    step = int(param.step or 1) if param.kind == "integer" else param.step or (high - low) / 100
    return {"min": low, "max": high, "step": step}


def _is_echo(param: Param, answer: Any, value: Any) -> bool:
    """Whether `answer` is what the browser makes of `value`: it moves a handle to the nearest place and reports that.

    A preset's ε = 0.25 would be 0.2512 as soon as somebody saw it.
    """
    if param.kind not in ("number", "range") or (param.log and min(answer, value) <= 0):
        return False
    places, pairs = _places(param, value), [(answer, value)]
    if param.kind == "range":
        pairs = list(zip(answer, value, strict=True))
    elif param.log:
        pairs = [(math.log10(answer), math.log10(value))]
    low, high, step = places["min"], places["max"], places["step"]
    return all(abs(place - min(place_near(end, low, step), high)) < 1e-3 * step for place, end in pairs)


def _to_inner(param: Param, value: Any) -> Any:
    if param.kind == "choice" and value is None:  # a drop-down takes None for "nothing chosen"
        return NONE
    if param.log and value == 0:  # a log slider has no zero: its lowest place stands for it
        return 10.0 ** _places(param, value)["min"]
    return value


def _from_inner(param: Param, value: Any) -> Any:
    if param.kind == "choice" and value == NONE:
        return None
    if param.log and value:  # the browser's powers of ten differ from ours in the last digit
        return float(f"{value:.4g}")
    if param.kind == "range":  # the browser's 0.15999999999999998 is 0.16
        return tuple(round(end, 10) for end in value)
    return value


def _text_of(value: Any) -> str:
    if isinstance(value, tuple):
        return " – ".join(_text_of(part) for part in value)
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _widget_of(param: Param, value: Any) -> Any:
    options = {"description": param.label, "tooltip": param.help, "style": _STYLE, "layout": _WIDE}
    places = _places(param, value)
    if param.kind == "switch":
        return ipywidgets.Checkbox(value, description=param.label, tooltip=param.help, indent=False, layout=_WIDE)
    if param.kind == "choice":
        labels = param.labels or tuple(str(choice) for choice in param.choices)
        choices = [_to_inner(param, choice) for choice in param.choices]
        return ipywidgets.Dropdown(
            options=list(zip(labels, choices, strict=True)), value=_to_inner(param, value), **options
        )
    if param.kind == "range":
        return ipywidgets.FloatRangeSlider(value=value, readout_format=".2f", **places, **options)
    if param.kind == "integer":
        return ipywidgets.IntSlider(value, **places, **options)
    if param.log:
        start = _to_inner(param, value)
        return ipywidgets.FloatLogSlider(start, base=10, readout_format=".1e", **places, **options)
    return ipywidgets.FloatSlider(value, readout_format=".2f", **places, **options)
