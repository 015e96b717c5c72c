"""MethodPicker: a method or preset, with the sliders it brings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import ipywidgets
import traitlets

from lrp_widgets.params import Setting
from lrp_widgets.widgets.controls.control import guard
from lrp_widgets.widgets.controls.editor import Editors, SettingEditor
from lrp_widgets.widgets.turn import in_turn

__all__ = ["MethodPicker"]


class MethodPicker(ipywidgets.VBox):
    """Chooses one of a few settings by name and edits it; each remembers its values while another is shown.

    value: the setting in force; observe it. Setting it from Python chooses the name that such a setting goes by.
    problem: why a move was refused.
    """

    value = traitlets.Any()
    problem = traitlets.Unicode("")

    def __init__(
        self,
        choices: Sequence[tuple[str, Setting]],
        first: str | None = None,
        description: str = "method",
        tooltip: str = "Method, or preset of rules",
        editors: Editors = (),
        resets: bool = True,
    ) -> None:
        """choices: (name, setting) in the order of the list.  first: the name that is chosen at the start.

        editors: as in SettingEditor.  resets: whether there is a button back to the defaults.
        """
        self._defaults = dict(choices)
        self._current = dict(choices)
        self._name = first = first or choices[0][0]
        self._tooltip = tooltip
        picker = ipywidgets.Dropdown(
            options=[name for name, _ in choices],
            value=first,
            description=description,
            tooltip=self._description(),
            style={"description_width": "76px"},
            layout={"width": "auto", "flex": "1 1 0%"},
        )
        self.picker = guard(picker, self._tell)
        self.editor = SettingEditor(self._current[first], editors)
        self.editor.home = self._defaults[first]
        self.restore = ipywidgets.Button(description="reset", tooltip=f"Back to the defaults of this {description}")
        self.restore.add_class("lrp-reset")
        head = ipywidgets.HBox([self.picker, self.restore] if resets else [self.picker])
        super().__init__([head, self.editor], value=self._current[first])
        self.add_class("lrp-method")
        self.picker.observe(self._picked, "value")
        self.editor.observe(self._edited, "value")
        self.editor.observe(lambda change: self._tell(change["new"]), "problem")
        self.restore.on_click(in_turn(lambda _: self._put(self._defaults[self._name])))
        self.observe(self._set, "value")

    def offer(self, name: str, setting: Setting) -> None:
        """What the choice `name` begins with, and goes back to; one that was edited stays as it is until then."""
        if self._current[name] == self._defaults[name]:
            self._current[name] = setting
        self._defaults[name] = setting
        if name == self._name:
            self.editor.home = setting

    def offers(self, setting: Any) -> bool:
        """Whether there is a choice that such a setting goes by."""
        return self._name_of(setting) is not None

    def _tell(self, problem: str) -> None:
        self.problem = ""  # so that the same mistake is reported again when it is repeated
        self.problem = problem

    def _picked(self, change: Any) -> None:
        self._name = change["new"]
        self._put(self._current[self._name])

    def _put(self, setting: Setting) -> None:
        self.editor.home = self._defaults[self._name]
        self.editor.value = setting
        self.picker.tooltip = self._description()

    def _description(self) -> str:
        """What the choice in force does, with its equation."""
        setting = self._current[self._name]
        setting = getattr(setting, "composite", setting)
        first = (type(setting).__doc__ or "").partition("\n")[0]
        equation = setting.equation_of()
        return "\n".join(filter(None, (f"{self._tooltip}.", first, "" if first.startswith("R") else equation)))

    def _edited(self, change: Any) -> None:
        self._current[self._name] = change["new"]
        self.value = change["new"]

    @traitlets.validate("value")
    def _check_value(self, proposal: Any) -> Any:
        if not self.offers(proposal["value"]):
            names = ", ".join(self._defaults)
            raise ValueError(f"The choice must be one of {names}, got {proposal['value']!r}.")
        return proposal["value"]

    def _name_of(self, setting: Any) -> str | None:
        if _kinds(self._defaults[self._name]) == _kinds(setting):
            return self._name
        return next((name for name, default in self._defaults.items() if _kinds(default) == _kinds(setting)), None)

    def _set(self, change: Any) -> None:
        if self.editor.value == change["new"]:
            return
        self._name = self._name_of(change["new"]) or self._name
        self._current[self._name] = change["new"]
        self.picker.value = self._name
        self._put(change["new"])


def _kinds(setting: Any) -> tuple[type, ...]:
    """What distinguishes one choice from another: its type, and that of the first setting inside of it."""
    if not dataclasses.is_dataclass(setting):
        return (type(setting),)
    inside = (getattr(setting, field.name) for field in dataclasses.fields(setting) if field.init)
    wrapped = [type(value) for value in inside if isinstance(value, Setting)]
    return (type(setting), *(wrapped[:1]))
