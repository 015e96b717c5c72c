"""In-place operations that need no copy of what they overwrite: their tensor moves to other memory.

A copy first and the operation on it then are two ways through the memory, this is one. `inplace=True` is how most
networks spell their activations: the copies took a tenth of the time of recording VGG16.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["moved"]

aten = torch.ops.aten
# In place, and the same with an answer of its own.
TWINS = {
    aten.relu_.default: aten.relu.default,
    aten.add_.Tensor: aten.add.Tensor,
    aten.hardtanh_.default: aten.hardtanh.default,
    aten.silu_.default: aten.silu.default,
    aten.hardswish_.default: aten.hardswish.default,
    aten.leaky_relu_.default: aten.leaky_relu.default,
    aten.elu_.default: aten.elu.default,
}
ALONE = 2  # who holds a memory that one tensor has: the tensor, and the Python object through which it is asked


def moved(func: Any, args: Any, kwargs: dict[str, Any]) -> Tensor | None:
    """Run an in-place operation so that its tensor holds the answer in other memory.

    Returns what it held before, in the old memory; None where nothing was done: another tensor sees that memory and
    would miss the change, or the operation is none of those known.
    """
    twin, tensor = TWINS.get(func), args[0] if args else None
    if twin is None or not isinstance(tensor, Tensor) or _holders(tensor) != ALONE:
        return None
    made = twin(*args, **kwargs)
    if (made.shape, made.stride(), made.dtype) != (tensor.shape, tensor.stride(), tensor.dtype):
        return None
    before = tensor.detach()
    tensor.set_(made)
    return before


def _holders(tensor: Tensor) -> int:
    """How many hold the memory of a tensor; 0 where torch does not tell."""
    count = getattr(torch._C, "_storage_Use_Count", None)  # private to torch
    return count(tensor.untyped_storage()._cdata) if count is not None else 0
