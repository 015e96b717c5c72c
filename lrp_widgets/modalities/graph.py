"""Graph: nodes with features, and edges that the model knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from lrp_widgets.modalities.modality import Modality

__all__ = ["Graph"]


@dataclass(frozen=True)
class Graph(Modality):
    """(n, nodes, features). Its shape is that of a signal."""

    name: ClassVar[str] = "graph"
    element: ClassVar[str] = "node"
    elements: ClassVar[str] = "nodes"
    layout: ClassVar[str] = "(n, nodes, features)"
    channel_axis: ClassVar[int] = 2
    guessed: ClassVar[bool] = False
    removable: ClassVar[bool] = True
    adjacent: ClassVar[bool] = False

    def fits(self, inputs: Tensor) -> bool:
        return inputs.ndim == 3

    def with_channels(self, inputs: Tensor) -> Tensor:
        return inputs.mT

    def without_channels(self, picture: Tensor, like: Tensor) -> Tensor:
        return picture.mT

    def grid(self, inputs: Tensor) -> Tensor:
        return inputs.mT[:, :, None]

    def from_grid(self, grid: Tensor, like: Tensor) -> Tensor:
        return grid[:, :, 0].mT
