"""From the output down: relevance passes every recorded step once, and the ledger is always on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.engine.composites.composite import Composite, resolve
from lrp_widgets.engine.layers.layer import Layer
from lrp_widgets.engine.operators import Options, fallback, operator_rule
from lrp_widgets.engine.propagation.explanation import LayerRelevance
from lrp_widgets.engine.propagation.filter import Filter, filters_at
from lrp_widgets.engine.propagation.ledger import Entry, Sums, sums_of, written
from lrp_widgets.engine.propagation.rows import Layout, by_row, row_layouts, row_mean
from lrp_widgets.engine.rules import Rule
from lrp_widgets.engine.trace.memo import Memo
from lrp_widgets.engine.trace.tape import Step, Tape

__all__ = ["Abandoned", "Propagation", "propagate"]


class Abandoned(Exception):
    """A newer request made this one worthless."""


@dataclass(frozen=True, eq=False)
class Propagation:
    """Relevance of every value that was reached, and the ledger from the input to the output."""

    relevance: dict[int, Tensor]
    ledger: tuple[LayerRelevance, ...]
    recomputed: int
    fallbacks: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Passed:
    """One step done: what it handed to each of its inputs, the sums of that, and what the ledger says of it."""

    handed: tuple[Tensor | None, ...]
    sums: tuple[Sums | None, ...]
    entry: Entry


def propagate(
    tape: Tape,
    composite: Composite,
    start: Tensor,
    memo: Memo,
    abandoned: Callable[[], bool] = lambda: False,
    show: Callable[[Tensor], None] | None = None,
    filters: tuple[Filter, ...] = (),
) -> Propagation:
    """Take the relevance `start` at the tape's output down to its inputs, doing only what the memo does not know.

    start: of the shape of the scores.  memo: cells of this tape.  abandoned: asked before each step.
    show: called with the relevance of each value on its way down.  filters: what it may flow through.
    Raises Abandoned, or ValueError where the composite does not fit the layers.
    """
    rules = memo("rules", lambda composite: resolve(composite, tape), composite)
    options = Options(**{field.name: getattr(composite, field.name) for field in fields(Options)})
    layouts = memo("layouts", lambda: row_layouts(tape))
    cut = memo("filters", lambda filters: filters_at(filters, tape), filters)
    arriving: dict[int, list[Tensor]] = {tape.output: [start]}
    relevance: dict[int, Tensor] = {}
    ledger: list[Entry] = []
    sums: dict[tuple[int, Layout | None], Sums] = {}  # what a step hands on arrives at the next: add it up once
    recomputed = 0
    for number in range(len(tape.steps) - 1, -1, -1):
        if abandoned():
            raise Abandoned
        step = tape.steps[number]
        out, held = [], []
        for value in step.outputs:
            if value is None:
                continue
            if value in arriving:
                relevance[value] = _gathered(memo, value, arriving.pop(value))
                if value in cut:
                    relevance[value], back = _filtered(memo, value, relevance[value], cut[value], tape.batch, layouts)
                    held.append(back)
                if show is not None:
                    show(relevance[value])
            out.append(relevance.get(value))
        if all(r is None for r in out):
            ledger.append(Entry(step))
            continue
        rule, before = rules.get(step.name), memo.computed
        pullback = _linearized(memo, tape, number, rule, options, layouts)
        passed = memo(
            ("pullback", number),
            lambda pullback, *r, step=step, rule=rule: _pass(step, rule, pullback, r, tape, layouts, sums),
            pullback,
            *out,
        )
        sums.update(
            {
                (id(r), layouts.get(value)): known
                for r, value, known in zip(passed.handed, step.inputs, passed.sums, strict=True)
                if known is not None
            }
        )
        recomputed += memo.computed > before
        ledger.append(replace(passed.entry, held=tuple(held)) if held else passed.entry)
        for value, handed in zip(step.inputs, passed.handed, strict=True):
            if handed is not None:
                arriving.setdefault(value, []).append(handed)
    for value in tape.inputs:
        known = _gathered(memo, value, arriving[value]) if value in arriving else None
        dtype = _carrier(tape.values[value], start)
        relevance[value] = torch.zeros_like(tape.values[value], dtype=dtype) if known is None else known.to(dtype)
    reached = {entry.step.name for entry in ledger if entry.out}
    fallbacks = tuple(
        step.name
        for step in tape.steps
        if step.affine is None and operator_rule(step) is fallback and step.name in reached
    )
    return Propagation(relevance, written(ledger[::-1], tape.batch), recomputed, fallbacks)


def _gathered(memo: Memo, value: int, parts: list[Tensor]) -> Tensor:
    """The sum over all who read a value."""
    if len(parts) == 1:
        return parts[0]
    return memo(("sum", value), lambda *parts: reduce(torch.add, parts), *parts)


def _filtered(
    memo: Memo,
    value: int,
    relevance: Tensor,
    filters: tuple[Filter, ...],
    batch: int,
    layouts: dict[int, Layout],
) -> tuple[Tensor, Sums]:
    """What the filters let through, and what they hold back."""

    def divide(relevance: Tensor, filters: tuple[Filter, ...]) -> tuple[Tensor, Sums]:
        through = reduce(torch.mul, (known.mask(relevance) for known in filters), relevance)
        return through, sums_of(relevance - through, batch, layouts.get(value))

    return memo(("filter", value), divide, relevance, filters)


def _linearized(
    memo: Memo, tape: Tape, number: int, rule: Rule | None, options: Options, layouts: dict[int, Layout]
) -> Callable[..., Any]:
    step = tape.steps[number]
    if step.affine is None or rule is None:
        return memo(("treat", number), lambda treat, options: treat(step, tape, options), operator_rule(step), options)
    made = next(value for value in step.outputs if value is not None)
    a, z = tape.values[step.inputs[0]], tape.values[made]
    mean = partial(row_mean, batch=tape.batch, layout=layouts.get(made))
    layer = memo(("layer", number), lambda affine: Layer(affine, a, z, step.name, mean), step.affine)
    return memo(("linearize", number), lambda rule, layer: rule.linearize(layer, a), rule, layer)


def _pass(
    step: Step,
    rule: Rule | None,
    pullback: Callable[..., Any],
    out: tuple[Tensor | None, ...],
    tape: Tape,
    layouts: dict[int, Layout],
    sums: dict[tuple[int, Layout | None], Sums],
) -> _Passed:
    """Pull relevance through one step and add up what the ledger says of it."""
    handed, absorbed = pullback(out[0]) if step.affine is not None else pullback(*out)
    handed = (handed,) if isinstance(handed, Tensor) else tuple(handed)
    # A sum of two dtypes has the wider one: each input gets its relevance in its own.
    handed = tuple(
        None if r is None else r.to(_carrier(tape.values[value], r))
        for r, value in zip(handed, step.inputs, strict=True)
    )
    arrived = [r for r in out if r is not None]
    values = [value for value in step.outputs if value is not None]

    def summed(r: Tensor | None, value: int) -> Sums | None:
        if r is None:
            return None
        where = (id(r), layouts.get(value))
        if where not in sums:
            sums[where] = sums_of(r, tape.batch, where[1])
        return sums[where]

    leaving = tuple(map(summed, handed, step.inputs))
    kept = absorbed
    if not isinstance(absorbed, str):
        kept = {cause: by_row(amount, tape.batch, layouts.get(values[0])) for cause, amount in absorbed.items()}
    entry = Entry(
        step,
        rule,
        out=tuple(known for known in map(summed, out, values) if known is not None),
        handed=tuple(known for known in leaving if known is not None),
        kept=kept,
        eps=max(torch.finfo(r.dtype).eps for r in (*arrived, *handed) if r is not None),
        eps_out=torch.finfo(arrived[0].dtype).eps,
    )
    return _Passed(handed, leaving, entry)


def _carrier(value: Tensor, relevance: Tensor) -> torch.dtype:
    """The dtype of the relevance of a value: its own, or for the numbers of tokens the one it comes in."""
    return value.dtype if value.is_floating_point() else relevance.dtype
