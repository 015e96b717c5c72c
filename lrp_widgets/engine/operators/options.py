"""Where the literature differs on an op without parameters: what a composite says of it."""

from __future__ import annotations

from dataclasses import dataclass

from lrp_widgets.params import Setting, choice

__all__ = ["Options"]


@dataclass(frozen=True)
class Options(Setting):
    """Where the literature differs on an op without parameters."""

    max_pooling: str = choice(
        "winner-take-all",
        ("winner-take-all", "proportional"),
        help="Max pooling: all to the winner, or as sum pooling.",
        equation="R_j = Σ_k 1[j = argmax a] · R_k, or R_j = Σ_k a_j / Σ_j a_j · R_k",
        advanced=True,
        kw_only=True,
    )
    product: str = choice(
        "signal",
        ("signal", "half"),
        help="Product with a gate: all to the signal (LRP for LSTM), or half each (AttnLRP). No gate: half each.",
        equation="z = g · x: R_x = R_z and R_g = 0, or R_x = R_g = R_z / 2",
        advanced=True,
        kw_only=True,
    )
    attention: str = choice(
        "AttnLRP",
        ("AttnLRP", "held constant"),
        help="Attention weights: explained too (AttnLRP), or held constant, so that all goes to the values (CP-LRP).",
        equation="O = A V, A = softmax(Q Kᵀ / √d): Σ R_V = Σ R_A = Σ R_O / 2, or Σ R_V = Σ R_O",
        advanced=True,
        kw_only=True,
    )
