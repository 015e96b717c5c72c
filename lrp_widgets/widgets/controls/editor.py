"""SettingEditor: the controls of a frozen setting; each move replaces the setting and does nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ipywidgets
import traitlets

from lrp_widgets.params import Setting, params_of
from lrp_widgets.widgets.accessible import accessible
from lrp_widgets.widgets.controls.control import Control
from lrp_widgets.widgets.controls.folded import Folded

__all__ = ["Editors", "SettingEditor"]

Editors = tuple[tuple[type, Callable[[Any], Any]], ...]


class SettingEditor(ipywidgets.VBox):
    """One control per described field of a setting (a rule, a composite, a method, …); settings inside it likewise.

    value: the frozen setting; observe it. Setting it from Python moves the controls.
    home: a setting of the same kind, that the reset of each control goes back to; None for the defaults of its class.
    problem: why a move was refused, "" after a good one.
    """

    value = traitlets.Any()
    problem = traitlets.Unicode("")
    _outermost = True  # it makes the controls of the editors inside accessible too

    def __init__(self, setting: Setting, editors: Editors = ()) -> None:
        """editors: (type, make) for settings inside that have an editor of their own, `make(setting)`."""
        self._editors = editors
        self._parts: dict[str, Control | SettingEditor] = {}
        self._kept: dict[tuple[type, ...], tuple[dict[str, Control | SettingEditor], list[ipywidgets.Widget]]] = {}
        self._refilling = False
        self._home: Setting | None = None
        self._hidden: list[ipywidgets.Widget] = []
        super().__init__(value=setting)
        self.add_class("lrp-editor")
        self._refill()
        self.observe(self._refill, "value")

    @property
    def home(self) -> Setting | None:
        return self._home

    @home.setter
    def home(self, setting: Setting | None) -> None:
        if setting != self._home:
            self._home = setting
            self._refill()

    def control(self, name: str) -> Control:
        """The control of the field `name`, also of a setting inside. Raises KeyError where there is none."""
        part = self._parts.get(name)
        if isinstance(part, Control):
            return part
        for inner in self._parts.values():
            if isinstance(inner, SettingEditor):
                with suppress(KeyError):
                    return inner.control(name)
        raise KeyError(name)

    def _controls(self) -> list[ipywidgets.Widget]:
        setting, owner = self.value, type(self.value).__name__
        sliders, choices, folded = [], [], []
        for param in params_of(setting):
            control = Control(param, getattr(setting, param.name), owner)
            place = folded if param.advanced else choices if param.kind in ("choice", "switch") else sliders
            place.append(self._watched(param.name, control))
        inner = [self._watched(name, self._editor_of(part)) for name, part in _inside(setting).items()]
        if folded:
            choices.append(Folded("where the literature differs", ipywidgets.VBox(folded)))
        return [*sliders, *inner, *choices]

    def _editor_of(self, setting: Setting) -> Any:
        make = next((make for kind, make in self._editors if isinstance(setting, kind)), None)
        return make(setting) if make else _Inner(setting, self._editors)

    def _watched(self, name: str, part: Control | SettingEditor) -> Control | SettingEditor:
        self._parts[name] = part
        part.observe(self._moved, "value")
        part.observe(lambda change: setattr(self, "problem", change["new"]), "problem")
        return part

    def _moved(self, change: Any) -> None:
        if self._refilling:
            return
        changes = {name: part.value for name, part in self._parts.items()}
        try:
            self.value = dataclasses.replace(self.value, **changes)
        except (TypeError, ValueError) as error:  # two fields that contradict each other
            self.problem = ""
            self.problem = str(error)
            self._refill()
        else:
            self.problem = ""

    def _refill(self, change: Any = None) -> None:
        """Show the setting. The controls of each kind are made once, since a browser keeps every widget it was sent."""
        kinds = tuple(type(value) for value in (self.value, *_inside(self.value).values()))
        if kinds not in self._kept:
            self._parts = {}
            self._kept[kinds] = (self._parts, self._controls())
        self._parts, controls = self._kept[kinds]
        self._refilling = True
        home = self._home if type(self._home) is type(self.value) else None
        try:
            for name, part in self._parts.items():
                if home is not None and isinstance(part, Control | SettingEditor):
                    part.home = getattr(home, name)
                part.value = getattr(self.value, name)
                if isinstance(part, Control):
                    part.tooltip = self.value.told(name)
                    part.note(self.value.note(name))
        finally:
            self._refilling = False
        if controls and self._outermost and not self._hidden:
            self._hidden.append(accessible())
        self.children = [*self._hidden, *controls] if controls else []


class _Inner(SettingEditor):
    """The editor of a setting inside another."""

    _outermost = False


def _inside(setting: Setting) -> dict[str, Setting]:
    """The settings in the fields of another."""
    values = {field.name: getattr(setting, field.name) for field in dataclasses.fields(setting) if field.init}
    return {name: value for name, value in values.items() if isinstance(value, Setting)}
