"""Sequence: letters of an alphabet, one-hot, as of DNA or of a protein."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from lrp_widgets.modalities.modality import Modality

__all__ = ["Sequence"]


@dataclass(frozen=True)
class Sequence(Modality):
    """(n, letters, positions): 1 for the letter at each position, 0 for the others. Its shape is that of a signal."""

    name: ClassVar[str] = "sequence"
    element: ClassVar[str] = "position"
    elements: ClassVar[str] = "positions"
    layout: ClassVar[str] = "(n, letters, positions)"
    guessed: ClassVar[bool] = False
    removable: ClassVar[bool] = True
    interpolation: ClassVar[str] = "linear"

    def fits(self, inputs: Tensor) -> bool:
        return inputs.ndim == 3

    def grid(self, inputs: Tensor) -> Tensor:
        return inputs[:, :, None]
