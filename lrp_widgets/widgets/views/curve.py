"""CurveView: the pixel-flipping curve of an explanation beside the band of random orders."""

from __future__ import annotations

from typing import Any

import ipywidgets
import numpy as np
import traitlets

from lrp_widgets.evaluation.flipping.curve import Curve
from lrp_widgets.widgets.browser import BrowserWidget, module, style

__all__ = ["CurveView"]

# Greys that stand out from white and from black alike: the figure needs no theme of its own.
_TEXT, _GRID = "#7a7a7a", "rgba(128,128,128,0.25)"
_CURVE, _BAND = "#d6604d", "rgba(128,128,128,0.22)"


class _Head(BrowserWidget):
    """The line above the figure; in the browser it also keeps the figure as wide as its column."""

    _esm = module("curve")
    _css = style("curve")

    title = traitlets.Unicode("").tag(sync=True)  # What is drawn.
    text = traitlets.Unicode("").tag(sync=True)  # Its numbers.
    waiting = traitlets.Bool(True).tag(sync=True)  # The figure is not made yet.


class CurveView(ipywidgets.VBox):
    """A score against the share removed: one curve, and the mean and band of random orders.

    plotly's first figure costs a browser 5 MB and some seconds, so it is made on `start()`, when the first picture is
    on the screen. What was shown before is drawn then.
    """

    def __init__(self, height: int = 190) -> None:
        self._height = height
        self._figure: Any = None
        self._shown: tuple[Curve, Curve | None] | None = None
        self.head = _Head()
        super().__init__([self.head])
        self.add_class("lrp-curve")

    def show(self, curve: Curve, random: Curve | None = None) -> None:
        """Draw a curve, and the random orders it is to be compared with."""
        self._shown = (curve, random)
        with self.head.one_message():
            self.head.title, self.head.text = "Pixel flipping", _text_of(curve, random)
        if self._figure is not None:
            self._draw()

    @staticmethod
    def prepare() -> None:
        """Load plotly, which takes seconds, while nobody waits for it."""
        import plotly.graph_objects as go

        _ = go.FigureWidget  # loaded when first asked for

    def start(self) -> None:
        """Make the figure; call it once a browser looks."""
        if self._figure is None:
            self._figure = self._made()
            self.children = [self.head, self._figure]
            self.head.waiting = False

    @property
    def figure(self) -> Any:
        """The plotly FigureWidget, None before `start()`."""
        return self._figure

    def _made(self) -> Any:
        import plotly.graph_objects as go  # takes 0.5 s, which the first picture does not wait for

        still = {"line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
        looks: list[dict[str, Any]] = [
            {"name": "lowest", **still},
            {"name": "highest", "fill": "tonexty", "fillcolor": _BAND, **still},
            {"name": "random orders: mean and band", "line": {"color": _TEXT, "width": 1.5, "dash": "dot"}},
            {"name": "this explanation", "line": {"color": _CURVE, "width": 2.5}},
        ]
        lines, unit = self._drawn()
        axis = {"gridcolor": _GRID, "zerolinecolor": _GRID, "linecolor": _GRID, "fixedrange": True}
        layout = go.Layout(
            height=self._height,
            margin={"l": 52, "r": 22, "t": 8, "b": 38},
            paper_bgcolor="rgba(0,0,0,0)",
            plot_bgcolor="rgba(0,0,0,0)",
            font={"color": _TEXT, "size": 12},
            legend={"x": 1, "xanchor": "right", "y": 1, "yanchor": "top", "bgcolor": "rgba(0,0,0,0)"},
            xaxis={**axis, "title": _titled("share removed"), "tickformat": ".0%", "dtick": 0.2, "range": [0, 1]},
            yaxis={**axis, "title": _titled(unit)},
            hovermode="x unified",
            template="none",
            autosize=True,
        )
        # In one update: a second one that arrives while the browser still loads plotly's 5 MB may be lost.
        data = [go.Scatter(x=x, y=y, **look) for look, (x, y) in zip(looks, lines, strict=True)]
        figure = go.FigureWidget(data, layout)
        figure._config = {"displayModeBar": False, "responsive": True}
        return figure

    def _draw(self) -> None:
        lines, unit = self._drawn()
        with self._figure.batch_update():
            for trace, (x, y) in zip(self._figure.data, lines, strict=True):
                trace.x, trace.y = x, y
            self._figure.layout.yaxis.title.text = unit

    def _drawn(self) -> tuple[list[tuple[Any, Any]], str]:
        """The points of lowest, highest, mean and this, empty where there are none, and what the score is."""
        if self._shown is None:
            return [((), ())] * 4, "f(x)"
        curve, random = self._shown
        lines: list[tuple[Any, Any]] = []
        for name in ("low", "high", "values"):
            values = None if random is None else getattr(random, name)
            lines.append(((), ()) if random is None or values is None else (_line(random.removed), _line(values)))
        lines.append((_line(curve.removed), _line(curve.values)))
        return lines, {"logit": "f(x)", "probability": "p(class | x)"}.get(curve.unit, curve.unit)


def _titled(text: str) -> dict[str, Any]:
    return {"text": text, "standoff": 4, "font": {"size": 12}}


def _line(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)  # 1-D float32: what plotly sends as bytes


def _text_of(curve: Curve, random: Curve | None) -> str:
    beside = "" if random is None else f" · random {_number(random.area)}"
    whole = "" if curve.removed[-1] >= 1 else " · still running"
    return f"{curve.order} · area {_number(curve.area)}{beside} (low is selective){whole}"


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
