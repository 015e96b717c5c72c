"""Tokens: what is looked up by a whole number gives its relevance to that number.

A token has the relevance of all that was looked up by it. Where several tokens make one (a hash of two words), they
share evenly; in a bag of embeddings each takes what its embedding adds to the bag.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.engine.layers.reciprocal import reciprocal
from lrp_widgets.engine.operators.options import Options
from lrp_widgets.engine.operators.pullback import OperatorRule, Pullback, PulledBack
from lrp_widgets.engine.trace.step import Ref, Step
from lrp_widgets.engine.trace.tape import Tape
from lrp_widgets.engine.trace.tokens import TOKEN_ARITHMETIC

__all__ = ["token_rule"]


def evenly(step: Step, tape: Tape, options: Options) -> Pullback:
    """Arithmetic on tokens: R / n for each of the n that depend on the input."""
    shapes = [tape.values[value].shape for value in step.inputs]

    def pullback(relevance: Tensor, *_: Any) -> PulledBack:
        return [(relevance / len(shapes)).sum_to_size(shape) for shape in shapes], {}

    return pullback


def _looked_up(places: Callable[[Step, Tape, Tensor], Tensor], at: int) -> OperatorRule:
    """The rule of a lookup by one tensor of tokens, argument number `at`.

    places: the relevance of each token, out of that of the answer.
    """

    def rule(step: Step, tape: Tape, options: Options) -> Pullback:
        def pullback(relevance: Tensor, *_: Any) -> PulledBack:
            tokens = places(step, tape, relevance)
            return [tokens if ref == step.args[at] else None for ref in map(Ref, step.inputs)], "constant"

        return pullback

    return rule


def _index_select(step: Step, tape: Tape, relevance: Tensor) -> Tensor:
    axis = step.args[1] % relevance.ndim
    return relevance.movedim(axis, 0).flatten(1).sum(1) if relevance.ndim > 1 else relevance


def _gather(step: Step, tape: Tape, relevance: Tensor) -> Tensor:
    return relevance


def _one_hot(step: Step, tape: Tape, relevance: Tensor) -> Tensor:
    """ids[..., None] == arange(n): the axis of the numbers is added up."""
    place = next(place for place, arg in enumerate(step.args) if isinstance(arg, Ref))
    return relevance.sum_to_size(tape.values[step.args[place].value].shape)


def _written(step: Step, tape: Tape, relevance: Tensor) -> Tensor:
    """Numbers written at the places of the tokens: the relevance of the place, shared by all who name it."""
    _, axis, ref, *_ = step.args
    tokens = tape.values[ref.value]
    if step.op == "scatter_add":
        source = step.args[3]
        z = tape.values[step.output]
        within = tuple(slice(0, size) for size in tokens.shape)
        return source[within] * (relevance * reciprocal(z)).gather(axis, tokens)
    counts = torch.zeros_like(relevance).scatter_add(axis, tokens, torch.ones_like(tokens, dtype=relevance.dtype))
    return relevance.gather(axis, tokens) / counts.gather(axis, tokens)


def _index_add(step: Step, tape: Tape, relevance: Tensor) -> Tensor:
    """Numbers added at the places of the tokens: each takes what it adds to its place."""
    _, axis, ref, source = step.args[:4]
    s = (relevance * reciprocal(tape.values[step.output])).index_select(axis, tape.values[ref.value])
    return (source * step.kwargs.get("alpha", 1) * s).movedim(axis, 0)[:, None].flatten(1).sum(1)


def _counted(step: Step, tape: Tape, relevance: Tensor) -> Tensor:
    """bincount: the relevance of a count, shared by the tokens that are counted there."""
    args: list[Any] = list(step.args)
    ref, weights = args[0], args[1] if len(args) > 1 else step.kwargs.get("weights")
    one_over_z = reciprocal(tape.values[step.output].to(relevance.dtype))
    each = (relevance * one_over_z)[tape.values[ref.value]]
    return each if weights is None else each * weights


def _index(step: Step, tape: Tape, options: Options) -> Pullback:
    """table[i, j]: what was looked up, shared evenly by the tensors of tokens that say where."""
    return _by_places(step, tape, lambda relevance: relevance)


def _index_put(step: Step, tape: Tape, options: Options) -> Pullback:
    """Numbers written at the places of the tokens: what was added there in proportion, what replaced evenly."""
    args: list[Any] = list(step.args)
    numbers, accumulates = args[2], args[3] if len(args) > 3 else step.kwargs.get("accumulate", False)
    indices = [tape.values[item.value] if isinstance(item, Ref) else item for item in args[1]]
    over: Tensor = tape.values[step.output].to(numbers.dtype)
    if not accumulates:
        over = torch.zeros_like(over).index_put(indices, torch.ones((), dtype=over.dtype), accumulate=True)
        numbers = 1
    one_over = reciprocal(over)
    return _by_places(step, tape, lambda relevance: torch.ops.aten.index(relevance * one_over, indices) * numbers)


def _by_places(step: Step, tape: Tape, at_places: Callable[[Tensor], Tensor]) -> Pullback:
    """The relevance at the places that several tensors of tokens name together, shared evenly by these."""
    indices: list[Any] = step.args[1]
    tensors = [tape.values[item.value] if isinstance(item, Ref) else item for item in indices]
    places = [place for place, item in enumerate(tensors) if item is not None]
    looked = torch.broadcast_shapes(*(tensors[place].shape for place in places))
    together = places[-1] - places[0] == len(places) - 1
    first = places[0] if together else 0  # where the axes of the indices lie in the answer
    shapes = [tape.values[value].shape for value in step.inputs]

    def pullback(relevance: Tensor) -> PulledBack:
        relevance = at_places(relevance)
        rest = [axis for axis in range(relevance.ndim) if not first <= axis < first + len(looked)]
        tokens = relevance.sum(rest) if rest else relevance
        return [(tokens / len(shapes)).sum_to_size(shape) for shape in shapes], "constant"

    return pullback


def _bag(step: Step, tape: Tape, options: Options) -> Pullback:
    """z_b = Σ_i w_i E_i: R_i = w_i Σ_d E_id R_bd / z_bd; of the largest of each dimension, all to the winner."""
    names = [argument.name for argument in step.func._schema.arguments]  # type: ignore[attr-defined]
    named = dict(zip(names, step.args, strict=False)) | step.kwargs

    def at(name: str) -> Any:
        item = named.get(name)
        return tape.values[item.value] if isinstance(item, Ref) else item

    table, tokens, offsets, mode, weights = map(at, ("weight", "indices", "offsets", "mode", "per_sample_weights"))
    z = tape.values[step.output]
    bags = torch.searchsorted(offsets.contiguous(), torch.arange(len(tokens), device=tokens.device), right=True) - 1
    bags = bags.clamp(0, len(z) - 1)
    rows = table[tokens]
    padding = named.get("padding_idx", -1)
    present = tokens != padding if padding is not None and padding >= 0 else torch.ones_like(tokens, dtype=torch.bool)
    if mode == _MAX:
        winners = (rows == z[bags]) & present[:, None]
        share = winners / torch.zeros_like(z).index_add_(0, bags, winners.to(z.dtype)).clamp(min=1)[bags]
    else:
        rows = rows if weights is None else rows * weights[:, None]
        rows = rows * present[:, None]
        if mode == _MEAN:
            counts = torch.zeros(len(z), dtype=z.dtype, device=z.device).index_add_(0, bags, present.to(z.dtype))
            rows = rows / counts.clamp(min=1)[bags, None]
        share = rows * reciprocal(z)[bags]
    active = [name for name in ("indices", "per_sample_weights") if isinstance(named.get(name), Ref)]

    def pullback(relevance: Tensor, *_: Any) -> PulledBack:
        each = (share * relevance[bags]).sum(1)
        by_value = {named[name].value: each / len(active) for name in active}
        return [by_value.get(value) for value in step.inputs], "constant"

    return pullback


_MEAN, _MAX = 1, 2  # torch's numbers for the modes of a bag
_LOOKUPS: dict[str, tuple[int, OperatorRule]] = {  # where the tokens stand among the arguments, and the rule
    "index": (1, _index),
    "index_put": (1, _index_put),
    "index_add": (2, _looked_up(_index_add, 2)),
    "bincount": (0, _looked_up(_counted, 0)),
    "index_select": (2, _looked_up(_index_select, 2)),
    "gather": (2, _looked_up(_gather, 2)),
    "take": (1, _looked_up(_gather, 1)),
    "take_along_dim": (1, _looked_up(_gather, 1)),
    "scatter": (2, _looked_up(_written, 2)),
    "scatter_add": (2, _looked_up(_written, 2)),
    "_embedding_bag": (1, _bag),
    "_embedding_bag_forward_only": (1, _bag),
}


def token_rule(step: Step) -> OperatorRule | None:
    """The rule of a step on tokens, None for a step on anything else (and for one that only moves tokens)."""
    if step.op == "eq":
        place = next(place for place, arg in enumerate(step.args) if isinstance(arg, Ref))
        return _looked_up(_one_hot, place)
    if step.op in TOKEN_ARITHMETIC and step.tokens:
        return evenly
    if step.op in _LOOKUPS:
        at, rule = _LOOKUPS[step.op]
        index = step.args[at] if at < len(step.args) else None
        items = index if isinstance(index, list | tuple) else [index]
        if rule is _bag and not isinstance(step.args[0], Ref):
            return rule
        if rule is _index_put and isinstance(step.args[2], Ref):  # tokens that are written somewhere else
            return None
        if (at == 0 or not isinstance(step.args[0], Ref)) and any(isinstance(item, Ref) for item in items):
            return rule
    return None
