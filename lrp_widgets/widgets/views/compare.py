"""CompareView: pinned explanations and the present one side by side, on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets

from lrp_widgets.widgets.browser import BrowserWidget, Finite, module, style, to_uint8
from lrp_widgets.widgets.views.blocks import pooled_blocks
from lrp_widgets.widgets.views.heatmap import COLORMAPS

__all__ = ["MOST_PINS", "CompareView"]

MOST_PINS = 6
LONGEST = 512  # px of a map's side as sent: six of them and the present one fit in one message of 10 MB


class CompareView(BrowserWidget):
    """Up to six pinned maps, the present one, and what the present one has more than the chosen pin.

    All maps share one scale, the difference has its own; both are numbers on a colour bar. The difference, the cosine
    similarity and Pearson's correlation are the browser's work: a move sends the present map alone.
    """

    _esm = module("compare")
    _css = style("compare")

    present = traitlets.Bytes(b"").tag(sync=True)  # The present map: little-endian float32, row after row.
    shape = traitlets.List([0, 0]).tag(sync=True)  # Its height and width.
    stamp = traitlets.Unicode("").tag(sync=True)  # A short line printed under it.
    image = traitlets.Bytes(b"").tag(sync=True)  # Its input as uint8, grey or RGB; empty for none.
    image_shape = traitlets.List([0, 0, 0]).tag(sync=True)  # The input's height, width and channels (1 or 3).
    sequence = traitlets.Int(0).tag(sync=True)  # Goes up with each map: the browser draws when it changes.
    pinned = traitlets.List(traitlets.Dict()).tag(sync=True)  # {key, title, stamp, shape, block} of each pin.
    maps = traitlets.Dict().tag(sync=True)  # The pins' maps by key: little-endian float32.
    differs = traitlets.Dict().tag(sync=True)  # By key: the settings that differ from the present ones, in words.
    block = traitlets.Int(1).tag(sync=True)  # How many pixels of the present map are pooled to one, in each direction.
    stale = traitlets.Bool(False).tag(sync=True)  # Greyed: the present map no longer belongs to the settings.

    colormap = traitlets.Enum(COLORMAPS, "red-blue").tag(sync=True, from_browser=True)  # The hues, as in the heatmap.
    percentile = Finite(100.0, min=50, max=100).tag(sync=True, from_browser=True)  # Of |R|, the largest of all maps'.
    scale = Finite(None, min=0, allow_none=True).tag(sync=True, from_browser=True)  # Locked; None: at `percentile`.
    shared = traitlets.Bool(True).tag(sync=True, from_browser=True)  # One scale for all maps, or one a map.
    chosen = traitlets.Unicode("").tag(sync=True, from_browser=True)  # Key of the pin in the difference; "": the last.
    removed = traitlets.Dict({}).tag(sync=True, from_browser=True)  # The pin to take away, {key, count}; {} for none.
    recalled = traitlets.Dict({}).tag(sync=True, from_browser=True)  # Whose settings to restore, {key, count}.
    dismissed = traitlets.Int(0, min=0).tag(sync=True, from_browser=True)  # Goes up when the comparison is closed.

    def show_present(
        self,
        relevance: np.ndarray,
        stamp: str,
        image: np.ndarray | None = None,
        *,
        differs: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Draw the present map: relevance (h, w), image (h, w) or (h, w, 3) in [0, 1] or uint8, in one message.

        differs: by key what each pin has set otherwise, where the move has changed that too; None leaves it.
        """
        small, block = _small("CompareView.show_present", relevance)
        pixels = np.zeros((0, 0, 0), np.uint8) if image is None else _pixels(np.asarray(image))
        with self.one_message():
            self.present, self.shape, self.block = small.tobytes(), list(small.shape), block
            self.image, self.image_shape = pixels.tobytes(), list(pixels.shape)
            self.stamp, self.stale = str(stamp), False
            if differs is not None:
                self.differs = self.differs | {
                    key: [str(line) for line in lines] for key, lines in differs.items() if key in self.maps
                }
            self.sequence += 1

    def pin(self, relevance: np.ndarray, stamp: str, title: str, differs: Sequence[str], key: str) -> None:
        """Pin a map (h, w) beside the others, or in place of the one with the same key; the difference is with it then.

        differs: the settings in which it differs from the present one, one short line each.
        """
        if not key:
            raise ValueError("CompareView.pin: key must not be empty. Give every pin a key of its own.")
        if key not in self.maps and len(self.maps) >= MOST_PINS:
            raise ValueError(
                f"CompareView.pin: at most {MOST_PINS} explanations can be pinned, got one more ({title!r}). "
                f"Unpin one of them first."
            )
        small, block = _small("CompareView.pin", relevance)
        entry = {"key": key, "title": str(title), "stamp": str(stamp), "shape": list(small.shape), "block": block}
        entries = [entry if pin["key"] == key else pin for pin in self.pinned]
        with self.one_message():
            self.maps = self.maps | {key: small.tobytes()}
            self.differs = self.differs | {key: [str(line) for line in differs]}
            self.pinned = entries if entry in entries else [*entries, entry]
            self.chosen = key

    def unpin(self, key: str) -> None:
        """Take a pin away. Raises ValueError where there is none of that key."""
        self._check_key("unpin: key", key)
        with self.one_message():
            self.chosen = "" if self.chosen == key else self.chosen
            self.pinned = [entry for entry in self.pinned if entry["key"] != key]
            self.maps = {other: data for other, data in self.maps.items() if other != key}
            self.differs = {other: lines for other, lines in self.differs.items() if other != key}

    @property
    def pins(self) -> tuple[str, ...]:
        """The keys of the pins, in the order in which they stand."""
        return tuple(entry["key"] for entry in self.pinned)

    def _check_key(self, what: str, key: Any) -> None:
        if key not in self.pins:
            keys = ", ".join(map(repr, self.pins)) or "none is pinned"
            raise ValueError(f"CompareView.{what} must be the key of a pin ({keys}), got {key!r}.")

    @traitlets.validate("chosen")
    def _check_chosen(self, proposal: Any) -> str:
        if proposal["value"]:
            self._check_key("chosen", proposal["value"])
        return proposal["value"]

    @traitlets.validate("removed", "recalled")
    def _check_asked(self, proposal: Any) -> dict[str, Any]:
        asked, name = proposal["value"], proposal["trait"].name
        if asked:
            if asked.keys() != {"key", "count"} or type(asked["count"]) is not int or asked["count"] < 0:
                raise traitlets.TraitError(f"CompareView.{name} must be {{}} or {{key, count}}, got {asked!r}.")
            self._check_key(f"{name}: key", asked["key"])
        return asked


def _small(owner: str, relevance: Any) -> tuple[np.ndarray, int]:
    values = np.asarray(relevance, dtype=np.float32)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"{owner}: relevance must be (height, width) with at least 1 value, got shape {values.shape}.")
    small, block = pooled_blocks(values, LONGEST)
    return np.ascontiguousarray(small, dtype="<f4"), block


def _pixels(image: np.ndarray) -> np.ndarray:
    pixels = image[..., None] if image.ndim == 2 else image
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or not pixels.size:
        raise ValueError(
            f"CompareView.show_present: image must be (height, width) or (height, width, 3), got shape {image.shape}."
        )
    step = max(1, -(-max(pixels.shape[:2]) // LONGEST))
    return to_uint8("CompareView.show_present: image", pixels[::step, ::step])
