"""What each recorded step does to what its positions see; LOOKING says which op gets which answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch

from lrp_widgets.engine.analysis.receptive_field.geometry import (
    OTHER,
    Line,
    Sight,
    Unseen,
    broadcast,
    gathered,
    regrouped,
    resized,
    united,
)
from lrp_widgets.engine.operators import OPERATORS, identity
from lrp_widgets.engine.trace.step import Ref, Step
from lrp_widgets.engine.trace.tape import Tape

__all__ = ["LOOKING", "look"]

Look = Callable[[Step, Tape, list[Sight]], "Sight | list[Sight]"]


def look(step: Step, tape: Tape, seen: list[Sight]) -> list[Sight]:
    """What each output of a step sees, from what its inputs see. Raises Unseen with the reason where nobody knows."""
    if step.affine is not None and step.affine.kind == "dense":
        found = _dense(step, tape, seen)
    elif (known := LOOKING.get(step.op)) is not None:
        found = known(step, tape, seen)
    elif OPERATORS.get(step.op) is identity:
        found = _one_by_one(step, tape, seen)
    else:
        raise Unseen("nobody has said what it sees")
    return found if isinstance(found, list) else [found] * len(step.outputs)


def _shape(step: Step, tape: Tape, place: int = 0) -> tuple[int, ...]:
    """The shape of an output."""
    return tuple(tape.values[[value for value in step.outputs if value is not None][place]].shape)


def _given(step: Step, place: int, name: str, default: Any = None) -> Any:
    """An argument by its place or its name."""
    return step.args[place] if place < len(step.args) else step.kwargs.get(name, default)


def _one_by_one(step: Step, tape: Tape, seen: list[Sight]) -> Sight:
    shape = _shape(step, tape)
    return broadcast(seen[0], shape) if len(seen) == 1 else united(seen, shape)


def _maps(sight: Sight) -> tuple[int, int]:
    """Rows and columns as the last two axes, which windows work on."""
    last = len(sight.layout) - 1
    if last < 1 or (sight.axis_of(0), sight.axis_of(1)) != (last - 1, last):
        raise Unseen("rows and columns of the picture are not its last two axes")
    return last - 1, last


def _through(sight: Sight, shape: Sequence[int], *geometry: Sequence[int]) -> Sight:
    """Behind windows: kernel, stride, padding and dilation, one number for each axis or one for both."""
    axes = _maps(sight)
    lines = [
        line.through(shape[axis], *(numbers[which % len(numbers)] for numbers in geometry))
        for which, (axis, line) in enumerate(zip(axes, sight.lines, strict=True))
    ]
    layout = sight.layout
    for axis, size in enumerate(shape):
        layout = resized(layout, axis, size)
    return Sight((lines[0], lines[1]), layout)


def _convolution(step: Step, tape: Tape, seen: list[Sight]) -> Sight:
    if len(seen) != 1 or not isinstance(step.args[0], Ref):
        raise Unseen("its weights are made from the input")
    stride, padding, dilation, transposed = step.args[3:7]
    kernel = step.args[1].shape[2:]
    if len(kernel) != 2:
        raise Unseen("it is no convolution of pictures")
    if transposed:  # with stride 1, one with its kernel turned round
        if any(s != 1 for s in stride):
            raise Unseen("a transposed convolution with a stride has windows of several shapes")
        padding = [d * (k - 1) - p for k, p, d in zip(kernel, padding, dilation, strict=True)]
    return _through(seen[0], _shape(step, tape), kernel, stride, padding, dilation)


def _pooling(step: Step, tape: Tape, seen: list[Sight]) -> Sight:
    kernel = _given(step, 1, "kernel_size")
    stride = _given(step, 2, "stride") or kernel
    dilation = _given(step, 4, "dilation") if step.op.startswith("max") else None
    return _through(seen[0], _shape(step, tape), kernel, stride, _given(step, 3, "padding") or [0], dilation or [1])


def _adaptive(step: Step, tape: Tape, seen: list[Sight]) -> Sight:
    shape, axes = _shape(step, tape), _maps(seen[0])
    sizes = [tape.values[step.inputs[0]].shape[axis] for axis in axes]
    answers = [shape[axis] for axis in axes]
    if any(size % answer for size, answer in zip(sizes, answers, strict=True)):
        raise Unseen(f"{sizes[0]}×{sizes[1]} positions are no whole multiple of its {answers[0]}×{answers[1]}")
    kernel = [size // answer for size, answer in zip(sizes, answers, strict=True)]
    if answers == [1, 1]:
        return _through(gathered(seen[0], axes), shape, kernel, kernel, [0], [1])
    return _through(seen[0], shape, kernel, kernel, [0], [1])


def _dims(given: Any, ndim: int) -> list[int]:
    """Axes as an op names them: one, several, or none for all."""
    numbers = [given] if isinstance(given, int) and not isinstance(given, bool) else given
    return [axis % ndim for axis in numbers] if isinstance(numbers, list | tuple) and numbers else list(range(ndim))


def _reduction(step: Step, tape: Tape, seen: list[Sight]) -> Sight:
    if len(seen) > 1:  # the larger of two
        return _one_by_one(step, tape, seen)
    axes = _dims(_given(step, 1, "dim"), len(seen[0].layout))
    sight, shape = gathered(seen[0], axes), _shape(step, tape)
    kept = len(shape) == len(sight.layout)
    layout = [
        ((factors[0][0] if len(factors) == 1 else OTHER, 1),) if axis in axes else factors
        for axis, factors in enumerate(sight.layout)
        if kept or axis not in axes
    ]
    return Sight(sight.lines, tuple(layout))


def _along(place: int, name: str) -> Look:
    """All along the axes named see the same, as behind a softmax."""

    def along(step: Step, tape: Tape, seen: list[Sight]) -> Sight:
        return gathered(seen[0], _dims(_given(step, place, name), len(seen[0].layout)))

    return along


def _layer_norm(step: Step, tape: Tape, seen: list[Sight]) -> Sight:
    ndim = len(seen[0].layout)
    return gathered(seen[0], range(ndim - len(step.args[1]), ndim))


def _statistics(step: Step, tape: Tape, seen: list[Sight]) -> Sight:
    """Mean and variance of all that has the same channel: stored ones are none of the input's."""
    if step.affine is not None:
        return _one_by_one(step, tape, seen)
    return gathered(seen[0], range(len(seen[0].layout)))


def _dense(step: Step, tape: Tape, seen: list[Sight]) -> Sight:
    axis = step.affine.channel_axis
    shape = _shape(step, tape)
    if axis not in (-1, -2) or len(shape) != len(seen[0].layout):
        raise Unseen("it mixes axes that are not known here")
    sight = gathered(seen[0], [len(shape) + axis])
    layout = list(sight.layout)
    layout[axis] = ((OTHER, shape[axis]),)
    return Sight(sight.lines, tuple(layout))


def _same_elements(step: Step, tape: Tape, seen: list[Sight]) -> Sight:
    return regrouped(seen[0], _shape(step, tape))


def _same_memory(step: Step, tape: Tape, seen: list[Sight]) -> Sight:
    before, after = tape.values[step.inputs[0]], tape.values[step.output]
    if before.numel() != after.numel() or not torch.equal(before.flatten(), after.flatten()):
        raise Unseen("it reads the memory of its input in another order")
    return regrouped(seen[0], after.shape)


def _permuted(step: Step, tape: Tape, seen: list[Sight]) -> Sight:
    layout = seen[0].layout
    order = list(range(len(layout)))
    if step.op == "permute":
        order = _dims(step.args[1], len(layout))
    else:
        one, other = (0, -1) if step.op == "t" else step.args[1:3]
        order[one], order[other] = order[other], order[one]
    return Sight(seen[0].lines, tuple(layout[axis] for axis in order))


def _expanded(step: Step, tape: Tape, seen: list[Sight]) -> Sight:
    return broadcast(seen[0], _shape(step, tape))


def _taken(sight: Sight, axis: int, first: int, step: int, count: int) -> Sight:
    """A part of one axis: on the picture's rows or columns it shifts what is seen, anywhere else it changes nothing."""
    axis %= len(sight.layout)
    told = [which for which, _ in sight.layout[axis] if which != OTHER]
    lines: list[Line] = list(sight.lines)
    if told:
        if sight.axis_of(told[0]) != axis:
            raise Unseen("it takes a part of rows or columns that lie on one axis with something else")
        lines[told[0]] = lines[told[0]].taken(first, step, count)
    return Sight((lines[0], lines[1]), resized(sight.layout, axis, count))


def _slice(step: Step, tape: Tape, seen: list[Sight]) -> Sight:
    axis, shape = _given(step, 1, "dim", 0), tape.values[step.inputs[0]].shape
    first, _, by = slice(_given(step, 2, "start"), None, _given(step, 4, "step", 1)).indices(shape[axis])
    return _taken(seen[0], axis, first, by, _shape(step, tape)[axis])


def _select(step: Step, tape: Tape, seen: list[Sight]) -> Sight:
    shape = tape.values[step.inputs[0]].shape
    axis, place = step.args[1] % len(shape), step.args[2] % shape[step.args[1]]
    return _without(_taken(seen[0], axis, place, 1, 1), axis)


def _without(sight: Sight, axis: int) -> Sight:
    """One place of an axis, which is no axis any more."""
    sight = gathered(sight, [axis])
    return Sight(sight.lines, tuple(known for i, known in enumerate(sight.layout) if i != axis))


def _pieces(step: Step, tape: Tape, seen: list[Sight]) -> list[Sight]:
    """Split, chunk and unbind: one piece behind the other."""
    named = step.op == "unbind"
    shape = tape.values[step.inputs[0]].shape
    axis = _given(step, 1 if named else 2, "dim", 0) % len(shape)
    found, first = [], 0
    for value in step.outputs:
        count = 1 if named or value is None else tape.values[value].shape[axis]
        piece = _taken(seen[0], axis, first, 1, count)
        found.append(_without(piece, axis) if named else piece)
        first += count
    return found


def _padded(step: Step, tape: Tape, seen: list[Sight]) -> Sight:
    sight, shape, amounts = seen[0], _shape(step, tape), step.args[1]
    for back in range(len(amounts) // 2):
        axis = len(shape) - 1 - back
        sight = _taken(sight, axis, -amounts[2 * back], 1, shape[axis])
    return sight


def _joined(step: Step, tape: Tape, seen: list[Sight]) -> Sight:
    """Concatenation along channels, or stacking: each sees what its part sees; together, the union."""
    shape = _shape(step, tape)
    axis = _given(step, 1, "dim", 0) % len(shape)
    if step.op == "stack":
        wide = [dataclasses.replace(s, layout=(*s.layout[:axis], ((OTHER, 1),), *s.layout[axis:])) for s in seen]
        return united(wide, shape)
    if any(which != OTHER for sight in seen for which, _ in sight.layout[axis]):
        raise Unseen("it puts maps side by side")
    return united([dataclasses.replace(s, layout=resized(s.layout, axis, shape[axis])) for s in seen], shape)


LOOKING: dict[str, Look] = {
    **dict.fromkeys(("convolution", "_convolution"), _convolution),
    **dict.fromkeys(("max_pool2d_with_indices", "max_pool2d", "avg_pool2d"), _pooling),
    **dict.fromkeys(("_adaptive_avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"), _adaptive),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "logsumexp"), _reduction),
    **dict.fromkeys(("_softmax", "_log_softmax"), _along(1, "dim")),
    "native_layer_norm": _layer_norm,
    "native_group_norm": _statistics,
    **dict.fromkeys(
        ("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"),
        _statistics,
    ),
    **dict.fromkeys(
        ("view", "_unsafe_view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze"), _same_elements
    ),
    "as_strided": _same_memory,
    **dict.fromkeys(("permute", "transpose", "t"), _permuted),
    "expand": _expanded,
    "slice": _slice,
    "select": _select,
    **dict.fromkeys(
        ("split", "unsafe_split", "split_with_sizes", "unsafe_split_with_sizes", "chunk", "unsafe_chunk", "unbind"),
        _pieces,
    ),
    "constant_pad_nd": _padded,
    **dict.fromkeys(("cat", "stack"), _joined),
    **dict.fromkeys(("add", "sub", "rsub", "mul", "div", "maximum", "minimum", "where", "masked_fill"), _one_by_one),
}
