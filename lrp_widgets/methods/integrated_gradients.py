"""Integrated gradients: the gradient along the way from a baseline to the input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.method import Method, never
from lrp_widgets.engine.trace.inputs import Inputs, floating, inputs_of
from lrp_widgets.methods.along import Straight, gradients, score_at
from lrp_widgets.methods.copies import relevance_of, score_of
from lrp_widgets.methods.gradient import Gradient, SimpleTaylor
from lrp_widgets.methods.quadrature import gauss_legendre
from lrp_widgets.methods.question import ask, check_token
from lrp_widgets.params import param

__all__ = ["IntegratedGradients"]


@dataclass(frozen=True)
class IntegratedGradients(Method):
    """R_i = (x_i − x'_i) ∫₀¹ ∂f/∂x_i(x' + t (x − x')) dt: Σ_i R_i = f(x) − f(x') but for the steps of the integral.

    baseline: x', the same number everywhere.  steps: points of Gauss-Legendre quadrature.
    The way of a token is that of its embedding, and its relevance the sum over that. It begins at an embedding that is
    `baseline` everywhere, or, where `token` is given, at the embedding of that one (padding, a mask); `notes` name it.
    The explanation's `convergence` is Σ_i R_i − (f(x) − f(x')): more steps bring it to zero.
    """

    title: ClassVar[str] = "Integrated gradients"
    equation: ClassVar[str] = "R_i = (x_i − x'_i) ∫ ∂f/∂x_i(x' + t (x − x')) dt"
    reference: ClassVar[str] = "Sundararajan et al. 2017"

    baseline: float = param(
        0.0, slider=(-1, 1), step=0.05, symbol="x'", help="Where the way begins: every input has this value."
    )
    steps: int = param(50, low=1, most=1000, slider=(1, 200), help="How many gradients are taken on the way.")
    token: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_token(self)

    @property
    def runs(self) -> int:
        """How many gradients one explanation takes."""
        return self.steps

    def relevance(
        self, explainer: Explainer, x: Any, target: Any, abandoned: Callable[[], bool] = never
    ) -> Explanation:
        """As many gradients as steps, many of them in a batch. x: whatever the model takes."""
        x = inputs_of(x)
        if not isinstance(x.form, Tensor) or not floating(x.form):
            return self._of_embeddings(explainer, x, target, abandoned)
        x = x.form.detach()
        question = ask(explainer, x, target)
        start = torch.full_like(x, self.baseline)
        (f_start,) = score_of(explainer, [start], question, abandoned)
        places, weights = gauss_legendre(self.steps)  # on [−1, 1]
        points = (start + float(t + 1) / 2 * (x - start) for t in places)
        integral = torch.zeros(())
        gradients = relevance_of(Gradient(), explainer, points, question, abandoned)
        for weight, (gradient, _) in zip(weights, gradients, strict=True):
            integral = gradient * float(weight / 2) + integral.to(gradient)
        return self._with_convergence(question.explanation(self, ((x - start) * integral).to(x.dtype)), f_start)

    def _of_embeddings(
        self, explainer: Explainer, inputs: Inputs, target: Any, abandoned: Callable[[], bool]
    ) -> Explanation:
        """The same where the input holds tokens, or several tensors."""
        question = ask(explainer, inputs, target)

        def copies(shares: Sequence[float]) -> Straight:
            return Straight(inputs, shares, self.baseline, self.token)

        f_start = score_at(explainer, question, copies([0.0]))
        places, weights = gauss_legendre(self.steps)  # on [−1, 1]
        shares = [float(t + 1) / 2 for t in places]
        parts, notes = gradients(SimpleTaylor(), explainer, question, copies, shares, abandoned)
        relevance = [
            sum((part * float(weight / 2) for part, weight in zip(of_one, weights, strict=True)), torch.zeros(()))
            for of_one in zip(*parts, strict=True)
        ]
        begun = f"an embedding of {self.baseline:g}" if self.token is None else f"the embedding of token {self.token}"
        notes += (f"the way of each token begins at {begun}",) if inputs.tokens else ()
        dtypes = [t.dtype if floating(t) else question.scores.dtype for t in inputs.tensors]
        explanation = question.explanation(
            self, *(r.to(d) for r, d in zip(relevance, dtypes, strict=True)), notes=notes
        )
        return self._with_convergence(explanation, f_start)

    def _with_convergence(self, explanation: Explanation, f_start: Tensor) -> Explanation:
        missing = explanation.total - (explanation.explained - f_start.double().cpu())
        worst = float(missing[missing.abs().argmax()])
        note = f"ΣR − (f(x) − f(x')) = {worst:.1e}".replace("-", "−")
        return explanation.replace(convergence=missing, notes=(note, *explanation.notes))
