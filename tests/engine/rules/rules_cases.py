"""What the tests of the rules share."""

from __future__ import annotations

from collections.abc import Callable

import lrp_widgets as lw
from lrp_widgets.engine.rules import Rule
from tests.engine.networks import dense

Slow = Callable[[dense.Dense, dense.Array, dense.Array, dense.Array], dense.Array]


def rules_for(low: tuple[float, ...], high: tuple[float, ...]) -> dict[str, tuple[Rule, Slow]]:
    """Each rule at several settings beside its dense rewrite; low and high are what z^B per channel gets."""
    r = lw.rules
    return {
        "0": (r.Zero(), lambda layer, s, l, h: dense.zero(layer, s)),
        "ε = 1e-6": (r.Epsilon(1e-6), lambda layer, s, l, h: dense.epsilon(layer, s, 1e-6)),
        "ε = 0.3": (r.Epsilon(0.3), lambda layer, s, l, h: dense.epsilon(layer, s, 0.3)),
        "γ = 0.1": (r.Gamma(0.1), lambda layer, s, l, h: dense.gamma(layer, s, 0.1)),
        "γ = 1": (r.Gamma(1.0), lambda layer, s, l, h: dense.gamma(layer, s, 1.0)),
        "α = 1": (r.AlphaBeta(1.0), lambda layer, s, l, h: dense.alpha_beta(layer, s, 1.0)),
        "α = 1.3": (r.AlphaBeta(1.3), lambda layer, s, l, h: dense.alpha_beta(layer, s, 1.3)),
        "α = 2": (r.AlphaBeta(2.0), lambda layer, s, l, h: dense.alpha_beta(layer, s, 2.0)),
        "z⁺": (r.ZPlus(), lambda layer, s, l, h: dense.z_plus(layer, s)),
        "w²": (r.WSquare(), lambda layer, s, l, h: dense.w_square(layer, s)),
        "flat": (r.Flat(), lambda layer, s, l, h: dense.flat(layer, s)),
        "z^B": (r.ZBox(-2.5, 3.0), lambda layer, s, l, h: dense.z_box(layer, s, 0 * l - 2.5, 0 * h + 3.0)),
        "z^B per channel": (r.ZBox(low, high), lambda layer, s, l, h: dense.z_box(layer, s, l, h)),
    }
