"""Recorder: the dispatch mode that writes a step for every ATen operation that depends on the input."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from lrp_widgets.engine.trace.aliases import Aliases, TwoDtypes, copied_memory, running_module, storage_of
from lrp_widgets.engine.trace.channels_last import ChannelsLast
from lrp_widgets.engine.trace.complex_numbers import ComplexOperation, has_complex
from lrp_widgets.engine.trace.conditional_norm import CONDITIONAL_NORMS
from lrp_widgets.engine.trace.in_place import run_in_new_memory
from lrp_widgets.engine.trace.recording_error import RecordingError, layer_in_words
from lrp_widgets.engine.trace.recurrent import SPELLED_OUT
from lrp_widgets.engine.trace.step import (
    Ref,
    Step,
    flat_tensors,
    op_name,
    out_arguments,
    output_tensors,
    written_tensors,
)
from lrp_widgets.engine.trace.tokens import ASKS_MASK, MAKES_CODES, hands_tokens_on, loses_tokens

__all__ = ["Recorder"]


def _with_own_constants(tree: Any, lasting: frozenset[int]) -> Any:
    """The arguments of a step with copies of the constants that may still be written."""
    if isinstance(tree, Tensor):
        return tree if storage_of(tree) in lasting else tree.clone()
    if isinstance(tree, tuple | list):
        return type(tree)([_with_own_constants(item, lasting) for item in tree])
    return {name: _with_own_constants(item, lasting) for name, item in tree.items()} if isinstance(tree, dict) else tree


def _draws(func: Any, args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether an operation that can draw random numbers does: attention and dropout with p = 0 do not."""
    arguments = func._schema.arguments
    named = {argument.name: argument.default_value for argument in arguments}
    named.update(zip((argument.name for argument in arguments), args, strict=False), **kwargs)
    if named.get("train", True) is False:
        return False
    return all(named[name] != 0.0 for name in ("dropout_p", "dropout", "p") if name in named)


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
_QUANTIZED = ("quantized", "onednn", "torchao")  # namespaces of operations with quantized weights
_scatter_reduce = torch.ops.aten.scatter.reduce
_max_pool = torch.ops.aten.max_pool2d_with_indices.default
_bag = torch.ops.aten._embedding_bag.default
_bag_forward = torch.ops.aten._embedding_bag_forward_only.default
_overwrite = torch.ops.aten.copy_.default


class Recorder(TorchDispatchMode):
    """Writes a step for every operation that depends on the input, while a model runs.

    paths: the path of each module of the model, by its id.  channels_last: how its convolutions run.
    own_memories: the memories that the model had before it ran.
    values: what the steps read and make; `aliases` says which of them a tensor holds now.
    """

    uncompiled: ClassVar[Any] = None  # _dispatch, out of reach of torch's compiler where that is loaded

    def __init__(
        self, paths: dict[int, str], channels_last: ChannelsLast, own_memories: frozenset[int] = frozenset()
    ) -> None:
        super().__init__()
        self.paths, self.channels_last = paths, channels_last
        self.own_memories = own_memories
        self.torch_memories = set(own_memories)  # and those that torch made while it ran
        self.derived: set[int] = set()  # of these, constants that torch made of the input: masks, indices, lengths
        self.steps: list[Step] = []
        self.values: dict[int, Tensor] = {}
        self.aliases = Aliases(self.values, self.steps, paths)
        self.constant_memories: set[int] = set()  # memories that steps read as a constant
        self.random_layer: str | None = None  # the layer that drew random numbers, if one did
        self.codes: set[int] = set()  # values that are one-hot codes
        self.wrote_model = False  # whether the model wrote into a tensor that it holds
        self.lost_tokens: dict[str, tuple[str, bool]] = {}  # layer: what made numbers of tokens, and if floating point

    def new(self, tensor: Tensor) -> int:
        """Note a tensor's present content as a new value."""
        if tensor.layout != torch.strided:
            raise RecordingError(
                f"{self.where()} makes a sparse tensor of the input ({tensor.layout}). Relevance passes dense tensors "
                "alone: keep it dense, or make the sparse tensor outside of the model."
            )
        return self.aliases.add(tensor)

    def tracks(self, tensor: Any) -> bool:
        """Whether a tensor depends on the input."""
        return isinstance(tensor, Tensor) and self.aliases.tracks(tensor)

    def _is_code(self, tensor: Tensor) -> bool:
        """Whether tokens are a one-hot code."""
        return bool(self.codes) and not tensor.is_floating_point() and self.find(tensor) in self.codes

    def is_foreign(self, tensor: Tensor) -> bool:
        """Whether a constant came from neither the model nor torch: from numpy, a list or another thread."""
        memory = storage_of(tensor)
        return memory not in self.torch_memories and memory not in self.aliases.copies

    def find(self, tensor: Tensor) -> int | None:
        """The value a tensor holds now, or None where it does not depend on the input."""
        try:
            return self.aliases.value_of(tensor)
        except TwoDtypes as error:
            raise self._two_dtypes(error) from None

    def _before_write(self, tensor: Tensor) -> int | None:
        try:
            return self.aliases.before_write(tensor)
        except TwoDtypes as error:
            raise self._two_dtypes(error) from None

    def _two_dtypes(self, error: TwoDtypes) -> RecordingError:
        return RecordingError(
            f"{self.where()} writes through views of one memory with two dtypes ({error}). "
            "Write to a copy (.clone()) instead."
        )

    def _moves(self, func: Any, args: Any, kwargs: dict[str, Any], tensor: Tensor) -> bool:
        """Run an operation that writes `tensor` so that its value stays where it is, if that can be."""
        memory = storage_of(tensor)
        before = run_in_new_memory(func, args, kwargs)
        if before is None:
            return False
        self.aliases.moved(tensor, memory, before)
        return True

    def _keep_constants(self, written: list[Tensor]) -> None:
        """Give the steps so far their own copy of a constant that is about to be written."""
        for memory in {storage_of(tensor) for tensor in written} & self.constant_memories:
            self.constant_memories.discard(memory)
            for i, step in enumerate(self.steps):
                self.steps[i] = step.but(args=self._frozen(step.args, memory), kwargs=self._frozen(step.kwargs, memory))

    def _frozen(self, tree: Any, key: int) -> Any:
        """The arguments of a step with every constant that lives in a memory replaced by a copy."""
        if isinstance(tree, Tensor):
            return self._copy(tree) if storage_of(tree) == key else tree
        if isinstance(tree, tuple | list):
            return type(tree)([self._frozen(item, key) for item in tree])
        return {name: self._frozen(item, key) for name, item in tree.items()} if isinstance(tree, dict) else tree

    def _copy(self, tensor: Tensor) -> Tensor:
        """A constant in memory of its own, which comes from where the original does."""
        copy = copied_memory(tensor)
        for memories in (self.torch_memories, self.derived):
            if storage_of(tensor) in memories:
                memories.add(storage_of(copy))
        return copy

    def _empty(self, tree: Any) -> Any:
        """Tensors like these, of whose content nothing is read."""
        if not isinstance(tree, Tensor):
            return type(tree)(self._empty(item) for item in tree)
        empty = torch.empty_like(tree)
        self.torch_memories.add(storage_of(empty))
        self.derived.add(storage_of(empty))
        return empty

    def is_fixed(self, tensor: Tensor) -> bool:
        """Whether a constant should be the same for every input: torch made it of nothing that depends on one."""
        memory = storage_of(tensor)
        return memory not in self.derived and memory not in self.aliases.copies and memory not in self.own_memories

    def where(self) -> str:
        """The layer that runs now, in words."""
        return layer_in_words(running_module(self.paths))

    def _refer(self, tree: Any, inputs: list[int], tokens: bool, masks: bool = True) -> Any:
        """The arguments with a Ref for every value; whole numbers are constants where `tokens` is False.

        masks: whether truth values are masks, which carry no relevance; a one-hot code may be made of them too.
        """
        if isinstance(tree, Tensor):
            carries = tree.is_floating_point() or tree.is_complex()
            if tokens and not carries:
                carries = tree.dtype != torch.bool or (not masks and self._is_code(tree))
            value = self.find(tree) if carries else None
            if value is None:
                self.constant_memories.add(storage_of(tree))
                return tree
            inputs.append(value)
            return Ref(value)
        if isinstance(tree, tuple | list):
            return type(tree)([self._refer(item, inputs, tokens, masks) for item in tree])
        return tree

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch would keep its compiler out of `__torch_dispatch__`, and for that import it: a second, and 100 MB."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if Recorder.uncompiled is None and (compiler := sys.modules.get("torch._dynamo")) is not None:
            # The compiler is loaded and must not look in here. It is kept on the class: a recorder that held its own
            # method would live, and every activation with it, until Python looks for cycles.
            Recorder.uncompiled = compiler.disable(Recorder._dispatch)
        return (Recorder.uncompiled or Recorder._dispatch)(self, func, args, kwargs or {})

    def _dispatch(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if torch.Tag.nondeterministic_seeded in getattr(func, "tags", ()) and _draws(func, args, kwargs):
            self.random_layer = self.where()
        if op_name(func) in _SHAPE_ONLY:
            result = func(*args, **kwargs)
            self.torch_memories.add(storage_of(result))
            return result
        if func in SPELLED_OUT:
            with self:  # its parts are recorded in its place
                return SPELLED_OUT[func](*args, **kwargs)
        if func is _scatter_reduce and kwargs.get("reduce", args[4] if len(args) > 4 else "") == "add":
            with self:  # the same operation, which has a derivative
                return args[0].scatter_add(*args[1:4])
        if func in CONDITIONAL_NORMS and not kwargs:
            places, spelled_out = CONDITIONAL_NORMS[func]
            if any(isinstance(args[place], Tensor) and self.find(args[place]) is not None for place in places):
                with self:
                    return spelled_out(*args)
        if self.channels_last.must_copy(func, args):
            with self:
                return args[0].clone(memory_format=torch.contiguous_format).view(*args[1:])
        if func is _bag_forward and self.tracks(args[0]):
            func = _bag  # the same operation, which has a derivative
        written = written_tensors(func, args, kwargs)
        self.wrote_model = self.wrote_model or any(storage_of(tensor) in self.own_memories for tensor in written)
        self.channels_last.check_write(written)
        self._keep_constants(written)
        return self._record(func, args, kwargs, written)

    def _record(self, func: Any, args: Any, kwargs: dict[str, Any], written: list[Tensor]) -> Any:
        """Run an operation, and write a step where it depends on the input."""
        inputs: list[int] = []
        tokens = hands_tokens_on(func, args, kwargs, self.tracks, self._is_code)
        masks = op_name(func) in ASKS_MASK
        step_args = self._refer(tuple(args), inputs, tokens, masks)
        outs = out_arguments(func)
        # A tensor that only takes the answer is not read: the step has an empty one in its place.
        step_kwargs = {
            name: self._empty(item) if name in outs else self._refer(item, inputs, tokens, masks)
            for name, item in kwargs.items()
        }
        if not inputs:
            result = self._run_constant(func, args, kwargs, written)
            self._note_lost_tokens(func, (args, kwargs), result)
            return result
        if func.namespace in _QUANTIZED:
            raise RecordingError(
                f"{self.where()} is quantized: it computes with whole numbers, for which relevance is not defined. "
                "Explain the floating-point model."
            )
        wholes: dict[int, int | None] = {}  # id of each tensor written -> the value of its whole memory, if shared
        for tensor in written:
            if not self.aliases.tracks(tensor):  # the operation is about to change its own argument
                memory = storage_of(tensor)
                step_args, step_kwargs = self._frozen(step_args, memory), self._frozen(step_kwargs, memory)
            if tokens or tensor.is_floating_point() or tensor.is_complex():
                if self.aliases.alone(tensor) and self._moves(func, args, kwargs, tensor):
                    wholes[id(tensor)], result = None, tensor
                    break
                wholes[id(tensor)] = self._before_write(tensor)
        else:
            result = self.channels_last.run(func, args, kwargs)
        step = self._step(func, step_args, step_kwargs, tuple(inputs), has_complex((args, kwargs, result)))
        place = len(self.steps)
        self.steps.append(step)  # before its outputs: a write appends the scatter that follows it
        outputs: list[int | None] = []
        for tensor in output_tensors(result, written):
            if id(tensor) in wholes:
                outputs.append(self.aliases.after_write(tensor, wholes[id(tensor)]))
            elif tensor.is_floating_point() or tensor.is_complex() or tokens:
                outputs.append(self.new(tensor))
            else:
                outputs.append(None)
        aside = tuple(result[1:]) if func is _max_pool else ()
        made = set(map(storage_of, flat_tensors(result)))
        self.torch_memories |= made
        self.derived |= made  # indices of the largest, for instance
        if not tokens:
            self._note_lost_tokens(func, (args, kwargs), result)
        of_tokens = tokens and not any(t.is_floating_point() for t in output_tensors(result, written))
        self.steps[place] = step.but(outputs=tuple(outputs), aside=aside, tokens=of_tokens)
        if of_tokens and (step.op in MAKES_CODES or not self.codes.isdisjoint(inputs)):
            self.codes.update(value for value in outputs if value is not None)
        if all(value is None for value in outputs):  # a number for an `if`, a mask: no relevance passes here
            del self.steps[place]
        return result

    def _note_lost_tokens(self, func: Any, read: Any, result: Any) -> None:
        """Note where tokens become numbers of another kind, which relevance does not follow."""
        tokens = [t for t in flat_tensors(read) if not (t.is_floating_point() or t.dtype == torch.bool)]
        made = flat_tensors(result)
        if any(map(self.tracks, tokens)) and loses_tokens(func, made):
            floating = any(tensor.is_floating_point() for tensor in made)
            self.lost_tokens.setdefault(self.where(), (op_name(func), floating))

    def _step(self, func: Any, args: Any, kwargs: dict[str, Any], inputs: tuple[int, ...], is_complex: bool) -> Step:
        path, name = running_module(self.paths), op_name(func)
        if not is_complex:
            return Step("", name, func, args, kwargs, inputs, (), path)
        own = _with_own_constants((args, kwargs), self.own_memories)
        operation = ComplexOperation(func, own, tuple(value in self.aliases.complex_values for value in inputs))
        return Step("", f"complex::{name}", operation, tuple(map(Ref, inputs)), {}, inputs, (), path)

    def _run_constant(self, func: Any, args: Any, kwargs: dict[str, Any], written: list[Tensor]) -> Any:
        """Run an operation on constants. Where it puts its answer (`out=`) into a tracked tensor, that is a write."""
        targets = [(tensor, value) for tensor in written if (value := self.find(tensor)) is not None]
        wholes = [self._before_write(tensor) for tensor, _ in targets]
        result = func(*args, **kwargs)
        read, made = flat_tensors((args, kwargs)), set(map(storage_of, flat_tensors(result)))
        if not any(self.is_foreign(tensor) and not self.tracks(tensor) for tensor in read):
            self.torch_memories |= made
        if any(self.tracks(tensor) or storage_of(tensor) in self.derived for tensor in read):
            self.derived |= made
        for (tensor, value), whole in zip(targets, wholes, strict=True):
            step = Step(
                "", "copy", _overwrite, (Ref(value), self._copy(tensor)), {}, (value,), (), running_module(self.paths)
            )
            place = len(self.steps)
            self.steps.append(step)
            self.steps[place] = step.but(outputs=(self.aliases.after_write(tensor, whole),))
        return result
