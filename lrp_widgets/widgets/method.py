"""MethodPicker: a method or preset, with the sliders it brings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets
import traitlets

from lrp_widgets.params import Setting
from lrp_widgets.widgets.control import guard
from lrp_widgets.widgets.editor import SettingEditor

__all__ = ["MethodPicker"]


class MethodPicker(ipywidgets.VBox):
    """Chooses one of a few settings by name and edits it; each remembers its values while another is shown.

    value: the setting in force.  problem: why a move was refused.
    """

    value = traitlets.Any()
    problem = traitlets.Unicode("")

    def __init__(self, choices: Sequence[tuple[str, Setting]], first: str | None = None) -> None:
        """choices: (name, setting) in the order of the list.  first: the name that is chosen at the start."""
        self._defaults = dict(choices)
        self._current = dict(choices)
        self._name = first = first or choices[0][0]
        picker = ipywidgets.Dropdown(
            options=[name for name, _ in choices],
            value=first,
            description="method",
            tooltip="Method, or preset of rules",
            style={"description_width": "76px"},
            layout={"width": "auto", "flex": "1 1 0%"},
        )
        self.picker = guard(picker, self._tell)
        self.editor = SettingEditor(self._current[first])
        self.restore = ipywidgets.Button(description="reset", tooltip="Back to this method's defaults")
        self.restore.add_class("lrp-reset")
        head = ipywidgets.HBox([self.picker, self.restore])
        super().__init__([head, self.editor], value=self._current[first])
        self.add_class("lrp-method")
        self.picker.observe(self._picked, "value")
        self.editor.observe(self._edited, "value")
        self.editor.observe(lambda change: self._tell(change["new"]), "problem")
        self.restore.on_click(lambda _: self._put(self._defaults[self._name]))

    def _tell(self, problem: str) -> None:
        self.problem = ""  # so that the same mistake twice is told twice
        self.problem = problem

    def _picked(self, change: Any) -> None:
        self._name = change["new"]
        self._put(self._current[self._name])

    def _put(self, setting: Setting) -> None:
        self.editor.value = setting

    def _edited(self, change: Any) -> None:
        self._current[self._name] = change["new"]
        self.value = change["new"]
