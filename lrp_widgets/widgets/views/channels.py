"""ChannelsView: a layer's relevance channel by channel, and which channels a filter lets through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets

from lrp_widgets.widgets.browser import BrowserWidget, Finite, as_number, module, style
from lrp_widgets.widgets.views.blocks import pooled_blocks
from lrp_widgets.widgets.views.heatmap import COLORMAPS

__all__ = ["MOST_CHANNELS", "ChannelsView"]

MOST_CHANNELS = 24
LONGEST = 64  # px of a small picture as sent


class ChannelsView(BrowserWidget):
    """The most relevant channels of a layer as small maps on one scale, each with its share of the layer's relevance.

    Relevance filtering: a channel can be kept (then the others are not) or blocked; it is never both.
    """

    _esm = module("channels")
    _css = style("channels")

    maps = traitlets.Bytes(b"").tag(sync=True)  # Relevance: little-endian float32, n × height × width.
    shape = traitlets.List([0, 0, 0]).tag(sync=True)  # [n, height, width]; 1 × 1 in a dense layer: bars without maps.
    pooled = traitlets.Bytes(b"").tag(sync=True)  # The map summed over channels, float32, height × width.
    complete = traitlets.Bool(True).tag(sync=True)  # That sum is over all channels, not only over those shown.
    block = traitlets.Int(1).tag(
        sync=True
    )  # How many positions of the layer are pooled to one pixel, in each direction.
    channels = traitlets.List(traitlets.Int()).tag(sync=True)  # The number of each channel.
    totals = traitlets.List(Finite(allow_none=True)).tag(sync=True)  # ΣR of each channel.
    total = Finite(0.0, allow_none=True).tag(sync=True)  # ΣR of the layer.
    count = traitlets.Int(0).tag(sync=True)  # How many channels the layer has.
    layer = traitlets.Unicode("").tag(sync=True)  # The layer's name.
    sequence = traitlets.Int(0).tag(sync=True)  # Goes up with each set of channels: the browser draws when it changes.
    filtered = traitlets.Unicode("").tag(sync=True)  # Another filter in force, in words: "rows 3–7"; "" for none.
    can_filter = traitlets.Bool(True).tag(sync=True)  # Whether channels may be kept or blocked: not at the input.
    stale = traitlets.Bool(False).tag(sync=True)  # Greyed: the maps no longer belong to the settings.

    colormap = traitlets.Enum(COLORMAPS, "red-blue").tag(sync=True, from_browser=True)  # The hues, as in the heatmap.
    selected = traitlets.Int(-1).tag(sync=True, from_browser=True)  # The chosen channel's number, -1 for their sum.
    kept = traitlets.List(traitlets.Int()).tag(sync=True, from_browser=True)  # Only these pass; [] lets all pass.
    blocked = traitlets.List(traitlets.Int()).tag(sync=True, from_browser=True)  # These do not pass.
    cleared = traitlets.Int(0, min=0).tag(sync=True, from_browser=True)  # Goes up when `filtered` is to be given up.

    def show(
        self,
        maps: np.ndarray,
        channels: Sequence[int],
        totals: Sequence[float],
        layer: str,
        total: float,
        grand_total_channels: int,
        *,
        pooled: np.ndarray | None = None,
        kept: Sequence[int] | None = None,
        blocked: Sequence[int] | None = None,
        can_filter: bool = True,
    ) -> None:
        """Show a layer, in one message: maps (n, h, w) of n ≤ 24 channels in the order in which they are to stand.

        channels, totals: number and ΣR of each.  total: ΣR of the layer, which has `grand_total_channels` channels.
        pooled: the map (h, w) summed over all channels; without it the sum is over those shown, and says so.
        kept, blocked: the filter on this layer; None leaves it, or takes it off where the layer is another one.
        can_filter: whether there may be one.
        The choice is kept where the layer is the same and its channel is among these.
        """
        values = np.asarray(maps, dtype=np.float32)
        numbers = self._numbers(values, channels, totals, int(grand_total_channels))
        whole = values.sum(axis=0) if pooled is None else np.asarray(pooled, dtype=np.float32)
        if whole.shape != values.shape[1:]:
            raise ValueError(f"ChannelsView.show: pooled must be {values.shape[1:]} as the maps, got {whole.shape}.")
        small, block = pooled_blocks(values, LONGEST)
        same = (layer, grand_total_channels) == (self.layer, self.count)
        with self.one_message():
            if not same:  # before the channels change: the old numbers may not exist in the new layer
                self.kept, self.blocked = [], []
            self.maps, self.shape, self.block = _bytes(small), list(small.shape), block
            self.pooled = _bytes(pooled_blocks(whole, LONGEST)[0])
            self.complete = pooled is not None or len(numbers) == grand_total_channels
            self.channels, self.totals = numbers, [as_number(value) for value in totals]
            self.layer, self.total, self.count = str(layer), as_number(total), int(grand_total_channels)
            self.stale, self.can_filter = False, bool(can_filter)
            self.selected = self.selected if same and self.selected in numbers else -1
            self.kept = self.kept if kept is None else list(kept)
            self.blocked = self.blocked if blocked is None else list(blocked)
            self.sequence += 1

    @staticmethod
    def _numbers(maps: np.ndarray, channels: Sequence[int], totals: Sequence[float], count: int) -> list[int]:
        if maps.ndim != 3 or not 0 < len(maps) <= MOST_CHANNELS or not maps.size:
            raise ValueError(
                f"ChannelsView.show: maps must be (n, height, width) with 1 to {MOST_CHANNELS} channels, "
                f"got shape {maps.shape}. Pass the most relevant ones."
            )
        numbers = [int(channel) for channel in channels]
        if not len(numbers) == len(totals) == len(maps):
            raise ValueError(
                f"ChannelsView.show: channels and totals must be one per map ({len(maps)}), "
                f"got {len(numbers)} and {len(totals)}."
            )
        if len(set(numbers)) < len(numbers) or not all(0 <= number < count for number in numbers):
            raise ValueError(
                f"ChannelsView.show: channels must be different numbers in [0, {count - 1}], got {numbers}."
            )
        return numbers

    @traitlets.validate("selected")
    def _check_selected(self, proposal: Any) -> int:
        if proposal["value"] != -1 and proposal["value"] not in self.channels:
            raise traitlets.TraitError(
                f"ChannelsView.selected must be -1 or one of the channels {self.channels}, got {proposal['value']}."
            )
        return proposal["value"]

    @traitlets.validate("kept", "blocked")
    def _check_filter(self, proposal: Any) -> list[int]:
        numbers = sorted(set(proposal["value"]))
        if numbers and self.layer and not self.can_filter:
            raise traitlets.TraitError(
                f"ChannelsView.{proposal['trait'].name} must be empty: {self.layer} lets no channel be kept or blocked."
            )
        if numbers and not 0 <= numbers[0] <= numbers[-1] < self.count:
            raise traitlets.TraitError(
                f"ChannelsView.{proposal['trait'].name} must have numbers of channels, in [0, {self.count - 1}], "
                f"got {proposal['value']}."
            )
        return numbers

    @traitlets.observe("kept", "blocked")
    def _never_both(self, change: Any) -> None:
        """The newer choice counts. No part of the validation: one message may move a channel to the other set."""
        other = "blocked" if change["name"] == "kept" else "kept"
        setattr(self, other, [number for number in getattr(self, other) if number not in change["new"]])


def _bytes(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values, dtype="<f4").tobytes()
