"""Samples: the inputs that a dashboard offers, what they are, and the box they live in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.images import covering, listed, stacked
from lrp_widgets.modalities import Modality, checked_modality
from lrp_widgets.modalities.modality import Bound
from lrp_widgets.wording import brief

__all__ = ["TASKS", "Samples"]

TASKS = ("classes", "logit", "regression")


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs with their labels, class names, domain, and what they are.

    inputs: (n, …) floating-point tensor, as the model takes them (images: (n, channels, height, width)).
    labels: n class indices, -1 where one is not known; or None where none is.
    classes: the class names in the order of the model's outputs, or None.
    low, high: the input domain, one float or one per channel; the z^B rule and the pictures use it.
    task: what the model's outputs are. "classes": scores of several classes, whose probabilities are their softmax.
    "logit": one output, whose probability is its sigmoid.  "regression": amounts; there are no probabilities.  None:
    classes where there are several outputs, and of a single one a score without a probability.
    modality: what an input is: the name of one of modalities.MODALITIES ("picture", "signal", …) or a Modality, which
    it becomes; guessed from the shape of the inputs where None.
    Raises ValueError or TypeError that names what is wrong.
    """

    inputs: Tensor
    labels: Tensor | Sequence[int] | None = None
    classes: Sequence[str] | None = None
    low: Bound = Modality.domain[0]
    high: Bound = Modality.domain[1]
    modality: Any = None  # a Modality as soon as the samples are made
    task: str | None = None

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
        object.__setattr__(self, "modality", checked_modality(self.modality, self.inputs, "Samples"))
        if self.task is not None and self.task not in TASKS:
            raise ValueError(f"Samples.task must be one of {', '.join(map(repr, TASKS))} or None, got {self.task!r}.")
        if self.labels is not None:
            object.__setattr__(self, "labels", self._checked_labels())
        if self.classes is not None:
            if not isinstance(self.classes, Iterable):
                raise TypeError(
                    f"Samples.classes must be the class names in the order of the outputs, got {brief(self.classes)}."
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
            raise TypeError(f"{said}, got {brief(self.labels)}.") from None
        if labels.shape != self.inputs.shape[:1]:
            raise ValueError(f"{said}, got {tuple(labels.shape)}.")
        if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
            raise TypeError(f"{said}, got {labels.dtype}. Convert them with .long().")
        if int(labels.min()) < -1:
            raise ValueError(f"{said}, or -1 where it is not known, got {int(labels.min())}.")
        return labels.long()

    def _bound(self, name: str) -> Bound:
        value = getattr(self, name)
        try:
            bound = torch.as_tensor(value, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(f"Samples.{name} must be a number or one number per channel, got {brief(value)}.") from None
        if not bool(torch.isfinite(bound).all()):
            raise ValueError(f"Samples.{name} must be finite, got {brief(value)}.")
        if bound.ndim == 0:
            return float(bound)
        if bound.numel() != self._count():
            raise ValueError(
                f"Samples.{name} must be one number or one per channel ({self._count()}), "
                f"got {bound.numel() if bound.ndim == 1 else brief(value)}."
            )
        return tuple(bound.flatten().tolist())

    def _channels(self, name: str) -> tuple[float, ...]:
        value = getattr(self, name)
        return value if isinstance(value, tuple) else (value,) * self._count()

    def _count(self) -> int:
        """How many channels an input has."""
        return self.inputs.shape[self.modality.channel_axis]

    def __len__(self) -> int:
        return len(self.inputs)

    def name(self, index: int) -> str:
        """The class name of a model output: from `classes`, or the index itself; "unknown" for -1."""
        if index == -1:
            return "unknown"
        return self.classes[index] if self.classes is not None and index < len(self.classes) else str(index)

    def probabilities(self, scores: Tensor) -> Tensor | None:
        """What the scores (outputs,) of one input mean as probabilities, by `task`; None where they are none.

        Raises ValueError where the number of outputs does not suit the task.
        """
        outputs = scores.numel()
        if self.task == "classes" and outputs == 1:
            raise ValueError(
                "Samples.task 'classes' needs a model with several outputs, this one has 1. "
                "Say 'logit' where its sigmoid is a probability, else 'regression'."
            )
        if self.task == "logit" and outputs > 1:
            raise ValueError(
                f"Samples.task 'logit' needs a model with one output, this one has {outputs}. Choose another task."
            )
        if self.task == "regression" or (self.task is None and outputs == 1):
            return None
        return scores.flatten().sigmoid() if self.task == "logit" else scores.flatten().softmax(0)

    @classmethod
    def from_folder(
        cls,
        path: str | Path,
        size: int | tuple[int, int] | None = None,
        low: Bound = 0.0,
        high: Bound = 1.0,
        limit: int | None = 200,
        *,
        channels: int = 3,
        classes: Sequence[str] | None = None,
        task: str | None = None,
    ) -> Samples:
        """The images in a folder, or in its folders, each named after a class.

        size: (height, width) or one side: images are scaled to cover it and cut around their middle; None leaves them.
        low, high: what black and white become, as the model takes them; one number or one per channel.
        limit: how many are read, as many of each class, with a warning where there are more; None reads all.
        channels: 3 (RGB) or 1 (grey). EXIF orientation is followed; what is transparent becomes white.
        classes: the names in the order of the model's outputs; in alphabetical order where None.  task: as above.
        Raises FileNotFoundError, NotADirectoryError, TypeError or ValueError that names what is wrong.
        """
        folder = Path(path).expanduser()
        sides = _sides(size, limit, channels)
        cls(
            torch.zeros(1, channels, 1, 1), low=low, high=high, task=task
        )  # what is wrong with these is said before the work
        files, labels, names = listed(folder, classes, limit)
        fit, smallest = (None, None) if sides is None else (partial(covering, sides=sides), max(sides))
        pixels = stacked(files, channels, fit, smallest)
        lows, highs = (torch.as_tensor(bound, dtype=torch.float32).reshape(-1, 1, 1) for bound in (low, high))
        inputs = lows + pixels * (highs - lows)
        return cls(inputs, labels, names, low, high, task=task)


def _sides(size: Any, limit: Any, channels: Any) -> tuple[int, int] | None:
    """(height, width), or None. Raises ValueError where size, limit or channels cannot be."""
    for name, value in (("limit", 1 if limit is None else limit), ("channels", channels)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number, at least 1, got {brief(value)}.")
    if channels not in (1, 3):
        raise ValueError(f"channels must be 3 (RGB) or 1 (grey), got {channels}.")
    sides = (size, size) if isinstance(size, int) else size
    if sides is None:
        return None
    fit = isinstance(sides, tuple | list) and len(sides) == 2
    if not fit or not all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in sides):
        raise ValueError(f"size must be one side or (height, width) in pixels, or None, got {size!r}.")
    return sides[0], sides[1]
