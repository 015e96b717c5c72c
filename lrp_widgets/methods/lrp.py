"""Layer-wise relevance propagation with a composite of rules; deep Taylor decomposition is one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from lrp_widgets.engine.composite import Composite
from lrp_widgets.engine.explainer import Explainer
from lrp_widgets.engine.explanation import Explanation
from lrp_widgets.engine.filter import Filter
from lrp_widgets.engine.inputs import copied, inputs_of
from lrp_widgets.engine.presets import deep_taylor
from lrp_widgets.methods.method import Method, never

__all__ = ["LRP"]


@dataclass(frozen=True)
class LRP(Method):
    """Σ_i R_i = … = Σ_j R_j = Σ_k R_k = … = f(x): relevance is handed down layer by layer.

    composite: which rule where; deep Taylor (z⁺ everywhere) where none is given.
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
        if not isinstance(self.filters, tuple) or not all(isinstance(known, Filter) for known in self.filters):
            raise TypeError(f"LRP.filters must be a tuple of lw.Filter(layer, …), got {self.filters!r}.")

    def relevance(
        self, explainer: Explainer, x: Any, target: Any, abandoned: Callable[[], bool] = never
    ) -> Explanation:
        """Propagate from the target down to x."""
        given = inputs_of(x)
        tape, passed, start, resolved = explainer.propagate(given, self.composite, target, abandoned, self.filters)

        def at_layer(name: str) -> Tensor:
            value = tape.value_at(name)
            known = passed.relevance.get(value)
            return torch.zeros_like(tape.values[value]) if known is None else _copied(known)

        return Explanation(  # of copies: what is done to them must not reach what the explainer remembers
            relevance=given.like([_copied(passed.relevance[value]) for value in tape.inputs]),
            scores=tape.scores.clone(),
            inputs=copied(given).given,
            target=resolved,
            method=self,
            start=start.clone(),
            layers=passed.ledger,
            recomputed=passed.recomputed,
            steps=len(tape.steps),
            fallbacks=passed.fallbacks,
            _at_layer=at_layer,
        )


def _copied(relevance: Tensor) -> Tensor:
    return relevance.clone(memory_format=torch.contiguous_format)
