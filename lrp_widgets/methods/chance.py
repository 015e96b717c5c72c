"""Chance: relevance at random, the baseline that every other method should beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.method import Method, never
from lrp_widgets.engine.trace.inputs import floating
from lrp_widgets.methods.question import ask
from lrp_widgets.params import MOST_SEED, param

__all__ = ["Chance"]


@dataclass(frozen=True)
class Chance(Method):
    """R_i = u_i / Σ_i u_i · f(x), u_i ~ U(0, 1): the score, shared at random.

    Every row has the same u, so that a row does not depend on its batch. Take several seeds for a mean and a spread.
    """

    title: ClassVar[str] = "Chance"
    equation: ClassVar[str] = "R_i = u_i / Σ_i u_i · f(x), u_i ~ U(0, 1)"
    reference: ClassVar[str] = "Samek et al. 2017, the random heatmap"

    seed: int = param(0, low=0, most=MOST_SEED, slider=(0, 99), help="Which random numbers.")

    def relevance(
        self, explainer: Explainer, x: Any, target: Any, abandoned: Callable[[], bool] = never
    ) -> Explanation:
        """One forward pass. x: whatever the model takes."""
        question = ask(explainer, x, target)
        draw, tensors, rows = torch.Generator().manual_seed(self.seed), question.inputs.tensors, question.inputs.rows
        f = question.start.reshape(len(question.start), -1).double().sum(1).cpu()
        # What does not begin with the batch belongs to all rows: it shares the sum of their scores.
        shares = [
            torch.rand(t.shape[1:] if len(t) == rows else t.shape, generator=draw, dtype=torch.float64) for t in tensors
        ]
        whole = torch.stack([share.sum() for share in shares]).sum()
        relevance = []
        for t, share in zip(tensors, shares, strict=True):
            score = f.reshape(-1, *[1] * (t.ndim - 1)) if len(t) == rows else f.sum()
            dtype = t.dtype if floating(t) else question.scores.dtype
            relevance.append((share / whole * score).to(device=t.device, dtype=dtype))
        return question.explanation(self, *relevance)
