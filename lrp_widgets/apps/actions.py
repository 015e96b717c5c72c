"""Actions: the toolbar of an app, and what its buttons do: undo, redo, pin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lrp_widgets.apps.history import History
from lrp_widgets.apps.settings import Settings
from lrp_widgets.widgets import Toolbar

__all__ = ["Actions"]

BUTTONS = (
    {"name": "undo", "label": "↶ undo", "tooltip": "Take back the last change of a setting", "keys": ["mod+z"]},
    {
        "name": "redo",
        "label": "↷ redo",
        "tooltip": "Make the change again that was taken back",
        "keys": ["mod+shift+z", "mod+y"],
    },
    {
        "name": "pin",
        "label": "pin",
        "tooltip": "Keep this explanation beside the ones that follow",
        "keys": ["mod+shift+p"],
        "group": "pin",
    },
)


class Actions:
    """Undo and redo over the settings of a dashboard, and pins.

    dashboard: has `settings`, `bring(settings)`, `pins`, `views` and `refuse(problem)`.
    """

    def __init__(self, dashboard: Any, title: str) -> None:
        self._dashboard = dashboard
        self.toolbar = Toolbar(BUTTONS, title)
        self._history: History[Settings] | None = None
        self._acts: dict[str, Callable[[], None]] = {"undo": self._undo, "redo": self._redo, "pin": self._pin}
        self.toolbar.on_press(self._act)
        self._enable()

    def note(self, settings: Settings) -> None:
        """Remember settings that came into force."""
        if self._history is None:
            self._history = History(settings)
        self._history.push(settings)
        self._enable()

    def _act(self, name: str) -> None:
        try:
            self._acts[name]()
        except ValueError as error:
            self._dashboard.refuse(str(error))

    def _undo(self) -> None:
        if self._history is not None:
            self._dashboard.bring(self._history.undo())
            self._enable()

    def _redo(self) -> None:
        if self._history is not None:
            self._dashboard.bring(self._history.redo())
            self._enable()

    def _pin(self) -> None:
        self._dashboard.pins.pin()
        self._dashboard.views.selected = "Compare"

    def _enable(self) -> None:
        known = self._history
        off = {"undo": known is None or not known.can_undo, "redo": known is None or not known.can_redo}
        self.toolbar.disabled = [name for name, is_off in off.items() if is_off]
