"""Projection: the map of a hidden layer over the input, every position where it looks, at the flip of a switch."""

from __future__ import annotations

import html
from collections.abc import Callable

import ipywidgets
import numpy as np

from lrp_widgets.apps.session.reading import picture_of
from lrp_widgets.engine.analysis.receptive_field.receptive_field import ReceptiveField, at_input, receptive_field
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.modalities import modality_of
from lrp_widgets.widgets import HeatmapView
from lrp_widgets.widgets.controls.control import guard

__all__ = ["Projection"]


class Projection:
    """Makes the map that a HeatmapView shows, and knows which position of the layer a place on it is.

    field: the receptive field by which the picture was drawn; None where it is the layer's own small map.
    `row` holds the switch, which is a look of the view (`at_input`) and asks no engine, and what one position sees.
    """

    def __init__(
        self, explainer: Explainer, view: HeatmapView, redraw: Callable[[], None], refuse: Callable[[str], None]
    ) -> None:
        self.explainer, self._view = explainer, view
        self.field: ReceptiveField | None = None
        self._known: dict[tuple[str, tuple[int, ...]], ReceptiveField | str] = {}
        self._drawn = view.at_input
        self.switch = guard(
            ipywidgets.Checkbox(
                value=view.at_input,
                description="at the input",
                indent=False,
                tooltip="Draw each position of this layer's map over all that it sees of the input; off: its own grid.",
            ),
            refuse,
        )
        self.said = ipywidgets.HTML("")
        self.said.add_class("lrp-note")
        self.row = ipywidgets.HBox([self.switch, self.said])
        self.row.add_class("lrp-projection")
        self.row.layout.display = "none"
        self.switch.observe(self._switched, "value")
        view.observe(lambda change: setattr(self.switch, "value", change["new"]), "at_input")
        view.observe(lambda _: redraw(), "at_input")

    @property
    def outdated(self) -> bool:
        """Whether the switch has been moved since the picture was made."""
        return self._drawn != self._view.at_input

    def picture(self, explanation: Explanation, layer: str, channel: int) -> np.ndarray:
        """The map to show: of the input, or of a layer, in pixels of the input where that is wanted and known."""
        values = picture_of(explanation, layer, channel)
        known = self._field_of(explanation, layer, values.shape) if layer else None
        self._drawn = self._view.at_input
        self._tell(known)
        self.field = known if isinstance(known, ReceptiveField) and not known.whole and self._drawn else None
        return values if self.field is None else at_input(values, self.field)

    def position(self, row: int, column: int) -> tuple[int, int]:
        """The position of the layer behind a pixel of the picture: the one whose centre is nearest."""
        return (row, column) if self.field is None else self.field.position(row + 0.5, column + 0.5)

    def region(self) -> tuple[list[list[float]], list[int]]:
        """The region drawn on the picture, and the shape of the map, both in positions of the layer."""
        if (field := self.field) is None:
            return self._view.region, self._view.shape
        (y0, x0), (down, right), (rows, columns) = field.centre, field.stride, field.grid

        def place(at: float, centre: float, stride: int, count: int) -> float:
            return min(max((at - centre) / stride + 0.5, 0.0), float(count)) if stride else at and float(count)

        region = [[place(x, x0, right, columns), place(y, y0, down, rows)] for x, y in self._view.region]
        return region, [rows, columns]

    def _field_of(self, explanation: Explanation, layer: str, grid: tuple[int, ...]) -> ReceptiveField | str | None:
        """The field of a layer, or why it is not known; None for a layer without maps. Remembered for each layer."""
        x = explanation.inputs
        if not modality_of(x).planar:
            return None
        key = (layer, (*x.shape[1:], *grid))
        if key not in self._known:
            try:
                self._known[key] = receptive_field(self.explainer, x, layer)
            except ValueError as error:
                self._known[key] = str(error)
        known = self._known[key]
        return known if isinstance(known, str) or known.grid == grid else None

    def _tell(self, known: ReceptiveField | str | None) -> None:
        self.row.layout.display = "none" if known is None else None
        self.switch.disabled = not isinstance(known, ReceptiveField) or known.whole
        if isinstance(known, str):
            self.said.value = f'<span title="{html.escape(known, quote=True)}">what a position sees is not known</span>'
        elif known is not None:
            (high, wide), (down, right) = known.size, known.stride
            apart = f"every {down} px" if down == right else f"every {down} × {right} px"
            sees = "every position sees the whole input" if known.whole else f"one position sees {high} × {wide} px"
            self.said.value = sees if known.whole else f"{sees}, {apart}"

    def _switched(self, change: dict[str, bool]) -> None:
        with self._view.one_message():
            self._view.at_input = change["new"]
