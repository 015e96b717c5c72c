"""LRP-αβ and z⁺: positive and negative contributions, each sign shared by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, signature
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from lrp_widgets.engine.layers.layer import MINUS, PLUS, Layer
from lrp_widgets.engine.rules.rule import Absorbed, Pullback, Rule, bias_share, scaled_in_place
from lrp_widgets.params import param
from lrp_widgets.wording import brief

__all__ = ["AlphaBeta", "ZPlus", "without_beta"]

Kind = TypeVar("Kind")


def without_beta(kind: type[Kind]) -> type[Kind]:
    """Say of a setting that takes α alone why it takes no β, and what to write."""
    made: Callable[..., None] = kind.__init__
    places = sum(each.kind is Parameter.POSITIONAL_OR_KEYWORD for each in signature(made).parameters.values())

    @wraps(made)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        if len(args) == places == 2:  # itself and alpha have a place, so that the third one is meant as beta
            args, kwargs = args[:1], {"beta": args[1], **kwargs}
        if "beta" in kwargs:
            alpha = kwargs.get("alpha", args[0] if args else None)
            got = f"beta={brief(kwargs['beta'])}" + ("" if alpha is None else f" with alpha={brief(alpha)}")
            raise TypeError(
                f"{kind.__name__} takes alpha alone, because α − β must be 1: β = α − 1. It got {got}. "
                f"Write {kind.__name__}(alpha={2.0 if alpha is None else brief(alpha)})."
            )
        made(self, *args, **kwargs)

    kind.__init__ = init
    return kind


@without_beta
@dataclass(frozen=True)
class AlphaBeta(Rule):
    """R_j = Σ_k ( α (a_j w_jk)⁺ / Σ_j (a_j w_jk)⁺ − β (a_j w_jk)⁻ / Σ_j (a_j w_jk)⁻ ) R_k with β = α − 1.

    Positive and negative bias belong to the sums of their sign. A neuron without any negative product hands on α R_k
    (without any positive one, −β R_k): the difference stands in the ledger as "one-signed".
    """

    equation: ClassVar[str] = "R_j = Σ_k ( α (a_j w_jk)⁺ / Σ_j (a_j w_jk)⁺ − β (a_j w_jk)⁻ / Σ_j (a_j w_jk)⁻ ) R_k"
    reference: ClassVar[str] = "Bach et al. 2015; the paper, section on layer-wise relevance propagation"

    alpha: float = param(
        2.0, low=1, high=10, slider=(1, 3), step=0.05, symbol="α", help="Weight of positive evidence; β = α − 1."
    )

    @property
    def beta(self) -> float:
        """β = α − 1, never negative."""
        return self.alpha - 1

    def note(self, name: str) -> str:
        return f"β = {self.beta:.2f}" if name == "alpha" else ""

    def linearize(self, layer: Layer, a: Tensor) -> Pullback:
        alpha, beta, b = self.alpha, self.beta, layer.b
        one_over_plus, no_plus = layer.reciprocal_positive
        no_minus = None if beta == 0 or layer.reciprocal_negative is None else layer.reciprocal_negative[1]
        hole = None
        if no_plus is not None or no_minus is not None:
            like = one_over_plus.dtype  # α has more digits than torch's default dtype
            hole = 0 if no_plus is None else alpha * no_plus.to(like)
            hole = hole if no_minus is None else hole - beta * no_minus.to(like)

        def pullback(relevance: Tensor) -> tuple[Tensor, Absorbed]:
            s_plus, s_minus = layer.shares(relevance) if beta > 0 else (relevance * one_over_plus, None)
            absorbed: Absorbed = {}
            if b is not None:
                absorbed["bias"] = bias_share(s_plus, layer, alpha * b.clamp(min=0))
                if s_minus is not None:
                    absorbed["bias"] = absorbed["bias"] + bias_share(s_minus, layer, -beta * b.clamp(max=0))
            if hole is not None:
                absorbed["one-signed"] = relevance * hole
            return _share_signs(layer, s_plus, s_minus, alpha), absorbed

        return pullback


@dataclass(frozen=True)
class ZPlus(Rule):
    """R_j = Σ_k (a_j w_jk)⁺ / Σ_j (a_j w_jk)⁺ · R_k (α1β0; deep Taylor for activations ≥ 0)."""

    equation: ClassVar[str] = "R_j = Σ_k (a_j w_jk)⁺ / Σ_j (a_j w_jk)⁺ · R_k"
    reference: ClassVar[str] = "Montavon et al. 2017; the paper, section on deep Taylor decomposition"

    def linearize(self, layer: Layer, a: Tensor) -> Pullback:
        return AlphaBeta(alpha=1.0).linearize(layer, a)


def _share_signs(layer: Layer, s_plus: Tensor, s_minus: Tensor | None, alpha: float) -> Tensor:
    """α Σ_k (a_j w_jk)⁺ s⁺_k − β Σ_k (a_j w_jk)⁻ s⁻_k, with half the work where no a_j is negative."""

    def between(plus: Tensor, minus: Tensor | None) -> Tensor:
        return plus if minus is None else torch.lerp(minus, plus, alpha)  # α p − β m = m + α (p − m)

    if not layer.signed:
        from_minus = None if s_minus is None else layer.adjoint(s_minus, MINUS)
        return scaled_in_place(layer.a, between(layer.adjoint(s_plus, PLUS), from_minus))
    a_plus, a_minus = layer.a_parts
    plus_plus, minus_plus = layer.adjoint_signs(s_plus)
    plus_minus, minus_minus = (None, None) if s_minus is None else layer.adjoint_signs(s_minus)
    return a_plus * between(plus_plus, minus_minus) + a_minus * between(minus_plus, plus_minus)
