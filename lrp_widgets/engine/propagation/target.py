"""What is explained of an answer: a class, one class a row, or a class against another; and where relevance starts."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.wording import brief

__all__ = ["Contrast", "Target", "contrast", "resolve_target", "starting_relevance"]


@dataclass(frozen=True)
class Contrast:
    """Evidence for class `a` against class `b`: the relevance starts as f_a at a and −f_b at b."""

    a: int
    b: int


def contrast(a: int, b: int) -> Contrast:
    """The target "a rather than b": explains f_a − f_b."""
    if a == b:
        raise ValueError(f"contrast(a, b) needs two different classes, got {a} twice.")
    return Contrast(a, b)


Target = int | Sequence[int] | Tensor | Contrast | None


def resolve_target(target: Target, scores: Tensor) -> tuple[int, ...] | Contrast:
    """One class a row, or a contrast. Raises IndexError or TypeError that names what it got."""
    classes = scores[0].numel() if scores.ndim > 1 else 1
    if isinstance(target, Contrast):
        return Contrast(_checked_class(target.a, classes), _checked_class(target.b, classes))
    if target is None:
        return tuple(scores.reshape(len(scores), -1).argmax(1).tolist())
    if (as_list := getattr(target, "tolist", None)) is not None:  # a tensor, an array, or a number of numpy
        target = as_list()
    if isinstance(target, int) and not isinstance(target, bool):
        target = [target] * len(scores)
    if not isinstance(target, Sequence) or isinstance(target, str):
        raise TypeError(f"target must be a class, one class a row, None or lw.contrast(a, b), got {brief(target)}.")
    if len(target) != len(scores):
        raise ValueError(f"target must name one class for each of the {len(scores)} rows, got {len(target)}.")
    return tuple(_checked_class(which, classes) for which in target)


def _checked_class(which: Any, classes: int) -> int:
    try:
        index = None if isinstance(which, bool) else operator.index(which)
    except TypeError:
        index = None
    if index is None:
        raise TypeError(f"target must be a whole number, got {brief(which)}.")
    if not 0 <= index < classes:
        raise IndexError(f"target must lie in [0, {classes - 1}], the model's outputs, got {index}.")
    return index


def starting_relevance(target: tuple[int, ...] | Contrast, scores: Tensor) -> Tensor:
    """R at the output: f of the class explained, zero elsewhere; for a contrast f_a at a and −f_b at b."""
    flat = scores.reshape(len(scores), -1)
    start = torch.zeros_like(flat)
    if isinstance(target, Contrast):
        start[:, target.a] = flat[:, target.a]
        start[:, target.b] = -flat[:, target.b]
    else:
        index = torch.tensor(target, device=scores.device)[:, None]
        start.scatter_(1, index, flat.gather(1, index))
    return start.reshape(scores.shape)
