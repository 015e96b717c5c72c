"""Projection: the map of a hidden layer drawn over the input, each position at its receptive field."""

from __future__ import annotations

import html
from collections.abc import Callable

import ipywidgets
import numpy as np

from lrp_widgets.apps.session.formatting import picture_of
from lrp_widgets.engine.analysis.receptive_field.receptive_field import ReceptiveField, at_input, receptive_field
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.modalities import modality_of
from lrp_widgets.widgets import HeatmapView
from lrp_widgets.widgets.controls.control import guard

__all__ = ["Projection"]


class Projection:
    """Makes the map that a HeatmapView shows, and finds the position of the layer behind a pixel of it.

    block: the side in pixels of what the view shows as one pixel, where a picture is too large for it.
    field: the receptive field by which the picture was drawn; None where it is the layer's own small map.
    row: a switch between the two, and the size of the receptive field of one position. The switch is a look of the
    view (`at_input`): it changes no settings.
    """

    def __init__(
        self, explainer: Explainer, view: HeatmapView, redraw: Callable[[], None], refuse: Callable[[str], None]
    ) -> None:
        self.explainer, self._view = explainer, view
        self.field: ReceptiveField | None = None
        self.block, self._picture = 1, np.zeros((1, 1))
        self._fields: dict[tuple[str, tuple[int, ...]], ReceptiveField | str] = {}  # or why there is none
        self._at_input = view.at_input  # as the picture was drawn
        self.switch = guard(
            ipywidgets.Checkbox(
                value=view.at_input,
                description="at the input",
                indent=False,
                tooltip="Draw each position of this layer's map over all that it sees of the input; off: its own grid.",
            ),
            refuse,
        )
        self.note = ipywidgets.HTML("")
        self.note.add_class("lrp-note")
        self.row = ipywidgets.HBox([self.switch, self.note])
        self.row.add_class("lrp-projection")
        self.row.layout.display = "none"
        self.switch.observe(self._flip, "value")
        view.observe(lambda change: setattr(self.switch, "value", change["new"]), "at_input")
        view.observe(lambda _: redraw(), "at_input")

    @property
    def outdated(self) -> bool:
        """Whether the switch has been moved since the picture was made."""
        return self._at_input != self._view.at_input

    def picture(self, explanation: Explanation, layer: str, channel: int) -> np.ndarray:
        """The map to show: of the input, or of a layer; in pixels of the input where the switch is on."""
        values = picture_of(explanation, layer, channel)
        field = self._field_of(explanation, layer, values.shape) if layer else None
        self._at_input = self._view.at_input
        self._show_note(field)
        self.field = field if isinstance(field, ReceptiveField) and not field.whole and self._at_input else None
        self._picture = values if self.field is None else at_input(values, self.field)
        return self._picture

    def position(self, row: int, column: int) -> tuple[int, int]:
        """The position of the layer behind a pixel of the view: the one whose centre is nearest.

        Of several pixels that are shown as one it is the most relevant.
        """
        if (side := self.block) > 1:
            inside = np.abs(self._picture[row * side : (row + 1) * side, column * side : (column + 1) * side])
            best = np.unravel_index(int(inside.argmax()), inside.shape)
            row, column = row * side + int(best[0]), column * side + int(best[1])
        return (row, column) if self.field is None else self.field.position(row + 0.5, column + 0.5)

    def region(self) -> tuple[list[list[float]], list[int]]:
        """The region drawn on the picture, and the shape of the map, both in positions of the layer."""
        drawn = [[x * self.block, y * self.block] for x, y in self._view.region]
        if (field := self.field) is None:
            return drawn, list(self._picture.shape)
        (y0, x0), (down, right), (rows, columns) = field.centre, field.stride, field.grid

        def place(at: float, centre: float, stride: int, count: int) -> float:
            return min(max((at - centre) / stride + 0.5, 0.0), float(count)) if stride else at and float(count)

        region = [[place(x, x0, right, columns), place(y, y0, down, rows)] for x, y in drawn]
        return region, [rows, columns]

    def _field_of(self, explanation: Explanation, layer: str, grid: tuple[int, ...]) -> ReceptiveField | str | None:
        """The receptive field of a layer, or why there is none, kept for each layer; None for a layer without maps."""
        x = explanation.inputs
        if not modality_of(x).planar:
            return None
        key = (layer, (*x.shape[1:], *grid))
        if key not in self._fields:
            try:
                self._fields[key] = receptive_field(self.explainer, x, layer)
            except ValueError as error:
                self._fields[key] = str(error)
        field = self._fields[key]
        return field if isinstance(field, str) or field.grid == grid else None

    def _show_note(self, field: ReceptiveField | str | None) -> None:
        self.row.layout.display = "none" if field is None else None
        self.switch.disabled = not isinstance(field, ReceptiveField) or field.whole
        if isinstance(field, str):
            self.note.value = f'<span title="{html.escape(field, quote=True)}">what a position sees is not known</span>'
        elif field is not None:
            (high, wide), (down, right) = field.size, field.stride
            apart = f"every {down} px" if down == right else f"every {down} × {right} px"
            sees = "every position sees the whole input" if field.whole else f"one position sees {high} × {wide} px"
            self.note.value = sees if field.whole else f"{sees}, {apart}"

    def _flip(self, change: dict[str, bool]) -> None:
        with self._view.one_message():
            self._view.at_input = change["new"]
