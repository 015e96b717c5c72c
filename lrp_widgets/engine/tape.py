"""A model run, written down: `record()` notes every ATen step that depends on the input.

If it runs, it can be explained: functional calls, in-place ops, shared modules and branches on data are all just steps.
Nothing is hooked or edited, so the model stays as it was and other threads may use it meanwhile.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["RecordingError", "Ref", "Step", "Tape", "fill", "flat_tensors", "record", "replay"]


class RecordingError(RuntimeError):
    """The model could not be recorded; the message says at which layer and why."""


@dataclass(frozen=True)
class Ref:
    """Stands in a step's arguments for a recorded value."""

    value: int


@dataclass(frozen=True, eq=False)
class Step:
    """One ATen operation of the run.

    args, kwargs: as the operation got them, with a Ref for every value that depends on the input.
    inputs: the values behind these Refs, in order of appearance (twice where used twice).
    outputs: the value of each tensor it made, None for those that carry no relevance (indices, masks).
    module: path of the innermost module that ran it; `modules` adds those folded into it.
    affine: the parametric map, where canonize() has found one.
    """

    name: str
    op: str
    func: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[int, ...]
    outputs: tuple[int | None, ...]
    module: str
    modules: tuple[str, ...] = ()
    affine: Any = None


@dataclass(frozen=True, eq=False)
class Tape:
    """The steps of one run in order, and every value that depends on the input."""

    steps: tuple[Step, ...]
    values: dict[int, Tensor]
    inputs: tuple[int, ...]
    output: int

    @property
    def scores(self) -> Tensor:
        """What the model returned."""
        return self.values[self.output]

    @property
    def batch(self) -> int:
        """Rows of the batch."""
        return self.values[self.inputs[0]].shape[0]

    def value_at(self, layer: str) -> int:
        """The value that the module (or step) `layer` hands on. Raises KeyError with the known names."""
        for step in reversed(self.steps):
            paths = step.modules or (step.module,)
            inside = any(path == layer or path.startswith(layer + ".") for path in paths)
            if step.name == layer or (layer and inside):
                return next(value for value in step.outputs if value is not None)
        known = ", ".join(step.name for step in self.steps)
        raise KeyError(f"No recorded layer is called {layer!r}. The recorded ones are: {known}.")


def flat_tensors(tree: Any) -> list[Tensor]:
    """The tensors in nested tuples, lists and dicts, in order."""
    if isinstance(tree, Tensor):
        return [tree]
    if isinstance(tree, tuple | list):
        return [tensor for item in tree for tensor in flat_tensors(item)]
    if isinstance(tree, dict):
        return [tensor for item in tree.values() for tensor in flat_tensors(item)]
    return []


def fill(tree: Any, tensors: Iterator[Tensor]) -> Any:
    """The arguments of a step with its Refs replaced, one tensor each, in order of appearance."""
    if isinstance(tree, Ref):
        return next(tensors)
    if isinstance(tree, tuple | list):
        return type(tree)(fill(item, tensors) for item in tree)
    if isinstance(tree, dict):
        return {key: fill(item, tensors) for key, item in tree.items()}
    return tree


def replay(step: Step, tensors: list[Tensor]) -> list[Tensor]:
    """Run a step again on other tensors; a step that wrote in place writes into a copy."""
    args, kwargs = fill((step.args, step.kwargs), iter(tensors))
    args, kwargs = list(args), dict(kwargs)
    for position, name in _written_arguments(step.func):
        if position < len(args):
            args[position] = args[position].clone()
        elif isinstance(kwargs.get(name), Tensor):
            kwargs[name] = kwargs[name].clone()
    return flat_tensors(step.func(*args, **kwargs))


_written_cache: dict[Any, tuple[tuple[int, str], ...]] = {}


def _written_arguments(func: Any) -> tuple[tuple[int, str], ...]:
    """Position and name of the arguments that an operation writes into."""
    known = _written_cache.get(func)
    if known is None:
        arguments = func._schema.arguments if hasattr(func, "_schema") else ()
        known = tuple(
            (i, a.name) for i, a in enumerate(arguments) if a.alias_info is not None and a.alias_info.is_write
        )
        _written_cache[func] = known
    return known


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _copy(tensor: Tensor) -> Tensor:
    """A copy with the same strides, so that a view taken of the original can be taken of it too."""
    copy = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device)
    return copy.copy_(tensor)


_as_strided = torch.ops.aten.as_strided.default
_scatter = torch.ops.aten.as_strided_scatter.default
_call_code = nn.Module._call_impl.__code__


class _Recorder(TorchDispatchMode):
    """Writes steps while a model runs.

    A value is what a tensor held at one moment. An in-place step makes a new value of the same tensor, and the old one
    is copied first. Where tensors share memory (views, buffers filled bit by bit), a write is recorded as a scatter
    into the flat memory and the other views are read from it again when they are next used.
    """

    def __init__(self, paths: dict[int, str]) -> None:
        super().__init__()
        self.paths = paths
        self.steps: list[Step] = []
        self.values: dict[int, Tensor] = {}
        self.current: dict[int, int] = {}  # id of a live tensor -> its present value
        self.alive: list[Tensor] = []  # keeps these ids from being used again
        self.residents: dict[int, list[int]] = {}  # memory -> the values that live in it
        self.members: dict[int, list[Tensor]] = {}  # memory -> the tracked tensors in it
        self.flat: dict[int, int] = {}  # memory written through a view -> value of the whole, flat
        self.constants: set[int] = set()  # values of memory that did not depend on the input when first written

    def new(self, tensor: Tensor) -> int:
        """Note a tensor's present content as a new value."""
        value = len(self.values)
        self.values[value] = tensor
        key = _storage(tensor)
        self.residents.setdefault(key, []).append(value)
        if self.current.get(id(tensor)) is None:
            self.alive.append(tensor)
            self.members.setdefault(key, []).append(tensor)
        self.current[id(tensor)] = value
        return value

    def find(self, tensor: Tensor) -> int | None:
        """The value a tensor holds now, or None where it does not depend on the input."""
        value = self.current.get(id(tensor))
        if value is not None:
            return value
        key = _storage(tensor)
        if key not in self.members or not tensor.is_floating_point():
            return None
        # Same memory, another tensor object: read it from the flat memory, so that nothing is lost silently.
        whole = self._whole(tensor, key)
        return self._read(whole, tensor)

    def _emit(self, func: Any, args: tuple[Any, ...], result: Tensor) -> int:
        value = len(self.values)
        self.values[value] = result
        refs = tuple(arg.value for arg in args if isinstance(arg, Ref))
        self.steps.append(Step("", _op_name(func), func, args, {}, refs, (value,), self._module()))
        return value

    def _read(self, whole: int, tensor: Tensor) -> int:
        geometry = (list(tensor.shape), list(tensor.stride()), tensor.storage_offset())
        value = self._emit(_as_strided, (Ref(whole), *geometry), tensor)
        self.alive.append(tensor)
        self.members[_storage(tensor)].append(tensor)
        self.residents.setdefault(_storage(tensor), []).append(value)
        self.current[id(tensor)] = value
        return value

    def _whole(self, tensor: Tensor, key: int) -> int:
        """The value of a whole memory as a flat tensor, put together from its tracked tensors on first use."""
        if key in self.flat:
            return self.flat[key]
        base: Any = torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(tensor.untyped_storage()).clone()
        content = base
        for member in self.members.get(key, []):
            if member.dtype != tensor.dtype:
                raise RecordingError(
                    f"The layer {self._module() or 'of the model itself'!r} writes through views of one memory with "
                    f"two dtypes ({tensor.dtype}, {member.dtype}). Write to a copy (.clone()) instead."
                )
            known = self.current.get(id(member))
            if known is None:
                continue
            geometry = (list(member.shape), list(member.stride()), member.storage_offset())
            content = _scatter(content, self.values[known], *geometry)
            base = Ref(self._emit(_scatter, (base, Ref(known), *geometry), content))
        if not isinstance(base, Ref):  # nothing in it depends on the input yet: the first write scatters into a constant
            value = len(self.values)
            self.values[value] = base
            self.constants.add(value)
            return value
        self.flat[key] = base.value
        return base.value

    def write(self, tensor: Tensor, whole: int | None) -> int:
        """The content of `tensor` after an in-place step, as a new value that all who share its memory see."""
        key = _storage(tensor)
        value = self.new(tensor)
        if whole is not None:
            geometry = (list(tensor.shape), list(tensor.stride()), tensor.storage_offset())
            content = _scatter(self.values[whole], tensor, *geometry)
            base = self.values[whole] if whole in self.constants else Ref(whole)
            self.flat[key] = self._emit(_scatter, (base, Ref(value), *geometry), content)
            for member in self.members[key]:
                if member is not tensor:
                    self.current.pop(id(member), None)
        return value

    def before_write(self, tensor: Tensor) -> int | None:
        """Keep what the write will destroy. Returns the whole memory's value where others share it."""
        key = _storage(tensor)
        known = self.current.get(id(tensor))
        alone = known is not None and key not in self.flat and len(self.members.get(key, ())) == 1
        whole = None if alone else self._whole(tensor, key)
        for value in self.residents.get(key, ()):
            self.values[value] = _copy(self.values[value])
        self.residents[key] = []
        return whole

    def _module(self) -> str:
        frame = sys._getframe(1)
        while frame is not None:
            if frame.f_code is _call_code:
                path = self.paths.get(id(frame.f_locals["self"]))
                if path is not None:
                    return path
            frame = frame.f_back
        return ""

    def _refer(self, tree: Any, inputs: list[int]) -> Any:
        if isinstance(tree, Tensor):
            value = self.find(tree)
            if value is None:
                return tree
            inputs.append(value)
            return Ref(value)
        if isinstance(tree, tuple | list):
            return type(tree)([self._refer(item, inputs) for item in tree])
        return tree

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        inputs: list[int] = []
        noted = self._refer(tuple(args), inputs)
        noted_kwargs = {key: self._refer(item, inputs) for key, item in kwargs.items()}
        if not inputs:
            return func(*args, **kwargs)
        written: dict[int, int | None] = {}
        for position, name in _written_arguments(func):
            target = args[position] if position < len(args) else kwargs.get(name)
            if isinstance(target, Tensor):
                written[id(target)] = self.before_write(target)
        result = func(*args, **kwargs)
        step = Step("", _op_name(func), func, noted, noted_kwargs, tuple(inputs), (), self._module())
        place = len(self.steps)
        self.steps.append(step)  # before its outputs: a write appends the scatter that follows it
        outputs: list[int | None] = []
        for tensor in flat_tensors(result):
            if id(tensor) in written:
                outputs.append(self.write(tensor, written[id(tensor)]))
            elif tensor.is_floating_point() or tensor.is_complex():
                outputs.append(self.new(tensor))
            else:
                outputs.append(None)
        self.steps[place] = dataclasses.replace(step, outputs=tuple(outputs))
        return result


def _op_name(func: Any) -> str:
    """The name an op is known by in operators.py: without namespace 'aten', overload and in-place underscore."""
    schema = getattr(func, "_schema", None)
    if schema is None:
        return getattr(func, "__name__", str(func))
    namespace, _, name = schema.name.partition("::")
    name = name if name.startswith("__") else name.rstrip("_")
    return name if namespace == "aten" else f"{namespace}::{name}"


def _named(steps: list[Step]) -> tuple[Step, ...]:
    """Give each step a unique name: its module's path where that says it, path.op otherwise."""
    in_module = Counter(step.module for step in steps)
    seen: Counter[str] = Counter()
    named = []
    for step in steps:
        alone = step.module and in_module[step.module] == 1
        name = step.module if alone else f"{step.module}.{step.op}".lstrip(".")
        seen[name] += 1
        name = name if seen[name] == 1 else f"{name}#{seen[name]}"
        named.append(dataclasses.replace(step, name=name))
    return tuple(named)


_fastpath_lock = threading.Lock()
_fastpath_users = 0
_fastpath_before = True


@contextmanager
def _no_attention_fastpath() -> Iterator[None]:
    """Multi-head attention's fused kernel is one opaque op: have torch spell it out while anyone records."""
    global _fastpath_users, _fastpath_before
    with _fastpath_lock:
        if _fastpath_users == 0:
            _fastpath_before = torch.backends.mha.get_fastpath_enabled()
            torch.backends.mha.set_fastpath_enabled(False)
        _fastpath_users += 1
    try:
        yield
    finally:
        with _fastpath_lock:
            _fastpath_users -= 1
            if _fastpath_users == 0:
                torch.backends.mha.set_fastpath_enabled(_fastpath_before)


def _dtype_hint(model: nn.Module, inputs: tuple[Tensor, ...]) -> str:
    weights = next((p.dtype for p in model.parameters() if p.is_floating_point()), None)
    if weights is None or inputs[0].dtype == weights:
        return ""
    return f" (The weights are {weights}, the input is {inputs[0].dtype}: convert it with x.to({weights}).)"


def record(model: nn.Module, inputs: tuple[Tensor, ...], select: Callable[[Any], Tensor]) -> Tape:
    """Run `model(*inputs)` once, without gradients, and write down what depends on the inputs.

    inputs: tensors with the batch first; they are copied, so that an in-place model cannot change the caller's.
    select: picks the tensor to explain from what the model returns.
    Raises RecordingError where the model raises, or returns something that does not depend on the inputs.
    """
    recorder = _Recorder({id(module): path for path, module in model.named_modules(remove_duplicate=False)})
    copies = tuple(tensor.detach().clone() for tensor in inputs)
    starts = tuple(recorder.new(tensor) for tensor in copies)
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in inputs)
    with torch.no_grad(), _no_attention_fastpath():
        try:
            with recorder:
                result = model(*copies)
        except RecordingError:
            raise
        except Exception as error:
            raise RecordingError(
                f"{type(model).__name__} raised {type(error).__name__} on an input of shape {shapes}: {error}"
                + _dtype_hint(model, inputs)
            ) from error
        output = select(result)
        value = recorder.find(output)
    if value is None:
        raise RecordingError(
            f"The output of {type(model).__name__} does not depend on the input by any operation that torch dispatches "
            "(it left torch, for instance through .numpy() or .item()). Keep the computation in torch."
        )
    return Tape(_named(recorder.steps), recorder.values, starts, value)
