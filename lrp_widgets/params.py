"""A setting said once: `param()` is its default, its check, its label and its slider range."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from lrp_widgets.wording import brief

__all__ = [
    "LOG_STEP",
    "MOST",
    "MOST_SEED",
    "Param",
    "Setting",
    "as_in",
    "choice",
    "param",
    "params_of",
    "place_near",
    "switch",
]

_KEY = "lrp_widgets"
LOG_STEP = 0.1  # of a logarithmic slider, in powers of ten
MOST = 1e15  # the size of a number without any other bound: whatever it is multiplied by stays finite
MOST_SEED = 2**32 - 1  # what every source of random numbers takes


def place_near(value: float, low: float, step: float, away: int = 0) -> float:
    """The place nearest to a value on a slider that goes from `low` in steps, or the one `away` steps from it."""
    return low + step * (round((value - low) / step) + away)


@dataclass(frozen=True)
class Param:
    """What a field of a setting may be, and how a control shows it."""

    kind: str  # "number", "integer", "choice", "switch" or "range"
    low: float = -math.inf
    high: float = math.inf
    most: float = MOST  # what a computer has time and memory for, where the quantity itself has no end
    slider: tuple[float, float] | None = None  # the part of [low, high] that a slider spans
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()
    labels: tuple[str, ...] = ()  # how the choices are shown, one each
    advanced: bool = False  # rarely moved: a control may fold it away
    symbol: str = ""
    unit: str = ""
    help: str = ""
    equation: str = ""  # where it is not that of the setting
    name: str = ""
    default: Any = None

    @property
    def shown(self) -> tuple[float, float]:
        """The ends of the slider: `slider` where it is given, the checked range otherwise."""
        return self.slider or (self.low, self.high)

    @property
    def label(self) -> str:
        """The symbol of the literature, or the name with its underscores opened."""
        return self.symbol or self.name.replace("_", " ")

    def beside(self, value: Any, steps: int = 1) -> tuple[Any, ...]:
        """The positions of the control `steps` below and above a value, as far as there are any."""
        if self.kind == "choice":
            return tuple(other for other in self.choices if other != value) if steps == 1 else ()
        if self.kind != "number" or (self.log and value <= 0):
            return ()
        low, high = self.shown
        if self.log:
            exponents = (place_near(math.log10(value), 0, LOG_STEP, n) for n in (-steps, steps))
            positions = [float(f"{10**exponent:.4g}") for exponent in exponents]
        else:
            step = self.step or (high - low) / 100
            positions = [round(place_near(value, low, step, n), 10) for n in (-steps, steps)]
        return tuple(position for position in positions if low <= position <= high)

    def check(self, owner: str, value: Any) -> None:
        """Raise a ValueError or TypeError that names `owner`.`name` where `value` is not allowed."""
        full_name = f"{owner}.{self.name}"
        if self.kind in ("number", "integer"):
            self._check_number(full_name, value)
        elif self.kind == "range":
            self._check_range(full_name, value)
        elif self.kind == "switch":
            if not isinstance(value, bool):
                raise TypeError(f"{full_name} must be True or False, got {brief(value)}.")
        elif self.kind == "choice" and not any(
            value is allowed or (type(value) is type(allowed) and value == allowed) for allowed in self.choices
        ):
            listed = ", ".join(repr(allowed) for allowed in self.choices)
            raise ValueError(f"{full_name} must be one of {listed}, got {brief(value)}.")

    def _check_number(self, full_name: str, value: Any) -> None:
        if self.kind == "integer" and (isinstance(value, bool) or not isinstance(value, int)):
            remedy = " Convert it with int(…)." if hasattr(value, "item") else ""
            raise TypeError(f"{full_name} must be a whole number, got {brief(value)}.{remedy}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            remedy = " Convert it with .item()." if hasattr(value, "item") else ""
            raise TypeError(f"{full_name} must be a number, got {brief(value)}.{remedy}")
        shown = brief(value) if type(value) is int else value  # a whole number may have any number of digits
        if not self.low <= value <= self.high:  # NaN fails here too
            raise ValueError(f"{full_name} must {_span(self)}, got {shown}.")
        if abs(value) == math.inf:
            raise ValueError(f"{full_name} must be finite, got {shown}.")
        if not -self.most <= value <= self.most:
            side = "at most" if value > 0 else "at least"
            raise ValueError(f"{full_name} must be {side} {self.most if value > 0 else -self.most:.12g}, got {shown}.")

    def _check_range(self, full_name: str, value: Any) -> None:
        pair = isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, int | float) for v in value)
        if not pair or any(isinstance(v, bool) for v in value):
            raise TypeError(f"{full_name} must be a tuple of two numbers (start, stop), got {brief(value)}.")
        if not self.low <= value[0] <= value[1] <= self.high:
            raise ValueError(
                f"{full_name} must be two rising numbers in [{self.low}, {self.high}], got {brief(value)}."
            )


def _span(parameter: Param) -> str:
    if math.isinf(parameter.high) and not math.isinf(parameter.low):
        return f"be at least {parameter.low}"
    if math.isinf(parameter.low) and not math.isinf(parameter.high):
        return f"be at most {parameter.high}"
    if math.isinf(parameter.low) and math.isinf(parameter.high):
        return "be finite"
    return f"lie in [{parameter.low}, {parameter.high}]"


def param(
    default: float,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    most: float = MOST,
    slider: tuple[float, float] | None = None,
    log: bool = False,
    step: float | None = None,
    symbol: str = "",
    unit: str = "",
    help: str = "",
    equation: str = "",
) -> Any:
    """A number in [low, high]: whole where the default is an int. `slider` narrows what a slider spans.

    most: the largest that is taken where the quantity itself has no end; a count needs one, since it costs time.
    """
    kind = "integer" if isinstance(default, int) else "number"
    ends = (low, high) if kind == "integer" else (float(low), float(high))
    parameter = Param(kind, *ends, most, slider, log, step, symbol=symbol, unit=unit, help=help, equation=equation)
    return dataclasses.field(default=default, metadata={_KEY: parameter})


def choice(
    default: Any,
    choices: tuple[Any, ...],
    *,
    labels: tuple[str, ...] = (),
    symbol: str = "",
    help: str = "",
    equation: str = "",
    advanced: bool = False,
    kw_only: bool = False,
) -> Any:
    """One of a few values, shown by their labels where these are given."""
    shown: dict[str, Any] = {"symbol": symbol, "help": help, "equation": equation}
    parameter = Param("choice", choices=choices, labels=labels, advanced=advanced, **shown)
    return dataclasses.field(default=default, kw_only=kw_only, metadata={_KEY: parameter})


def switch(default: bool, *, symbol: str = "", help: str = "", equation: str = "") -> Any:
    """True or False."""
    parameter = Param("switch", symbol=symbol, help=help, equation=equation)
    return dataclasses.field(default=default, metadata={_KEY: parameter})


def span(
    default: tuple[float, float],
    *,
    low: float,
    high: float,
    step: float | None = None,
    symbol: str = "",
    unit: str = "",
    help: str = "",
    equation: str = "",
) -> Any:
    """Two rising numbers in [low, high]: a range slider."""
    parameter = Param(
        "range", float(low), float(high), step=step, symbol=symbol, unit=unit, help=help, equation=equation
    )
    return dataclasses.field(default=default, metadata={_KEY: parameter})


def as_in(setting: type, name: str) -> Any:
    """The field `name` of another setting, so that it is described there alone."""
    parameter = next(field for field in dataclasses.fields(setting) if field.name == name)
    return dataclasses.field(default=parameter.default, metadata=parameter.metadata)


def params_of(setting: Any) -> tuple[Param, ...]:
    """The described fields of a setting (class or value), in the order they were written."""
    parameter = []
    for field in dataclasses.fields(setting):
        if field.init and _KEY in field.metadata:
            parameter.append(dataclasses.replace(field.metadata[_KEY], name=field.name, default=field.default))
    return tuple(parameter)


@dataclass(frozen=True)
class Setting:
    """A frozen value that checks itself: every rule, composite, method and metric is one."""

    def __post_init__(self) -> None:
        for parameter in params_of(self):
            parameter.check(type(self).__name__, getattr(self, parameter.name))

    def note(self, name: str) -> str:
        """What follows from the parameter `name` and should stand beside its control, "" for nothing."""
        return ""

    def equation_of(self, name: str = "") -> str:
        """The equation that the parameter `name` stands in, or that of the whole; "" where there is none."""
        return getattr(self, "equation", "")

    def told(self, name: str) -> str:
        """The tooltip of the parameter `name`: what it does in a sentence, and below that the equation."""
        parameter = next(parameter for parameter in params_of(self) if parameter.name == name)
        return "\n".join(filter(None, (parameter.help, parameter.equation or self.equation_of(name))))
