"""A softmax is one operation, however a model spells it.

    exp(x − c) / Σ exp(x − c),    exp(log_softmax(x)),    x − log Σ exp(x),    softmax(x) ⊙ mask / Σ softmax(x) ⊙ mask

Spelled out, its parts would each pass relevance by a rule of their own, and the same function would be explained in
three ways. Whether some steps are a softmax is not told by their spelling alone: a function that ends like one and does
not change when the same number is added to all of its logits is one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from lrp_widgets.engine.trace.recording_error import layer_in_words
from lrp_widgets.engine.trace.step import Ref, Step, replay
from lrp_widgets.engine.trace.tape import Tape

__all__ = ["SOFTMAX", "WEIGHTED", "with_softmax"]

SOFTMAX = ("_softmax", "_safe_softmax")
WEIGHTED = "softmax_weighted_mean"
_ENDS = {"div": "_softmax", "mul": "_softmax", "exp": "_softmax", "sub": "_log_softmax", "log": "_log_softmax"}
_LOGS = ("_log_softmax", "logsumexp")
LONGEST = 24  # steps that one softmax is looked for in
_EXPONENTIALS = ("exp", "exp2")
# What adds up and weights exponentials, or moves them about.
_WEIGHTING = frozenset(
    {
        "add", "mul", "sum", "cumsum", "mean", "mm", "bmm", "matmul", "mv", "dot", "avg_pool1d", "avg_pool2d",
        "avg_pool3d", "scatter_add", "index_add", "index_put", "index", "index_select", "gather", "cat", "stack",
        "view", "_unsafe_view", "reshape", "expand", "unsqueeze", "squeeze", "transpose", "t", "permute", "clone",
        "slice", "select", "split", "unbind", "as_strided", "as_strided_scatter", "masked_fill", "where", "copy",
        "_to_copy", "reciprocal", "clamp", "clamp_min",
    }
)  # fmt: skip


class Spelled:
    """Some steps as one operation of the logits, and of `others` that enter between."""

    def __init__(self, steps: tuple[Step, ...], logits: int, others: tuple[int, ...] = ()) -> None:
        self.steps, self.logits, self.others = steps, logits, others

    def __call__(self, *tensors: Tensor) -> Tensor:
        values = dict(zip((self.logits, *self.others), tensors, strict=True))
        for step in self.steps:
            outputs = replay(step, [values[value] for value in step.inputs])
            values.update((v, t) for v, t in zip(step.outputs, outputs, strict=False) if v is not None)
        return values[self.steps[-1].output]


def with_softmax(tape: Tape) -> Tape:
    """The same tape with every softmax that is spelled out as one step."""
    if not any(step.op in ("exp", *_LOGS, *SOFTMAX) for step in tape.steps):
        return tape
    steps = list(tape.steps)
    maker = {value: number for number, step in enumerate(steps) for value in step.outputs if value is not None}
    for number, step in enumerate(steps):
        if step.op in _ENDS and (spelled := _spelled(number, steps, maker, tape)) is not None:
            func, op = spelled
            steps[number] = step.but(op=op, func=func, args=(Ref(func.logits),), kwargs={}, inputs=(func.logits,))
    for number, step in enumerate(steps):
        if step.op == "div" and (mean := _weighted_mean(number, steps, maker, tape)) is not None:
            refs = (mean.logits, *mean.others)
            steps[number] = step.but(op=WEIGHTED, func=mean, args=tuple(map(Ref, refs)), kwargs={}, inputs=refs)
    notes = tuple(_notes_of_others(steps, tape))
    if steps == list(tape.steps) and not notes:
        return tape
    return dataclasses.replace(tape, steps=_without_unread(steps, tape), notes=(*tape.notes, *notes))


def _notes_of_others(steps: list[Step], tape: Tape) -> Iterator[str]:
    """A note on each layer that divides by a sum of the same exponentials, and was not told to be a softmax."""
    maker = {value: step for step in steps for value in step.outputs if value is not None}
    layers: dict[str, str] = {}
    for step in _without_unread(steps, tape):
        operands = [arg.value for arg in step.args[:2] if isinstance(arg, Ref)]
        if step.op not in ("div", "mul") or len(operands) < 2:
            continue
        inverted = step.op == "div" or any(maker[v].op == "reciprocal" for v in operands if v in maker)
        above, below = (_exponentials(value, maker) for value in operands)
        if inverted and above & below:
            layers.setdefault(step.module, step.name)
    for module, name in layers.items():
        yield (
            f"{layer_in_words(module)} divides exponentials by their sum, as a softmax does, but in steps that are not "
            f"told to be one (up to {name!r}): each of the steps is explained by itself, which gives another map than "
            "torch.softmax would."
        )


def _exponentials(value: int, maker: dict[int, Step]) -> set[int]:
    """The exponentials that a value is added up or weighted from."""
    found: set[int] = set()
    queue, seen = [value], set[int]()
    while queue:
        value = queue.pop()
        if value in seen or value not in maker:
            continue
        seen.add(value)
        step = maker[value]
        if step.op in _EXPONENTIALS:
            found.add(value)
        elif step.op in _WEIGHTING and step.affine is None:
            queue += step.inputs
    return found


def _spelled(number: int, steps: list[Step], maker: dict[int, int], tape: Tape) -> tuple[Spelled, str] | None:
    """The softmax that ends at this step, and which of the two it is."""
    last = steps[number]
    if last.op in ("div", "mul", "sub") and len(set(last.inputs)) != 2:
        return None
    for logits in _candidates(last, steps, maker):
        parts = _between(number, logits, steps, maker)
        if parts is None or not _has_end(last, [steps[part] for part in parts]):
            continue
        func = Spelled(tuple(steps[part] for part in parts), logits)
        if _is_softmax(func, tape.values[logits], tape.values[last.output], _ENDS[last.op]):
            return func, _ENDS[last.op]
    return None


def _weighted_mean(number: int, steps: list[Step], maker: dict[int, int], tape: Tape) -> Spelled | None:
    """Σ exp(x) v / Σ exp(x): a softmax and a product with v in one, divided at the end."""
    last = steps[number]
    if len(set(last.inputs)) != 2:
        return None
    for logits in _candidates(last, steps, maker):
        first = maker.get(logits, -1)
        depending, parts = {logits}, []
        for place in range(first + 1, number + 1):
            if not depending.isdisjoint(steps[place].inputs):
                depending.update(value for value in steps[place].outputs if value is not None)
                parts.append(place)
        needed, kept = set(last.inputs), [number]
        for place in reversed(parts[:-1]):
            if not needed.isdisjoint(steps[place].outputs):
                needed.update(steps[place].inputs)
                kept.append(place)
        others = dict.fromkeys(v for place in kept for v in steps[place].inputs if v not in depending)
        if len(others) != 1 or len(kept) > LONGEST or not depending.issuperset(last.inputs):
            continue
        func = Spelled(tuple(steps[place] for place in sorted(kept)), logits, tuple(others))
        (other,) = (tape.values[value] for value in others)
        x, z = tape.values[logits], tape.values[last.output]
        if not other.is_floating_point() or not z.is_floating_point() or not _has_end(last, list(func.steps)):
            continue
        try:
            shifted, doubled = func(torch.where(torch.isfinite(x), x + 1, x), other), func(x, other * 2)
            changed = func(x * 0.5, other)
        except (RuntimeError, TypeError, IndexError, ValueError):
            continue
        rounding = max(1e-3, 8 * torch.finfo(z.dtype).eps) * z.abs().amax() if z.numel() else 0
        same = bool(((shifted - z).abs() <= rounding).all() and ((doubled - 2 * z).abs() <= 2 * rounding).all())
        if same and bool(((changed - z).abs() > 0).any()):
            return func
    return None


def _candidates(last: Step, steps: list[Step], maker: dict[int, int]) -> list[int]:
    """Values that may be the logits: what goes into the exponentials, and what these were shifted from."""
    candidates: dict[int, None] = {}
    queue, seen = list(last.inputs), set()
    while queue and len(seen) < LONGEST:
        value = queue.pop(0)
        if value in seen or value not in maker:
            continue
        seen.add(value)
        step = steps[maker[value]]
        if step.op in ("exp", *_LOGS, *SOFTMAX):
            entering = step.inputs[0]
            shifted = steps[maker[entering]] if entering in maker else None
            if shifted is not None and shifted.op == "sub" and len(shifted.inputs) == 2:
                candidates[shifted.inputs[0]] = None
            candidates[entering] = None
        queue += step.inputs
    if last.op == "exp" and last.inputs[0] in maker:
        before = steps[maker[last.inputs[0]]]
        if before.op == "sub":
            candidates[before.inputs[0]] = None
    return list(candidates)


def _between(number: int, logits: int, steps: list[Step], maker: dict[int, int]) -> list[int] | None:
    """The steps from the logits to this one, in order; None where something else enters."""
    parts: set[int] = set()
    queue = [number]
    while queue:
        part = queue.pop()
        if part in parts:
            continue
        parts.add(part)
        if len(parts) > LONGEST:
            return None
        for value in steps[part].inputs:
            if value == logits:
                continue
            if value not in maker:
                return None
            queue.append(maker[value])
    return sorted(parts)


def _has_end(last: Step, parts: list[Step]) -> bool:
    ops = {step.op for step in parts}
    if last.op in ("div", "mul"):
        sums = ops & {"sum", "scatter_add", "index_add", "scatter_reduce", "segment_reduce"}
        return (
            bool(sums) and bool(ops & {"exp", *SOFTMAX}) and (last.op == "div" or "reciprocal" in ops or "div" in ops)
        )
    if last.op == "log":
        return bool(ops & {"_softmax", "_safe_softmax"}) or ("exp" in ops and "div" in ops)
    return bool(ops & {*_LOGS}) or (last.op == "sub" and {"log", "exp", "sum"} <= ops)


def _is_softmax(func: Spelled, logits: Tensor, output: Tensor, kind: str) -> bool:
    """Whether the steps make the recorded answer, which no common shift of the logits changes."""
    finite = torch.isfinite(logits)
    if kind == "_softmax" and bool((output < 0).any()):
        return False
    try:
        shifted = func(torch.where(finite, logits + 1, logits))
    except (RuntimeError, TypeError, IndexError, ValueError):
        return False
    if shifted.shape != output.shape:
        return False
    size = output.nan_to_num(posinf=0, neginf=0).abs().amax() if output.numel() else torch.zeros(())
    gap = (shifted - output).nan_to_num(posinf=0, neginf=0).abs()
    changed = func(torch.where(finite, logits * 0.5, logits))  # a constant does not change either
    differs = (changed - output).nan_to_num(posinf=0, neginf=0).abs().amax() if output.numel() else 0
    rounding = max(1e-3, 8 * torch.finfo(output.dtype).eps)  # in bfloat16, logits + 1 are off by more than that
    return bool((gap <= rounding * size).all()) and (bool(differs > 0) or bool((logits == 0).all()))


def _without_unread(steps: list[Step], tape: Tape) -> tuple[Step, ...]:
    """The steps whose answers are read."""
    read = {tape.output}
    keep: list[Step] = []
    for step in reversed(steps):
        if any(value in read for value in step.outputs):
            keep.append(step)
            read.update(step.inputs)
    return tuple(reversed(keep))
