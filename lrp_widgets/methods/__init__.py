"""Explanation methods, one family a file; METHODS is what a dashboard offers."""

from lrp_widgets.methods.gradient import Gradient, Sensitivity, SimpleTaylor
from lrp_widgets.methods.lrp import LRP
from lrp_widgets.methods.method import Method

METHODS: tuple[type[Method], ...] = (LRP, Gradient, Sensitivity, SimpleTaylor)

__all__ = ["LRP", "METHODS", "Gradient", "Method", "Sensitivity", "SimpleTaylor"]
