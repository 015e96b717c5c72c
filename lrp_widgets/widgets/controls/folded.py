"""Folded: a part of the page that opens at the press of a button."""

from __future__ import annotations

from typing import Any

import ipywidgets
import traitlets

from lrp_widgets.widgets.accessible import accessible
from lrp_widgets.widgets.controls.control import guard

__all__ = ["Folded"]


class Folded(ipywidgets.VBox):
    """A title that opens and closes what stands under it (ipywidgets' Accordion cannot be reached by keyboard).

    opened: whether it is open; observe it, or set it.  problem: why a press was refused.
    """

    opened = traitlets.Bool(False)
    problem = traitlets.Unicode("")

    def __init__(self, title: str, part: ipywidgets.Widget, opened: bool = False) -> None:
        self._title = title
        self.button = guard(
            ipywidgets.ToggleButton(opened, tooltip=f"Show or hide: {title}", layout={"width": "auto"}), self._tell
        )
        self.button.add_class("lrp-folded-button")
        self._leaf = ipywidgets.VBox([part])
        super().__init__([self.button, self._leaf, accessible(".lrp-folded-button")], opened=opened)
        self.add_class("lrp-folded")
        self.button.observe(lambda change: setattr(self, "opened", change["new"]), "value")
        self.observe(self._turn, "opened")
        self._turn()

    def _tell(self, problem: str) -> None:
        self.problem = ""
        self.problem = problem

    def _turn(self, change: Any = None) -> None:
        self.button.value = self.opened
        self.button.description = f"{'▾' if self.opened else '▸'} {self._title}"
        self._leaf.layout.display = None if self.opened else "none"
