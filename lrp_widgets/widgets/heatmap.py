"""HeatmapView: relevance over, beside or without its input, coloured in the browser."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import traitlets

from lrp_widgets.widgets.browser import BrowserWidget, Finite, module, style, to_uint8

__all__ = ["ARRANGEMENTS", "COLORMAPS", "HeatmapView"]

COLORMAPS = ("red-blue", "orange-purple", "grey")  # named positive-negative; all diverge from zero, for any eyes
ARRANGEMENTS = ("overlay", "beside", "heatmap", "image")
MOST_VALUES = 1_200_000  # with an RGB picture 8.4 MB: a server closes the connection over a message of 10 MB


class HeatmapView(BrowserWidget):
    """Shows a map of numbers in diverging colours, zero in the middle, with its scale in numbers.

    `show` sends the numbers. Colours, clip and arrangement are the browser's work: another look sends no data again.
    """

    _esm = module("heatmap")
    _css = style("heatmap")

    data = traitlets.Bytes(b"").tag(sync=True)  # The map: little-endian float32, row after row.
    shape = traitlets.List([0, 0]).tag(sync=True)  # Its height and width.
    image = traitlets.Bytes(b"").tag(sync=True)  # The input as uint8, grey or RGB; empty for none.
    image_shape = traitlets.List([0, 0, 0]).tag(sync=True)  # Its height, width and channels (1 or 3).
    sequence = traitlets.Int(0).tag(sync=True)  # Goes up with each map: the browser draws when it changes.
    scale = Finite(None, min=0, allow_none=True).tag(sync=True)  # Where the colours end; None or 0: at `percentile`.
    stamp = traitlets.Unicode("").tag(sync=True)  # A short line printed under the picture.
    description = traitlets.Unicode("").tag(sync=True)  # The picture in words, for those who do not see it.
    stale = traitlets.Bool(False).tag(sync=True)  # Greyed: the picture no longer belongs to the settings.

    colormap = traitlets.Enum(COLORMAPS, "red-blue").tag(sync=True, from_browser=True)  # The two hues.
    arrangement = traitlets.Enum(ARRANGEMENTS, "overlay").tag(sync=True, from_browser=True)  # What stands where.
    opacity = Finite(0.9, min=0, max=1).tag(sync=True, from_browser=True)  # Of the heatmap in an overlay.
    percentile = Finite(100.0, min=50, max=100).tag(sync=True, from_browser=True)  # Of |R|: the scale if none is set.
    pixelated = traitlets.Bool(True).tag(sync=True, from_browser=True)  # Square pixels, or smoothed.
    size = traitlets.Int(360, min=32, max=4096).tag(sync=True, from_browser=True)  # A picture's longest side, px.

    clicked = traitlets.Dict({}).tag(sync=True, from_browser=True)  # The picked pixel, {x, y, count}; {} for none.

    def show(
        self,
        relevance: np.ndarray,
        image: np.ndarray | None = None,
        scale: float | None = None,
        stamp: str = "",
        description: str = "",
    ) -> None:
        """Draw a map: relevance (h, w), image (h, w) or (h, w, 3) in [0, 1] or uint8, in one message.

        scale: the limit of the colours, or None to take `percentile` of |R|. The picture is no longer stale then.
        """
        values = np.asarray(relevance)
        if values.ndim != 2 or not 0 < values.size <= MOST_VALUES:
            raise ValueError(
                f"HeatmapView.show: relevance must be (height, width) with 1 to {MOST_VALUES:,} values, "
                f"got shape {values.shape}."
            )
        pixels = np.zeros((0, 0, 0), np.uint8) if image is None else self._pixels(np.asarray(image))
        with self.one_message():
            self.data = np.ascontiguousarray(values, dtype="<f4").tobytes()
            self.shape = list(values.shape)
            self.image, self.image_shape = pixels.tobytes(), list(pixels.shape)
            self.scale = None if scale is None else float(scale)
            self.stamp, self.description = stamp, description
            self.stale = False
            self.sequence += 1

    @property
    def relevance(self) -> np.ndarray:
        """The map that is shown, float32 (h, w)."""
        return np.frombuffer(self.data, dtype="<f4").reshape(self.shape)

    @property
    def limit(self) -> float:
        """The number at the end of the colour bar: pass it as `scale` to keep it, or to share it between pictures."""
        if self.scale:
            return self.scale
        known = np.abs(self.relevance[np.isfinite(self.relevance)])
        return float(np.percentile(known, self.percentile) or known.max()) if known.size else 0.0

    @staticmethod
    def _pixels(image: np.ndarray) -> np.ndarray:
        pixels = image[..., None] if image.ndim == 2 else image
        if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or not 0 < pixels[..., 0].size <= MOST_VALUES:
            raise ValueError(
                f"HeatmapView.show: image must be (height, width) or (height, width, 3) "
                f"with 1 to {MOST_VALUES:,} pixels, got shape {image.shape}."
            )
        return to_uint8("HeatmapView.show: image", pixels)

    @traitlets.validate("clicked")
    def _check_clicked(self, proposal: Any) -> dict[str, int]:
        clicked, (height, width) = proposal["value"], self.shape
        ends = {"x": width, "y": height, "count": math.inf}
        if clicked and not (
            clicked.keys() == ends.keys()
            and all(type(value) is int and 0 <= value < ends[name] for name, value in clicked.items())
        ):
            raise traitlets.TraitError(
                f"HeatmapView.clicked must be {{}} or {{x, y, count}} with x < {width} and y < {height}, "
                f"got {clicked!r}."
            )
        return clicked
