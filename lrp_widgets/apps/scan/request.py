"""ScanRequest: everything that the scan app shall show, as one frozen value; and the windows in it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from lrp_widgets.apps.scan.photos import Photo
from lrp_widgets.engine.propagation.target import Contrast, contrast
from lrp_widgets.methods import Method
from lrp_widgets.params import Setting, param, span, switch

__all__ = ["ScanRequest", "Windows", "range_text"]


@dataclass(frozen=True)
class Windows(Setting):
    """Which windows are taken of a photo."""

    stride: int = param(6, low=1, high=4096, unit="px", help="From window to window, in pixels of the network's input.")
    window: tuple[float, float] = span(
        (0.15, 0.25),
        low=0.05,
        high=1.0,
        step=0.01,
        unit="%",
        help="How large windows are in the photo, from the smallest to the largest: parts of its shorter side.",
    )
    sizes: int = param(3, low=1, high=8, help="How many sizes of windows from the smallest to the largest.")
    only_top: bool = switch(
        True, symbol="only where it is the top class", help="A window counts 0 where another class scores higher."
    )

    def sides(self, photo: Tensor) -> list[float]:
        """The side of each size of windows in pixels of the photo, evenly spaced on a log scale."""
        shorter = min(photo.shape[2:])
        low, high = self.window
        if self.sizes == 1 or low == high:
            return [shorter * (low * high) ** 0.5]
        return (shorter * np.geomspace(low, high, self.sizes)).tolist()

    def scales(self, photo: Tensor, side: int) -> tuple[float, ...]:
        """The same as scales of the photo, for lw.sliding_window."""
        return tuple(side / length for length in self.sides(photo))


@dataclass(frozen=True)
class ScanRequest:
    """Everything that the app shall show, as one frozen value.

    subject: its name.  target: a class, None for the top class.  against: another class, -1 for none.  rank: which
    of the best windows is enlarged, from 0.  halted: whether the map stays as coarse as it is.
    """

    subject: str
    method: Method
    photo: Photo = 0
    windows: Windows = field(default_factory=Windows)
    target: int | None = None
    against: int = -1
    rank: int = 0
    halted: bool = False

    @property
    def key(self) -> ScanRequest:
        """The request with the fields at their defaults on which the maps do not depend."""
        return dataclasses.replace(self, rank=0, halted=False)

    @property
    def explained(self) -> int | Contrast | None:
        """The target as an explainer takes it. Raises ValueError where a class is set against itself."""
        return self.target if self.target is None or self.against < 0 else contrast(self.target, self.against)


def range_text(values: list[float]) -> str:
    """The smallest and the largest of some numbers in words: "78 to 128"."""
    ends = [f"{value:.0f}" if value >= 9.5 else f"{value:.2g}" for value in (min(values), max(values))]
    return " to ".join(dict.fromkeys(ends))
