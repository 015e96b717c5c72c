"""Gradients: the modules that torch loads for the first gradient, loaded before somebody asks for one."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.methods import Gradient, IntegratedGradients

__all__ = ["load_gradients"]


@cache
def load_gradients() -> None:
    """Differentiate a network without weights, once in a process.

    The first gradient of a process loads some 490 modules of torch and sympy: 12 s were measured on a cold disk, during
    which the page would show an old picture. The user's network is not touched.
    """
    explainer = Explainer(nn.Tanh().eval())  # a layer with weights would draw from the user's random numbers
    for method in (Gradient(), IntegratedGradients(steps=1)):
        explainer.explain(torch.ones(1, 1), method=method)
