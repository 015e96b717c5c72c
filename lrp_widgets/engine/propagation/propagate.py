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
from lrp_widgets.engine.propagation.filter import Filter, channel_axis, filters_at
from lrp_widgets.engine.propagation.ledger import LedgerEntry, Sums, lines_of, sums_of
from lrp_widgets.engine.propagation.rows import Rows, by_row, row_mean, rows_of_values
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


def propagate(
    tape: Tape,
    composite: Composite,
    start: Tensor,
    memo: Memo,
    abandoned: Callable[[], bool] = lambda: False,
    show: Callable[[Tensor], None] | None = None,
    filters: tuple[Filter, ...] = (),
) -> Propagation:
    """Take the relevance `start` at the tape's output down to its inputs, doing only what the memo does not have.

    start: of the shape of the scores.  memo: cells of this tape.  abandoned: asked before each step.
    show: called with the relevance of each value on its way down.  filters: what it may flow through.
    Raises Abandoned, or ValueError where the composite does not fit the layers.
    """
    way = _Way(tape, composite, memo, filters, show)
    way.arriving[tape.output] = [start]
    ledger: list[LedgerEntry] = []
    recomputed = 0
    for number in range(len(tape.steps) - 1, -1, -1):
        if abandoned():
            raise Abandoned
        step = tape.steps[number]
        out, held_back = way.arrive(step)
        if all(relevance is None for relevance in out):
            ledger.append(LedgerEntry(step))
            continue
        before = memo.computed
        passed = way.pull_back(number, out)
        recomputed += memo.computed > before
        way.hand_on(step, passed)
        ledger.append(replace(passed.entry, filtered=held_back) if held_back else passed.entry)
    way.reach_inputs(start)
    reached = {entry.step.name for entry in ledger if entry.arriving}
    fallbacks = tuple(
        step.name
        for step in tape.steps
        if step.affine is None and operator_rule(step) is fallback and step.name in reached
    )
    return Propagation(way.relevance, lines_of(ledger[::-1], tape.batch), recomputed, fallbacks)


@dataclass(frozen=True, eq=False)
class _Passed:
    """One step done: what it handed to each of its inputs, the sums of that, and what the ledger says of it."""

    handed_on: tuple[Tensor | None, ...]
    sums: tuple[Sums | None, ...]
    entry: LedgerEntry


class _Way:
    """One way down a tape: the relevance that is still arriving, and the relevance of every value passed.

    The sums of what a step hands on are those of what arrives at the next one, so they are taken once.
    """

    def __init__(
        self,
        tape: Tape,
        composite: Composite,
        memo: Memo,
        filters: tuple[Filter, ...],
        show: Callable[[Tensor], None] | None,
    ) -> None:
        self.tape, self.memo, self.show = tape, memo, show
        self.rules: dict[str, Rule] = memo("rules", lambda composite: resolve(composite, tape), composite)
        self.options = Options(**{field.name: getattr(composite, field.name) for field in fields(Options)})
        self.rows: dict[int, Rows] = memo("rows", lambda: rows_of_values(tape))
        self.filters: dict[int, tuple[Filter, ...]] = memo("filters", lambda f: filters_at(f, tape), filters)
        self.arriving: dict[int, list[Tensor]] = {}
        self.relevance: dict[int, Tensor] = {}
        self.sums: dict[tuple[int, Rows | None], Sums] = {}

    def arrive(self, step: Step) -> tuple[list[Tensor | None], tuple[Sums, ...]]:
        """The relevance at each output of a step, None where none arrives; and the sums of what filters hold back."""
        out: list[Tensor | None] = []
        held_back: list[Sums] = []
        for value in step.outputs:
            if value is None:
                continue
            if value in self.arriving:
                self.relevance[value] = self._gathered(value)
                if value in self.filters:
                    self.relevance[value], back = self._filtered(value)
                    held_back.append(back)
                if self.show is not None:
                    self.show(self.relevance[value])
            out.append(self.relevance.get(value))
        return out, tuple(held_back)

    def pull_back(self, number: int, out: list[Tensor | None]) -> _Passed:
        """Linearize a step where that is not done yet, and take the relevance at its outputs to its inputs."""
        step = self.tape.steps[number]
        rule = self.rules.get(step.name)
        pullback = self._linearized(number, step, rule)
        return self.memo(("pullback", number), lambda pullback, *r: self._pass(step, rule, pullback, r), pullback, *out)

    def hand_on(self, step: Step, passed: _Passed) -> None:
        """Add what a step handed on to what arrives at its inputs."""
        for value, relevance, sums in zip(step.inputs, passed.handed_on, passed.sums, strict=True):
            if relevance is not None:
                self.arriving.setdefault(value, []).append(relevance)
            if sums is not None:
                self.sums[id(relevance), self.rows.get(value)] = sums

    def reach_inputs(self, start: Tensor) -> None:
        """The relevance of the model's inputs; zero where none arrived."""
        for value in self.tape.inputs:
            tensor = self.tape.values[value]
            dtype = _carrier(tensor, start)
            arrived = value in self.arriving
            self.relevance[value] = (
                self._gathered(value).to(dtype) if arrived else torch.zeros_like(tensor, dtype=dtype)
            )

    def _gathered(self, value: int) -> Tensor:
        """The sum over all who read a value."""
        parts = self.arriving.pop(value)
        return parts[0] if len(parts) == 1 else self.memo(("sum", value), lambda *p: reduce(torch.add, p), *parts)

    def _filtered(self, value: int) -> tuple[Tensor, Sums]:
        """What the filters at a value let through, and the sums of what they hold back."""

        def divide(relevance: Tensor, filters: tuple[Filter, ...]) -> tuple[Tensor, Sums]:
            axis = channel_axis(value, self.tape)
            through = reduce(torch.mul, (filter_.mask(relevance, axis) for filter_ in filters), relevance)
            return through, sums_of(relevance - through, self.tape.batch, self.rows.get(value))

        return self.memo(("filter", value), divide, self.relevance[value], self.filters[value])

    def _linearized(self, number: int, step: Step, rule: Rule | None) -> Callable[..., Any]:
        tape, memo = self.tape, self.memo
        if step.affine is None or rule is None:
            return memo(
                ("operator", number),
                lambda of_operator, options: of_operator(step, tape, options),
                operator_rule(step),
                self.options,
            )
        output = step.output
        a, z = tape.values[step.inputs[0]], tape.values[output]
        mean = partial(row_mean, batch=tape.batch, rows=self.rows.get(output))
        layer = memo(("layer", number), lambda affine: Layer(affine, a, z, step.name, mean), step.affine)
        return memo(("linearize", number), lambda rule, layer: rule.linearize(layer, a), rule, layer)

    def _pass(
        self, step: Step, rule: Rule | None, pullback: Callable[..., Any], out: tuple[Tensor | None, ...]
    ) -> _Passed:
        """Pull relevance through one step and add up what the ledger says of it."""
        tape = self.tape
        handed_on, absorbed = pullback(out[0]) if step.affine is not None else pullback(*out)
        handed_on = (handed_on,) if isinstance(handed_on, Tensor) else tuple(handed_on)
        # A sum of two dtypes has the wider one: each input gets its relevance in its own.
        handed_on = tuple(
            None if r is None else r.to(_carrier(tape.values[value], r))
            for r, value in zip(handed_on, step.inputs, strict=True)
        )
        values = [value for value in step.outputs if value is not None]
        arrived = [r for r in out if r is not None]
        sums = tuple(map(self._sums, handed_on, step.inputs))
        if not isinstance(absorbed, str):
            rows = self.rows.get(values[0])
            absorbed = {cause: by_row(amount, tape.batch, rows) for cause, amount in absorbed.items()}
        entry = LedgerEntry(
            step,
            rule,
            arriving=tuple(s for s in map(self._sums, out, values) if s is not None),
            handed_on=tuple(s for s in sums if s is not None),
            absorbed=absorbed,
            eps=max(torch.finfo(r.dtype).eps for r in (*arrived, *handed_on) if r is not None),
            eps_arriving=torch.finfo(arrived[0].dtype).eps,
        )
        return _Passed(handed_on, sums, entry)

    def _sums(self, relevance: Tensor | None, value: int) -> Sums | None:
        if relevance is None:
            return None
        key = id(relevance), self.rows.get(value)
        if key not in self.sums:
            self.sums[key] = sums_of(relevance, self.tape.batch, key[1])
        return self.sums[key]


def _carrier(value: Tensor, relevance: Tensor) -> torch.dtype:
    """The dtype of the relevance of a value: its own, or for the numbers of tokens the one it comes in."""
    return value.dtype if value.is_floating_point() else relevance.dtype
