"""Aliases: which value each tensor holds now, and which tensors share a memory, while a model runs.

A value is what a tensor held at one moment. An in-place step makes a new value of the same tensor, and the old one is
copied first. Where several tensors share a memory (views, buffers that are filled piece by piece), a write is recorded
as a scatter into the flat memory, and the other tensors are read from it again when they are next used.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from lrp_widgets.engine.trace.complex_numbers import as_pairs
from lrp_widgets.engine.trace.step import Ref, Step, op_name

__all__ = ["Aliases", "TwoDtypes", "copied_memory", "running_module", "storage_of"]

_as_strided = torch.ops.aten.as_strided.default
_scatter = torch.ops.aten.as_strided_scatter.default
_call_code = nn.Module._call_impl.__code__


class TwoDtypes(TypeError):
    """Views of one memory in two dtypes: what a write through one of them means for the other cannot be recorded."""


@dataclass(eq=False)
class Memory:
    """What is known of one storage.

    residents: the values that lie in it.  tensors: the tracked tensors that see it.
    whole: its content as a flat value, once it was written through a view.
    """

    residents: list[int] = field(default_factory=list)
    tensors: list[Tensor] = field(default_factory=list)
    whole: int | None = None


class Aliases:
    """The values of a run, by tensor and by memory.

    values, steps: of the run, extended here where a memory is read or written as a whole.  paths: the path of each
    module of the model, by its id.
    """

    def __init__(self, values: dict[int, Tensor], steps: list[Step], paths: dict[int, str]) -> None:
        self.values, self.steps, self.paths = values, steps, paths
        self._current: dict[int, int] = {}  # id of a live tensor -> its present value
        self._alive: list[Tensor] = []  # keeps these ids from being given to other tensors
        self._memories: dict[int, Memory] = {}
        self.copies: set[int] = set()  # memories that hold what a memory held before it depended on the input
        self.complex_values: set[int] = set()  # values that stand for complex numbers, as pairs
        self._constants: set[int] = set()  # values of a memory that held no input when it was first written

    def add(self, tensor: Tensor) -> int:
        """Note the present content of a tensor as a new value."""
        value = self.add_value(tensor)
        memory = self._memory(tensor)
        memory.residents.append(value)
        if id(tensor) not in self._current:
            self._alive.append(tensor)
            memory.tensors.append(tensor)
        self._current[id(tensor)] = value
        return value

    def add_value(self, tensor: Tensor) -> int:
        """A value of its own, which no tensor of the model holds."""
        value = len(self.values)
        self.values[value] = as_pairs(tensor)
        if tensor.is_complex():
            self.complex_values.add(value)
        return value

    def value_of(self, tensor: Tensor) -> int | None:
        """The value a tensor holds now, or None where it does not depend on the input."""
        value = self._current.get(id(tensor))
        if value is not None:
            return value
        if not self.tracks(tensor):
            return None
        # Another tensor of a tracked memory: it is read from the flat memory, so that nothing is lost silently.
        return self._read(self._whole(tensor), tensor)

    def tracks(self, tensor: Tensor) -> bool:
        """Whether a tensor lies in a memory that depends on the input."""
        memory = self._memories.get(storage_of(tensor))
        if memory is None or not memory.tensors:
            return False
        # Whole numbers are looked at as tokens where tokens lie in that memory.
        carries = tensor.is_floating_point() or tensor.is_complex()
        return carries or any(other.dtype == tensor.dtype for other in memory.tensors)

    def alone(self, tensor: Tensor) -> bool:
        """Whether a value is all that its memory is known to hold."""
        memory = self._memories.get(storage_of(tensor))
        if id(tensor) not in self._current:
            return False
        return memory is None or (memory.whole is None and len(memory.tensors) == 1)

    def before_write(self, tensor: Tensor) -> int | None:
        """Keep what a write will destroy. Returns the value of the whole memory where others share it."""
        whole = None if self.alone(tensor) else self._whole(tensor)
        memory = self._memory(tensor)
        for value in memory.residents:
            self.values[value] = copied_memory(self.values[value])
        memory.residents = []
        return whole

    def after_write(self, tensor: Tensor, whole: int | None) -> int:
        """The content of a tensor after an in-place step, as a new value that all who share its memory see."""
        value = self.add(tensor)
        if whole is not None:
            written = _real(tensor)
            content = _scatter(self.values[whole], written, *_geometry(written))
            base = self.values[whole] if whole in self._constants else Ref(whole)
            memory = self._memory(tensor)
            memory.whole = self._emit(_scatter, (base, Ref(value), *_geometry(written)), content)
            for other in memory.tensors:
                if other is not tensor:
                    self._current.pop(id(other), None)
        return value

    def moved(self, tensor: Tensor, old: int, before: Tensor) -> None:
        """A tensor has left its memory `old` for another one; `before` is what it held, in the old memory."""
        memory = self._memories[old]
        for value in memory.residents:
            if self.values[value] is tensor:
                self.values[value] = before
        self._memories[storage_of(tensor)] = Memory(tensors=memory.tensors)
        memory.tensors = []

    def _emit(self, func: Any, args: tuple[Any, ...], output: Tensor) -> int:
        """Write the step `func(*args) = output`; returns the value of the output."""
        value = self.add_value(output)
        refs = tuple(arg.value for arg in args if isinstance(arg, Ref))
        self.steps.append(Step("", op_name(func), func, args, {}, refs, (value,), running_module(self.paths)))
        return value

    def _memory(self, tensor: Tensor) -> Memory:
        return self._memories.setdefault(storage_of(tensor), Memory())

    def _read(self, whole: int, tensor: Tensor) -> int:
        real = _real(tensor)
        if self.values[whole].dtype != real.dtype:
            raise TwoDtypes(f"{self.values[whole].dtype}, {tensor.dtype}")
        value = self._emit(_as_strided, (Ref(whole), *_geometry(real)), tensor)
        self._alive.append(tensor)
        memory = self._memory(tensor)
        memory.tensors.append(tensor)
        memory.residents.append(value)
        self._current[id(tensor)] = value
        return value

    def _whole(self, tensor: Tensor) -> int:
        """The value of a whole memory as a flat tensor, put together from its tensors on first use."""
        memory = self._memory(tensor)
        if memory.whole is not None:
            return memory.whole
        dtype = _real(tensor).dtype
        base: Any = torch.empty(0, dtype=dtype, device=tensor.device).set_(tensor.untyped_storage()).clone()
        content = base
        self.copies.add(storage_of(base))
        for other in memory.tensors:
            real = _real(other)
            if real.dtype != dtype:
                raise TwoDtypes(f"{tensor.dtype}, {other.dtype}")
            value = self._current.get(id(other))
            if value is None or _overlaps(real):  # a tensor that overlaps itself is a view of another one
                continue
            content = _scatter(content, self.values[value], *_geometry(real))
            base = Ref(self._emit(_scatter, (base, Ref(value), *_geometry(real)), content))
        if isinstance(base, Ref):
            memory.whole = base.value
            return base.value
        value = self.add_value(base)  # nothing in it depends on the input yet: the first write goes into a constant
        self._constants.add(value)
        return value


def running_module(paths: dict[int, str]) -> str:
    """The path of the innermost module that is running now; "" for the model itself."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code is _call_code:
            path = paths.get(id(frame.f_locals["self"]))
            if path is not None:
                return path
        frame = frame.f_back
    return ""


def storage_of(tensor: Tensor) -> int:
    """What tells one memory from another, as long as it is alive; of a sparse tensor, which has several, itself."""
    return tensor.untyped_storage()._cdata if tensor.layout == torch.strided else id(tensor)


def copied_memory(tensor: Tensor) -> Tensor:
    """A copy with the same strides, so that a view taken of the original can be taken of it too."""
    if not tensor.numel():
        return tensor.clone()
    reach = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.as_strided((reach,), (1,)).clone().as_strided(tensor.shape, tensor.stride())


def _real(tensor: Tensor) -> Tensor:
    """The same memory as real numbers: a complex tensor as its pairs."""
    if tensor.is_conj() or tensor.is_neg():
        raise TwoDtypes(f"{tensor.dtype}, conjugated on reading")
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def _geometry(tensor: Tensor) -> tuple[list[int], list[int], int]:
    return list(tensor.shape), list(tensor.stride()), int(tensor.storage_offset())


def _overlaps(tensor: Tensor) -> bool:
    """Whether several of its elements lie at one place, as in an expanded tensor or in sliding windows."""
    reach = 0
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if stride <= reach:
                return True
            reach += stride * (size - 1)
    return False
