"""Samples: the inputs that a dashboard offers, what they are, and the box they live in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
        said = "Samples.inputs must be a floating-point tensor"
        if not isinstance(self.inputs, Tensor):
            raise TypeError(f"{said}, got {type(self.inputs).__name__}. Make one with torch.as_tensor(…).")
        if not self.inputs.is_floating_point():
            remedy = "Take its real part." if self.inputs.is_complex() else "Convert it with .float()."
            raise TypeError(f"{said}, got {self.inputs.dtype}. {remedy}")
        if self.inputs.ndim < 2 or self.inputs.numel() == 0:
            raise ValueError(
                "Samples.inputs must have a batch dimension and at least one row, "
                f"got shape {tuple(self.inputs.shape)}."
            )
        if self.labels is not None:
            object.__setattr__(self, "labels", self._checked_labels())
        if self.classes is not None:
            if not isinstance(self.classes, Iterable):
                raise TypeError(
                    f"Samples.classes must be the class names in the order of the outputs, got {self.classes!r}."
                )
            object.__setattr__(self, "classes", tuple(str(name) for name in self.classes))
        for name in ("low", "high"):
            object.__setattr__(self, name, self._bound(name))
        if not all(low < high for low, high in zip(self._channels("low"), self._channels("high"), strict=True)):
            raise ValueError(f"Samples.low must be below Samples.high, got {self.low} and {self.high}.")

    def _checked_labels(self) -> Tensor:
        said = f"Samples.labels must hold one class index per input ({len(self.inputs)})"
        try:
            labels = torch.as_tensor(self.labels)
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(f"{said}, got {self.labels!r}.") from None
        if labels.shape != self.inputs.shape[:1]:
            raise ValueError(f"{said}, got {tuple(labels.shape)}.")
        if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
            raise TypeError(f"{said}, got {labels.dtype}. Convert them with .long().")
        if int(labels.min()) < 0:
            raise ValueError(f"{said}, none below 0, got {int(labels.min())}.")
        return labels.long()

    def _bound(self, name: str) -> Bound:
        value = getattr(self, name)
        try:
            bound = torch.as_tensor(value, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(f"Samples.{name} must be a number or one number per channel, got {value!r}.") from None
        if not bool(torch.isfinite(bound).all()):
            raise ValueError(f"Samples.{name} must be finite, got {value!r}.")
        if bound.ndim == 0:
            return float(bound)
        if bound.numel() != self.inputs.shape[1]:
            raise ValueError(
                f"Samples.{name} must be one number or one per channel ({self.inputs.shape[1]}), got {bound.numel()}."
            )
        return tuple(bound.flatten().tolist())

    def _channels(self, name: str) -> tuple[float, ...]:
        value = getattr(self, name)
        return value if isinstance(value, tuple) else (value,) * self.inputs.shape[1]

    def __len__(self) -> int:
        return len(self.inputs)

    def name(self, index: int) -> str:
        """The class name of a model output: from `classes`, or the index itself."""
        return self.classes[index] if self.classes is not None and index < len(self.classes) else str(index)
