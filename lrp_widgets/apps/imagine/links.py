"""Links: undo and redo, the link and the Python of what the imagine app is set to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from lrp_widgets.apps.imagine.material import Material
from lrp_widgets.apps.imagine.python import python_of
from lrp_widgets.apps.imagine.request import PARTS, ImagineSettings
from lrp_widgets.apps.session.history import History
from lrp_widgets.apps.sharing.encoding import StateError
from lrp_widgets.apps.sharing.link import from_query, to_query
from lrp_widgets.apps.sharing.state import from_state, to_state
from lrp_widgets.widgets import ShareBar

__all__ = ["Links"]


class Links:
    """Connects a ShareBar with the app.  put: brings the app to settings; raises ValueError where it cannot."""

    def __init__(
        self, bar: ShareBar, material: Material, first: ImagineSettings, put: Callable[[ImagineSettings], None],
        refuse: Callable[[str], None], names: tuple[str, str],
    ) -> None:  # fmt: skip
        self.bar, self.history = bar, History(first)
        self._material, self._put, self._refuse, self._names = material, put, refuse, names
        self._putting = False
        bar.observe(self._asked, "asked")
        bar.observe(lambda change: self.open(change["new"]), "query")
        bar.observe(lambda change: change["new"] and refuse(change["new"]), "problem")
        self._tell()

    def changed(self, settings: ImagineSettings) -> None:
        """Take note of new settings."""
        if not self._putting:
            self.history.push(settings)
            self._tell()

    def open(self, state: Mapping[str, Any] | str, raises: bool = False) -> None:
        """Go to what a state, its JSON or a link describes. An error goes to `refuse`; with `raises` it is raised."""
        if isinstance(state, str) and state.startswith("?") and "state=" not in state:
            return
        try:
            fields = from_query(state) if isinstance(state, str) and state.startswith("?") else state
            settings, _ = from_state(fields, ImagineSettings, self._material.samples, PARTS)
            self._material.check(settings)
            self._show(settings)
        except (StateError, ValueError, LookupError) as error:
            if raises:
                raise StateError(f"This state cannot be shown: {error}") from None
            self._refuse(str(error))
            return
        self.history.push(settings)
        self._tell()

    def _show(self, settings: ImagineSettings) -> None:
        self._putting = True
        try:
            self._put(settings)
        finally:
            self._putting = False
        self._tell()

    def _asked(self, change: Any) -> None:
        action = change["new"].get("action")
        if action == "undo" and self.history.can_undo:
            self._show(self.history.undo())
        elif action == "redo" and self.history.can_redo:
            self._show(self.history.redo())

    def _tell(self) -> None:
        state = ""
        with suppress(StateError):  # too long for a link: the button is disabled
            state = to_query(to_state(self.history.value, {}, PARTS))
        with self.bar.one_message():
            self.bar.can_undo, self.bar.can_redo = self.history.can_undo, self.history.can_redo
            self.bar.state, self.bar.python = state, python_of(self.history.value, self._material, self._names)
