"""Signal: samples in time, in one or several channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from lrp_widgets.modalities.modality import Modality

__all__ = ["Signal"]


@dataclass(frozen=True)
class Signal(Modality):
    """(n, channels, samples): sound, an electrocardiogram, any measurement over time."""

    name: ClassVar[str] = "signal"
    element: ClassVar[str] = "sample"
    elements: ClassVar[str] = "samples"
    layout: ClassVar[str] = "(n, channels, samples)"
    removable: ClassVar[bool] = True
    interpolation: ClassVar[str] = "linear"

    def fits(self, inputs: Tensor) -> bool:
        return inputs.ndim == 3

    def grid(self, inputs: Tensor) -> Tensor:
        return inputs[:, :, None]
