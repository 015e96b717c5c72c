"""What tells the content of a tensor or an array: its bytes where it is small, sums of its bits where it is large."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["bits_of", "bits_of_array"]

SEGMENT = 8191  # words in one sum of bits
ORDERED = 2**22  # numbers up to which their order is told too: a second way through the memory
SMALL = 16_384  # bytes: what is smaller is compared whole


def bits_of(tensor: Tensor) -> Any:
    """What tells the content of a tensor: its bytes where it is small, sums of its bits where it is large."""
    tensor = tensor.detach()
    if tensor.is_conj() or tensor.is_neg():
        tensor = tensor.resolve_conj().resolve_neg()
    if not tensor.is_contiguous():
        dense = tensor.permute(sorted(range(tensor.ndim), key=lambda axis: -tensor.stride(axis)))
        tensor = dense if dense.is_contiguous() else tensor.contiguous()
    raw = tensor.view(-1) if tensor.ndim else tensor.reshape(1)
    if tensor.nbytes <= SMALL:
        return raw.view(torch.uint8).cpu().numpy().tobytes() if raw.numel() else b""
    if raw.is_complex():
        raw = torch.view_as_real(raw).view(-1)
    width = 8 // raw.element_size()
    whole = len(raw) // width * width
    if raw.storage_offset() % width:  # words of eight bytes begin at multiples of eight
        raw = raw.clone()
    words = raw[:whole].view(torch.int64)
    even = len(words) // SEGMENT * SEGMENT
    sums = [words[:even].view(-1, SEGMENT).sum(1), words[even:].sum()[None]]
    if tensor.dtype in (torch.float32, torch.float64) and len(raw) <= ORDERED:
        rows = len(raw) // SEGMENT * SEGMENT  # two rows of weights that change places leave a sum as it was
        sums.append((raw[:rows].view(-1, SEGMENT) @ _weights(raw.dtype, raw.device)).view(torch.int8).to(torch.int64))
    return torch.cat(sums).cpu().numpy().tobytes(), raw[whole:].view(torch.uint8).cpu().numpy().tobytes()


@functools.cache
def _weights(dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.rand(SEGMENT, generator=torch.Generator().manual_seed(0), dtype=dtype).to(device)


def bits_of_array(array: np.ndarray) -> Any:
    return (
        array.tobytes() if array.nbytes <= SMALL else bits_of(torch.from_numpy(np.ascontiguousarray(array).view("u1")))
    )
