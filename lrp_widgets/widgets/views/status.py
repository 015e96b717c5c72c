"""StatusLine: what was done and how long it took, or what went wrong and what to do."""

from __future__ import annotations

import traitlets

from lrp_widgets.widgets.browser import BrowserWidget, module, style

__all__ = ["StatusLine"]


class StatusLine(BrowserWidget):
    """One line of text that assistive technology reads out; its height never changes."""

    _esm = module("status")
    _css = style("status")

    text = traitlets.Unicode("").tag(sync=True)  # What happened.
    remedy = traitlets.Unicode("").tag(sync=True)  # What to do about it; only shown with an error.
    level = traitlets.Enum(("ok", "busy", "error"), "ok").tag(sync=True)  # Sets the sign before the text.
    can_cancel = traitlets.Bool(False).tag(sync=True)  # Whether there is a button that ends the work; only while busy.
    cancelled = traitlets.Int(0, min=0).tag(sync=True, from_browser=True)  # Goes up with each press of that button.

    def ok(self, text: str) -> None:
        """Say that all is well."""
        self._say("ok", text)

    def busy(self, text: str = "working …", can_cancel: bool = False) -> None:
        """Say that work is under way; the browser shows it only where it takes longer than a blink.

        can_cancel: whether whoever observes `cancelled` can end it.
        """
        self._say("busy", text, can_cancel=can_cancel)

    def error(self, exception: BaseException, remedy: str = "") -> None:
        """Say what went wrong: the exception's type and message, and the remedy."""
        message = " ".join(str(exception).split())  # a message over several lines would lose its end
        self._say("error", f"{type(exception).__name__}: {message}" if message else type(exception).__name__, remedy)

    def _say(self, level: str, text: str, remedy: str = "", can_cancel: bool = False) -> None:
        with self.one_message():
            self.level, self.text, self.remedy, self.can_cancel = level, text, remedy, can_cancel
