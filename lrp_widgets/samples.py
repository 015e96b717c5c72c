"""Samples: the inputs that a dashboard offers, what they are, and the box they live in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Samples"]

Bound = float | tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs with their labels, class names and domain.

    inputs: (n, …) floating-point tensor, as the model takes them (images: (n, channels, height, width)).
    labels: n class indices, or None where they are not known.
    classes: the class names in the order of the model's outputs, or None.
    low, high: the input domain, one float or one per channel; the z^B rule and the pictures use it.
    Raises ValueError or TypeError that names what is wrong.
    """

    inputs: Tensor
    labels: Tensor | Sequence[int] | None = None
    classes: Sequence[str] | None = None
    low: Bound = 0.0
    high: Bound = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.inputs, Tensor) or not self.inputs.is_floating_point():
            got = str(self.inputs.dtype) if isinstance(self.inputs, Tensor) else type(self.inputs).__name__
            raise TypeError(f"Samples.inputs must be a floating-point tensor, got {got}. Convert it with .float().")
        if self.inputs.ndim < 2 or len(self.inputs) == 0:
            raise ValueError(
                "Samples.inputs must have a batch dimension and at least one row, "
                f"got shape {tuple(self.inputs.shape)}."
            )
        if self.labels is not None:
            labels = torch.as_tensor(self.labels, dtype=torch.long)
            if labels.shape != self.inputs.shape[:1]:
                raise ValueError(
                    f"Samples.labels must hold one class index per input ({len(self.inputs)}), "
                    f"got {tuple(labels.shape)}."
                )
            object.__setattr__(self, "labels", labels)
        if self.classes is not None:
            object.__setattr__(self, "classes", tuple(str(name) for name in self.classes))
        for name in ("low", "high"):
            object.__setattr__(self, name, self._bound(name))
        if not all(low < high for low, high in zip(self._channels("low"), self._channels("high"), strict=True)):
            raise ValueError(f"Samples.low must be below Samples.high, got {self.low} and {self.high}.")

    def _bound(self, name: str) -> Bound:
        value = getattr(self, name)
        if isinstance(value, int | float):
            return float(value)
        values = tuple(float(v) for v in torch.as_tensor(value).flatten())
        if len(values) != self.inputs.shape[1]:
            raise ValueError(
                f"Samples.{name} must be one number or one per channel ({self.inputs.shape[1]}), got {len(values)}."
            )
        return values

    def _channels(self, name: str) -> tuple[float, ...]:
        value = getattr(self, name)
        return value if isinstance(value, tuple) else (value,) * self.inputs.shape[1]

    def __len__(self) -> int:
        return len(self.inputs)

    def name(self, index: int) -> str:
        """The class name of a model output: from `classes`, or the index itself."""
        return self.classes[index] if self.classes is not None and index < len(self.classes) else str(index)
