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
    """Have a widget of ipywidgets tell what it refuses from the browser; by itself it raises where nobody looks."""
    take = widget.set_state

    def set_state(sync_data: Mapping[str, Any]) -> None:
        try:
            with TURN:
                take(sync_data)
        except Exception as error:  # a handler's too
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

    def __init__(self, known: Param, value: Any, owner: str = "") -> None:
        self._known, self._owner = known, owner
        self._home = value if known.default is dataclasses.MISSING else known.default
        self._moving = False
        self.inner = guard(_made(known, value), self._tell)
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
        known, home = self._known, self._home
        said = _written(home)
        if known.kind == "choice" and known.labels and home in known.choices:
            said = known.labels[known.choices.index(home)]
        return f"Reset {known.label} to {said}"

    def note(self, text: str) -> None:
        """Show what follows from the value, beside it; "" for nothing."""
        self._note.value = text
        self._note.layout.display = None if text else "none"

    def _moved(self, change: Any) -> None:
        if self._moving:
            return
        value = _from_inner(self._known, change["new"])
        try:
            self._known.check(self._owner, value)
        except (TypeError, ValueError) as error:
            self._put_back()
            self._tell(str(error))
            return
        self.problem = ""
        if not _is_echo(self._known, value, self.value):
            self.value = value

    def _tell(self, problem: str) -> None:
        self.problem = ""  # so that the same mistake twice is told twice
        self.problem = problem

    @traitlets.validate("value")
    def _check_value(self, proposal: Any) -> Any:
        self._known.check(self._owner, proposal["value"])
        return proposal["value"]

    def _set(self, change: Any) -> None:
        if _from_inner(self._known, self.inner.value) != change["new"]:
            self._put_back()
        self._mark()

    def _put_back(self) -> None:
        """Bring the inner control, its ends and its step included, back to `value`."""
        self._moving = True
        try:
            with self.inner.hold_trait_notifications():
                for name, place in _places(self._known, self.value).items():
                    setattr(self.inner, name, place)
                self.inner.value = _to_inner(self._known, self.value)
        finally:
            self._moving = False


def _places(known: Param, value: Any) -> dict[str, Any]:
    """The ends and the step of a slider: what the parameter shows, widened where its value lies outside."""
    if known.kind not in ("number", "integer", "range"):
        return {}
    low, high = known.shown
    if known.kind == "range":
        return {"min": low, "max": high, "step": known.step or RANGE_STEP}
    if known.log:
        exponents = (math.floor(math.log10(low)), math.ceil(math.log10(high)))
        exponent = math.log10(value) if value > 0 else exponents[0]
        low, high = min(exponents[0], math.floor(exponent)), max(exponents[1], math.ceil(exponent))
        return {"min": low, "max": high, "step": LOG_STEP}
    low, high = min(low, value), max(high, value)
    step = int(known.step or 1) if known.kind == "integer" else known.step or (high - low) / 100
    return {"min": low, "max": high, "step": step}


def _is_echo(known: Param, sent: Any, value: Any) -> bool:
    """Whether `sent` is what the browser makes of `value`: it moves a handle to its nearest place, and says so unasked.

    A preset's ε = 0.25 would be 0.2512 as soon as somebody saw it.
    """
    if known.kind not in ("number", "range") or (known.log and min(sent, value) <= 0):
        return False
    places, pairs = _places(known, value), [(sent, value)]
    if known.kind == "range":
        pairs = list(zip(sent, value, strict=True))
    elif known.log:
        pairs = [(math.log10(sent), math.log10(value))]
    low, high, step = places["min"], places["max"], places["step"]
    return all(abs(said - min(place_near(end, low, step), high)) < 1e-3 * step for said, end in pairs)


def _to_inner(known: Param, value: Any) -> Any:
    if known.kind == "choice" and value is None:  # to a drop-down None is no choice at all
        return NONE
    if known.log and value == 0:  # a log slider has no zero: its lowest place stands for it
        return 10.0 ** _places(known, value)["min"]
    return value


def _from_inner(known: Param, value: Any) -> Any:
    if known.kind == "choice" and value == NONE:
        return None
    if known.log and value:  # the browser's powers of ten differ from ours in the last digit
        return float(f"{value:.4g}")
    if known.kind == "range":  # the browser's 0.15999999999999998 is 0.16
        return tuple(round(end, 10) for end in value)
    return value


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return " – ".join(_written(part) for part in value)
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _made(known: Param, value: Any) -> Any:
    said = {"description": known.label, "tooltip": known.help, "style": _STYLE, "layout": _WIDE}
    places = _places(known, value)
    if known.kind == "switch":
        return ipywidgets.Checkbox(value, description=known.label, tooltip=known.help, indent=False, layout=_WIDE)
    if known.kind == "choice":
        labels = known.labels or tuple(str(choice) for choice in known.choices)
        choices = [_to_inner(known, choice) for choice in known.choices]
        return ipywidgets.Dropdown(
            options=list(zip(labels, choices, strict=True)), value=_to_inner(known, value), **said
        )
    if known.kind == "range":
        return ipywidgets.FloatRangeSlider(value=value, readout_format=".2f", **places, **said)
    if known.kind == "integer":
        return ipywidgets.IntSlider(value, **places, **said)
    if known.log:
        start = _to_inner(known, value)
        return ipywidgets.FloatLogSlider(start, base=10, readout_format=".1e", **places, **said)
    return ipywidgets.FloatSlider(value, readout_format=".2f", **places, **said)
