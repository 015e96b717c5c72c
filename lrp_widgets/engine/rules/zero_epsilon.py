"""LRP-0 and LRP-ε: relevance in proportion to what each input contributes to the sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from lrp_widgets.engine.layers.layer import Layer
from lrp_widgets.engine.rules.rule import Rule
from lrp_widgets.params import param, switch

__all__ = ["RELATIVE", "Epsilon", "Zero"]

RELATIVE = "R_j = Σ_k a_j w_jk / (z_k + ε·rms(z)·sign z_k) · R_k with rms(z) = √(mean of z²)"


@dataclass(frozen=True)
class Zero(Rule):
    """R_j = Σ_k a_j w_jk / z_k · R_k (LRP-0)."""

    equation: ClassVar[str] = "R_j = Σ_k a_j w_jk / z_k · R_k"
    reference: ClassVar[str] = "Bach et al. 2015; Montavon et al. 2019, LRP rules for deep rectifier networks"


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

    def stabilizer(self, layer: Layer) -> float | Tensor:
        return self.epsilon * layer.rms if self.relative and self.epsilon else self.epsilon
