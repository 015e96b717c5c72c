"""What the answer of a model depends on besides its input: weights, modes, hooks, code, and whatever else it holds.

An explainer that remembers a run must notice when the model would answer differently now. Weights are told by where
they lie, by torch's count of writes, and by sums of their bits, as a write through `.data` or numpy is not counted.
Everything else that a module holds or its own code names is compared by value as far as it can be read. What cannot be
read leaves the state unproven: only a forward pass can tell then.
"""

from __future__ import annotations

import dataclasses
import dis
import functools
import logging
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrp_widgets.engine.trace.aliases import storage_of
from lrp_widgets.engine.trace.bits import bits_of, bits_of_array
from lrp_widgets.engine.trace.draws import GENERATORS, Generator, state_of

__all__ = ["ModelState", "model_state"]

# Values that cannot change: they are compared with ==.
_PLAIN = (
    bool, int, float, complex, str, bytes, type(None), type(Ellipsis), type(NotImplemented), range, slice, Enum,
    PurePath, torch.dtype, torch.device, torch.layout, torch.memory_format, np.generic, np.dtype,
)  # fmt: skip
_PLAIN_TYPES = frozenset({bool, int, str, type(None), torch.dtype, torch.device})  # the usual ones, quickly told
# Code that is loaded once and stays: compared by identity.
_CODE = (
    type, types.ModuleType, types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType,
    types.CodeType, types.MemberDescriptorType, types.GetSetDescriptorType, logging.Logger,
)  # fmt: skip
# What every module has beside its own attributes; its hooks are looked at, its tensors and parts are listed apart.
_HOOKS = (
    "_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs",
    "_forward_hooks_always_called",
)  # fmt: skip
_OF_TORCH = frozenset(vars(nn.Module()))
LIMIT, DEPTH = 5_000, 40  # objects that are looked at, and how deep, before a model counts as unreadable
_ENVIRONMENT = frozenset({"environ", "getenv"})
_UNREADABLE = object()


@dataclass(frozen=True, eq=False)
class ModelState:
    """What a model is at one moment.

    weights: each parameter and buffer with what tells its content.  parts: modules with mode and class.
    rest: other attributes, hooks, and what the model's own code reads from outside.
    readable: whether `rest` is all there is; where it is not, equal states do not prove equal answers.
    memories: those of all tensors that were found.  generators: of random numbers, those that were found.
    alive: objects whose identity is compared, kept so that no other object gets it.
    """

    weights: tuple[Any, ...]
    parts: tuple[Any, ...]
    rest: tuple[Any, ...]
    readable: bool
    memories: frozenset[int]
    generators: tuple[Generator, ...]
    alive: tuple[Any, ...]

    def same_weights(self, before: ModelState | None) -> bool:
        """Whether no weight, module, mode or class has changed since."""
        return before is not None and self.weights == before.weights and self.parts == before.parts

    def proves(self, before: ModelState | None) -> bool:
        """Whether the model must answer as it did `before`."""
        return before is not None and self.readable and self.same_weights(before) and self.rest == before.rest

    def reread(self, model: nn.Module) -> ModelState:
        """The state of the same model after it ran, which can change no more than what it notes down."""
        reader = _Reader()
        rest = reader.rest_of(model)
        return dataclasses.replace(self, rest=rest, readable=reader.readable, alive=(self.alive, reader.alive))


def model_state(model: nn.Module) -> ModelState:
    """The present state of a model; it reads every weight once, at the speed of memory."""
    reader = _Reader()
    parts: list[Any] = []
    weights: list[Any] = []
    modules = list(model.modules())
    for module in modules:
        parts.append((id(module), module.training, id(type(module)), id(_forward(type(module)))))
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None:
                weights.append(reader.tensor(tensor))
    everywhere = nn.modules.module
    parts += [*everywhere._global_forward_hooks, *everywhere._global_forward_pre_hooks]
    rest = reader.rest_of(model)
    return ModelState(
        tuple(weights),
        tuple(parts),
        rest,
        reader.readable,
        frozenset(reader.memories),
        tuple(reader.generators),
        (modules, reader.alive),
    )


class _Reader:
    """Reads values into what can be compared with ==, each object once."""

    def __init__(self) -> None:
        self.readable = True
        self.alive: list[Any] = []
        self.seen: set[int] = set()
        self.outside: list[Any] = []  # what code reads from outside
        self.count = self.depth = 0
        self.tensors: dict[int, Any] = {}
        self.memories: set[int] = set()
        self.generators: list[Generator] = []

    def rest_of(self, model: nn.Module) -> tuple[Any, ...]:
        """What the modules of a model hold beside tensors, parts and modes, and what their code reads from outside."""
        modules = list(model.modules())
        self.seen |= {id(module) for module in modules}
        rest: list[Any] = []
        for module in modules:
            if isinstance(module, torch.jit.ScriptModule):  # it keeps its attributes out of Python's reach
                self.readable = False
                continue
            attributes = module.__dict__
            own = attributes.keys() - _OF_TORCH
            rest += [(name, self.read(item)) for name, item in attributes.items() if name in own]
            rest += [self.read(hook) for name in _HOOKS if attributes.get(name) for hook in attributes[name].values()
                     if callable(hook)]  # fmt: skip
        for kind in dict.fromkeys(kind for module in modules for kind in _own_classes(type(module))):
            self.code_of(kind)
        return (*rest, *self.outside)

    def read(self, item: Any) -> Any:
        """A value that equals a later one as long as the item has not changed."""
        if type(item) in _PLAIN_TYPES:
            return item
        if isinstance(item, _PLAIN):
            return item if item == item else repr(item)  # NaN equals nothing
        if isinstance(item, Tensor):
            return self.tensor(item)
        if isinstance(item, types.ModuleType) and not _is_library(item.__name__):
            self._opaque()  # what it holds is read only where code names it
        if isinstance(item, type) and not _is_library(item.__module__):
            self.code_of(item)
        if isinstance(item, _CODE) or type(item).__module__.startswith("torch.fx"):
            return self._identity(item)
        self.count += 1
        if self.count > LIMIT or self.depth > DEPTH:
            self.readable = False
            return None
        self.depth += 1
        try:
            if isinstance(item, tuple | list):
                return type(item), tuple(map(self.read, item))
            if id(item) in self.seen:
                return id(item)
            self.seen.add(id(item))
            return self._identity(item), *self._inside(item)
        finally:
            self.depth -= 1

    def _identity(self, item: Any) -> int:
        self.alive.append(item)
        return id(item)

    def _inside(self, item: Any) -> Iterator[Any]:
        if isinstance(item, dict):
            for key, value in item.items():
                yield self.read(key)
                yield self.read(value)
        elif isinstance(item, set | frozenset):
            yield frozenset(map(self.read, item)) if all(isinstance(i, _PLAIN) for i in item) else self._opaque()
        elif isinstance(item, np.ndarray):
            yield item.shape, item.dtype, self._opaque() if item.dtype.hasobject else bits_of_array(item)
        elif isinstance(item, types.FunctionType):
            self.function(item)
        elif isinstance(item, types.MethodType):
            yield self.read(item.__func__)
            yield self.read(item.__self__)
        elif isinstance(item, functools.partial):
            yield from map(self.read, (item.func, item.args, item.keywords))
        elif isinstance(item, GENERATORS):
            self.generators.append(item)
            yield state_of(item)
        elif _in_c(item):
            yield self._opaque()
        else:
            attributes = getattr(item, "__dict__", {})
            skipped = _OF_TORCH if isinstance(item, nn.Module) else ()
            yield from (pair for name, value in attributes.items() if name not in skipped
                        for pair in (name, self.read(value)))  # fmt: skip
            if isinstance(item, nn.Module):
                for module in item.children():
                    yield self.read(module)
                for tensor in (*item._parameters.values(), *item._buffers.values()):
                    yield None if tensor is None else self.tensor(tensor)
                yield item.training
            for kind in _own_classes(type(item)):
                self.code_of(kind)
            for kind in type(item).__mro__:
                for name in vars(kind).get("__slots__", ()):
                    yield self.read(getattr(item, name, None))

    def _opaque(self) -> object:
        self.readable = False
        return _UNREADABLE

    def tensor(self, tensor: Tensor) -> Any:
        """Where a tensor lies, how often it was written, and a sum of its bits."""
        if id(tensor) not in self.tensors:
            self.alive.append(tensor)
            self.memories.add(storage_of(tensor))
            self.tensors[id(tensor)] = self._content(tensor)
        return self.tensors[id(tensor)]

    def _content(self, tensor: Tensor) -> Any:
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type == "meta":
            return id(tensor), 0 if tensor.is_inference() else tensor._version, tuple(tensor.shape)
        self.alive.append(tensor.untyped_storage())  # so that its address is not given to other weights
        version = 0 if tensor.is_inference() else tensor._version
        return id(tensor), tensor.data_ptr(), version, tensor.dtype, bits_of(tensor)

    def code_of(self, kind: type) -> None:
        """Read what the methods of a user's own class name outside of themselves."""
        if id(kind) in self.seen:
            return
        self.seen.add(id(kind))
        for name, item in vars(kind).items():
            item = getattr(item, "__func__", item)  # of class and static methods
            if isinstance(item, types.FunctionType):
                self.function(item)
            elif isinstance(item, property):
                for part in (item.fget, item.fset):
                    if isinstance(part, types.FunctionType):
                        self.function(part)
            elif not name.startswith("__") and (isinstance(item, type) or not isinstance(item, _CODE)):
                self.outside.append((name, self.read(item)))

    def function(self, function: types.FunctionType) -> None:
        """Read what a function closes over, and for a user's own what it names outside."""
        self.outside.append(self._identity(function.__code__))
        for cell in function.__closure__ or ():
            try:
                self.outside.append(self.read(cell.cell_contents))
            except ValueError:  # not filled yet
                self.outside.append(None)
        self.outside.append(self.read((function.__defaults__, tuple((function.__kwdefaults__ or {}).items()))))
        if _is_library(function.__module__ or ""):
            return
        names, attributes = _names(function.__code__)
        for name in names:
            item = function.__globals__.get(name, sys.modules.get(name))
            if isinstance(item, types.ModuleType) and not _is_library(
                item.__name__
            ):  # of a user's module, what is named
                self.outside += [(of, self.read(vars(item)[of])) for of in attributes if of in vars(item)]
            elif name in function.__globals__:
                self.outside.append((name, self.read(item)))
        if not _ENVIRONMENT.isdisjoint(attributes):
            self._opaque()


@functools.cache
def _is_library(module: str) -> bool:
    """Whether a module was installed, and stays as it is; a notebook's and a script's own code does not."""
    loaded = sys.modules.get(module)
    path = getattr(loaded, "__file__", None)
    if module.partition(".")[0] in (__name__.partition(".")[0], "builtins"):
        return True
    if path is None:
        return loaded is not None and module != "__main__"
    return "site-packages" in path or "dist-packages" in path or module.partition(".")[0] in sys.stdlib_module_names


def _forward(kind: type) -> Any:
    return next((vars(base)["forward"] for base in kind.__mro__ if "forward" in vars(base)), None)


@functools.cache
def _own_classes(kind: type) -> tuple[type, ...]:
    """The classes of an object that a user wrote, without those of libraries."""
    return tuple(base for base in kind.__mro__ if not _is_library(base.__module__))


@functools.cache
def _names(code: types.CodeType) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The global names and modules that a function's code may read, and the attributes; those of inner ones too."""
    names: dict[str, None] = {}
    attributes: dict[str, None] = {}
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME"):
            names[step.argval] = None
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"):
            attributes[step.argval] = None
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner = _names(constant)
            names.update(dict.fromkeys(inner[0]))
            attributes.update(dict.fromkeys(inner[1]))
    return tuple(names), tuple(attributes)


def _in_c(item: Any) -> bool:
    """Whether an object keeps what it is where Python cannot look."""
    if isinstance(item, torch.jit.ScriptModule):
        return True
    return not hasattr(item, "__dict__") and not any("__slots__" in vars(kind) for kind in type(item).__mro__)
