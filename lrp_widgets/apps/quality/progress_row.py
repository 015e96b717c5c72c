"""ProgressRow: the buttons that start and cancel a long measurement, and how far it is."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets

from lrp_widgets.widgets.controls.control import guard

__all__ = ["ProgressRow"]


class ProgressRow(ipywidgets.HBox):
    """Buttons to start and to cancel, a bar and a text. Only the worker calls `tell` and `stopped`."""

    def __init__(self, start: str, act: Callable[[bool], None], tell: Callable[[str], None]) -> None:
        """start: the button's label.  act(go): called by start (True) and cancel.  tell: takes error texts."""
        self.start = guard(
            ipywidgets.Button(description=start, tooltip="Begin to measure.", button_style="primary"), tell
        )
        self.cancel = guard(
            ipywidgets.Button(description="cancel", tooltip="Stop, and keep what there is.", disabled=True), tell
        )
        self.bar = ipywidgets.FloatProgress(0.0, min=0.0, max=1.0)
        self.text = ipywidgets.Label("")
        super().__init__([self.start, self.cancel, self.bar, self.text])
        self.add_class("lrp-running")
        self.start.on_click(lambda _: act(True))
        self.cancel.on_click(lambda _: act(False))

    def tell(self, done: int, total: int, left: float | None, what: str) -> None:
        """Show that `done` of `total` are done and that `left` seconds remain.  what: the word behind the numbers."""
        self.bar.value = done / max(1, total)
        self.cancel.disabled = done >= total
        remaining = "" if left is None or done >= total else f" · {_duration(left)} left"
        self.text.value = f"{done} of {total} {what}{remaining}"

    def stopped(self) -> None:
        """Show that the work was cancelled before its end."""
        if not self.cancel.disabled:
            self.cancel.disabled = True
            self.text.value = self.text.value.partition(" · ")[0] + " · cancelled"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
