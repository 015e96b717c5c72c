"""Integrated gradients: the gradient along the way from a baseline to the input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.method import Method, never
from lrp_widgets.methods.copies import relevance_of, score_of
from lrp_widgets.methods.gradient import Gradient
from lrp_widgets.methods.question import ask, one_tensor
from lrp_widgets.params import param

__all__ = ["IntegratedGradients"]


@dataclass(frozen=True)
class IntegratedGradients(Method):
    """R_i = (x_i − x'_i) ∫₀¹ ∂f/∂x_i(x' + t (x − x')) dt: Σ_i R_i = f(x) − f(x') but for the steps of the integral.

    baseline: x', the same number everywhere.  steps: points of Gauss-Legendre quadrature.
    The explanation's `convergence` is Σ_i R_i − (f(x) − f(x')): more steps bring it to zero.
    """

    title: ClassVar[str] = "Integrated gradients"
    equation: ClassVar[str] = "R_i = (x_i − x'_i) ∫ ∂f/∂x_i(x' + t (x − x')) dt"
    reference: ClassVar[str] = "Sundararajan et al. 2017"

    baseline: float = param(
        0.0, slider=(-1, 1), step=0.05, symbol="x'", help="Where the way begins: every input has this value."
    )
    steps: int = param(50, low=1, slider=(1, 200), help="How many gradients are taken on the way.")

    def relevance(
        self, explainer: Explainer, x: Any, target: Any, abandoned: Callable[[], bool] = never
    ) -> Explanation:
        """As many gradients as steps, many of them in a batch. x: one floating-point tensor."""
        x = one_tensor(self, explainer, x)
        question = ask(explainer, x, target)
        start = torch.full_like(x, self.baseline)
        (f_start,) = score_of(explainer, [start], question, abandoned)
        places, weights = np.polynomial.legendre.leggauss(self.steps)  # on [−1, 1]
        points = (start + float(t + 1) / 2 * (x - start) for t in places)
        integral = torch.zeros(())
        gradients = relevance_of(Gradient(), explainer, points, question, abandoned)
        for weight, (gradient, _) in zip(weights, gradients, strict=True):
            integral = gradient * float(weight / 2) + integral.to(gradient)
        explanation = question.explanation(self, ((x - start) * integral).to(x.dtype))
        missing = explanation.total - (explanation.explained - f_start.double().cpu())
        worst = float(missing[missing.abs().argmax()])
        note = f"ΣR − (f(x) − f(x')) = {worst:.1e}".replace("-", "−")
        return explanation.replace(convergence=missing, notes=(note,))
