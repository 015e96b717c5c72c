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

    def fits(self, inputs: Tensor) -> bool:
        return inputs.ndim == 3
