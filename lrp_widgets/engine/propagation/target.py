"""What is explained of an answer: a class, a place in a map, one a row, or one against another; and where R starts."""

from __future__ import annotations

import math
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

    a: Any
    b: Any


def contrast(a: int | tuple[int, ...], b: int | tuple[int, ...]) -> Contrast:
    """The target "a rather than b": explains f_a − f_b. Each is a class, or a place in an answer of several axes."""
    if a == b:
        raise ValueError(f"contrast(a, b) needs two different classes, got {a} twice.")
    return Contrast(a, b)


Target = int | Sequence[int] | Sequence[tuple[int, ...]] | Tensor | Contrast | None


def resolve_target(target: Any, scores: Tensor) -> tuple[int, ...] | Contrast:
    """One class a row, or a contrast, as numbers in the flattened answer of a row.

    Where an answer has several axes, as a map of (class, row, column) or a text of (position, token), a class may also
    be a tuple with one index for each of them. Raises IndexError, TypeError or ValueError that names what it got.
    """
    axes = tuple(scores.shape[1:])
    classes = math.prod(axes)
    if isinstance(target, Contrast):
        return Contrast(*(_checked_class(_flat(side, axes), classes) for side in (target.a, target.b)))
    if target is None:
        return tuple(scores.reshape(len(scores), -1).argmax(1).tolist())
    if (as_list := getattr(target, "tolist", None)) is not None:  # a tensor, an array, or a number of numpy
        target = as_list()
    if isinstance(target, int) and not isinstance(target, bool):
        target = [target] * len(scores)
    if isinstance(target, tuple) and _is_place(target, axes):
        if len(target) == len(scores):
            raise ValueError(
                f"target {target} may be one place of {axes}, or one class for each of the {len(scores)} rows. Write "
                f"[{target}] * {len(scores)} for the place, or {list(target)} for the classes."
            )
        target = [target] * len(scores)
    if not isinstance(target, Sequence) or isinstance(target, str):
        raise TypeError(f"target must be a class, one class a row, None or lw.contrast(a, b), got {brief(target)}.")
    if len(target) != len(scores):
        raise ValueError(f"target must name one class for each of the {len(scores)} rows, got {len(target)}.")
    return tuple(_checked_class(_flat(which, axes), classes) for which in target)


def _is_place(which: Any, axes: tuple[int, ...]) -> bool:
    """Whether a class is said as one index for each axis of the answer."""
    return isinstance(which, tuple | list) and len(axes) > 1 and len(which) == len(axes)


def _flat(which: Any, axes: tuple[int, ...]) -> Any:
    """A place as its number in the flattened answer; −1 is the last index of an axis."""
    if not _is_place(which, axes):
        return which
    number = 0
    for index, size in zip(which, axes, strict=True):
        if isinstance(index, bool) or not isinstance(index, int) or not -size <= index < size:
            raise IndexError(f"target must lie in the answer's {axes}, got {tuple(which)}.")
        number = number * size + index % size
    return number


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
