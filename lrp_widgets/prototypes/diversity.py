"""Several prototypes of one thing that differ: the mean cosine of their layers' Gram matrices is held down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from lrp_widgets.prototypes.experts import checked_strength

__all__ = ["Diversity"]


@dataclass(frozen=True)
class Diversity:
    """−s · mean over pairs of cos(G_i, G_j), with the products of a layer's channels G_i = A_i A_iᵀ (Olah et al. 2017).

    layer: the name of a module, "" for the input itself.  strength: s. It costs: what is unlike the others is less
    like the class.
    """

    layer: str
    strength: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "strength", checked_strength(type(self).__name__, self.strength))

    @property
    def layers(self) -> tuple[str, ...]:
        """The layer that is compared."""
        return (self.layer,) if self.layer else ()

    def value(self, x: Tensor, activations: Mapping[str, Tensor]) -> Tensor:
        """What it adds to the objective of each prototype, (count,)."""
        a = activations[self.layer] if self.layer else x
        if len(a) < 2:
            return x.new_zeros(len(x))
        flat = a.reshape(len(a), a.shape[1], -1)
        gram = flat if flat.shape[2] == 1 else flat @ flat.mT
        unit = functional.normalize(gram.reshape(len(a), -1), dim=1)
        cosines = unit @ unit.T
        others = cosines.sum(1) - cosines.diagonal()
        return -self.strength * others / (len(a) - 1)
