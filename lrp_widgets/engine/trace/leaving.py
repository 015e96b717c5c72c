"""What leaves torch while a model runs, and comes back as a constant: numpy, lists, Python numbers, other threads.

A recorder sees operations of torch only. A number that is read out (`.item()`), or an array that is worked on by numpy
or in another thread, comes back as a constant of which nobody can tell how it depends on the input. Such places are
named. Whether a number that was read out came back at all is told by a second run on another input: a constant of a
step that then has another value depends on the input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lrp_widgets.engine.trace.step import Step, flat_tensors

__all__ = ["Leaving", "outside_constants", "text_of"]

# What reads numbers out of a tensor. Those that are often read for an `if` alone count only where they come back.
_ARRAYS = {
    Tensor.numpy: ".numpy()",
    Tensor.__array__: "numpy.asarray",
    Tensor.__dlpack__: "dlpack",
    Tensor.data_ptr: ".data_ptr()",
}
_NUMBERS = {
    Tensor.item: ".item()",
    Tensor.tolist: ".tolist()",
    Tensor.__float__: "float()",
    Tensor.__int__: "int()",
    Tensor.__index__: "an index",
    Tensor.__complex__: "complex()",
    Tensor.__format__: "a text",
    Tensor.__repr__: "a text",
}


class Leaving(TorchFunctionMode):
    """Notes where tensors that depend on the input are read out of torch.

    tracked: says of a tensor whether it depends on the input.  where: the layer that runs now, in words.
    arrays: the layers whose tensors left as a whole, and how.  numbers: the same for single numbers.
    """

    def __init__(self, tracked: Callable[[Tensor], bool], where: Callable[[], str]) -> None:
        super().__init__()
        self.tracked, self.where = tracked, where
        self.arrays: dict[str, str] = {}
        self.numbers: dict[str, str] = {}
        self._left: list[tuple[Tensor, Tensor]] = []  # the tensors that left as a whole, and what they held then

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for readers, layers in ((_ARRAYS, self.arrays), (_NUMBERS, self.numbers)):
            if func in readers and self.tracked(args[0]):
                layers.setdefault(self.where(), readers[func])
                if layers is self.arrays:
                    self._left.append((args[0].detach(), args[0].detach().clone()))
        return func(*args, **(kwargs or {}))

    @property
    def written(self) -> bool:
        """Whether something was written into the memory of a tensor that left, as numpy can."""
        return any(not torch.equal(now, then) for now, then in self._left)


def outside_constants(steps: Sequence[Step], others: Sequence[Step], fixed: Callable[[Tensor], bool]) -> list[Step]:
    """The steps with a constant from outside of torch that another input changes.

    steps, others: of the same model on two inputs.  fixed: whether no input may change a constant of `steps`.
    Where the two runs take different ways, only what they share is compared.
    """
    changed = []
    for step, other in zip(steps, others, strict=False):
        if step.func is not other.func:
            break
        pairs = zip(_numbers((step.args, step.kwargs)), _numbers((other.args, other.kwargs)), strict=False)
        tensors = zip(flat_tensors((step.args, step.kwargs)), flat_tensors((other.args, other.kwargs)), strict=False)
        if any(one != two for one, two in pairs) or any(
            fixed(one) and (one.shape != two.shape or not torch.equal(one, two)) for one, two in tensors
        ):
            changed.append(step)
    return changed


def _numbers(tree: Any) -> list[float]:
    if isinstance(tree, float):
        return [tree]
    if isinstance(tree, dict):
        return _numbers(list(tree.values()))
    return [number for item in tree for number in _numbers(item)] if isinstance(tree, tuple | list) else []


def text_of(where: str, how: str) -> str:
    """The note on a layer that leaves torch."""
    return (
        f"{where} leaves torch ({how}): what it makes of the input there is held constant, and gets no relevance. "
        "Keep the computation in torch."
    )
