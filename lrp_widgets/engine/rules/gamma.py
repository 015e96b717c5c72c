"""LRP-γ: positive contributions count extra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lrp_widgets.engine.layers.layer import MINUS, PLUS, Layer, Part
from lrp_widgets.engine.layers.reciprocal import below_zero, reciprocal_and_zeros
from lrp_widgets.engine.rules.rule import Absorbed, Pullback, Rule, bias_share, scaled_in_place
from lrp_widgets.params import param

__all__ = ["MOST_GAMMA", "Gamma"]

MOST_GAMMA = 1000.0  # from here on it is z⁺ to three digits, and rounding is all that more of it would add


@dataclass(frozen=True)
class Gamma(Rule):
    """R_j = Σ_k a_j (w_jk + γ w_jk⁺) / Σ_j a_j (w_jk + γ w_jk⁺) · R_k (LRP-γ).

    Generalized to inputs of either sign: for z_k > 0 the products (a_j w_jk)⁺ count 1 + γ times, for z_k < 0 the
    products (a_j w_jk)⁻ do. With a ≥ 0 and z_k > 0 that is the equation above. The bias is treated like a product.
    """

    equation: ClassVar[str] = "R_j = Σ_k a_j (w_jk + γ w_jk⁺) / Σ_j a_j (w_jk + γ w_jk⁺) · R_k"
    reference: ClassVar[str] = "Montavon et al. 2019, LRP rules for deep rectifier networks (LRP-γ)"

    gamma: float = param(
        0.25,
        low=0,
        high=MOST_GAMMA,
        slider=(0, 1),
        step=0.01,
        symbol="γ",
        help="How much positive contributions count extra.",
    )

    def linearize(self, layer: Layer, a: Tensor) -> Pullback:
        if self.gamma == 0:
            return super().linearize(layer, a)  # LRP-0
        z, gamma = layer.z, self.gamma
        favoured = layer.z_favoured
        # Small maps: two convolutions with weights that are packed already cost less than one with new ones.
        at_once, part = layer.affine.kind == "dense" or z.numel() >= layer.w.numel(), Part(1 + gamma, 1)

        def split(s_plus: Tensor, s_minus: Tensor) -> Tensor:
            return layer.adjoint(s_plus, PLUS).add_(layer.adjoint(s_minus, MINUS))

        def pullback(relevance: Tensor) -> tuple[Tensor, Absorbed]:
            # 1/z is made anew each time: what is kept in memory then is the same for every γ.
            one_over_z, dead = reciprocal_and_zeros(torch.add(z, favoured, alpha=gamma))
            s = one_over_z.mul_(relevance)
            s_below, b = below_zero(s, z), layer.b
            absorbed: Absorbed = {}
            if s_below is None and not layer.signed and at_once:  # after a ReLU nothing arrives at neurons below zero
                relevance_in = scaled_in_place(a, layer.adjoint(s, part))
                if b is not None:
                    absorbed["bias"] = bias_share(s, layer, part.of(b))
            else:
                s_plus, s_minus = s * (1 + gamma), s
                if s_below is not None:
                    s_plus, s_minus = s_plus.sub_(s_below, alpha=gamma), torch.add(s, s_below, alpha=gamma)
                if layer.signed:
                    a_plus, a_minus = layer.a_parts
                    relevance_in = a_plus * split(s_plus, s_minus) + a_minus * split(s_minus, s_plus)
                else:
                    relevance_in = scaled_in_place(a, split(s_plus, s_minus))
                if b is not None:
                    plus, minus = bias_share(s_plus, layer, PLUS.of(b)), bias_share(s_minus, layer, MINUS.of(b))
                    absorbed["bias"] = plus + minus
            if dead is not None:
                absorbed["no input"] = relevance * dead
            return relevance_in, absorbed

        return pullback
