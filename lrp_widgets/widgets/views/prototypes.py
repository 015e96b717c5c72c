"""PrototypesView: pictures that move while they are made, each with its heatmap and what it resembles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets

from lrp_widgets.widgets.browser import BrowserWidget, module, style, to_uint8
from lrp_widgets.widgets.views.blocks import pooled_blocks
from lrp_widgets.widgets.views.heatmap import COLORMAPS

__all__ = ["PrototypesView"]

MOST = 64  # pictures
LONGEST = 64  # px of a map as sent


class PrototypesView(BrowserWidget):
    """Cards with a picture each; beside it, where they were found, a map of relevance, verdicts and real inputs.

    `show` replaces the pictures alone, many times a second; `show_beside` what was found out about them.
    """

    _esm = module("prototypes")
    _css = style("prototypes")

    pictures = traitlets.Bytes(b"").tag(sync=True)  # uint8, n × height × width × channels.
    shape = traitlets.List([0, 0, 0, 0]).tag(sync=True)  # [n, height, width, channels (1 or 3)].
    titles = traitlets.List(traitlets.Unicode()).tag(sync=True)  # One short line for each picture.
    sequence = traitlets.Int(0).tag(sync=True)  # Goes up with each set of pictures.

    maps = traitlets.Bytes(b"").tag(sync=True)  # Relevance: little-endian float32, n × height × width; empty for none.
    maps_shape = traitlets.List([0, 0, 0]).tag(sync=True)  # [n, height, width].
    verdicts = traitlets.List(traitlets.List(traitlets.Dict())).tag(
        sync=True
    )  # Per picture {text, agrees} each; agrees: true, false, or null where that is no question.
    near = traitlets.Bytes(b"").tag(sync=True)  # Real inputs: uint8, n·k × height × width × channels.
    near_shape = traitlets.List([0, 0, 0, 0, 0]).tag(sync=True)  # [n, k, height, width, channels].
    near_titles = traitlets.List(traitlets.Unicode()).tag(sync=True)  # Of each real input; up to " · " it stands below.
    beside = traitlets.Int(0).tag(sync=True)  # Goes up with each set of what stands beside; 0: nothing does.
    near_name = traitlets.Unicode("nearest real samples").tag(sync=True)  # What the real inputs are.

    size = traitlets.Int(112, min=32, max=512).tag(sync=True)  # The width of a picture, px.
    description = traitlets.Unicode("Prototypes").tag(sync=True)  # The group's name for assistive technology.
    colormap = traitlets.Enum(COLORMAPS, "red-blue").tag(sync=True)  # The hues of the maps.
    stale = traitlets.Bool(False).tag(sync=True)  # Greyed: the pictures no longer belong to the settings.

    def show(self, pictures: np.ndarray, titles: Sequence[str] = ()) -> None:
        """Show pictures (n, h, w) or (n, h, w, c) in [0, 1] or uint8, c 1 or 3, with a title each or none at all."""
        pixels = _pixels("show", pictures)
        if titles and len(titles) != len(pixels):
            raise ValueError(f"PrototypesView.show: titles must be one per picture ({len(pixels)}), got {len(titles)}.")
        with self.one_message():
            self.pictures, self.shape = pixels.tobytes(), list(pixels.shape)
            self.titles, self.stale = [str(title) for title in titles], False
            self.sequence += 1

    def show_beside(
        self,
        maps: np.ndarray | None,
        verdicts: Sequence[Sequence[Mapping[str, Any]]],
        near: np.ndarray,
        near_titles: Sequence[str],
    ) -> None:
        """Show what was found out about the pictures, in one message.

        maps: relevance (n, h, w), or None.  verdicts: {text, agrees} of each.  near: real inputs, k for each picture,
        row after row.  near_titles: one each.
        """
        count = self.shape[0]
        values = np.zeros((0, 0, 0), np.float32) if maps is None else np.asarray(maps, np.float32)
        small = pooled_blocks(values, LONGEST)[0] if values.size else values
        pixels = _pixels("show_beside: near", near)
        if (maps is not None and len(values) != count) or len(verdicts) != count or len(pixels) % max(1, count):
            raise ValueError(
                f"PrototypesView.show_beside: there are {count} pictures, got {len(values)} maps, {len(verdicts)} "
                f"verdicts and {len(pixels)} inputs."
            )
        with self.one_message():
            self.maps, self.maps_shape = np.ascontiguousarray(small, "<f4").tobytes(), list(small.shape)
            self.verdicts = [
                [{"text": str(each["text"]), "agrees": each.get("agrees")} for each in row] for row in verdicts
            ]
            self.near, self.near_shape = pixels.tobytes(), [count, len(pixels) // max(1, count), *pixels.shape[1:]]
            self.near_titles = [str(title) for title in near_titles]
            self.beside += 1


def _pixels(what: str, pictures: np.ndarray) -> np.ndarray:
    values = np.asarray(pictures)
    stack = values[..., None] if len(values.shape) == 3 else values
    if len(stack.shape) != 4 or stack.shape[3] not in (1, 3) or len(stack) > MOST:
        raise ValueError(
            f"PrototypesView.{what} must be (n, height, width) or (n, height, width, 1 or 3) with n at most {MOST}, "
            f"got {values.shape}."
        )
    return to_uint8(f"PrototypesView.{what}", stack)
