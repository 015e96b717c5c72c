"""Convolutions as fast as the machine has them: channels last, with their weights packed.

`torch.ops.mkldnn` is private to torch: nothing but this file and layers/kernels.py knows of it, and `plainly()` does
without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "CHANNELS_LAST",
    "as_it_lies",
    "at_each_place",
    "convolve",
    "own_order",
    "pack_forward",
    "packs_forward",
    "places",
    "plainly",
    "pointwise",
    "quick",
]

aten = torch.ops.aten
CHANNELS_LAST = torch.channels_last
_plain: ContextVar[bool] = ContextVar("plain", default=False)


@contextmanager
def plainly() -> Iterator[None]:
    """Without packed weights and without a change of layout, for whoever wants to compare."""
    before = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(before)


def as_it_lies(t: Tensor) -> Tensor:
    """The same numbers with their axes in the order of memory, for whoever does not mind where each is."""
    last = t.ndim == 4 and not t.is_contiguous() and t.is_contiguous(memory_format=CHANNELS_LAST)
    return t.permute(0, 2, 3, 1) if last else t


def quick(a: Tensor, w: Tensor, geometry: tuple[Any, ...]) -> bool:
    """Whether torch's packed convolutions take this one: over two dimensions, in single precision, on the CPU."""
    return (
        not _plain.get()
        and a.ndim == w.ndim == 4
        and a.device.type == w.device.type == "cpu"
        and a.dtype == w.dtype == torch.float32
        and not geometry[3]  # transposed
        and a.numel() > 0
        and all(len(numbers) == 2 for numbers in geometry[:3])
        and bool(torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled)
    )


def convolve(a: Tensor, w: Tensor, b: Tensor | None, geometry: tuple[Any, ...], packed: Tensor | None = None) -> Tensor:
    """The convolution with its answer in channels-last order, packed or not the same but for rounding."""
    if pointwise(w, geometry):
        return at_each_place(a[:, :, :: geometry[0][0], :: geometry[0][1]], w.flatten(1), b)
    a = a.contiguous(memory_format=CHANNELS_LAST)
    if not packs_forward(a, w, geometry):
        # torch reads one channel as either order and answers in the other: pooling is five times as fast in this one.
        return aten.convolution.default(a, w, b, *geometry).contiguous(memory_format=CHANNELS_LAST)
    stride, padding, dilation, _, _, groups = geometry
    run = torch.ops.mkldnn._convolution_pointwise.default
    return run(a, w if packed is None else packed, b, padding, stride, dilation, groups, "none", [], "")


def pointwise(w: Tensor, geometry: tuple[Any, ...]) -> bool:
    """Whether a convolution is the same matrix product at each place: of that, torch takes weights as they are."""
    _, padding, *_, groups = geometry
    return tuple(w.shape[2:]) == (1, 1) and groups == 1 and not any(padding)


def places(t: Tensor) -> Tensor:
    """A row of channels for each place of each row of the batch."""
    return as_it_lies(t.contiguous(memory_format=CHANNELS_LAST)).reshape(-1, t.shape[1])


def at_each_place(a: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    """Σ_j a_j w_kj + b_k over the channels at each place; channels last."""
    return functional.linear(places(a), w, b).reshape(len(a), *a.shape[2:], len(w)).permute(0, 3, 1, 2)


def packs_forward(a: Tensor, w: Tensor, geometry: tuple[Any, ...]) -> bool:
    """Whether packing pays: with one channel torch chooses another algorithm."""
    return a.shape[1] > 1 and not pointwise(w, geometry)


def own_order(w: Tensor) -> Tensor:
    """Weights that are a copy anyway, in the order from which packing takes half the time."""
    return w.contiguous(memory_format=CHANNELS_LAST) if w.ndim == 4 else w


def pack_forward(w: Tensor, geometry: tuple[Any, ...], a: Tensor) -> Tensor:
    """The weights of a convolution of `a` in the order of the machine."""
    stride, padding, dilation, _, _, groups = geometry
    return torch.ops.mkldnn._reorder_convolution_weight(w, padding, stride, dilation, groups, list(a.shape))
