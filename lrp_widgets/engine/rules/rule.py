"""The generic LRP rule: every rule is this one with other contributions q_jk of the inputs to the neurons.

    R_j = Σ_k q_jk / (z_k + ε·sign z_k) · R_k    with z_k = Σ_j q_jk + q_0k

Inside the equations: a_j enters, w_jk and b_k are the layer's weights and biases, z_k is the sum that divides, R_k
arrives from above, R_j is handed on; (·)⁺ and (·)⁻ are the positive and the negative part. LRP-0 has q_jk = a_j w_jk
and q_0k = b_k.
References by section: Montavon, Samek & Müller 2018, arXiv:1706.07979 ("the paper"); Montavon et al. 2019, LNCS 11700.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lrp_widgets.engine.layers.layer import ALL, Layer
from lrp_widgets.engine.layers.reciprocal import damped, reciprocal_and_zeros
from lrp_widgets.params import Setting

__all__ = ["Absorbed", "Contributions", "Pullback", "Rule", "bias_share", "scaled_in_place"]

Absorbed = dict[str, Tensor]
Pullback = Callable[[Tensor], tuple[Tensor, Absorbed]]


@dataclass(frozen=True, eq=False)
class Contributions:
    """What the inputs of a layer contribute to its neurons, q_jk, without ever being a matrix.

    total: z_k = Σ_j q_jk + q_0k, in a shape that broadcasts against the relevance.
    hand_on: s ↦ Σ_k q_jk s_k, in the shape of the input.
    bias: s ↦ q_0k s_k, or None where there is no q_0k.
    """

    total: Tensor
    hand_on: Callable[[Tensor], Tensor]
    bias: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True)
class Rule(Setting):
    """A frozen setting that says how relevance passes an affine layer.

    A rule says what its `contributions` are; `linearize` is the same for all of them. A rule with more than one
    denominator overrides `linearize` itself.
    """

    equation: ClassVar[str] = ""
    reference: ClassVar[str] = ""

    def contributions(self, layer: Layer, a: Tensor) -> Contributions:
        """What each input contributes: q_jk = a_j w_jk and the bias, unless a rule says otherwise."""
        b = layer.b
        return Contributions(
            layer.z,
            hand_on=lambda s: scaled_in_place(a, layer.adjoint(s, ALL)),
            bias=None if b is None else lambda s: bias_share(s, layer, b),
        )

    def stabilizer(self, layer: Layer) -> float | Tensor:
        """The ε that is added to |z_k|; 0 adds nothing."""
        return 0.0

    def linearize(self, layer: Layer, a: Tensor) -> Pullback:
        """Do the forward work at the activations `a`.

        The pullback takes R_out, of the shape of the layer's answer, to (R_in, absorbed): R_in has the shape of `a`,
        and `absorbed` names what stays in the layer ("bias", "epsilon", "no input"), one number for each neuron or
        summed over the positions of a convolution.
        """
        q, epsilon = self.contributions(layer, a), self.stabilizer(layer)
        exact = not isinstance(epsilon, Tensor) and epsilon == 0
        one_over_z, zeros = reciprocal_and_zeros(q.total) if exact else (damped(q.total, epsilon), None)

        def pullback(relevance: Tensor) -> tuple[Tensor, Absorbed]:
            s = relevance * one_over_z
            absorbed: Absorbed = {} if q.bias is None else {"bias": q.bias(s)}
            if not exact:
                absorbed["epsilon"] = torch.addcmul(relevance, s, q.total, value=-1)  # R − s z
            if zeros is not None:
                absorbed["no input"] = relevance * zeros
            return q.hand_on(s), absorbed

        return pullback


def bias_share(s: Tensor, layer: Layer, b: Tensor) -> Tensor:
    """s · b, summed over the positions of a convolution where the bias is one number a channel."""
    spatial = tuple(range(2, s.ndim))
    if layer.affine.kind != "convolution" or not spatial or b.shape != (1, s.shape[1], *(1 for _ in spatial)):
        return s * b
    return s.sum(spatial) * b.flatten(1)


def scaled_in_place(a: Tensor, c: Tensor) -> Tensor:
    """a ⊙ c in the memory of c, which must be nobody else's."""
    return c.mul_(a) if c.shape == a.shape and c.dtype == a.dtype else a * c
