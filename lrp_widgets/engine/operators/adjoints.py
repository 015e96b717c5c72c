"""The adjoints of the steps that every network has, without autograd: quicker, and they keep no graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.engine.trace.step import Ref, Step, fill

__all__ = ["adjoint_of"]

aten = torch.ops.aten
Adjoint = Callable[[Tensor], Tensor]
SHAPES = frozenset({"view", "_unsafe_view", "reshape", "unsqueeze", "squeeze", "flatten"})


def adjoint_of(step: Step, a: Tensor) -> Adjoint | None:
    """What takes a cotangent of the step's output to one of its only input `a`; None where autograd has to say."""
    make = _ADJOINTS.get(step.op)
    if step.op in SHAPES:
        make = _shape
    if make is None or len(step.inputs) != 1 or step.kwargs or not isinstance(step.args[0], Ref):
        return None
    if step.aside:
        return _max_pool2d(a, *step.args[1:], winners=step.aside[0])
    return make(a, *fill(step.args[1:], iter(())))


def _shape(a: Tensor, *_: Any) -> Adjoint:
    shape = a.shape
    return lambda s: s.reshape(shape)


def _transpose(a: Tensor, one: int, other: int) -> Adjoint:
    return lambda s: s.transpose(one, other)


def _t(a: Tensor) -> Adjoint:
    return lambda s: s.t()


def _permute(a: Tensor, order: list[int]) -> Adjoint:
    back = [0] * len(order)
    for place, axis in enumerate(order):
        back[axis % len(order)] = place
    return lambda s: s.permute(back)


def _expand(a: Tensor, *_: Any) -> Adjoint:
    shape = a.shape
    return lambda s: s.sum_to_size(shape)


def _avg_pool2d(
    a: Tensor,
    kernel: list[int],
    stride: list[int] | None = None,
    padding: list[int] | None = None,
    ceil: bool = False,
    count_pad: bool = True,
    divisor: int | None = None,
) -> Adjoint:
    geometry = (kernel, stride or [], padding or [0, 0], ceil, count_pad, divisor)
    return lambda s: aten.avg_pool2d_backward.default(_ordered(s, a), a, *geometry)


def _max_pool2d(
    a: Tensor,
    kernel: list[int],
    stride: list[int] | None = None,
    padding: list[int] | None = None,
    dilation: list[int] | None = None,
    ceil: bool = False,
    *,
    winners: Tensor | None = None,
) -> Adjoint:
    geometry = (kernel, stride or [], padding or [0, 0], dilation or [1, 1], ceil)
    if winners is None:
        _, winners = aten.max_pool2d_with_indices.default(a, *geometry)
    return lambda s: aten.max_pool2d_with_indices_backward.default(_ordered(s, a), a, *geometry, winners)


def _ordered(s: Tensor, a: Tensor) -> Tensor:
    """In memory like a: the steps below are quick where relevance and activation lie alike."""
    last = a.ndim == 4 and not a.is_contiguous() and a.is_contiguous(memory_format=torch.channels_last)
    return s.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


_ADJOINTS: dict[str, Callable[..., Adjoint]] = {
    "transpose": _transpose,
    "t": _t,
    "permute": _permute,
    "expand": _expand,
    "avg_pool2d": _avg_pool2d,
    "max_pool2d_with_indices": _max_pool2d,
}
