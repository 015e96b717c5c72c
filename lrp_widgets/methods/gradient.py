"""Gradient, sensitivity and simple Taylor: explanations from one backward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lrp_widgets.engine.propagation.explainer import Explainer, check_mode, check_scores, check_weights, minding_tokens
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.method import Method, never
from lrp_widgets.engine.propagation.target import resolve_target, starting_relevance
from lrp_widgets.engine.trace.inputs import Inputs, copied, floating, inputs_of
from lrp_widgets.engine.trace.tape import RecordingError, telling

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
        self, explainer: Explainer, x: Any, target: Any, abandoned: Callable[[], bool] = never
    ) -> Explanation:
        """One forward and one backward pass; the model's own gradients are not touched.

        Tokens have no gradient: theirs is the sum over their embedding. What is neither has none, and counts 0.
        """
        inputs = inputs_of(x)
        check_mode(explainer.model)
        explainer.check_draws(inputs)
        with torch.enable_grad(), minding_tokens(explainer.model, inputs):
            leaves = [tensor.detach().clone() for tensor in inputs.tensors]
            leaves = [leaf.requires_grad_() if floating(leaf) else leaf for leaf in leaves]
            looked_up: list[tuple[Tensor, Tensor]] = []
            with telling(explainer.model, inputs), _Embeddings(leaves, looked_up):
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
            relevance = self._relevance(explainer, inputs, leaves, looked_up, scores, ones)
        return Explanation(
            relevance=inputs.like(relevance),
            scores=scores.detach(),
            inputs=copied(inputs).given,
            target=resolved,
            method=self,
            start=start,
        )

    def _relevance(
        self,
        explainer: Explainer,
        inputs: Inputs,
        leaves: list[Tensor],
        looked_up: list[tuple[Tensor, Tensor]],
        scores: Tensor,
        ones: Tensor,
    ) -> list[Tensor]:
        sources = [leaf for leaf in leaves if floating(leaf)] + [embedding for _, embedding in looked_up]
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
            id(source): self.from_gradient(source.detach(), torch.zeros_like(source) if g is None else g)
            for source, g in zip(sources, gradients, strict=True)
        }
        relevance = [of.get(id(leaf), torch.zeros_like(leaf, dtype=scores.dtype)) for leaf in leaves]
        for leaf, embedding in looked_up:
            (place,) = [i for i, other in enumerate(leaves) if other is leaf]
            relevance[place] = relevance[place] + of[id(embedding)].sum(-1).reshape(leaf.shape)
        return relevance


class _Embeddings(TorchFunctionMode):
    """Makes what an embedding finds for a tensor of tokens a place to derive after."""

    def __init__(self, leaves: list[Tensor], looked_up: list[tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.leaves, self.looked_up = [leaf for leaf in leaves if not floating(leaf)], looked_up

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is not torch.nn.functional.embedding:
            return result
        tokens = args[0] if args else (kwargs or {})["input"]
        for leaf in self.leaves:
            if tokens.data_ptr() == leaf.data_ptr() and tokens.numel() == leaf.numel():
                result = result.detach().clone().requires_grad_()
                # The tokens may have been moved into another shape on the way.
                self.looked_up.append((leaf, result))
        return result


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
