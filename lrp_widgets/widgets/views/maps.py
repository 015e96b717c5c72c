"""MapsView: small maps side by side to choose one from, each with its caption; some of them can be marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets

from lrp_widgets.widgets.browser import BrowserWidget, module, style
from lrp_widgets.widgets.views.blocks import pooled_blocks
from lrp_widgets.widgets.views.heatmap import COLORMAPS

__all__ = ["MOST_MAPS", "MapsView"]

MOST_MAPS = 100
LONGEST = 64  # px of a small map as sent: a hundred of them are 1.6 MB


class MapsView(BrowserWidget):
    """Small multiples of relevance, on one scale or each on its own; observe `picked`."""

    _esm = module("maps")
    _css = style("maps")

    maps = traitlets.Bytes(b"").tag(sync=True)  # Relevance: little-endian float32, n × height × width.
    shape = traitlets.List([0, 0, 0]).tag(sync=True)  # [n, height, width].
    captions = traitlets.List(traitlets.Dict()).tag(sync=True)  # {title, text, marked} of each.
    selected = traitlets.Int(-1).tag(sync=True)  # Which one is in force, -1 for none.
    columns = traitlets.Int(0, min=0, max=MOST_MAPS).tag(sync=True)  # How many stand side by side; 0: as many as fit.
    size = traitlets.Int(88, min=32, max=512).tag(sync=True)  # The width of a map, px.
    marked = traitlets.Unicode("").tag(sync=True)  # What a mark means, in a word.
    description = traitlets.Unicode("Maps").tag(sync=True)  # The group's name for assistive technology.
    colormap = traitlets.Enum(COLORMAPS, "red-blue").tag(sync=True)  # The two hues.
    sequence = traitlets.Int(0).tag(sync=True)  # Goes up with each set of maps: the browser draws when it changes.

    picked = traitlets.Dict({}).tag(sync=True, from_browser=True)  # The map just chosen, {index, count}; {} for none.
    shared = traitlets.Bool(True).tag(sync=True, from_browser=True)  # One scale for all of them.

    def show(self, maps: Sequence[Any], captions: Sequence[Mapping[str, Any]], selected: int = -1) -> None:
        """Draw maps (n, h, w) with one caption each, {title, text, marked}, in one message."""
        values = np.asarray(maps, dtype=np.float32).reshape(len(maps), *np.shape(maps)[1:] or (0, 0))
        if values.ndim != 3 or len(values) > MOST_MAPS:
            raise ValueError(
                f"MapsView.show: maps must be (n, height, width), n at most {MOST_MAPS}, got shape {values.shape}."
            )
        if len(captions) != len(values):
            raise ValueError(f"MapsView.show: captions must be one per map ({len(values)}), got {len(captions)}.")
        small = pooled_blocks(values, LONGEST)[0] if values.size else values
        with self.one_message():
            self.maps, self.shape = np.ascontiguousarray(small, "<f4").tobytes(), list(small.shape)
            self.captions = [
                {
                    "title": str(caption["title"]),
                    "text": str(caption.get("text", "")),
                    "marked": bool(caption.get("marked")),
                }
                for caption in captions
            ]
            self.selected = selected
            self.sequence += 1

    @traitlets.validate("picked")
    def _check_picked(self, proposal: Any) -> dict[str, int]:
        picked = proposal["value"]
        whole = picked.keys() == {"index", "count"} and all(type(value) is int for value in picked.values())
        if picked and not (whole and 0 <= picked["index"] < self.shape[0]):
            raise traitlets.TraitError(
                f"MapsView.picked must be {{}} or {{index, count}} with an index in [0, {self.shape[0] - 1}], "
                f"got {picked!r}."
            )
        return picked
