"""Recorder: the dispatch mode that writes a step for every ATen operation that depends on the input."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from lrp_widgets.engine.trace.channels_last import ChannelsLast
from lrp_widgets.engine.trace.in_place import moved
from lrp_widgets.engine.trace.recurrent import SPELLED_OUT
from lrp_widgets.engine.trace.step import Ref, Step, made_by, op_name, out_arguments, written_by

__all__ = ["Recorder", "RecordingError"]


class RecordingError(RuntimeError):
    """The model could not be recorded; the message says at which layer and why."""


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _geometry(tensor: Tensor) -> tuple[list[int], list[int], int]:
    return list(tensor.shape), list(tensor.stride()), int(tensor.storage_offset())


def _copy(tensor: Tensor) -> Tensor:
    """A copy with the same strides, so that a view taken of the original can be taken of it too."""
    if not tensor.numel():
        return tensor.clone()
    reach = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.as_strided((reach,), (1,)).clone().as_strided(tensor.shape, tensor.stride())


def _overlaps(tensor: Tensor) -> bool:
    """Whether several of its elements lie at one place, as in an expanded tensor or in sliding windows."""
    reach = 0
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1:
            if stride <= reach:
                return True
            reach += stride * (size - 1)
    return False


def _frozen(tree: Any, key: int) -> Any:
    """The arguments of a step with every constant that lives in a memory replaced by a copy."""
    if isinstance(tree, Tensor):
        return _copy(tree) if _storage(tree) == key else tree
    if isinstance(tree, tuple | list):
        return type(tree)([_frozen(item, key) for item in tree])
    return {name: _frozen(item, key) for name, item in tree.items()} if isinstance(tree, dict) else tree


def _empty(tree: Any) -> Any:
    return torch.empty_like(tree) if isinstance(tree, Tensor) else type(tree)(_empty(item) for item in tree)


# These read the shape of their argument, not its content: what they make does not depend on the input.
_SHAPE_ONLY = frozenset(
    {
        "new_zeros",
        "new_ones",
        "new_empty",
        "new_full",
        "new_empty_strided",
        "zeros_like",
        "ones_like",
        "empty_like",
        "full_like",
        "rand_like",
        "randn_like",
    }
)
# These move whole numbers about; what an embedding then looks up is known to belong to them.
_MOVING = frozenset(
    {
        "view", "_unsafe_view", "reshape", "permute", "transpose", "t", "unsqueeze", "squeeze", "expand", "repeat",
        "slice", "select", "split", "split_with_sizes", "unbind", "constant_pad_nd", "cat", "stack", "clone", "alias",
        "detach", "flip", "roll", "_to_copy",
    }
)  # fmt: skip
_as_strided = torch.ops.aten.as_strided.default
_scatter = torch.ops.aten.as_strided_scatter.default
_max_pool = torch.ops.aten.max_pool2d_with_indices.default
_overwrite = torch.ops.aten.copy_.default
_call_code = nn.Module._call_impl.__code__


class Recorder(TorchDispatchMode):
    """Writes steps while a model runs.

    A value is what a tensor held at one moment. An in-place step makes a new value of the same tensor, and the old one
    is copied first. Where tensors share memory (views, buffers filled bit by bit), a write is recorded as a scatter
    into the flat memory and the other views are read from it again when they are next used.
    """

    kept_out: ClassVar[Any] = None  # how a step is written where torch's compiler is about

    def __init__(self, paths: dict[int, str], layout: ChannelsLast) -> None:
        super().__init__()
        self.paths, self.layout = paths, layout
        self.steps: list[Step] = []
        self.values: dict[int, Tensor] = {}
        self.current: dict[int, int] = {}  # id of a live tensor -> its present value
        self.alive: list[Tensor] = []  # keeps these ids from being used again
        self.residents: dict[int, list[int]] = {}  # memory -> the values that live in it
        self.members: dict[int, list[Tensor]] = {}  # memory -> the tracked tensors in it
        self.flat: dict[int, int] = {}  # memory written through a view -> value of the whole, flat
        self.constants: set[int] = set()  # values of memory that did not depend on the input when first written
        self.read: set[int] = set()  # memory that steps read as a constant
        self.drew: str | None = None  # the layer that drew random numbers, if one did

    def new(self, tensor: Tensor) -> int:
        """Note a tensor's present content as a new value."""
        if tensor.is_complex():
            raise RecordingError(
                f"{self._where()} computes with complex numbers ({tensor.dtype}). "
                "Relevance of complex numbers is not defined: keep the computation real."
            )
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
        if not self._tracked(tensor):
            return None
        # Same memory, another tensor object: read it from the flat memory, so that nothing is lost silently.
        return self._read(self._whole(tensor, _storage(tensor)), tensor)

    def _tracked(self, tensor: Tensor) -> bool:
        return _storage(tensor) in self.members and tensor.is_floating_point()

    def _emit(self, func: Any, args: tuple[Any, ...], result: Tensor) -> int:
        value = len(self.values)
        self.values[value] = result
        refs = tuple(arg.value for arg in args if isinstance(arg, Ref))
        self.steps.append(Step("", op_name(func), func, args, {}, refs, (value,), self._module()))
        return value

    def _read(self, whole: int, tensor: Tensor) -> int:
        value = self._emit(_as_strided, (Ref(whole), *_geometry(tensor)), tensor)
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
                    f"{self._where()} writes through views of one memory with "
                    f"two dtypes ({tensor.dtype}, {member.dtype}). Write to a copy (.clone()) instead."
                )
            known = self.current.get(id(member))
            if known is None or _overlaps(member):  # what overlaps is a view of another member
                continue
            content = _scatter(content, self.values[known], *_geometry(member))
            base = Ref(self._emit(_scatter, (base, Ref(known), *_geometry(member)), content))
        if not isinstance(base, Ref):  # nothing in it depends on the input yet: the first write goes into a constant
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
            content = _scatter(self.values[whole], tensor, *_geometry(tensor))
            base = self.values[whole] if whole in self.constants else Ref(whole)
            self.flat[key] = self._emit(_scatter, (base, Ref(value), *_geometry(tensor)), content)
            for member in self.members[key]:
                if member is not tensor:
                    self.current.pop(id(member), None)
        return value

    def _alone(self, tensor: Tensor) -> bool:
        """Whether a value is all that its memory is known to hold."""
        key = _storage(tensor)
        return id(tensor) in self.current and key not in self.flat and len(self.members.get(key, ())) == 1

    def _move(self, func: Any, args: Any, kwargs: dict[str, Any], tensor: Tensor) -> bool:
        """Run an operation that writes `tensor` so that its value stays where it is, if that can be."""
        key = _storage(tensor)
        before = moved(func, args, kwargs)
        if before is None:
            return False
        for value in self.residents[key]:
            if self.values[value] is tensor:
                self.values[value] = before
        self.members[_storage(tensor)] = self.members.pop(key)
        return True

    def before_write(self, tensor: Tensor) -> int | None:
        """Keep what the write will destroy. Returns the whole memory's value where others share it."""
        key = _storage(tensor)
        whole = None if self._alone(tensor) else self._whole(tensor, key)
        for value in self.residents.get(key, ()):
            self.values[value] = _copy(self.values[value])
        self.residents[key] = []
        return whole

    def _keep_constants(self, written: list[Tensor]) -> None:
        """Give the steps so far their own copy of a constant that is about to be written."""
        for key in {_storage(tensor) for tensor in written} & self.read:
            self.read.discard(key)
            for i, step in enumerate(self.steps):
                self.steps[i] = step.but(args=_frozen(step.args, key), kwargs=_frozen(step.kwargs, key))

    def _module(self) -> str:
        frame = sys._getframe(1)
        while frame is not None:
            if frame.f_code is _call_code:
                path = self.paths.get(id(frame.f_locals["self"]))
                if path is not None:
                    return path
            frame = frame.f_back
        return ""

    def _where(self) -> str:
        path = self._module()
        return f"The layer {path!r}" if path else "The model itself"

    def _refer(self, tree: Any, inputs: list[int], tokens: bool) -> Any:
        """The arguments with a Ref for every value; whole numbers are constants where `tokens` is False."""
        if isinstance(tree, Tensor):
            value = self.find(tree) if tokens or tree.is_floating_point() or tree.is_complex() else None
            if value is None:
                self.read.add(_storage(tree))
                return tree
            inputs.append(value)
            return Ref(value)
        if isinstance(tree, tuple | list):
            return type(tree)([self._refer(item, inputs, tokens) for item in tree])
        return tree

    def _passes_tokens(self, func: Any, args: Any, kwargs: dict[str, Any]) -> bool:
        """Whether an operation hands whole numbers on as they are, or looks them up."""
        name, dtype = op_name(func), kwargs.get("dtype")
        if name == "embedding":
            return self.find(args[0]) is None  # a table made from the input is what passes then
        return name in _MOVING and (dtype is None or not (dtype.is_floating_point or dtype.is_complex))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch would keep its compiler out of `__torch_dispatch__`, and for that import it: a second, and 100 MB."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if Recorder.kept_out is None and (compiler := sys.modules.get("torch._dynamo")) is not None:
            # The compiler is here, and must not look in here. Of the class: a recorder that held its own method would
            # live, and every activation with it, until Python looks for cycles.
            Recorder.kept_out = compiler.disable(Recorder._dispatch)
        return (Recorder.kept_out or Recorder._dispatch)(self, func, args, kwargs or {})

    def _dispatch(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if torch.Tag.nondeterministic_seeded in getattr(func, "tags", ()):
            self.drew = self._where()
        if op_name(func) in _SHAPE_ONLY:
            return func(*args, **kwargs)
        if func in SPELLED_OUT:
            with self:  # its parts are recorded in its place
                return SPELLED_OUT[func](*args, **kwargs)
        if self.layout.must_copy(func, args):
            with self:
                return args[0].clone(memory_format=torch.contiguous_format).view(*args[1:])
        written = written_by(func, args, kwargs)
        self.layout.check_write(written)
        self._keep_constants(written)
        inputs: list[int] = []
        tokens = self._passes_tokens(func, args, kwargs)
        noted = self._refer(tuple(args), inputs, tokens)
        outs = out_arguments(func)
        # What only takes the answer is not read: a step notes an empty one.
        noted_kwargs = {
            name: _empty(item) if name in outs else self._refer(item, inputs, tokens) for name, item in kwargs.items()
        }
        if not inputs:
            return self._run_constant(func, args, kwargs, written)
        wholes = {}
        for tensor in written:
            if not self._tracked(tensor):  # the operation is about to change its own argument
                noted, noted_kwargs = _frozen(noted, _storage(tensor)), _frozen(noted_kwargs, _storage(tensor))
            if tensor.is_floating_point():
                if self._alone(tensor) and self._move(func, args, kwargs, tensor):
                    wholes[id(tensor)], result = None, tensor
                    break
                wholes[id(tensor)] = self.before_write(tensor)
        else:
            result = self.layout.run(func, args, kwargs)
        step = Step("", op_name(func), func, noted, noted_kwargs, tuple(inputs), (), self._module())
        place = len(self.steps)
        self.steps.append(step)  # before its outputs: a write appends the scatter that follows it
        outputs: list[int | None] = []
        for tensor in made_by(result, written):
            if id(tensor) in wholes:
                outputs.append(self.write(tensor, wholes[id(tensor)]))
            elif tensor.is_floating_point() or tensor.is_complex() or tokens:
                outputs.append(self.new(tensor))
            else:
                outputs.append(None)
        aside = tuple(result[1:]) if func is _max_pool else ()
        self.steps[place] = step.but(outputs=tuple(outputs), aside=aside)
        if all(value is None for value in outputs):  # a number for an `if`, a mask: no relevance passes here
            del self.steps[place]
        return result

    def _run_constant(self, func: Any, args: Any, kwargs: dict[str, Any], written: list[Tensor]) -> Any:
        """Run an operation on constants. Where it puts its answer (`out=`) into a tracked tensor, that is a write."""
        targets = [(tensor, value) for tensor in written if (value := self.find(tensor)) is not None]
        wholes = [self.before_write(tensor) for tensor, _ in targets]
        result = func(*args, **kwargs)
        for (tensor, value), whole in zip(targets, wholes, strict=True):
            step = Step("", "copy", _overwrite, (Ref(value), tensor.clone()), {}, (value,), (), self._module())
            place = len(self.steps)
            self.steps.append(step)
            self.steps[place] = step.but(outputs=(self.write(tensor, whole),))
        return result
