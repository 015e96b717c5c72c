"""HeatmapView: relevance over, beside or without its input, coloured in the browser."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import traitlets

from lrp_widgets.polygon import polygon_mask
from lrp_widgets.widgets.browser import BrowserWidget, Finite, module, style, to_uint8
from lrp_widgets.widgets.views.region import RegionShare, check_region, share_of

__all__ = ["ARRANGEMENTS", "COLORMAPS", "SIGNS", "HeatmapView"]

# Named after their two hues, positive first, or as published. All diverge from zero and are safe for colour-blind eyes.
COLORMAPS = ("red-blue", "orange-purple", "grey", "green-purple", "vik")
ARRANGEMENTS = ("overlay", "beside", "heatmap", "image", "mask")
SIGNS = ("symmetric", "separate", "positive", "negative")
WHOLE = (1, 0, 0)  # the zoom that shows all
MOST_ZOOM, MOST_BOXES = 64, 100
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
    locked = traitlets.List(Finite(min=0)).tag(sync=True)  # The [negative, positive] end kept by `lock`; [] for none.
    stamp = traitlets.Unicode("").tag(sync=True)  # A short line printed under the picture.
    description = traitlets.Unicode("").tag(sync=True)  # The picture in words, for those who do not see it.
    stale = traitlets.Bool(False).tag(sync=True)  # Greyed: the picture no longer belongs to the settings.

    colormap = traitlets.Enum(COLORMAPS, "red-blue").tag(sync=True, from_browser=True)  # The two hues.
    arrangement = traitlets.Enum(ARRANGEMENTS, "overlay").tag(sync=True, from_browser=True)  # What stands where.
    opacity = Finite(0.9, min=0, max=1).tag(sync=True, from_browser=True)  # Of the heatmap in an overlay.
    percentile = Finite(100.0, min=50, max=100).tag(sync=True, from_browser=True)  # Of |R|: the scale if none is set.
    signs = traitlets.Enum(SIGNS, "symmetric").tag(sync=True, from_browser=True)  # One scale, one each, or one sign.
    pixelated = traitlets.Bool(True).tag(sync=True, from_browser=True)  # Square pixels, or smoothed.
    at_input = traitlets.Bool(True).tag(sync=True, from_browser=True)  # Of a hidden layer: for who makes the map.
    size = traitlets.Int(360, min=32, max=4096).tag(sync=True, from_browser=True)  # A picture's longest side, px.

    clicked = traitlets.Dict({}).tag(sync=True, from_browser=True)  # The picked pixel, {x, y, count}; {} for none.
    region = traitlets.List([]).tag(sync=True, from_browser=True)  # Vertices [x, y] in pixels of the map; [] for none.
    zoom = traitlets.List([1, 0, 0]).tag(sync=True, from_browser=True)  # [scale, left, top] in sight, in parts of all.
    boxes = traitlets.List([]).tag(
        sync=True
    )  # Frames with their rank: [top, left, bottom, right] in pixels of the map.
    box = traitlets.Int(-1).tag(sync=True)  # Which of them stands out, -1 for none.

    def show(
        self,
        relevance: np.ndarray,
        image: np.ndarray | None = None,
        scale: float | None = None,
        stamp: str = "",
        description: str = "",
    ) -> None:
        """Draw a map: relevance (h, w), image (h, w) or (h, w, 3) in [0, 1] or uint8, in one message.

        scale: the limit of the colours, or None to take `percentile` of |R|; a locked scale comes before both.
        The picture is no longer stale then. Region, zoom and boxes are kept while the map keeps its shape.
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
            if self.shape != list(values.shape):
                self.region, self.zoom, self.boxes, self.box = [], list(WHOLE), [], -1
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
    def limits(self) -> tuple[float, float]:
        """The sizes of R at the negative and the positive end of the colour bar; 0.0 for a sign without an end."""
        if self.locked:
            low, high = self.locked
        elif self.scale:
            low = high = self.scale
        else:
            values = self.relevance[np.isfinite(self.relevance)].astype(np.float64)
            one = self.signs == "symmetric"
            low, high = (self._end(np.abs(values) if one else side[side > 0]) for side in (-values, values))
        if self.signs == "symmetric":
            low = high = max(low, high)
        return (0.0 if self.signs == "positive" else low), (0.0 if self.signs == "negative" else high)

    @property
    def limit(self) -> float:
        """The larger end of the colour bar: pass it as `scale` to share it between pictures."""
        return max(self.limits)

    def frame(self, boxes: Any, chosen: int = -1) -> None:
        """Draw frames over the picture, each with its rank: (n, 4) top, left, bottom, right in pixels of the map."""
        places = np.asarray(boxes, dtype=float)
        if places.size and (places.shape[1:] != (4,) or not np.isfinite(places).all() or len(places) > MOST_BOXES):
            raise ValueError(
                f"HeatmapView.frame: boxes must be at most {MOST_BOXES} rows of top, left, bottom, right, "
                f"got shape {np.shape(boxes)}."
            )
        with self.one_message():
            self.boxes, self.box = places.tolist(), chosen

    def lock(self) -> None:
        """Keep the present ends of the colour bar for all pictures that follow, until `release`."""
        with self.one_message():
            low, high = self.limits
            self.locked = [low or high, high or low] if self.limit else []  # a blank map has nothing to keep

    def release(self) -> None:
        """Let every picture have its own scale again."""
        with self.one_message():
            self.locked = []

    @property
    def inside(self) -> np.ndarray:
        """The region as a mask, bool (h, w): the pixels whose centre lies within it. All False without a region."""
        return polygon_mask(self.region, *self.shape)

    @property
    def share(self) -> RegionShare | None:
        """How much of the relevance lies inside of the region, None without one."""
        return share_of(self.relevance, self.inside) if self.region else None

    def _end(self, sizes: np.ndarray) -> float:
        return float(np.percentile(sizes, self.percentile) or sizes.max()) if sizes.size else 0.0

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

    @traitlets.validate("region")
    def _check_region(self, proposal: Any) -> list[list[float]]:
        height, width = self.shape
        return check_region("HeatmapView.region", proposal["value"], height, width)

    @traitlets.validate("zoom")
    def _check_zoom(self, proposal: Any) -> list[float]:
        zoom = proposal["value"]
        numbers = len(zoom) == 3 and all(type(value) in (int, float) and math.isfinite(value) for value in zoom)
        if (
            not numbers
            or not 1 <= zoom[0] <= MOST_ZOOM
            or not all(0 <= end <= 1 - 1 / zoom[0] + 1e-9 for end in zoom[1:])
        ):
            raise traitlets.TraitError(
                f"HeatmapView.zoom must be [scale, left, top] with a scale in [1, {MOST_ZOOM}] and 0 ≤ left, top "
                f"≤ 1 − 1/scale, got {zoom!r}."
            )
        return zoom
