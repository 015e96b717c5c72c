"""Which axis of a recorded value is the batch, the channels or space: told from the steps between the input and it.

Each axis is a list of factors, so that axes which are flattened into one (pixels into tokens) can be told apart again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from lrp_widgets.engine.trace.step import Ref, Step
from lrp_widgets.engine.trace.tape import Tape

__all__ = ["CHANNELS", "MOVES", "ORDERS", "VIEWS", "Axes", "Layout", "axes_of", "is_only", "layout_of", "untold_after"]

BATCH, CHANNELS, UNKNOWN = "batch", "channels", "?"  # space: 0, 1, 2 in the order of the input's axes
VIEWS = {"view", "_unsafe_view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "_reshape_alias"}
ORDERS = {"permute", "transpose", "t"}
MOVES = {"slice", "narrow", "select", "clone", "expand", "alias", "_to_copy", "contiguous", "copy"}
MOVES |= {"split", "split_with_sizes", "unsafe_split", "chunk", "unbind"}
LINEAR = {"addmm", "mm", "linear"}
# Whose answer need not have the axes of what went in, though it may have as many.
MIXING = {"bmm", "baddbmm", "matmul", "einsum", "as_strided", "as_strided_scatter", "index", "gather", "unfold"}
MIXING |= {"repeat", "sort", "rot90", "flip"}
NORMALIZING = {"native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm", "native_group_norm"}
REDUCING = {"mean", "sum", "amax", "amin", "select"}


@dataclass(frozen=True)
class _Tokens:
    """The role of tokens that are pixels of a grid, with so many before and after them that are none (of a class)."""

    grid: tuple[_Factor, ...]
    before: int
    after: int


@dataclass(frozen=True)
class _Factor:
    """A part of an axis: its role and its length."""

    role: Any
    length: int


Axis = tuple[_Factor, ...]  # from the slowest to the quickest
Axes = tuple[Axis, ...]


def _roles(axis: Axis) -> tuple[Any, ...]:
    return tuple(factor.role for factor in axis if factor.length != 1 or len(axis) == 1)


def is_only(axis: Axis, role: Any) -> bool:
    """Whether an axis has this role, and no other."""
    return _roles(axis) == (role,)


def _length(axis: Axis) -> int:
    return prod(factor.length for factor in axis)


def _is_grid(axis: Axis) -> bool:
    """Whether an axis is a whole grid of pixels, alone or with other tokens beside it."""
    roles = _roles(axis)
    return (len(roles) == 1 and isinstance(roles[0], _Tokens)) or (len(roles) > 1 and roles == tuple(range(len(roles))))


@dataclass(frozen=True)
class Layout:
    """How a value becomes (batch, channels, …space): which axes these are, and the grid that tokens are laid out in.

    space: the axes of space; one axis of tokens where `grid` is not None.  before: tokens left out before the grid.
    """

    channels: int
    space: tuple[int, ...]
    grid: tuple[int, ...] | None = None
    before: int = 0


def axes_of(tape: Tape, channels: int) -> tuple[dict[int, Axes], int]:
    """The axes of each recorded value, and the axis of the input that holds its channels.

    channels: where the input's channels lie if no step tells; a convolution, a normalization or a linear map that acts
    on an axis of the input says that it is this one.
    """
    x = tape.values[tape.inputs[0]]
    lengths = tuple(x.shape)
    told: list[int] = []
    _followed(tape, _plain([("x", place) for place in range(len(lengths))], lengths), told)
    channels = told[0] if told else channels
    space = [place for place in range(1, len(lengths)) if place != channels]
    roles = {0: BATCH, channels: CHANNELS} | {place: number for number, place in enumerate(space)}
    return _followed(tape, _plain([roles[place] for place in range(len(lengths))], lengths), []), channels


def layout_of(axes: Axes | None, space: int) -> Layout | None:
    """How a value with these axes is laid out; None where that cannot be told, or it is no map of the whole input.

    space: how many axes of space the input has.
    """
    if not axes or not is_only(axes[0], BATCH):
        return None
    channels = [place for place, axis in enumerate(axes) if is_only(axis, CHANNELS)]
    if len(channels) != 1:
        return None
    rest = [place for place in range(1, len(axes)) if place != channels[0]]
    if len(rest) == space and all(is_only(axes[place], number) for number, place in enumerate(rest)):
        return Layout(channels[0], tuple(rest))
    if len(rest) != 1:
        return None
    factors, before = [factor for factor in axes[rest[0]] if factor.role != UNKNOWN or factor.length != 1], 0
    if len(factors) == 1 and isinstance(factors[0].role, _Tokens):
        factors, before = list(factors[0].role.grid), factors[0].role.before
    if [factor.role for factor in factors] != list(range(space)):
        return None
    return Layout(channels[0], (rest[0],), tuple(factor.length for factor in factors), before)


def untold_after(tape: Tape, axes: dict[int, Axes], value: int) -> str | None:
    """A step whose positions cannot be told, where a value is the first that weights were applied to, and before it.

    So that nobody takes the embedding of patches for the last layer with maps.
    """
    weighted = dict.fromkeys(tape.inputs, 0)
    for step in tape.steps:
        count = max((weighted.get(each, 0) for each in step.inputs), default=0) + (step.op in (*LINEAR, "convolution"))
        weighted |= {each: count for each in step.outputs if each is not None}
    if weighted.get(value, 0) > 1:
        return None
    behind, rows = {value}, len(tape.values[tape.inputs[0]])
    for step in tape.steps:
        if not behind.intersection(step.inputs):
            continue
        behind.update(each for each in step.outputs if each is not None)
        if step.op in (*LINEAR, "native_layer_norm") and step.inputs[0] in behind:
            known = axes.get(step.inputs[0], ())
            told = bool(known) and all(UNKNOWN not in _roles(axis) for axis in known[:-1])
            if prod(tape.values[step.inputs[0]].shape[:-1]) > rows and not told:
                return step.module or step.name
    return None


def _followed(tape: Tape, first: Axes, told: list[int]) -> dict[int, Axes]:
    """The axes of each value, from those of the input on.  told: which axis of the input a step acts on as channels."""
    known: dict[int, Axes] = {tape.inputs[0]: first}
    for step in tape.steps:
        for place, value in enumerate(step.outputs):
            if value is None:
                continue
            shape = tuple(tape.values[value].shape)
            if place and "norm" in step.op:  # means and widths beside what was normalized
                continue
            axes = _after(step, place, shape, known, tape, told)
            if axes is not None and len(axes) == len(shape):
                known[value] = axes
    return known


def _after(
    step: Step, place: int, shape: tuple[int, ...], known: dict[int, Axes], tape: Tape, told: list[int]
) -> Axes | None:
    source = known.get(step.inputs[0]) if step.inputs else None
    if step.op == "convolution":
        _tell(source, 1, told)
        batch = BATCH if shape[0] == len(tape.values[tape.inputs[0]]) else UNKNOWN
        return _plain((batch, CHANNELS, *range(len(shape) - 2)), shape)
    if step.op == "cat":
        return _joined(step, known, tape, shape)
    if source is None:
        source = next((known[each] for each in step.inputs if each in known), None)
    if source is None:
        return None
    if step.op in NORMALIZING:
        _tell(source, 1, told)
    if step.op == "native_layer_norm" and place == 0 and len(_argument(step, 1, "normalized_shape") or ()) == 1:
        _tell(source, len(source) - 1, told)
    if step.op in VIEWS:
        return _viewed(source, shape)
    if step.op in ORDERS:
        return _ordered(step, source)
    if step.op in LINEAR:
        if step.inputs[0] not in known or len(source) != len(shape) or len(step.inputs) != 1:
            return None
        _tell(source, len(source) - 1, told)
        mixed = any(isinstance(role, int | _Tokens) for role in _roles(source[-1]))  # positions are, not channels
        return (*source[:-1], (_Factor(UNKNOWN if mixed else CHANNELS, shape[-1]),))
    if step.op == "bmm" and len(step.inputs) == 2 and all(each in known for each in step.inputs):
        other = known[step.inputs[1]]
        return (source[0], source[1], other[2]) if len(source) == len(other) == 3 else None
    if step.op in ("slice", "narrow"):
        return _sliced(step, source, shape)
    if step.op in REDUCING:
        return _reduced(step, source, shape)
    if step.op in MIXING:
        same = step.op.startswith("as_strided") and shape == tuple(tape.values[step.inputs[0]].shape)
        return source if same else None
    return _alike([known[each] for each in step.inputs if each in known], shape)


def _plain(roles: Sequence[Any], shape: Sequence[int]) -> Axes:
    return tuple((_Factor(role, length),) for role, length in zip(roles, shape, strict=True))


def _tell(axes: Axes | None, place: int, told: list[int]) -> None:
    """Note which axis of the input stands where a step takes channels."""
    if axes is None or place >= len(axes):
        return
    roles = _roles(axes[place])
    if len(roles) == 1 and isinstance(roles[0], tuple) and roles[0][1] > 0:
        told.append(roles[0][1])


def _argument(step: Step, place: int, name: str, default: Any = None) -> Any:
    if place < len(step.args):
        return step.args[place]
    return step.kwargs.get(name, default)


def _viewed(source: Axes, shape: Sequence[int]) -> Axes:
    """The factors in their order, in other axes; a boundary within a factor leaves its coarse part where it was."""
    if [_length(axis) for axis in source] == list(shape):
        return source
    left = [factor for axis in source for factor in axis]
    axes: list[Axis] = []
    for length in shape:
        taken: list[_Factor] = []
        while left and _length(tuple(taken)) < length:
            taken.append(left.pop(0))
        if not taken and left and left[0].length == 1 == length:
            taken.append(left.pop(0))
        size = _length(tuple(taken))
        if size > length:
            last, rest = taken.pop(), size // length
            if size % length or last.length % rest:
                return _plain([UNKNOWN] * len(shape), shape)
            # A coarser place in space is one still; a part of the channels is none.
            taken.append(_Factor(last.role if isinstance(last.role, int) else UNKNOWN, last.length // rest))
            left.insert(0, _Factor(UNKNOWN, rest))
        axes.append(tuple(taken) or (_Factor(UNKNOWN, 1),))
    return tuple(axes)


def _ordered(step: Step, source: Axes) -> Axes | None:
    count = len(source)
    if step.op == "permute":
        return tuple(source[place] for place in _argument(step, 1, "dims"))
    one, other = (0, 1) if step.op == "t" else (_argument(step, 1, "dim0"), _argument(step, 2, "dim1"))
    axes = list(source)
    axes[one % count], axes[other % count] = axes[other % count], axes[one % count]
    return tuple(axes)


def _joined(step: Step, known: dict[int, Axes], tape: Tape, shape: Sequence[int]) -> Axes | None:
    """What is put one behind the other: what is beside a grid of tokens is none of it, channels stay channels."""
    parts, dim = _argument(step, 0, "tensors"), _argument(step, 1, "dim", 0) % len(shape)
    axes = [known.get(part.value) if isinstance(part, Ref) else None for part in parts]
    there = [each for each in axes if each is not None and len(each) == len(shape)]
    if not there:
        return None
    sizes = [(tape.values[part.value] if isinstance(part, Ref) else part).shape[dim] for part in parts]
    grids = [place for place, each in enumerate(axes) if each is not None and _is_grid(each[dim])]
    if len(grids) == 1:
        whole = axes[grids[0]]
        assert whole is not None
        before, after = sum(sizes[: grids[0]]), sum(sizes[grids[0] + 1 :])
        return (*whole[:dim], (_beside(whole[dim], before, after),), *whole[dim + 1 :])
    role = next(iter({_roles(each[dim]) for each in there})) if len({_roles(each[dim]) for each in there}) == 1 else ()
    joined = role[0] if len(role) == 1 and role[0] != BATCH and not isinstance(role[0], _Tokens) else UNKNOWN
    return (*there[0][:dim], (_Factor(joined, shape[dim]),), *there[0][dim + 1 :])


def _beside(axis: Axis, before: int, after: int) -> _Factor:
    """A grid of tokens with so many more before and after it."""
    grid, role = tuple(factor for factor in axis if factor.length != 1 or len(axis) == 1), _roles(axis)[0]
    if isinstance(role, _Tokens):
        grid, before, after = role.grid, role.before + before, role.after + after
    return _Factor(_Tokens(grid, before, after), _length(grid) + before + after)


def _sliced(step: Step, source: Axes, shape: Sequence[int]) -> Axes | None:
    dim = _argument(step, 1, "dim", 0) % len(source)
    start = _argument(step, 2, "start", 0) or 0
    every = _argument(step, 4, "step", 1) if step.op == "slice" else 1
    axis, length = source[dim], shape[dim]
    if _length(axis) == length:
        return source
    start, roles = start % _length(axis), _roles(axis)
    kept: Axis = (_Factor(roles[0] if len(roles) == 1 else UNKNOWN, length),)
    if len(roles) == 1 and isinstance(roles[0], _Tokens):
        tokens, inner = roles[0], _length(roles[0].grid)
        before, after = tokens.before - start, start + length - tokens.before - inner
        kept = (_Factor(UNKNOWN, length),)
        if every == 1 and before >= 0 and after >= 0:
            kept = (_Factor(_Tokens(tokens.grid, before, after), length),) if before or after else tokens.grid
    return (*source[:dim], kept, *source[dim + 1 :])


def _reduced(step: Step, source: Axes, shape: Sequence[int]) -> Axes | None:
    dims = _argument(step, 1, "dim")
    if dims is None:
        return None
    gone = {dim % len(source) for dim in ([dims] if isinstance(dims, int) else dims)} or set(range(len(source)))
    if len(shape) == len(source):
        return tuple(
            (_Factor(_roles(axis)[0] if len(_roles(axis)) == 1 else UNKNOWN, 1),) if place in gone else axis
            for place, axis in enumerate(source)
        )
    return tuple(axis for place, axis in enumerate(source) if place not in gone)


def _alike(sources: list[Axes], shape: Sequence[int]) -> Axes | None:
    """Steps that keep the axes: what all inputs with as many axes say, where they say something."""
    sources = [axes for axes in sources if len(axes) == len(shape)]
    if not sources:
        return None
    result: list[Axis] = []
    for place, length in enumerate(shape):
        axes = [each[place] for each in sources]
        same = [axis for axis in axes if _length(axis) == length and UNKNOWN not in _roles(axis)]
        if same:
            agreed = all(_roles(axis) == _roles(same[0]) for axis in same)
            result.append(same[0] if agreed else (_Factor(UNKNOWN, length),))
            continue
        roles = {_roles(axis) for axis in axes}
        role = _roles(axes[0])[0] if len(roles) == 1 and len(_roles(axes[0])) == 1 else UNKNOWN
        result.append((_Factor(UNKNOWN if role == BATCH or isinstance(role, _Tokens) else role, length),))
    return tuple(result)
