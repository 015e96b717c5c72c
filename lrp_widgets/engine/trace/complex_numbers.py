"""Complex numbers inside of a model: each is recorded as its real and its imaginary part.

A complex value stands on the tape as a real tensor with an axis of two at its end, and a step that computes with it as
an operation on such pairs. Real and imaginary part each have a relevance, and every rule stays one for real numbers.
Fourier transforms, products with a constant and sums are linear in the pair; magnitudes are homogeneous.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.engine.trace.step import fill, flat_tensors, out_arguments, ref_places

__all__ = ["ComplexOperation", "as_pairs", "has_complex"]


def has_complex(tree: Any) -> bool:
    """Whether some of these tensors are complex."""
    return any(tensor.is_complex() for tensor in flat_tensors(tree))


def as_pairs(tensor: Tensor) -> Tensor:
    """A tensor with an axis for real and imaginary part at its end; a real one as it is."""
    return torch.view_as_real(tensor.resolve_conj().resolve_neg()) if tensor.is_complex() else tensor


class ComplexOperation:
    """An operation with complex arguments or answers, as one from pairs to pairs.

    func: the operation.  arguments: its args and kwargs with a Ref for each value of the input.
    are_complex: for each Ref, in order of appearance, whether the operation takes it as a complex number.
    """

    def __init__(self, func: Any, arguments: Any, are_complex: tuple[bool, ...]) -> None:
        self.func, self.arguments, self.are_complex = func, arguments, are_complex
        self.places = ref_places(arguments[0])

    def __call__(self, *active: Tensor) -> Any:
        """The answers, as pairs, for one tensor for each Ref."""
        args, kwargs = fill(self.arguments, self._numbers(active))
        kwargs = {name: item for name, item in kwargs.items() if name not in out_arguments(self.func)}
        return tuple(as_pairs(tensor) for tensor in flat_tensors(self.func(*args, **kwargs)))

    def _numbers(self, active: tuple[Tensor, ...]) -> Iterator[Tensor]:
        for tensor, is_complex in zip(active, self.are_complex, strict=True):
            # A clone: an operation in place must not write into the recorded value.
            yield torch.view_as_complex(tensor.contiguous().clone()) if is_complex else tensor.clone()
