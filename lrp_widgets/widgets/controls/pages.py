"""Pages: a few views in one place, one of them in sight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ipywidgets
import traitlets

from lrp_widgets.widgets.accessible import accessible
from lrp_widgets.widgets.controls.control import guard

__all__ = ["Pages"]


class Pages(ipywidgets.VBox):
    """Named pages with a row of buttons to choose from (ipywidgets' Tab cannot be walked by keyboard in Voila).

    selected: the name of the page in sight; observe it, or set it.  problem: why a choice was refused.
    """

    selected = traitlets.Unicode("")
    problem = traitlets.Unicode("")

    def __init__(self, pages: Mapping[str, ipywidgets.Widget], tooltips: Mapping[str, str] | None = None) -> None:
        """pages: a widget by name, in order; the first one is in sight.  tooltips: a sentence each, by name."""
        if not pages:
            raise ValueError("Pages: pages must hold at least one widget by name, got none.")
        self.pages = dict(pages)
        texts = [(tooltips or {}).get(name, name) for name in self.pages]
        buttons = ipywidgets.ToggleButtons(options=list(self.pages), tooltips=texts)
        self.buttons = guard(buttons, self._tell)
        self.buttons.add_class("lrp-pages-buttons")
        self._leaves = {name: ipywidgets.VBox([page]) for name, page in self.pages.items()}
        for leaf in self._leaves.values():
            leaf.add_class("lrp-page")
        hidden = accessible(".lrp-pages-buttons")
        super().__init__([self.buttons, *self._leaves.values(), hidden], selected=next(iter(self.pages)))
        self.add_class("lrp-pages")
        self.buttons.observe(lambda change: setattr(self, "selected", change["new"]), "value")
        self.observe(self._turn, "selected")
        self._turn()

    @traitlets.validate("selected")
    def _check_selected(self, proposal: Any) -> str:
        if proposal["value"] not in self.pages:
            raise traitlets.TraitError(
                f"Pages.selected must be one of {', '.join(self.pages)}, got {proposal['value']!r}."
            )
        return proposal["value"]

    def _tell(self, problem: str) -> None:
        self.problem = ""
        self.problem = problem

    def _turn(self, change: Any = None) -> None:
        self.buttons.value = self.selected
        for name, leaf in self._leaves.items():
            leaf.layout.display = None if name == self.selected else "none"
