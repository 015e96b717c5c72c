"""LinesView: lines over one axis, with bands, marks and a place; drawn as SVG, so that many of them cost little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets

from lrp_widgets.widgets.browser import BrowserWidget, Finite, as_number, module, style

__all__ = ["LinesView"]

MOST_POINTS = 1000  # of a line as sent: more than there are pixels


class LinesView(BrowserWidget):
    """A few lines with their names; under the pointer it reads their values.

    A line is a mapping: name, x and y (n,), and if wanted low and high (n,) for a band, colour (a number from 0),
    dashed, and points True to draw its points too. What is not finite leaves a gap.
    """

    _esm = module("lines")
    _css = style("lines")

    lines = traitlets.List(traitlets.Dict()).tag(sync=True)  # {name, x, y, low, high, colour, dashed, points} each.
    marks = traitlets.List(traitlets.Dict()).tag(sync=True)  # Rings: {x, y, text} each.
    position = Finite(None, allow_none=True).tag(sync=True)  # A place on the x axis, as an upright line; None for none.
    title = traitlets.Unicode("").tag(sync=True)  # What is drawn.
    text = traitlets.Unicode("").tag(sync=True)  # Its numbers, behind the title.
    x_label = traitlets.Unicode("").tag(sync=True)  # Under the x axis.
    percent = traitlets.Bool(False).tag(sync=True)  # x is a share, written in per cent.
    logarithmic = traitlets.Bool(False).tag(sync=True)  # The x axis goes by powers of ten; all x are positive then.
    legend = traitlets.Bool(True).tag(sync=True)  # Say which line is which, where there are several.
    height = traitlets.Int(200, min=60, max=2000).tag(sync=True)  # Of the drawing, px.
    sequence = traitlets.Int(0).tag(sync=True)  # Goes up with each drawing.
    stale = traitlets.Bool(False).tag(sync=True)  # Greyed: the lines no longer belong to the settings.

    def show(
        self,
        lines: Sequence[Mapping[str, Any]],
        text: str = "",
        *,
        marks: Sequence[Mapping[str, Any]] = (),
        position: float | None = None,
        **traits: Any,
    ) -> None:
        """Draw lines, in one message.  text, traits: values of the traits so named (title, x_label, …)."""
        entries = [_line(line) for line in lines]
        with self.one_message():
            for name, value in traits.items():
                setattr(self, name, value)
            self.lines, self.text = entries, text
            self.marks = [
                {"x": as_number(mark["x"]), "y": as_number(mark["y"]), "text": str(mark["text"])} for mark in marks
            ]
            self.position, self.stale = position, False
            self.sequence += 1


def _line(line: Mapping[str, Any]) -> dict[str, Any]:
    x, y = np.asarray(line["x"], float), np.asarray(line["y"], float)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(
            f"LinesView.show: x and y of a line must be of one length, got shapes {x.shape} and {y.shape}."
        )
    step = max(1, -(-len(x) // MOST_POINTS))
    entry: dict[str, Any] = {
        "name": str(line.get("name", "")),
        "colour": int(line.get("colour", 0)),
        "dashed": bool(line.get("dashed", False)),
        "points": bool(line.get("points", False)),
    }
    for name in ("x", "y", "low", "high"):
        if line.get(name) is not None:
            entry[name] = [as_number(value) for value in np.asarray(line[name], float)[::step]]
    return entry
