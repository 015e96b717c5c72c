"""Tape → Tape: find the parametric layers, fold BatchNorm into its neighbour, drop what does nothing.

Folding is exact and happens on the tape alone. The model's tensors are read, never written.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lrp_widgets.engine.layers.affine import BATCH_NORMS, Affine, affine_of, batch_norm_terms, parametric
from lrp_widgets.engine.layers.softmax import with_softmax
from lrp_widgets.engine.trace.convolution import own_order
from lrp_widgets.engine.trace.memo import Memo
from lrp_widgets.engine.trace.memory_budget import MemoryBudget
from lrp_widgets.engine.trace.tape import Ref, Step, Tape

__all__ = ["canonize"]

# Steps whose output is their input, tensor object aside.
COPIES = ("detach", "alias", "lift_fresh", "clone", "contiguous")


def canonize(tape: Tape, weights: Memo, budget: MemoryBudget | None = None) -> Tape:
    """The same computation with every parametric step as an Affine, biases and BatchNorm folded into their neighbour.

    weights: remembers what depends on the model alone, so that a second input folds nothing again.
    budget: where copies of weights may be kept; nowhere by default.
    """
    tape = _with_affine(with_softmax(_without_copies(tape)), weights, budget or MemoryBudget())
    return _without_unread(_fold_batch_norm(_fold_bias(tape, weights), weights))


def _renamed(tree: Any, names: dict[int, int]) -> Any:
    if isinstance(tree, Ref):
        return Ref(names.get(tree.value, tree.value))
    if isinstance(tree, tuple | list):
        return type(tree)(_renamed(item, names) for item in tree)
    if isinstance(tree, dict):
        return {key: _renamed(item, names) for key, item in tree.items()}
    return tree


def _rewired(step: Step, names: dict[int, int]) -> Step:
    """The step, reading other values in place of the ones named."""
    if not any(value in names for value in step.inputs):
        return step
    inputs = tuple(names.get(value, value) for value in step.inputs)
    return step.but(args=_renamed(step.args, names), kwargs=_renamed(step.kwargs, names), inputs=inputs)


def _without_copies(tape: Tape) -> Tape:
    names: dict[int, int] = {}
    steps = []
    for step in tape.steps:
        step = _rewired(step, names)
        output = step.outputs[0]
        if (
            step.op in COPIES
            and len(step.inputs) == 1
            and output is not None
            and _same_strides(tape, step.inputs[0], output)
        ):
            names[output] = step.inputs[0]
        else:
            steps.append(step)
    return dataclasses.replace(tape, steps=tuple(steps), output=names.get(tape.output, tape.output))


def _same_strides(tape: Tape, one: int, other: int) -> bool:
    """A copy that reorders memory stays: a view taken of it could not be taken of the original."""
    return tape.values[one].stride() == tape.values[other].stride()


def _with_affine(tape: Tape, weights: Memo, budget: MemoryBudget) -> Tape:
    steps = []
    for number, step in enumerate(tape.steps):
        modules = step.modules or (step.module,)
        if not parametric(step):
            steps.append(step.but(modules=modules))
            continue
        # A view of a parameter (the t() of a dense layer) is a new object at every run: compare what it looks at.
        constants = (*map(_identity, step.args), *step.kwargs, *map(_identity, step.kwargs.values()))
        ndim = tape.values[step.inputs[0]].ndim if step.inputs else 0
        affine = weights(
            ("affine", number), lambda *_, step=step: affine_of(step, tape, budget), step.op, ndim, *constants
        )
        steps.append(step.but(affine=affine, modules=modules))
    return dataclasses.replace(tape, steps=tuple(steps))


class _ConstantState:
    """The state of a constant tensor: equal to a later one as long as nothing was written into its memory."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor  # kept alive, so that its address is not given to another
        version = 0 if tensor.is_inference() else tensor._version
        place = tensor.data_ptr() if tensor.layout == torch.strided else id(tensor)
        self.key = (place, version, tuple(tensor.shape), _strides(tensor), tensor.dtype, tensor.device)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ConstantState) and self.key == other.key

    __hash__ = None  # type: ignore[assignment]


def _strides(tensor: Tensor) -> tuple[int, ...]:
    return tensor.stride() if tensor.layout == torch.strided else ()


def _identity(arg: Any) -> Any:
    if isinstance(arg, Tensor):
        return _ConstantState(arg)
    return "value" if isinstance(arg, Ref) else str(arg)


def _without_unread(tape: Tape) -> Tape:
    """Without the values that no step reads any more because two steps became one: a third of ResNet50."""
    read = {value for step in tape.steps for value in (*step.inputs, *step.outputs)} | {*tape.inputs, tape.output}
    values = {value: tensor for value, tensor in tape.values.items() if value in read}
    return dataclasses.replace(tape, values=values)


VIEWS = ("view", "_unsafe_view")


def _fold_bias(tape: Tape, weights: Memo) -> Tape:
    """A constant added to a layer's answer is its bias, however the layer is spelled (x @ w + b; over three axes)."""
    reads = Counter(value for step in tape.steps for value in step.inputs)
    reads[tape.output] += 1
    steps: list[Step | None] = list(tape.steps)
    maker = {value: i for i, step in enumerate(tape.steps) for value in step.outputs if value is not None}
    values = dict(tape.values)
    for i, step in enumerate(tape.steps):
        constant = _added(step)
        if constant is None:
            continue
        # torch adds the bias behind the view that gives the answer back its axes.
        value, views = step.inputs[0], []
        while value in maker and reads[value] == 1 and (view := steps[maker[value]]) is not None and view.op in VIEWS:
            views.append(maker[value])
            value = view.inputs[0]
        layer = steps[maker[value]] if value in maker and reads[value] == 1 else None
        if layer is None or layer.affine is None or not _is_bias(constant, layer.affine, values[value], bool(views)):
            continue
        folded = weights(("bias", i), _with_bias, layer.affine, _ConstantState(constant))
        modules = tuple(dict.fromkeys((*layer.modules, *step.modules)))
        layer = layer.but(affine=folded, modules=modules, outputs=(layer.outputs[0],))
        steps[i] = None
        if views:
            last = views[0]
            steps[last] = tape.steps[last].but(outputs=step.outputs)
            maker[_output(step)] = last
            values[value] = values[_output(step)].reshape(values[value].shape)
        else:
            layer = layer.but(outputs=step.outputs)
            maker[_output(step)] = maker[value]
        steps[maker[value]] = layer
    return dataclasses.replace(tape, steps=tuple(step for step in steps if step is not None), values=values)


def _added(step: Step) -> Tensor | None:
    """The constant tensor of value + constant, None where the step is something else."""
    if step.op != "add" or len(step.inputs) != 1 or step.kwargs.get("alpha", 1) != 1:
        return None
    constants = [arg for arg in step.args[:2] if isinstance(arg, Tensor)]
    return constants[0] if constants else None


def _is_bias(constant: Tensor, affine: Affine, z: Tensor, viewed: bool) -> bool:
    """Whether a constant is the same for every row of any batch, and behind a view: one number per feature."""
    if affine.kind == "normalization" or constant.dtype != z.dtype:
        return False
    if not bool(torch.isfinite(constant).all()):  # a mask of −∞, which cuts off and adds nothing
        return False
    if viewed:
        return affine.channel_axis == -1 and constant.numel() == constant.shape[-1] == z.shape[-1]
    if constant.ndim > z.ndim or torch.broadcast_shapes(constant.shape, z.shape) != z.shape:
        return False
    rows = 0 if affine.batched else z.ndim - 1  # w @ a has its rows last
    if constant.ndim < z.ndim - rows:
        return True
    # One row of a parameter is for all rows; one row of something else may be there because the batch has one.
    owner = constant if constant._base is None else constant._base
    return constant.shape[rows - z.ndim] == 1 and isinstance(owner, nn.Parameter)


def _with_bias(affine: Affine, constant: _ConstantState) -> Affine:
    bias = constant.tensor if affine.bias is None else affine.bias + constant.tensor
    return dataclasses.replace(affine, bias=bias)


def _fold_batch_norm(tape: Tape, weights: Memo) -> Tape:
    reads = Counter(value for step in tape.steps for value in step.inputs)
    reads[tape.output] += 1
    steps: list[Step | None] = list(tape.steps)
    maker = {value: i for i, step in enumerate(tape.steps) for value in step.outputs if value is not None}
    readers: dict[int, list[int]] = {}
    for i, step in enumerate(tape.steps):
        for value in step.inputs:
            readers.setdefault(value, []).append(i)
    for i, step in enumerate(tape.steps):
        if step.op not in BATCH_NORMS or step.affine is None:
            continue
        before = maker.get(step.inputs[0])
        neighbour = steps[before] if before is not None else None
        entering = tape.values[step.inputs[0]]
        if (
            before is not None
            and neighbour is not None
            and reads[step.inputs[0]] == 1
            and _takes(neighbour.affine, "scaled", entering)
        ):
            fold = partial(_fold_after, step=step)  # the step is new in every run, what it says of weights is not
            folded = weights(("after", i), fold, neighbour.affine, step.affine)
            steps[before] = _joined(neighbour, step, folded, neighbour.args, neighbour.inputs, step.outputs)
            maker[_output(step)] = before
            steps[i] = None
            continue
        after = readers.get(_output(step), [])
        neighbour = steps[after[0]] if len(after) == 1 and reads[_output(step)] == 1 else None
        if neighbour is not None and _takes(neighbour.affine, "scaled_inputs", entering):
            shape = tuple(entering.shape[1:])
            fold = partial(_fold_before, step=step)
            folded = weights(("before", i), fold, neighbour.affine, step.affine, shape)
            args = _renamed(neighbour.args, {_output(step): step.inputs[0]})
            steps[after[0]] = _joined(neighbour, step, folded, args, step.inputs, neighbour.outputs)
            steps[i] = None
    return dataclasses.replace(tape, steps=tuple(step for step in steps if step is not None))


def _output(step: Step) -> int:
    """The value that a step of one answer makes."""
    value = step.outputs[0]
    assert value is not None
    return value


def _takes(affine: Affine | None, how: str, entering: Tensor) -> bool:
    """Whether the neighbour can carry the factors: its channels must be the axis that BatchNorm works on."""
    if affine is None or getattr(affine, how) is None:
        return False
    return affine.kind == "convolution" or entering.ndim == 2


def _joined(kept: Step, gone: Step, affine: Affine, args: Any, inputs: Any, outputs: Any) -> Step:
    modules = (*kept.modules, *gone.modules)
    outputs = (outputs[0],)  # BatchNorm also returns the statistics it saved
    return kept.but(affine=affine, args=args, inputs=inputs, outputs=outputs, modules=modules)


def _fold_after(affine: Affine, norm: Affine, step: Step) -> Affine:
    """k (w a + b) + c = (k w) a + (k b + c)."""
    terms = batch_norm_terms(step)
    assert terms is not None and affine.scaled is not None
    scale, shift = terms
    weight = own_order(affine.scaled(affine.weight.double(), scale).to(affine.weight.dtype))
    shape = norm.weight.shape if affine.kind == "convolution" else (-1,)
    scale, shift = scale.reshape(shape), shift.reshape(shape)
    bias = shift if affine.bias is None else affine.bias.double() * scale + shift
    return dataclasses.replace(affine, weight=weight, bias=bias.to(weight.dtype))


def _fold_before(affine: Affine, norm: Affine, shape: tuple[int, ...], step: Step) -> Affine:
    """w (k a + c) + b = (w k) a + (w c + b). A padded convolution sees c only inside: its bias is a map then."""
    terms = batch_norm_terms(step)
    assert terms is not None and affine.scaled_inputs is not None
    scale, shift = terms
    weight = own_order(affine.scaled_inputs(affine.weight.double(), scale).to(affine.weight.dtype))
    columns = (1, -1) + (1,) * (len(shape) - 1)
    constant = shift.reshape(columns).expand(1, *shape).to(affine.weight.dtype)
    bias = affine.forward(constant, affine.weight)
    return dataclasses.replace(affine, weight=weight, bias=bias if affine.bias is None else bias + affine.bias)
