"""ProbePad: drag a picture by whole pixels or parts of one; where the hand is arrives while it still moves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import traitlets

from lrp_widgets.widgets.browser import BrowserWidget, Finite, as_number, module, style, to_uint8

__all__ = ["ProbePad"]

MOST_VISITED = 1000  # places drawn on the picture


class ProbePad(BrowserWidget):
    """A picture that mouse, pen, finger or arrow keys move; observe `place`.

    The page draws the moved picture itself, as bilinear as `evaluation.neighbourhoods.Translation` makes it.
    """

    _esm = module("probe")
    _css = style("probe")

    image = traitlets.Bytes(b"").tag(sync=True)  # The picture as uint8, grey or RGB, row after row.
    image_shape = traitlets.List([0, 0, 0]).tag(sync=True)  # Its height, width and channels (1 or 3).
    fill = traitlets.Int(0, min=0, max=255).tag(sync=True)  # The grey that comes in from outside.
    sequence = traitlets.Int(0).tag(sync=True)  # Goes up with each picture: the browser draws when it changes.
    reach = Finite(14.0, min=0.01, max=10_000).tag(sync=True)  # How far either way, in pixels of the picture.
    step = Finite(1.0, min=0.001, max=100).tag(sync=True)  # The hand's steps: 1 for whole pixels, less for parts.
    size = traitlets.Int(240, min=64, max=2048).tag(sync=True)  # The picture's longest side on the page, px.
    visited = traitlets.List(traitlets.List()).tag(sync=True)  # Where the hand was: [right, down, share in 0…1] each.
    largest = traitlets.List().tag(sync=True)  # The place [right, down] that has a ring; [] for none.
    description = traitlets.Unicode("Picture to be moved").tag(sync=True)  # The name for assistive technology.

    place = traitlets.List([0.0, 0.0]).tag(sync=True, from_browser=True)  # [right, down] in pixels of the picture.

    def show(self, image: np.ndarray, fill: float = 0.0, reach: float | None = None) -> None:
        """Put a picture, (h, w) or (h, w, 3) in [0, 1] or uint8, under the hand, in one message; it stays where it is.

        fill: the grey in [0, 1] that comes in from outside.  reach: by default half of the longer side.
        """
        values = np.asarray(image)
        pixels = values[..., None] if values.ndim == 2 else values
        if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or not pixels.size:
            raise ValueError(f"ProbePad.show: image must be (height, width) or (height, width, 3), got {values.shape}.")
        pixels = to_uint8("ProbePad.show: image", pixels)
        with self.one_message():
            self.image, self.image_shape = pixels.tobytes(), list(pixels.shape)
            self.fill = int(to_uint8("ProbePad.show: fill", fill))
            self.reach = float(max(pixels.shape[:2]) // 2 or 1) if reach is None else float(reach)
            self.place = [min(self.reach, max(-self.reach, each)) for each in self.place]
            self.sequence += 1

    def mark(self, visited: Iterable[Sequence[float]], largest: Sequence[float] = ()) -> None:
        """Mark where the hand was, (right, down, share in [0, 1]) each, and the place with the most, in one message."""
        dots = [[as_number(each) for each in place] for place in visited]
        with self.one_message():
            self.visited = dots[:: -(-len(dots) // MOST_VISITED) or 1]
            self.largest = [float(each) for each in largest]

    @traitlets.validate("place")
    def _check_place(self, proposal: Any) -> list[float]:
        place = proposal["value"]
        finite = len(place) == 2 and all(type(each) in (int, float) and math.isfinite(each) for each in place)
        if not finite or max(map(abs, place)) > self.reach + 1e-9:
            raise traitlets.TraitError(
                f"ProbePad.place must be [right, down] within {self.reach:g} px either way, got {place!r}."
            )
        return [float(each) for each in place]
