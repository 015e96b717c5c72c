"""Gradient, sensitivity and simple Taylor: explanations from one backward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from lrp_widgets.engine.propagation.explainer import (
    Explainer,
    check_mode,
    check_scores,
    check_weights,
    telling_of_tokens,
)
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.method import Method, never
from lrp_widgets.engine.propagation.target import resolve_target, starting_relevance
from lrp_widgets.engine.trace.inputs import Inputs, copied, floating, inputs_of
from lrp_widgets.engine.trace.tape import RecordingError, telling
from lrp_widgets.methods.lookups import Lookups

__all__ = ["Gradient", "Sensitivity", "SimpleTaylor"]

LOST = "whole numbers made from the input are looked up in a way that gradients are not followed through"
ChangeTensor = Callable[[int, Tensor], tuple[Tensor, Tensor]]


def _as_it_is(number: int, tensor: Tensor) -> tuple[Tensor, Tensor]:
    return tensor, tensor


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
        self, explainer: Explainer, x: Any, target: Any, abandoned: Callable[[], bool] = never
    ) -> Explanation:
        """One forward and one backward pass; the model's own gradients are not touched.

        Tokens have no gradient: theirs is the sum over their embedding. What is neither has none, and counts 0.
        """
        return self.changed(explainer, inputs_of(x), target)

    def changed(
        self, explainer: Explainer, inputs: Inputs, target: Any, tensors: ChangeTensor = _as_it_is, found: Any = None
    ) -> Explanation:
        """The relevance where something else stands in place of the floating-point tensors and of what tokens look up.

        tensors: (number, tensor) → what the model gets, and the x that `from_gradient` gets.
        found: the same for what was looked up, a Change of lookups.py.
        """
        check_mode(explainer.model)
        explainer.check_draws(inputs)
        with torch.enable_grad(), telling_of_tokens(explainer.model, inputs):
            leaves, factors = [], []
            for number, tensor in enumerate(inputs.tensors):
                leaf, factor = tensors(number, tensor.detach()) if floating(tensor) else (tensor, tensor)
                leaf = leaf.detach().clone()
                leaves.append(leaf.requires_grad_() if floating(leaf) else leaf)
                factors.append(factor.detach())
            with telling(explainer.model, inputs), Lookups(leaves, found) as noted:
                # Copies, for models that write in place.
                result = inputs.call(explainer.model, [leaf.clone() if floating(leaf) else leaf for leaf in leaves])
            scores = explainer.select(result)
            if not bool(torch.isfinite(scores).all()):
                check_weights(explainer.model)
            check_scores(scores)
            resolved = resolve_target(target, scores)
            start = starting_relevance(resolved, scores.detach())
            # d start / d scores: 1 at the class, −1 at the other class of a contrast.
            ones = starting_relevance(resolved, torch.ones_like(scores)).to(scores)
            relevance = self._relevance(explainer, inputs, leaves, factors, noted, scores, ones)
        return Explanation(
            relevance=inputs.like(relevance),
            scores=scores.detach(),
            inputs=copied(inputs).form,
            target=resolved,
            method=self,
            start=start,
            notes=(LOST,) if noted.lost else (),
        )

    def _relevance(
        self,
        explainer: Explainer,
        inputs: Inputs,
        leaves: list[Tensor],
        factors: list[Tensor],
        noted: Lookups,
        scores: Tensor,
        ones: Tensor,
    ) -> list[Tensor]:
        sources = [leaf for leaf in leaves if floating(leaf)] + [lookup.source for lookup in noted.lookups]
        gradients = [None] * len(sources)
        if scores.requires_grad and sources:
            gradients = list(torch.autograd.grad(scores, sources, ones, allow_unused=True))
        if all(gradient is None for gradient in gradients):
            raise RecordingError(
                f"The output of {type(explainer.model).__name__} has no gradient with respect to the input "
                "(it left torch, for instance through .numpy() or .item()). Keep the computation in torch."
                + (" Whole numbers have one only through nn.Embedding." if inputs.tokens else "")
            )
        of = {
            id(source): torch.zeros_like(source) if gradient is None else gradient
            for source, gradient in zip(sources, gradients, strict=True)
        }
        relevance = [
            self.from_gradient(factor, of[id(leaf)]) if id(leaf) in of else torch.zeros_like(leaf, dtype=scores.dtype)
            for leaf, factor in zip(leaves, factors, strict=True)
        ]
        for lookup in noted.lookups:
            parts = self.from_gradient(lookup.factor, of[id(lookup.source)]).sum(-1)
            for number, leaf in enumerate(leaves):
                here = lookup.tensor == number
                if bool(here.any()):
                    added = torch.zeros_like(relevance[number]).flatten()
                    added.index_add_(0, lookup.position[here].to(added.device), parts[here].to(added.dtype))
                    relevance[number] = relevance[number] + added.reshape(leaf.shape)
        return relevance


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
