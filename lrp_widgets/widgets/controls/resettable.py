"""Resettable: a control with a reset beside it, that is seen while there is something to reset."""

from __future__ import annotations

from typing import Any

import ipywidgets

from lrp_widgets.widgets.turn import in_turn

__all__ = ["Resettable", "WithReset"]


class WithReset(ipywidgets.VBox):
    """What a control with a reset has. A subclass defines `_back()` and `_go_back()`, and calls `_offer`."""

    reset: ipywidgets.Button | None = None  # made when there is something to reset

    def _back(self) -> str:
        """What the reset does, in its tooltip."""
        raise NotImplementedError

    def _go_back(self) -> None:
        raise NotImplementedError

    def _offer(self, changed: bool) -> None:
        """Show the reset where `changed`. Its place is kept free, so that nothing moves."""
        if changed and self.reset is None:
            self.reset = ipywidgets.Button(description="↺", tooltip=self._back())
            self.reset.add_class("lrp-control-reset")
            self.reset.on_click(in_turn(lambda _: self._go_back()))
            self.children = (*self.children, self.reset)
        if changed != ("lrp-changed" in self._dom_classes):
            (self.add_class if changed else self.remove_class)("lrp-changed")


class Resettable(WithReset):
    """A control of ipywidgets with its reset.

    inner: the control; what it shows now is what the reset goes back to.  tooltip: of the reset.
    """

    def __init__(self, inner: Any, tooltip: str) -> None:
        self.inner, self._tooltip, self._home = inner, tooltip, inner.value
        super().__init__([inner])
        self.add_class("lrp-control")
        inner.observe(lambda _: self._offer(inner.value != self._home), "value")

    def _back(self) -> str:
        return self._tooltip

    def _go_back(self) -> None:
        self.inner.value = self._home
