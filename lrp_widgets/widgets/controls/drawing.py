"""DrawingPad: draw a digit with mouse, pen or finger; what the network sees arrives as 28 × 28 pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets

from lrp_widgets.widgets.browser import BrowserWidget, as_bytes, module, style, to_uint8

__all__ = ["DrawingPad"]

SIDE = 28


class DrawingPad(BrowserWidget):
    """A pad whose strokes are scaled and centred in the browser the way MNIST's digits were.

    Observe `sequence`: it goes up with each picture, at most every 80 ms during a stroke and once at its end.
    """

    _esm = module("drawing")
    _css = style("drawing")

    pixels = traitlets.Bytes(bytes(SIDE * SIDE)).tag(  # The digit: 784 bytes, 0 paper, 255 ink.
        sync=True, from_browser=True, from_json=as_bytes
    )
    empty = traitlets.Bool(True).tag(sync=True, from_browser=True)  # Nothing is drawn.
    sequence = traitlets.Int(0, min=0).tag(sync=True, from_browser=True)  # Goes up with each change of the picture.
    hint = traitlets.Unicode("draw a digit").tag(sync=True)  # Stands on the empty pad.
    description = traitlets.Unicode("Drawing pad").tag(sync=True)  # The pad's name for assistive technology.

    @property
    def image(self) -> np.ndarray:
        """The digit as the network takes it: float32 (28, 28) in [0, 1], ink is 1."""
        return np.frombuffer(self.pixels, np.uint8).reshape(SIDE, SIDE).astype(np.float32) / 255

    def show(self, image: np.ndarray) -> None:
        """Put a digit, (28, 28) in [0, 1] or uint8, on the pad, where it can be drawn on."""
        pixels = to_uint8("DrawingPad.show: image", image)
        if pixels.shape != (SIDE, SIDE):
            raise ValueError(f"DrawingPad.show: image must have shape (28, 28), got {pixels.shape}.")
        with self.one_message():
            self.pixels, self.empty = pixels.tobytes(), not pixels.any()
            self.sequence += 1

    def clear(self) -> None:
        """Wipe the pad."""
        self.show(np.zeros((SIDE, SIDE), np.uint8))

    @traitlets.validate("pixels")
    def _check_pixels(self, proposal: Any) -> bytes:
        if len(proposal["value"]) != SIDE * SIDE:
            raise traitlets.TraitError(f"DrawingPad.pixels must be 784 bytes (28 × 28), got {len(proposal['value'])}.")
        return proposal["value"]
