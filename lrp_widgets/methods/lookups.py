"""Where whole numbers of an input are looked up: in an embedding, in a table of weights, or by one-hot codes.

There the gradient of a token is taken. What a model makes of the numbers before (slices, shifts, offsets) is followed
by the position that each of them comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from lrp_widgets.engine.propagation.explainer import Explainer, telling_of_tokens
from lrp_widgets.engine.trace.inputs import Inputs, copied, floating
from lrp_widgets.engine.trace.step import flat_tensors
from lrp_widgets.engine.trace.tape import telling

__all__ = ["Lookup", "Lookups", "token_tables"]

# By the names of torch's functions: what moves numbers or copies them, and what makes one number of each.
# fmt: off
MOVING = {
    "contiguous", "clone", "reshape", "view", "flatten", "repeat", "flip", "roll", "to", "long", "int", "type",
    "index_select", "gather", "pad", "repeat_interleave", "cat", "stack", "concat", "hstack", "vstack", "__getitem__",
    "narrow", "select", "unsqueeze", "squeeze", "expand", "transpose", "permute", "t", "detach",
}
ONE_BY_ONE = {
    "add", "__add__", "__radd__", "sub", "__sub__", "__rsub__", "rsub", "mul", "__mul__", "__rmul__", "clamp",
    "clamp_min", "clamp_max", "masked_fill", "where", "remainder", "__mod__", "floor_divide", "__floordiv__",
    "minimum", "maximum", "abs", "add_", "sub_", "clamp_", "masked_fill_",
}
# fmt: on
CREATING = {"new_zeros", "new_ones", "new_full", "new_empty", "zeros_like", "ones_like", "full_like", "empty_like"}
ANY = 2**62  # how many tokens there are where a model looks up other numbers than these, made of them
NOWHERE = -1  # of a number that comes from no token


@dataclass(frozen=True, eq=False)
class Lookup:
    """What was found for tokens, (…, dimensions) for those at `position` of `tensor`, both of shape (…).

    tensor: the number of the tensor of the input; −1 where what was looked up is no token of the input.
    source: what the model went on with, which gradients are taken of.  factor: what they are weighed with.
    table: how many different tokens there are.
    """

    tensor: Tensor
    position: Tensor
    source: Tensor
    factor: Tensor
    table: int


# (found, tensor, position, what is found for another token) → what the model goes on with, and the factor.
Change = Callable[[Tensor, Tensor, Tensor, Callable[[int], Tensor]], tuple[Tensor, Tensor]]


class Lookups(TorchFunctionMode):
    """Notes each lookup of the tensors of whole numbers; `lost` counts those of numbers that it could not follow.

    change: makes what the model goes on with out of what was found.
    """

    def __init__(self, tensors: Sequence[Tensor], change: Change | None = None) -> None:
        super().__init__()
        self.change, self.lookups, self.lost = change, list[Lookup](), 0
        self._made: dict[int, tuple[Tensor, Tensor | None]] = {}  # by id, which the tensor beside it keeps
        self._hot: dict[int, tuple[Tensor, Tensor | None]] = {}
        self._leaves, self._starts, start = [], [], 0
        for tensor in tensors:
            self._starts.append(start)
            if not floating(tensor):
                self._leaves.append((tensor, torch.arange(start, start + tensor.numel()).reshape(tensor.shape)))
            start += tensor.numel()
        self._values = torch.cat([tensor.detach().flatten().long().cpu() for tensor in tensors])

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not self._leaves:
            return func(*args, **kwargs)
        followed = [tensor for tensor in flat_tensors((args, kwargs)) if self._origin(tensor) is not False]
        name, first = getattr(func, "__name__", ""), args[0] if args else kwargs.get("input")
        if not followed or name in CREATING:
            return func(*args, **kwargs)
        if func is functional.embedding and followed[0] is first:
            weight = args[1] if len(args) > 1 else kwargs["weight"]
            return self._found(func, (first, *args[1:]), kwargs, first, len(weight))
        if name == "__getitem__" and isinstance(first, nn.Parameter) and followed[0] is args[1]:
            return self._found(lambda tokens: first[tokens], (args[1],), {}, args[1], len(first))
        if name == "embedding_bag" and followed[0] is first and (bag := self._bag(func, args, kwargs)) is not None:
            return bag
        if id(first) in self._hot and followed[0] is first:
            return self._from_one_hot(func, name, args, kwargs)
        origin = self._origin_of(name, args, kwargs)
        result = func(*args, **kwargs)
        if name == "one_hot":
            self._hot[id(result)] = result, self._known(first)
        if name == "__setitem__":
            result, origin = None, self._written(args)
            self._made[id(first)] = first, origin
        for made in flat_tensors(result):
            if _whole(made) and self._shared(made) is None:
                fits = isinstance(origin, Tensor) and origin.shape == made.shape
                self._made[id(made)] = made, origin.long() if fits and isinstance(origin, Tensor) else None
        return result

    def _origin(self, tensor: Tensor) -> Any:
        """Where the numbers of a tensor come from; None where that is lost, False where they come from no token."""
        if id(tensor) in self._made:
            return self._made[id(tensor)][1]
        if id(tensor) in self._hot:
            return self._hot[id(tensor)][1]
        shared = self._shared(tensor)
        return False if shared is None else shared

    def _known(self, tensor: Tensor) -> Tensor | None:
        origin = self._origin(tensor)
        return origin if isinstance(origin, Tensor) else None

    def _shared(self, tensor: Tensor) -> Tensor | None:
        """The origin of a tensor of the input, or of a view of one."""
        if not _whole(tensor):
            return None
        for leaf, origin in self._leaves:
            if tensor.dtype == leaf.dtype and _address(tensor) == _address(leaf):
                offset = tensor.storage_offset() - leaf.storage_offset()
                return origin.as_strided(tensor.shape, tensor.stride(), offset)
        return None

    def _origin_of(self, name: str, args: Any, kwargs: Any) -> Tensor | None:
        """The origin of a result, by doing the same with the origins of what it is made of."""
        try:
            if name in ONE_BY_ONE:
                followed = [t for t in flat_tensors((args, kwargs)) if _whole(t) and self._origin(t) is not False]
                others = [t for t in flat_tensors((args, kwargs)) if t is not followed[0]]
                shape = torch.broadcast_shapes(followed[0].shape, *(t.shape for t in others))
                origin = self._known(followed[0]) if len(followed) == 1 else None
                return None if origin is None else origin.expand(shape)
            if name in MOVING:
                mapped = [self._substituted(arg, place == 0) for place, arg in enumerate(args)]
                named = {key: self._substituted(arg, key in ("input", "tensors")) for key, arg in kwargs.items()}
                if name in ("to", "long", "int", "type", "detach"):
                    return mapped[0]
                if name == "pad":
                    return functional.pad(mapped[0], mapped[1], value=NOWHERE)
                if mapped and isinstance(mapped[0], Tensor):
                    return getattr(mapped[0], name)(*mapped[1:], **named)
                return getattr(torch, name)(*mapped, **named)
        except Exception:  # whatever it was, it is not followed, and that is said
            return None
        return None

    def _substituted(self, arg: Any, is_first: bool) -> Any:
        if isinstance(arg, list | tuple) and any(isinstance(part, Tensor) for part in arg):
            return type(arg)(self._substituted(part, is_first) for part in arg)
        if not isinstance(arg, Tensor) or not is_first:
            return arg
        origin = self._origin(arg)
        if origin is None:
            raise LookupError
        return torch.full(arg.shape, NOWHERE) if origin is False else origin

    def _written(self, args: Any) -> Tensor | None:
        """The origin of a tensor of whole numbers into which some were written."""
        target, index, value = args
        before = self._origin(target)
        origin = torch.full(target.shape, NOWHERE) if before is False else before
        written = self._origin(value) if isinstance(value, Tensor) else False
        if origin is None or written is None:
            return None
        origin = origin.clone()
        origin[index] = NOWHERE if written is False else written
        return origin

    def _found(self, func: Any, args: Any, kwargs: Any, tokens: Tensor, table: int) -> Tensor:
        """What a lookup gives the model to go on with."""
        found = func(*args, **kwargs)
        origin = self._known(tokens)
        if origin is None:
            self.lost += 1
            return found
        as_they_are = torch.equal(torch.where(origin >= 0, tokens.cpu(), 0).long(), self._numbers(origin))

        def other(token: int) -> Tensor:
            return func(torch.full_like(tokens, token), *args[1:], **kwargs)

        return self._gone_on(found, origin, table if as_they_are else ANY, other)

    def _numbers(self, origin: Tensor) -> Tensor:
        """The tokens that stand at these positions of the input."""
        return torch.where(origin >= 0, self._values[origin.clamp(min=0)], 0)

    def _gone_on(self, found: Tensor, origin: Tensor, table: int, other: Callable[[int], Tensor]) -> Tensor:
        tensor, position = self._split(origin)
        source = factor = found.detach()
        if self.change is not None:
            source, factor = self.change(source, tensor, position, lambda token: other(token).detach())
        source = source.detach().clone().requires_grad_(torch.is_grad_enabled())
        self.lookups.append(Lookup(tensor, position, source, factor.detach(), table))
        return source

    def _split(self, origin: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers of tensors and positions in them."""
        starts = torch.tensor(self._starts)
        tensor = torch.bucketize(origin.contiguous(), starts, right=True) - 1
        return tensor, origin - starts[tensor.clamp(min=0)]

    def _bag(self, func: Any, args: Any, kwargs: Any) -> Tensor | None:
        """An embedding bag as the sum or the mean of what an embedding finds; None where it is another one."""
        names = ("input", "weight", "offsets", "max_norm", "norm_type", "scale_grad_by_freq", "mode")
        given = dict(zip(names, args, strict=False)) | kwargs
        tokens, mode = given["input"], given.get("mode", "mean")
        plain = {"input", "weight", "mode"}
        usual = ("offsets", "max_norm", "per_sample_weights", "padding_idx")
        if len(tokens.shape) != 2 or mode not in ("sum", "mean") or any(given.get(name) is not None for name in usual):
            self.lost += 1
            return None
        if len(args) > len(names) or not plain <= {*given, "mode"}:
            return None
        found = self._found(functional.embedding, (tokens, given["weight"]), {}, tokens, len(given["weight"]))
        return found.sum(1) if mode == "sum" else found.mean(1)

    def _from_one_hot(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """One-hot codes that become floating point are what was found; what else is made of them is not followed."""
        codes, origin = self._hot[id(args[0])]
        result = func(*args, **kwargs)
        if not isinstance(result, Tensor) or not result.is_floating_point() or result.shape != codes.shape:
            self.lost += bool(flat_tensors(result))
            return result
        if origin is None:
            self.lost += 1
            return result
        width = codes.shape[-1]

        def other(token: int) -> Tensor:
            return functional.one_hot(torch.full_like(origin, token), width).to(result)

        return self._gone_on(result, origin, width, other)


def token_tables(explainer: Explainer, inputs: Inputs) -> dict[int, int]:
    """For each tensor of the input that is looked up, by its number, how many different tokens there are."""
    if not inputs.tokens:
        return {}
    tensors = copied(inputs).tensors
    tables: dict[int, int] = {}
    named = telling_of_tokens(explainer.model, inputs), telling(explainer.model, inputs)
    with torch.no_grad(), named[0], named[1], Lookups(tensors) as noted:
        inputs.call(explainer.model, tensors)
    for lookup in noted.lookups:
        for number in lookup.tensor.unique().tolist():
            if number >= 0:
                tables[number] = min(lookup.table, tables.get(number, lookup.table))
    if noted.lost and not tables and len(tensors) == 1:
        return {0: ANY}  # they are looked up in some way
    return tables


def _whole(tensor: Any) -> bool:
    """Whether a tensor holds whole numbers, not truth values."""
    return isinstance(tensor, Tensor) and not (
        tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool
    )


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
