"""Gradient, sensitivity and simple Taylor: explanations from one backward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from lrp_widgets.engine.explainer import (
    Explainer,
    check_input,
    check_mode,
    check_scores,
    check_weights,
    resolve_target,
    starting_relevance,
)
from lrp_widgets.engine.explanation import Explanation
from lrp_widgets.engine.tape import RecordingError, telling
from lrp_widgets.methods.method import Method, never

__all__ = ["Gradient", "Sensitivity", "SimpleTaylor"]


@dataclass(frozen=True)
class Gradient(Method):
    """R_i = ∂f/∂x_i: what would change f."""

    title: ClassVar[str] = "Gradient"
    equation: ClassVar[str] = "R_i = ∂f/∂x_i"
    reference: ClassVar[str] = "Simonyan et al. 2014; the paper, section on sensitivity analysis"

    def from_gradient(self, x: Tensor, gradient: Tensor) -> Tensor:
        """Relevance out of the input and the gradient of f there."""
        return gradient

    def relevance(
        self, explainer: Explainer, x: Tensor, target: Any, abandoned: Callable[[], bool] = never
    ) -> Explanation:
        """One forward and one backward pass; the model's own gradients are not touched."""
        check_input(x)
        check_mode(explainer.model)
        explainer.check_draws(x)
        with torch.enable_grad():
            leaf = x.detach().clone().requires_grad_()
            with telling(explainer.model, (x,)):
                result = explainer.model(leaf.clone())  # a copy, for models that write in place
            scores = explainer.select(result)
            if not bool(torch.isfinite(scores).all()):
                check_weights(explainer.model)
            check_scores(scores)
            resolved = resolve_target(target, scores)
            start = starting_relevance(resolved, scores.detach())
            # d start / d scores: 1 at the class, −1 at the other class of a contrast.
            ones = starting_relevance(resolved, torch.ones_like(scores))
            gradient = None
            if scores.requires_grad:
                (gradient,) = torch.autograd.grad(scores, leaf, ones.to(scores), allow_unused=True)
            if gradient is None:
                raise RecordingError(
                    f"The output of {type(explainer.model).__name__} has no gradient with respect to the input "
                    "(it left torch, for instance through .numpy() or .item()). Keep the computation in torch."
                )
        return Explanation(
            relevance=self.from_gradient(x.detach(), gradient),
            scores=scores.detach(),
            inputs=x.detach().clone(),
            target=resolved,
            method=self,
            start=start,
        )


@dataclass(frozen=True)
class Sensitivity(Gradient):
    """R_i = (∂f/∂x_i)²: Σ_i R_i = ‖∇f‖², what would change f, not f itself."""

    title: ClassVar[str] = "Sensitivity"
    equation: ClassVar[str] = "R_i = (∂f/∂x_i)²"
    reference: ClassVar[str] = "the paper, section on sensitivity analysis"

    def from_gradient(self, x: Tensor, gradient: Tensor) -> Tensor:
        return gradient.square()


@dataclass(frozen=True)
class SimpleTaylor(Gradient):
    """R_i = ∂f/∂x_i · x_i: first-order Taylor at the root x̃ = 0; Σ_i R_i = f(x) for bias-free ReLU networks."""

    title: ClassVar[str] = "Simple Taylor"
    equation: ClassVar[str] = "R_i = ∂f/∂x_i · x_i"
    reference: ClassVar[str] = "the paper, section on simple Taylor decomposition"

    def from_gradient(self, x: Tensor, gradient: Tensor) -> Tensor:
        return gradient * x
