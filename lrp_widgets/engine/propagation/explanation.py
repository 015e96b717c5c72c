"""Explanation and LayerRelevance: frozen results, with the ledger that says what became of the relevance."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.engine.trace.step import flat_tensors

__all__ = ["Explanation", "LayerRelevance"]


@dataclass(frozen=True, eq=False)
class LayerRelevance:
    """What one recorded step did with the relevance: one number a batch row (float64, on the CPU) in each entry.

    relevance_out arrives at the step's output, relevance_in is handed on over all its inputs, and what is missing is
    absorbed by a cause with a name: relevance_out = relevance_in + Σ absorbed, but for rounding.
    positive, negative: the parts of relevance_out of either sign.
    """

    name: str
    op: str
    relevance_out: Tensor
    relevance_in: Tensor
    positive: Tensor
    negative: Tensor
    absorbed: Mapping[str, Tensor]
    rule: Any = None
    reached: bool = True
    tolerance: float = 1e-4

    @property
    def unexplained(self) -> Tensor:
        """relevance_out − relevance_in − Σ absorbed: zero but for rounding, or something is wrong."""
        return self.relevance_out - self.relevance_in - sum(self.absorbed.values())

    @property
    def eps(self) -> float:
        """The relative rounding error of the numbers that the step worked in."""
        return (self.tolerance / 0.3) ** 2

    @property
    def closes(self) -> bool:
        """Whether the unexplained part is rounding: at most `tolerance` (0.3 √eps) of Σ|R| on either side."""
        size = self.positive - self.negative + self.relevance_in.abs() + sum(v.abs() for v in self.absorbed.values())
        return bool((self.unexplained.abs() <= self.tolerance * size + 1e-30).all())


@dataclass(frozen=True, eq=False)
class Explanation:
    """The relevance of every input element for one output, and how it came about.

    relevance: the shape and form of the input: a tensor, or a tuple or dict of them.  inputs: what was explained.
    scores: what the model returned.
    target: the class of each row, or a contrast.  start: the relevance put on the output.
    layers: the ledger, from the input to the output (empty for methods that do not propagate through layers).
    recomputed, steps: how many of the recorded steps had to be done again.  seconds: how long it took.
    convergence: ΣR minus what the method promises that it is, one number a row; None where it promises nothing.
    """

    relevance: Any
    scores: Tensor
    inputs: Any
    target: Any
    method: Any
    start: Tensor
    layers: tuple[LayerRelevance, ...] = ()
    recomputed: int = 0
    steps: int = 0
    seconds: float = 0.0
    fallbacks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    convergence: Tensor | None = None
    _at_layer: Callable[[str], Tensor] | None = field(default=None, repr=False)
    _channels_at: Callable[[str], int] | None = field(default=None, repr=False)

    def layer(self, name: str) -> Tensor:
        """Relevance at the output of the module or step `name`. Raises KeyError with the known names."""
        if self._at_layer is None:
            raise KeyError(
                f"{type(self.method).__name__} does not propagate through layers: it has no map of {name!r}. "
                "Explain with lw.LRP(…) for one."
            )
        return self._at_layer(name)

    def channel_axis(self, name: str) -> int:
        """Which axis of `layer(name)` has the channels. Raises KeyError with the known names."""
        if self._channels_at is None:
            self.layer(name)  # says what is wrong
            raise KeyError(name)
        return self._channels_at(name)

    def heatmap(self, row: int = 0, of: int = 0) -> np.ndarray:
        """Relevance of one row pooled over channels: (height, width); for other inputs (1, n).

        of: which tensor, where the input has several.
        """
        return pooled(flat_tensors(self.relevance)[of][row])

    @property
    def total(self) -> Tensor:
        """ΣR of each row, over all tensors of the input."""
        rows = len(self.start)
        parts = [
            _sums(t) if len(t) == rows else _sums(t[None]).expand(rows) / rows for t in flat_tensors(self.relevance)
        ]
        return torch.stack(parts).sum(0)

    @property
    def explained(self) -> Tensor:
        """f(x) of each row: the score that was put on the output."""
        return _sums(self.start)

    @property
    def absorbed(self) -> dict[str, Tensor]:
        """What all layers together kept, by cause: one number a row."""
        causes: dict[str, Tensor] = {}
        for layer in self.layers:
            for cause, amount in layer.absorbed.items():
                causes[cause] = causes[cause] + amount if cause in causes else amount
        return causes

    @property
    def worst(self) -> LayerRelevance | None:
        """The layer with the largest unexplained amount, None where there is no ledger."""
        return max(self.layers, key=lambda layer: float(layer.unexplained.abs().max()), default=None)

    def replace(self, **changes: Any) -> Explanation:
        """The same explanation with some fields changed."""
        return dataclasses.replace(self, **changes)


def _sums(t: Tensor) -> Tensor:
    return t.reshape(len(t), -1).double().sum(1).cpu()


def pooled(relevance: Tensor) -> np.ndarray:
    """Relevance of one row as a picture: summed over channels, (height, width); (1, n) where there is no picture."""
    relevance = relevance.detach()
    if relevance.ndim >= 3:
        relevance = relevance.sum(0)
    while relevance.ndim > 2:  # a volume: its slices added up
        relevance = relevance.sum(0)
    if relevance.ndim < 2:
        relevance = relevance.reshape(1, -1)
    return relevance.float().cpu().numpy() if relevance.dtype.itemsize < 4 else relevance.cpu().numpy()
