"""What a reader of an LRP explanation must be told beside its numbers."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from lrp_widgets.engine.layers.layer import Layer
from lrp_widgets.engine.propagation.propagate import Propagation
from lrp_widgets.engine.rules import Flat, ZBox
from lrp_widgets.engine.trace.memo import Memo
from lrp_widgets.engine.trace.tape import Step, Tape

__all__ = ["notes_on"]


def notes_on(tape: Tape, passed: Propagation, memo: Memo) -> tuple[str, ...]:
    """The notes on one explanation: of the recording, of rules that do not fit, of numbers that are not finite."""
    return (*tape.notes, *_misfits(tape, passed, memo), *_not_finite(tape, passed))


def _misfits(tape: Tape, passed: Propagation, memo: Memo) -> Iterator[str]:
    steps = {step.name: step for step in tape.steps}
    for line in passed.ledger:
        if not line.reached or not isinstance(line.rule, Flat | ZBox):
            continue
        step = steps[line.name]
        if isinstance(line.rule, Flat) and step.affine.kind == "dense":
            yield (
                f"The flat rule on the dense layer {step.name!r} gives each of its inputs the same relevance, whatever "
                "they are. It is meant for convolutions: use w², z^B or ε here."
            )
        if isinstance(line.rule, ZBox) and (outside := _outside(line.rule, step, tape, memo)):
            yield (
                f"z^B at {step.name!r} takes inputs from its box; {outside} lie outside of it, where the rule is not "
                f"defined. Widen low and high ({_text(line.rule.low)} to {_text(line.rule.high)} now)."
            )


def _outside(rule: ZBox, step: Step, tape: Tape, memo: Memo) -> int:
    """How many numbers lie outside of the box of the rule."""
    a = tape.values[step.inputs[0]]

    def count(rule: ZBox, a: Tensor) -> int:
        low, high = rule.bounds(Layer(step.affine, a, tape.values[step.output], step.name))
        slack = 1e-5 * (high - low)  # a picture that was normalized and back is off by rounding
        return int(((a < low - slack) | (a > high + slack)).sum())

    return memo(("outside", step.name), count, rule, a)


def _text(bound: object) -> str:
    return f"{bound:g}" if isinstance(bound, float) else "one for each channel"


def _not_finite(tape: Tape, passed: Propagation) -> Iterator[str]:
    steps = {step.name: step for step in tape.steps}
    for line in reversed(passed.ledger):
        if not bool(torch.isfinite(line.relevance_in).all()) or not bool(torch.isfinite(line.relevance_out).all()):
            first = f"The relevance is not finite: it is NaN or infinite first at {line.name!r} ({line.op}). "
            step = steps[line.name]
            around = [tape.values[value] for value in (*step.inputs, *step.outputs) if value is not None]
            if not all(bool(torch.isfinite(tensor).all()) for tensor in around):
                yield (
                    first + "There the model itself computes with NaN or infinity, which it replaces later on (a row "
                    "that is masked out whole, for instance). Keep its numbers finite."
                )
                return
            yield (first + "Try a rule with a larger ε there, or say how the operation passes relevance.")
            return
