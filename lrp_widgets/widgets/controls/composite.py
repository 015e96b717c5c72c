"""CompositeEditor: the network as a list of layers; a rule for each third of it, and for any single layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import ipywidgets
import traitlets

from lrp_widgets.engine.composites.composite import Entry
from lrp_widgets.engine.composites.presets import by_depth
from lrp_widgets.engine.rules import RULES, Rule
from lrp_widgets.engine.rules.bounds import Bound
from lrp_widgets.params import params_of
from lrp_widgets.widgets.accessible import accessible
from lrp_widgets.widgets.controls.control import Control, guard
from lrp_widgets.widgets.controls.method import MethodPicker

__all__ = ["CompositeEditor"]

PARTS = ("upper", "middle", "lower")  # as the list of layers has them: the output on top
AS_ITS_PART = "as its part"
_NAMES = {"Zero": "LRP-0", "Epsilon": "ε", "Gamma": "γ", "AlphaBeta": "αβ", "ZPlus": "z⁺", "WSquare": "w²"}
_NAMES |= {"Flat": "flat", "ZBox": "z^B"}


class CompositeEditor(ipywidgets.VBox):
    """Edits lw.by_depth: where the lower, middle and upper layers begin, the rule of each, and exceptions.

    value: the composite; observe it, or set it.  problem: why a move was refused.
    `show` says which layers there are, and the rule that each of them has.
    """

    value = traitlets.Instance(by_depth)
    problem = traitlets.Unicode("")

    def __init__(self, value: by_depth | None = None, layers: Sequence[str] = ()) -> None:
        value = by_depth() if value is None else value
        params = {param.name: param for param in params_of(value)}
        self._layers: tuple[str, ...] = tuple(layers)
        self._moving = False
        self.split, self.input = (
            Control(params[name], getattr(value, name), "by_depth") for name in ("split", "input")
        )
        for name, control in (("split", self.split), ("input", self.input)):
            control.home, control.tooltip = getattr(value, name), value.told(name)
        self.parts = {part: self._picker(part, getattr(value, part), value) for part in PARTS}
        chooser = ipywidgets.Select(options=[], rows=6, description="", layout={"width": "auto", "margin": "0"})
        chooser.tooltip = "The layers that take a rule, the output on top; choose one to give it a rule of its own"
        self.chooser = guard(chooser, self._tell)
        self.own = MethodPicker(
            [(AS_ITS_PART, _AsItsPart()), *_rules(value)],
            description="this layer",
            tooltip="A rule for this layer alone",
            resets=False,
        )
        super().__init__(
            [
                accessible(),
                self.split,
                *(self.parts[part] for part in PARTS),
                self.input,
                self.chooser,
                self.own,
            ],
            value=value,
        )
        self.add_class("lrp-composite")
        for name, control in (("split", self.split), ("input", self.input), *self.parts.items()):
            control.observe(lambda change, name=name: self._replace(**{name: change["new"]}), "value")
        self.chooser.observe(self._chosen, "value")
        self.own.observe(self._override, "value")
        for part in (self.split, self.input, self.own, *self.parts.values()):
            part.observe(lambda change: self._tell(change["new"]), "problem")
        self.observe(self._refill, "value")
        self.show(layers, {})

    def show(self, layers: Sequence[str], rules: dict[str, Rule]) -> None:
        """The layers that take a rule, from the input to the output, and the rule in force of each."""
        chosen, self._layers = self.chooser.value, tuple(layers)
        exceptions = {entry.where for entry in self.value.overrides}
        options = [
            (f"{name} · {named(rules[name]) if name in rules else '…'}{' (own)' if name in exceptions else ''}", name)
            for name in reversed(self._layers)
        ]
        if list(self.chooser.options) == options:
            return
        self._moving = True
        try:
            self.chooser.options = options
            self.chooser.value = chosen if chosen in self._layers else None
        finally:
            self._moving = False
        self._refill()

    def choose(self, layer: str) -> None:
        """Select a layer; the name of one that takes no rule changes nothing."""
        if layer in self._layers:
            self.chooser.value = layer

    def _picker(self, part: str, rule: Rule, value: by_depth) -> MethodPicker:
        choices = _rules(value)
        first = next(name for name, choice in choices if type(choice) is type(rule))
        choices = [(name, rule if name == first else choice) for name, choice in choices]
        return MethodPicker(choices, first, part, f"The rule of the {part} layers", resets=False)

    def _tell(self, problem: str) -> None:
        self.problem = ""  # so that the same mistake is reported again when it is repeated
        self.problem = problem

    def _replace(self, **changes: Any) -> None:
        if self._moving:
            return
        try:
            self.value = dataclasses.replace(self.value, **changes)
        except (TypeError, ValueError) as error:
            self._tell(str(error))
            self._refill()
        else:
            self.problem = ""

    def _chosen(self, change: Any) -> None:
        if not self._moving:
            self._refill()

    def _override(self, change: Any) -> None:
        layer, rule = self.chooser.value, change["new"]
        if self._moving or layer is None:
            return
        others = tuple(entry for entry in self.value.overrides if entry.where != layer)
        self._replace(overrides=others if isinstance(rule, _AsItsPart) else (*others, Entry(rule, layer)))

    def _refill(self, change: Any = None) -> None:
        self._moving = True
        try:
            self.split.value, self.input.value = self.value.split, self.value.input
            for part, picker in self.parts.items():
                picker.value = getattr(self.value, part)
            layer = self.chooser.value
            own = next((entry.rule for entry in self.value.overrides if entry.where == layer), _AsItsPart())
            self.own.value = own
            self.own.layout.display = "none" if layer is None else None
        finally:
            self._moving = False


@dataclasses.dataclass(frozen=True)
class _AsItsPart(Rule):
    """No rule of its own."""


def named(rule: Rule) -> str:
    """A rule as the list of layers has it, with its numbers: γ 0.25."""
    numbers = [f"{getattr(rule, p.name):.3g}" for p in params_of(rule) if p.kind == "number"]
    text = " ".join((_NAMES.get(type(rule).__name__, type(rule).__name__), *numbers))
    return f"{text} · rms z" if getattr(rule, "relative", False) else text


def _rules(value: by_depth) -> list[tuple[str, Rule]]:
    """Every rule under its name; those that need the bounds of the input have the bounds of the composite."""
    box: dict[str, Bound] = {"low": value.low, "high": value.high}
    rules: list[tuple[str, Rule]] = []
    for rule in RULES:
        boxed = {name: box[name] for name in box if name in {field.name for field in dataclasses.fields(rule)}}
        try:
            rules.append((_NAMES.get(rule.__name__, rule.__name__), rule(**boxed)))
        except ValueError:  # bounds that do not contain zero
            continue
    return rules
