"""Step: one ATen operation of a run, noted so that it can be run again on other tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from torch import Tensor

__all__ = [
    "Ref",
    "Step",
    "fill",
    "flat_tensors",
    "op_name",
    "out_arguments",
    "output_tensors",
    "ref_places",
    "replay",
    "written_tensors",
]


@dataclass(frozen=True)
class Ref:
    """Stands in a step's arguments for a recorded value."""

    value: int


@dataclass(frozen=True, eq=False)
class Step:
    """One ATen operation of the run.

    args, kwargs: as the operation got them, with a Ref for every value that depends on the input.
    inputs: the values behind these Refs, in order of appearance (twice where used twice).
    outputs: the value of each tensor it made or wrote, None for those that carry no relevance (indices, masks).
    module: path of the innermost module that ran it; `modules` adds those folded into it.
    affine: the parametric map, where canonize() has found one.
    tokens: whether its answers are tokens, whole numbers that carry relevance.
    aside: further outputs that carry no relevance and that its adjoint needs (the winners of a max pooling).
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
    aside: tuple[Tensor, ...] = ()
    tokens: bool = False

    @property
    def output(self) -> int:
        """The first value that it made; the only one of most operations."""
        return next(value for value in self.outputs if value is not None)

    def but(self, **changes: Any) -> Step:
        """The same step but for some fields; a run has hundreds, and dataclasses.replace takes ten times as long."""
        other = object.__new__(Step)
        other.__dict__.update(self.__dict__, **changes)
        return other


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


def ref_places(tree: Any) -> tuple[int, ...]:
    """For each Ref in a step's positional arguments, in order of appearance, the position it stands in."""
    return tuple(place for place, arg in enumerate(tree) for _ in range(_count_refs(arg)))


def _count_refs(arg: Any) -> int:
    return sum(map(_count_refs, arg)) if isinstance(arg, tuple | list) else int(isinstance(arg, Ref))


def replay(step: Step, tensors: list[Tensor]) -> list[Tensor]:
    """Run a step again on other tensors; a step that writes in place writes into copies."""
    args, kwargs = fill((step.args, step.kwargs), iter(tensors))
    args, kwargs = list(args), dict(kwargs)
    for position, name in _written_arguments(step.func):
        if position < len(args):
            args[position] = _cloned(args[position])
        elif name in kwargs:
            kwargs[name] = _cloned(kwargs[name])
    written = written_tensors(step.func, args, kwargs)
    return output_tensors(step.func(*args, **kwargs), written)


def _cloned(tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return tree.clone()
    return type(tree)(_cloned(item) for item in tree) if isinstance(tree, tuple | list) else tree


def written_tensors(func: Any, args: Any, kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors that an operation writes into."""
    targets = []
    for position, name in _written_arguments(func):
        targets += flat_tensors(args[position] if position < len(args) else kwargs.get(name))
    return targets


def output_tensors(result: Any, written: list[Tensor]) -> list[Tensor]:
    """What an operation returned, and what it wrote without returning it."""
    outputs = flat_tensors(result)
    return outputs + [tensor for tensor in written if not any(tensor is output for output in outputs)]


@cache
def _written_arguments(func: Any) -> tuple[tuple[int, str], ...]:
    """Position and name of the arguments that an operation writes into."""
    arguments = func._schema.arguments if hasattr(func, "_schema") else ()
    return tuple((i, a.name) for i, a in enumerate(arguments) if a.alias_info is not None and a.alias_info.is_write)


@cache
def out_arguments(func: Any) -> frozenset[str]:
    """The names under which an operation takes a tensor to put its answer in (`out=`): written, never read."""
    return frozenset(a.name for a in func._schema.arguments if a.is_out) if hasattr(func, "_schema") else frozenset()


@cache
def op_name(func: Any) -> str:
    """The name of an op in the table of operators: without namespace 'aten', overload and in-place underscore."""
    schema = getattr(func, "_schema", None)
    if schema is None:
        return getattr(func, "__name__", str(func))
    namespace, _, name = schema.name.partition("::")
    name = name if name.startswith("__") else name.rstrip("_")
    return name if namespace == "aten" else f"{namespace}::{name}"
