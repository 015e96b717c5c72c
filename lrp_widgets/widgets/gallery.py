"""Gallery: thumbnails to choose an input from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets

from lrp_widgets.widgets.browser import BrowserWidget, module, style, to_uint8

__all__ = ["Gallery"]

LONGEST = 96  # px of a thumbnail as sent: twice what is shown by default
MOST_BYTES = 8_000_000  # a server closes the connection over a message of 10 MB


class Gallery(BrowserWidget):
    """A scrolling grid of thumbnails; only those in sight are drawn."""

    _esm = module("gallery")
    _css = style("gallery")

    images = traitlets.Bytes(b"").tag(sync=True)  # The thumbnails: uint8, n × height × width × channels.
    shape = traitlets.List([0, 0, 0, 0]).tag(sync=True)  # [n, height, width, channels (1 or 3)].
    captions = traitlets.List(traitlets.Unicode()).tag(sync=True)  # One short line per thumbnail, or none at all.
    sequence = traitlets.Int(0).tag(sync=True)  # Goes up with each set of thumbnails.
    selected = traitlets.Int(-1).tag(sync=True, from_browser=True)  # The chosen thumbnail, -1 for none.
    thumbnail = traitlets.Int(44, min=16, max=256).tag(sync=True)  # The width of a thumbnail, px.
    rows = traitlets.Int(3, min=1).tag(sync=True)  # How many rows are in sight before the grid scrolls.
    first = traitlets.Int(0).tag(sync=True)  # The number of the first thumbnail, for assistive technology.
    description = traitlets.Unicode("Inputs").tag(sync=True)  # The grid's name for assistive technology.

    def show(self, images: np.ndarray, captions: Sequence[str] = (), selected: int | None = None) -> None:
        """Fill the grid: images (n, h, w) or (n, h, w, c) in [0, 1] or uint8, c 1 or 3; one caption each, or none.

        selected: the chosen one; None keeps the choice where it still exists. Large images are averaged down here.
        """
        pixels = np.asarray(images)
        pixels = pixels[..., None] if pixels.ndim == 3 else pixels
        if pixels.ndim != 4 or pixels.shape[3] not in (1, 3):
            raise ValueError(
                f"Gallery.show: images must be (n, height, width), or with 1 or 3 channels at the end, "
                f"got shape {np.shape(images)}."
            )
        count = len(pixels)
        if captions and len(captions) != count:
            raise ValueError(f"Gallery.show: captions must be one per image ({count}), got {len(captions)}.")
        if selected is None:
            selected = self.selected if self.selected < count else -1
        pixels = to_uint8("Gallery.show: images", _reduced(pixels))
        with self.one_message():
            self.images, self.shape = pixels.tobytes(), list(pixels.shape)
            self.captions = [str(caption) for caption in captions]
            self.sequence += 1
            self.selected = selected

    @traitlets.validate("selected")
    def _check_selected(self, proposal: Any) -> int:
        last = self.shape[0] - 1
        if not -1 <= proposal["value"] <= last:
            raise traitlets.TraitError(f"Gallery.selected must lie in [-1, {last}], got {proposal['value']}.")
        return proposal["value"]


def _reduced(pixels: np.ndarray) -> np.ndarray:
    """Average blocks of pixels until a thumbnail is small and all of them fit in one message."""
    count, height, width, channels = pixels.shape
    side = min(LONGEST, int((MOST_BYTES / max(1, count * channels)) ** 0.5))
    block = -(-max(height, width) // max(1, side))
    if block <= 1:
        return pixels
    rows, columns = max(1, height // block), max(1, width // block)
    cropped = pixels[:, : rows * block, : columns * block]
    blocks = cropped.reshape(count, rows, cropped.shape[1] // rows, columns, cropped.shape[2] // columns, channels)
    return blocks.mean(axis=(2, 4)).astype(pixels.dtype)
