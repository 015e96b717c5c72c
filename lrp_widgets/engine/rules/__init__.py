"""Every LRP rule with its equation; RULES is what a dashboard offers and what the tests run over.

A rule is a frozen setting with one method that differs: what its inputs contribute (rule.py has the generic rule).
"""

from lrp_widgets.engine.rules.alpha_beta import AlphaBeta, ZPlus
from lrp_widgets.engine.rules.gamma import Gamma
from lrp_widgets.engine.rules.input_domain import Flat, WSquare, ZBox
from lrp_widgets.engine.rules.rule import Absorbed, Contributions, Pullback, Rule
from lrp_widgets.engine.rules.zero_epsilon import RELATIVE, Epsilon, Zero

RULES: tuple[type[Rule], ...] = (Zero, Epsilon, Gamma, AlphaBeta, ZPlus, WSquare, Flat, ZBox)

__all__ = [
    "RELATIVE",
    "RULES",
    "Absorbed",
    "AlphaBeta",
    "Contributions",
    "Epsilon",
    "Flat",
    "Gamma",
    "Pullback",
    "Rule",
    "WSquare",
    "ZBox",
    "ZPlus",
    "Zero",
]
