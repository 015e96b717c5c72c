"""Layer-wise relevance propagation with a composite of rules; deep Taylor decomposition is one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from lrp_widgets.engine.composites.composite import Composite
from lrp_widgets.engine.composites.presets import deep_taylor
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.filter import Filter, axis_of_channels
from lrp_widgets.engine.propagation.method import Method, never
from lrp_widgets.engine.propagation.notes import notes_on
from lrp_widgets.engine.propagation.propagate import Propagation, propagate
from lrp_widgets.engine.propagation.target import Contrast, Target, resolve_target, starting_relevance
from lrp_widgets.engine.trace.inputs import Inputs, copied, inputs_of
from lrp_widgets.engine.trace.memo import Memo
from lrp_widgets.engine.trace.tape import Tape

__all__ = ["LRP", "Recording"]


@dataclass(frozen=True, eq=False)
class Recording:
    """A model at one input: its canonical tape, and the memo of what was computed from it."""

    tape: Tape
    memo: Memo


@dataclass(frozen=True)
class LRP(Method):
    """Σ_i R_i = … = Σ_j R_j = Σ_k R_k = … = f(x): relevance is handed down layer by layer.

    composite: which rule where; deep Taylor (z⁺ everywhere) by default.
    filters: lw.Filter(layer, …): what relevance may flow through.
    """

    title: ClassVar[str] = "LRP"
    equation: ClassVar[str] = "Σ_i R_i = … = Σ_j R_j = Σ_k R_k = … = f(x)"
    reference: ClassVar[str] = "Bach et al. 2015; the paper, section on layer-wise relevance propagation"

    composite: Composite = field(default_factory=deep_taylor)
    filters: tuple[Filter, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.composite, Composite):
            raise TypeError(f"LRP.composite must be a composite such as lw.epsilon(), got {self.composite!r}.")
        if not isinstance(self.filters, tuple) or not all(isinstance(filter_, Filter) for filter_ in self.filters):
            raise TypeError(f"LRP.filters must be a tuple of lw.Filter(layer, …), got {self.filters!r}.")

    def relevance(
        self,
        explainer: Any,
        x: Any,
        target: Target,
        abandoned: Callable[[], bool] = never,
        *,
        recording: Recording | None = None,
        show: Callable[[Tensor], None] | None = None,
    ) -> Explanation:
        """Propagate from the target down to x.

        recording: the model at x; the explainer's own where it is not handed in.
        abandoned: asked before each step.  show: called with the relevance of each value on its way down.
        Raises Abandoned, or ValueError where composite, filters or target do not fit the model.
        """
        inputs = inputs_of(x)
        with torch.no_grad():
            here: Recording = explainer.recording(inputs) if recording is None else recording
            return self._explanation(here, inputs, *self.propagate(here, target, abandoned, show))

    def propagate(
        self,
        recording: Recording,
        target: Target,
        abandoned: Callable[[], bool] = never,
        show: Callable[[Tensor], None] | None = None,
    ) -> tuple[Propagation, Tensor, tuple[int, ...] | Contrast]:
        """The relevance of every value of the tape, where it started, and the target as one class a row."""
        tape, memo = recording.tape, recording.memo
        resolved = resolve_target(target, tape.scores)
        start = memo("start", lambda resolved: starting_relevance(resolved, tape.scores), resolved)
        return propagate(tape, self.composite, start, memo, abandoned, show, self.filters), start, resolved

    def _explanation(
        self,
        recording: Recording,
        inputs: Inputs,
        passed: Propagation,
        start: Tensor,
        target: tuple[int, ...] | Contrast,
    ) -> Explanation:
        tape = recording.tape

        def at_layer(name: str) -> Tensor:
            value = tape.value_at(name)
            relevance = passed.relevance.get(value)
            return torch.zeros_like(tape.values[value]) if relevance is None else _copied(relevance)

        return Explanation(  # of copies: what is done to them must not reach what the explainer remembers
            relevance=inputs.like([_copied(passed.relevance[value]) for value in tape.inputs]),
            scores=tape.scores.clone(),
            inputs=copied(inputs).form,
            target=target,
            method=self,
            start=start.clone(),
            layers=passed.ledger,
            recomputed=passed.recomputed,
            steps=len(tape.steps),
            fallbacks=passed.fallbacks,
            notes=(*self.composite.remarks(tape), *notes_on(tape, passed, recording.memo)),
            _at_layer=at_layer,
            _channels_at=lambda name: axis_of_channels(tape.value_at(name), tape),
        )


def _copied(relevance: Tensor) -> Tensor:
    return relevance.clone(memory_format=torch.contiguous_format)
