"""Every LRP rule with its equation; RULES at the bottom.

A rule is a frozen setting with one method: `linearize(layer, a)` does the forward work at the activations `a` and
returns `pullback(R_out) -> (R_in, absorbed)`. `absorbed` names what stays in the layer (bias, epsilon,
…), one number a neuron.
Inside the equations: a_j enters, w_jk and b_k are the layer's, z_k = Σ_j a_j w_jk + b_k, R_k arrives, R_j is handed on;
(·)⁺ and (·)⁻ are the positive and the negative part.
References by section: Montavon, Samek & Müller 2018, arXiv:1706.07979 ("the paper"); Montavon et al. 2019, LNCS 11700.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lrp_widgets.engine.layers.layer import ALL, MINUS, PLUS, Layer, Part
from lrp_widgets.engine.layers.reciprocal import below_zero, damped, reciprocal_and_zeros
from lrp_widgets.engine.rules.bounds import Bound, check_box, checked_bound
from lrp_widgets.params import Setting, param, switch

__all__ = ["RULES", "AlphaBeta", "Epsilon", "Flat", "Gamma", "Rule", "WSquare", "ZBox", "ZPlus", "Zero"]

Absorbed = dict[str, Tensor]
Pullback = Callable[[Tensor], tuple[Tensor, Absorbed]]
RELATIVE = "R_j = Σ_k a_j w_jk / (z_k + ε·rms(z)·sign z_k) · R_k with rms(z) = √(mean of z²)"


def _bias_share(s: Tensor, layer: Layer) -> Absorbed:
    return {} if layer.b is None else {"bias": _times_bias(s, layer, layer.b)}


def _times_bias(s: Tensor, layer: Layer, b: Tensor) -> Tensor:
    """s · b, summed over the positions of a convolution, where it is one number a channel."""
    spatial = tuple(range(2, s.ndim))
    if layer.affine.kind != "convolution" or not spatial or b.shape != (1, s.shape[1], *(1 for _ in spatial)):
        return s * b
    return s.sum(spatial) * b.flatten(1)


def _times(a: Tensor, c: Tensor) -> Tensor:
    """a ⊙ c in the memory of c, which nobody else reads."""
    return c.mul_(a) if c.shape == a.shape and c.dtype == a.dtype else a * c


def _left_over(relevance: Tensor, s: Tensor, z: Tensor) -> Tensor:
    """ΣR − Σ s z: what the denominator added to z keeps for itself."""
    return torch.addcmul(relevance, s, z, value=-1)


@dataclass(frozen=True)
class Rule(Setting):
    """What every rule has: an equation, a reference, and `linearize`."""

    equation: ClassVar[str] = ""
    reference: ClassVar[str] = ""

    def linearize(self, layer: Layer, a: Tensor) -> Pullback:
        """Do the forward work at `a`; the answer takes R_out (like z) to R_in (like a) and the absorbed amounts."""
        raise NotImplementedError


@dataclass(frozen=True)
class Zero(Rule):
    """R_j = Σ_k a_j w_jk / z_k · R_k (LRP-0)."""

    equation: ClassVar[str] = "R_j = Σ_k a_j w_jk / z_k · R_k"
    reference: ClassVar[str] = "Bach et al. 2015; Montavon et al. 2019, LRP rules for deep rectifier networks"

    def linearize(self, layer: Layer, a: Tensor) -> Pullback:
        one_over_z, dead = reciprocal_and_zeros(layer.z)

        def pullback(relevance: Tensor) -> tuple[Tensor, Absorbed]:
            s = relevance * one_over_z
            absorbed = _bias_share(s, layer)
            if dead is not None:
                absorbed["no input"] = relevance * dead
            return _times(a, layer.adjoint(s, ALL)), absorbed

        return pullback


@dataclass(frozen=True)
class Epsilon(Rule):
    """R_j = Σ_k a_j w_jk / (z_k + ε·sign z_k) · R_k (LRP-ε).

    `relative` takes ε as a multiple of the root mean square of z, per batch row. sign 0 counts as +1.
    """

    equation: ClassVar[str] = "R_j = Σ_k a_j w_jk / (z_k + ε·sign z_k) · R_k"
    reference: ClassVar[str] = "Bach et al. 2015; the paper, section on layer-wise relevance propagation"

    epsilon: float = param(
        1e-6, low=0, slider=(1e-9, 10), log=True, symbol="ε", help="Damps weak or contradicting evidence; absorbs it."
    )
    relative: bool = switch(
        False, symbol="ε × rms z", help="ε as a multiple of the layer's root mean square.", equation=RELATIVE
    )

    def linearize(self, layer: Layer, a: Tensor) -> Pullback:
        if self.epsilon == 0:
            return Zero().linearize(layer, a)
        z = layer.z
        epsilon = self.epsilon * layer.rms if self.relative else self.epsilon
        one_over_z = damped(z, epsilon)

        def pullback(relevance: Tensor) -> tuple[Tensor, Absorbed]:
            s = relevance * one_over_z
            absorbed = _bias_share(s, layer)
            absorbed["epsilon"] = _left_over(relevance, s, z)
            return _times(a, layer.adjoint(s, ALL)), absorbed

        return pullback


@dataclass(frozen=True)
class Gamma(Rule):
    """R_j = Σ_k a_j (w_jk + γ w_jk⁺) / Σ_j a_j (w_jk + γ w_jk⁺) · R_k (LRP-γ).

    Generalized to inputs of either sign: for z_k > 0 the products (a_j w_jk)⁺ count 1 + γ times, for z_k < 0 the
    products (a_j w_jk)⁻ do. With a ≥ 0 and z_k > 0 that is the equation above. The bias is treated like a product.
    """

    equation: ClassVar[str] = "R_j = Σ_k a_j (w_jk + γ w_jk⁺) / Σ_j a_j (w_jk + γ w_jk⁺) · R_k"
    reference: ClassVar[str] = "Montavon et al. 2019, LRP rules for deep rectifier networks (LRP-γ)"

    gamma: float = param(
        0.25, low=0, high=1, step=0.01, symbol="γ", help="How much positive contributions count extra."
    )

    def linearize(self, layer: Layer, a: Tensor) -> Pullback:
        if self.gamma == 0:
            return Zero().linearize(layer, a)
        z, gamma = layer.z, self.gamma
        favoured = layer.z_favoured
        # Small maps: two convolutions with weights that are packed already cost less than one with new ones.
        at_once, part = layer.affine.kind == "dense" or z.numel() >= layer.w.numel(), Part(1 + gamma, 1)

        def split(s_plus: Tensor, s_minus: Tensor) -> Tensor:
            return layer.adjoint(s_plus, PLUS).add_(layer.adjoint(s_minus, MINUS))

        def pullback(relevance: Tensor) -> tuple[Tensor, Absorbed]:
            # Made anew each time: what is kept is the same for every γ.
            one_over_z, dead = reciprocal_and_zeros(torch.add(z, favoured, alpha=gamma))
            s = one_over_z.mul_(relevance)
            s_below, b = below_zero(s, z), layer.b
            absorbed: Absorbed = {}
            if s_below is None and not layer.signed and at_once:  # after a ReLU nothing arrives at neurons below zero
                relevance_in = _times(a, layer.adjoint(s, part))
                if b is not None:
                    absorbed["bias"] = _times_bias(s, layer, part.of(b))
            else:
                s_plus, s_minus = s * (1 + gamma), s
                if s_below is not None:
                    s_plus, s_minus = s_plus.sub_(s_below, alpha=gamma), torch.add(s, s_below, alpha=gamma)
                if layer.signed:
                    a_plus, a_minus = layer.a_parts
                    relevance_in = a_plus * split(s_plus, s_minus) + a_minus * split(s_minus, s_plus)
                else:
                    relevance_in = _times(a, split(s_plus, s_minus))
                if b is not None:
                    plus, minus = _times_bias(s_plus, layer, PLUS.of(b)), _times_bias(s_minus, layer, MINUS.of(b))
                    absorbed["bias"] = plus + minus
            if dead is not None:
                absorbed["no input"] = relevance * dead
            return relevance_in, absorbed

        return pullback


def _pull_split(layer: Layer, s_plus: Tensor, s_minus: Tensor | None, alpha: float) -> Tensor:
    """α Σ_k (a_j w_jk)⁺ s⁺_k − β Σ_k (a_j w_jk)⁻ s⁻_k, with half the work where no a_j is negative."""

    def between(plus: Tensor, minus: Tensor | None) -> Tensor:
        return plus if minus is None else torch.lerp(minus, plus, alpha)  # α p − β m = m + α (p − m)

    if not layer.signed:
        from_minus = None if s_minus is None else layer.adjoint(s_minus, MINUS)
        return _times(layer.a, between(layer.adjoint(s_plus, PLUS), from_minus))
    a_plus, a_minus = layer.a_parts
    plus_plus, minus_plus = layer.adjoint_signs(s_plus)
    plus_minus, minus_minus = (None, None) if s_minus is None else layer.adjoint_signs(s_minus)
    return a_plus * between(plus_plus, minus_minus) + a_minus * between(minus_plus, plus_minus)


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
                absorbed["bias"] = _times_bias(s_plus, layer, alpha * b.clamp(min=0))
                if s_minus is not None:
                    absorbed["bias"] = absorbed["bias"] + _times_bias(s_minus, layer, -beta * b.clamp(max=0))
            if hole is not None:
                absorbed["one-signed"] = relevance * hole
            return _pull_split(layer, s_plus, s_minus, alpha), absorbed

        return pullback


@dataclass(frozen=True)
class ZPlus(Rule):
    """R_j = Σ_k (a_j w_jk)⁺ / Σ_j (a_j w_jk)⁺ · R_k (α1β0; deep Taylor for activations ≥ 0)."""

    equation: ClassVar[str] = "R_j = Σ_k (a_j w_jk)⁺ / Σ_j (a_j w_jk)⁺ · R_k"
    reference: ClassVar[str] = "Montavon et al. 2017; the paper, section on deep Taylor decomposition"

    def linearize(self, layer: Layer, a: Tensor) -> Pullback:
        return AlphaBeta(alpha=1.0).linearize(layer, a)


def _weights_only(layer: Layer, w: Tensor) -> Pullback:
    """R_j = Σ_k w_jk / Σ_j w_jk · R_k for weights ≥ 0: every input counts the same."""
    ones = torch.ones_like(layer.one_row)
    one_over_z, dead = reciprocal_and_zeros(layer.forward(ones, w))

    def pullback(relevance: Tensor) -> tuple[Tensor, Absorbed]:
        absorbed = {} if dead is None else {"no input": relevance * dead}
        return layer.adjoint(relevance * one_over_z, w), absorbed

    return pullback


@dataclass(frozen=True)
class WSquare(Rule):
    """R_j = Σ_k w_jk² / Σ_j w_jk² · R_k (deep Taylor for real-valued input)."""

    equation: ClassVar[str] = "R_j = Σ_k w_jk² / Σ_j w_jk² · R_k"
    reference: ClassVar[str] = "Montavon et al. 2017; the paper, section on deep Taylor decomposition"

    def linearize(self, layer: Layer, a: Tensor) -> Pullback:
        return _weights_only(layer, layer.w.square())


@dataclass(frozen=True)
class Flat(Rule):
    """R_j = Σ_k 1 / Σ_j 1 · R_k: shared evenly over all inputs of a neuron."""

    equation: ClassVar[str] = "R_j = Σ_k 1 / Σ_j 1 · R_k"
    reference: ClassVar[str] = "Lapuschkin et al. 2019; Kohlbrenner et al. 2020"

    def linearize(self, layer: Layer, a: Tensor) -> Pullback:
        if (geometry := layer.affine.geometry) is None or geometry[3] or not layer.affine.batched:
            return _weights_only(layer, torch.ones_like(layer.w))
        # Every channel of a group gets and gives the same: one channel a group says it all.
        groups, w = geometry[-1], layer.w
        ones = w.new_ones(groups, 1, *w.shape[2:])
        count = layer.forward(torch.ones_like(a[:1, :groups]), ones) * w.shape[1]
        one_over_z, dead = reciprocal_and_zeros(count)

        def pullback(relevance: Tensor) -> tuple[Tensor, Absorbed]:
            s = relevance.unflatten(1, (groups, -1)).sum(2) * one_over_z
            c = layer.affine.adjoint(s, ones, a[:, :groups])
            absorbed = {} if dead is None else {"no input": relevance * dead.repeat_interleave(len(w) // groups, 1)}
            return c.repeat_interleave(w.shape[1], 1), absorbed

        return pullback


@dataclass(frozen=True)
class ZBox(Rule):
    """R_j = Σ_k (a_j w_jk − l_j w_jk⁺ − h_j w_jk⁻) / Σ_j (a_j w_jk − l_j w_jk⁺ − h_j w_jk⁻) · R_k for l ≤ a ≤ h (z^B).

    low, high: the box, one float or one per channel.
    """

    equation: ClassVar[str] = "R_j = Σ_k (a_j w_jk − l_j w_jk⁺ − h_j w_jk⁻) / Σ_j (…) · R_k"
    reference: ClassVar[str] = "Montavon et al. 2017; the paper, section on deep Taylor decomposition"

    low: Bound = 0.0
    high: Bound = 1.0

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            object.__setattr__(self, name, checked_bound(type(self).__name__, name, getattr(self, name)))
        check_box(type(self).__name__, self.low, self.high)

    def linearize(self, layer: Layer, a: Tensor) -> Pullback:
        low, high = self.bounds(layer)
        # With w = w⁺ + w⁻ it is (a_j − l_j) w_jk⁺ + (a_j − h_j) w_jk⁻, of which nothing cancels.
        above, below = a - low, a - high
        one_over_z, dead = reciprocal_and_zeros(layer.forward_signs(above, below))

        def pullback(relevance: Tensor) -> tuple[Tensor, Absorbed]:
            by_plus, by_minus = layer.adjoint_signs(relevance * one_over_z)
            relevance_in = above * by_plus + below * by_minus
            return relevance_in, {} if dead is None else {"no input": relevance * dead}

        return pullback

    def bounds(self, layer: Layer) -> tuple[Tensor, Tensor]:
        """l and h as tensors that broadcast against a."""
        return self._bound("low", layer), self._bound("high", layer)

    def _bound(self, name: str, layer: Layer) -> Tensor:
        value, a = getattr(self, name), layer.one_row
        if isinstance(value, float):
            return torch.full_like(a, value)
        axis = layer.affine.channel_axis % a.ndim
        features, channels = a.shape[axis], len(value)
        if features % channels:
            raise ValueError(
                f"ZBox.{name} must be one number or one per channel; it has {channels} and the layer "
                f"{layer.name!r} sees {features} channels. Give {features} values, or one."
            )
        # A flattened image keeps its channels together: each bound covers its share of the features.
        bound = torch.tensor(value, dtype=a.dtype, device=a.device).repeat_interleave(features // channels)
        return bound.reshape([-1 if i == axis else 1 for i in range(a.ndim)]).expand_as(a)


RULES: tuple[type[Rule], ...] = (Zero, Epsilon, Gamma, AlphaBeta, ZPlus, WSquare, Flat, ZBox)
