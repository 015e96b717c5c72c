"""Gallery: thumbnails to choose an input from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets

from lrp_widgets.widgets.browser import BrowserWidget, module, style, to_uint8

__all__ = ["Gallery"]

LONGEST = 96  # px of a thumbnail as sent: twice what is shown by default
BLOCK_BYTES = 500_000  # of the thumbnails that are sent at once: all digits of a set, or 18 photographs


class Gallery(BrowserWidget):
    """A scrolling grid of thumbnails; only those in sight are drawn, made and sent, apart from the first ones."""

    _esm = module("gallery")
    _css = style("gallery")

    images = traitlets.Bytes(b"").tag(sync=True)  # The first block of thumbnails: uint8, n × height × width × channels.
    shape = traitlets.List([0, 0, 0, 0]).tag(sync=True)  # [n, height, width, channels (1 or 3)], n counting all.
    block = traitlets.Int(1, min=1).tag(sync=True)  # How many thumbnails are sent at once; the page asks for the rest.
    captions = traitlets.List(traitlets.Unicode()).tag(sync=True)  # One short line per thumbnail, or none at all.
    sequence = traitlets.Int(0).tag(sync=True)  # Goes up with each set of thumbnails.
    selected = traitlets.Int(-1).tag(sync=True, from_browser=True)  # The chosen thumbnail, -1 for none.
    thumbnail = traitlets.Int(44, min=16, max=256).tag(sync=True)  # The width of a thumbnail, px.
    rows = traitlets.Int(3, min=1).tag(sync=True)  # How many rows are in sight before the grid scrolls.
    first = traitlets.Int(0).tag(sync=True)  # The number of the first thumbnail, for assistive technology.
    description = traitlets.Unicode("Inputs").tag(sync=True)  # The grid's name for assistive technology.

    def __init__(self, **kwargs: Any) -> None:
        self._pictures: Sequence[Any] | np.ndarray = ()
        super().__init__(**kwargs)
        self.on_msg(self._asked)

    def show(
        self, images: np.ndarray | Sequence[Any], captions: Sequence[str] = (), selected: int | None = None
    ) -> None:
        """Fill the grid: images (n, h, w) or (n, h, w, c) in [0, 1] or uint8, c 1 or 3; one caption each, or none.

        images: an array, or any sequence that gives one picture at a time, all of one size: each is asked for when it
        comes in sight.  selected: the chosen one; None keeps the choice where it still exists.
        Large images are averaged down here. Raises ValueError that says what is wrong.
        """
        if isinstance(images, np.ndarray):
            to_uint8("Gallery.show: images", images)
        count = len(images)
        if captions and len(captions) != count:
            raise ValueError(f"Gallery.show: captions must be one per image ({count}), got {len(captions)}.")
        if selected is None:
            selected = self.selected if self.selected < count else -1
        # The size is that of the first image; for an array without rows it is read from its shape.
        like = _thumbnail(images[0]) if count else _thumbnail(np.zeros(np.shape(images)[1:] or (1, 1), np.uint8))
        block = max(1, BLOCK_BYTES // max(1, like.size))
        first = [_thumbnail(images[index]) for index in range(min(block, count))]
        with self.one_message():
            self._pictures = images
            self.images, self.shape = b"".join(map(np.ndarray.tobytes, first)), [count, *like.shape]
            self.block = block
            self.captions = [str(caption) for caption in captions]
            self.sequence += 1
            self.selected = selected

    def _asked(self, widget: Any, content: Any, buffers: Any) -> None:
        """Send a block of thumbnails that came in sight."""
        place = content.get("block") if isinstance(content, dict) else None
        if type(place) is not int or not 0 < place * self.block < len(self._pictures):
            return
        end = min((place + 1) * self.block, len(self._pictures))
        pictures = [_thumbnail(self._pictures[index]) for index in range(place * self.block, end)]
        pixels = b"".join(map(np.ndarray.tobytes, pictures))
        self.send({"block": place, "sequence": self.sequence}, [pixels])

    @traitlets.validate("selected")
    def _check_selected(self, proposal: Any) -> int:
        last = self.shape[0] - 1
        if not -1 <= proposal["value"] <= last:
            raise traitlets.TraitError(f"Gallery.selected must lie in [-1, {last}], got {proposal['value']}.")
        return proposal["value"]


def _thumbnail(picture: Any) -> np.ndarray:
    """(h, w, c) as uint8, blocks of pixels averaged until it is small."""
    pixels = np.asarray(picture)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise ValueError(
            f"Gallery.show: images must be (n, height, width), or with 1 or 3 channels at the end, "
            f"got pictures of shape {np.shape(picture)}."
        )
    height, width, channels = pixels.shape
    block = -(-max(height, width) // LONGEST)
    if block > 1:
        rows, columns = max(1, height // block), max(1, width // block)
        cropped = pixels[: rows * block, : columns * block]
        blocks = cropped.reshape(rows, cropped.shape[0] // rows, columns, cropped.shape[1] // columns, channels)
        pixels = blocks.mean(axis=(1, 3)).astype(pixels.dtype)
    return to_uint8("Gallery.show: images", pixels)
