"""Volume: voxels in slices of rows and columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from lrp_widgets.modalities.modality import SHARE, Modality

__all__ = ["Volume"]


@dataclass(frozen=True)
class Volume(Modality):
    """(n, channels, depth, height, width): a scan of a body, or a stack of frames."""

    name: ClassVar[str] = "volume"
    element: ClassVar[str] = "voxel"
    elements: ClassVar[str] = "voxels"
    layout: ClassVar[str] = "(n, channels, depth, height, width)"
    removable: ClassVar[bool] = True
    interpolation: ClassVar[str] = "trilinear"

    def fits(self, inputs: Tensor) -> bool:
        return inputs.ndim == 5

    def grid(self, inputs: Tensor) -> Tensor:
        return inputs

    def side(self, inputs: Tensor) -> int:
        return max(1, round(inputs.shape[-1] / SHARE ** (1 / 3)))
