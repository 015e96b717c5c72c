"""Channels last for a model that runs: its convolutions answer in that order, and nothing else may notice."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lrp_widgets.engine.trace.convolution import CHANNELS_LAST, convolve, pack_forward, packs_forward, quick
from lrp_widgets.engine.trace.memory_budget import MemoryBudget
from lrp_widgets.engine.trace.step import Ref, Step

__all__ = ["ChannelsLast", "Noticed", "without_copies"]

aten = torch.ops.aten
_VIEWS = ("view", "_unsafe_view")
_COPIES = (aten.clone.default, aten.contiguous.default)


class Noticed(BaseException):
    """The model does something that depends on the order in memory: it must run with its own."""


class ChannelsLast:
    """Runs the convolutions of one model with their answers channels last, their weights packed from the second run on.

    Where the model looks at such an answer through `view`, it is copied into the usual order first. The copy is no
    longer the same memory: a write into either raises Noticed, as does as_strided, which sees the memory bare.
    """

    def __init__(self, budget: MemoryBudget) -> None:
        self.budget = budget
        self.wanted = True
        self._seen: dict[Any, tuple[Tensor, Tensor | None]] = {}  # with the weights, so that no other gets their id
        self.begin()

    def begin(self) -> None:
        """A new run."""
        self.used = False
        self._copied: set[int] = set()

    def run(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """The operation's result."""
        if not self.wanted:
            return func(*args, **kwargs)
        if func is aten.convolution.default and not kwargs and quick(args[0], args[1], args[3:]):
            self.used = True
            a, w, b, *geometry = args
            return convolve(a, w, b, tuple(geometry), self._packed(a, w, tuple(geometry)))
        if not self.used:
            return func(*args, **kwargs)
        if func is aten.as_strided.default:
            raise Noticed
        result = func(*args, **kwargs)
        if func in _COPIES and result.stride() != args[0].stride():
            self._copied |= {_memory(args[0]), _memory(result)}
        return result

    def check_write(self, written: list[Tensor]) -> None:
        """Raise Noticed where a write would reach only one of a copy and its original."""
        if self._copied and not self._copied.isdisjoint(map(_memory, written)):
            raise Noticed

    def must_copy(self, func: Any, args: Any) -> bool:
        """Whether a view is asked of an answer whose order does not allow it."""
        return self.used and func is aten.view.default and _turned(args[0])

    def _packed(self, a: Tensor, w: Tensor, geometry: tuple[Any, ...]) -> Tensor | None:
        key = (id(w), str(geometry))
        if key not in self._seen:
            self._seen[key] = (w, None)
        elif self._seen[key][1] is None and packs_forward(a, w, geometry) and self.budget.take(w.nbytes):
            self._seen[key] = (w, pack_forward(w, geometry, a))
        return self._seen[key][1]


def without_copies(steps: list[Step], values: dict[int, Tensor]) -> list[Step]:
    """The steps of a run with channels last, as the usual order would have them: a view, not a view of a copy."""
    readers: dict[int, list[Step]] = {}
    for step in steps:
        for value in step.inputs:
            readers.setdefault(value, []).append(step)
    source: dict[int, int] = {}
    for step in steps:
        if step.func in _COPIES and len(step.inputs) == 1 and (output := step.outputs[0]) is not None:
            moved = _turned(values[step.inputs[0]]) and values[output].is_contiguous()
            if moved and readers.get(output) and all(reader.op in _VIEWS for reader in readers[output]):
                source[output] = step.inputs[0]
    return [
        _reshaping(step, source) if step.inputs and step.inputs[0] in source else step
        for step in steps
        if not (step.func in _COPIES and step.outputs and step.outputs[0] in source)
    ]


def _reshaping(step: Step, source: dict[int, int]) -> Step:
    value = source[step.inputs[0]]
    return step.but(op="view", func=aten.reshape.default, args=(Ref(value), *step.args[1:]), inputs=(value,))


def _turned(tensor: Tensor) -> bool:
    """Whether a tensor lies channels last and in no other order."""
    return tensor.ndim == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=CHANNELS_LAST)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
