"""Features: numbers without an order, the columns of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from lrp_widgets.modalities.modality import Modality

__all__ = ["Features"]


@dataclass(frozen=True)
class Features(Modality):
    """(n, features), floating point."""

    name: ClassVar[str] = "features"
    element: ClassVar[str] = "feature"
    elements: ClassVar[str] = "features"
    layout: ClassVar[str] = "(n, features)"
    removable: ClassVar[bool] = True

    def fits(self, inputs: Tensor) -> bool:
        return inputs.ndim == 2 and (inputs.is_floating_point() or inputs.is_complex())
