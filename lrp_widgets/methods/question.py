"""What is asked of a model: an input, its scores, and which of them is to be explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lrp_widgets.engine.propagation.explainer import (
    Explainer,
    check_mode,
    check_scores,
    check_weights,
    telling_of_tokens,
)
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.engine.propagation.target import Contrast, resolve_target, starting_relevance
from lrp_widgets.engine.trace.inputs import Inputs, check_input, copied, floating, inputs_of
from lrp_widgets.engine.trace.tape import Tape, record
from lrp_widgets.wording import brief

__all__ = ["Question", "ask", "ask_of_tape", "check_token", "go_on", "one_tensor"]


@dataclass(frozen=True, eq=False)
class Question:
    """An input, what the model answers there, and what of it is explained: f.

    target: one class a row, or a contrast.  start: f at its place among the scores, zero elsewhere.
    """

    inputs: Inputs
    scores: Tensor
    target: tuple[int, ...] | Contrast
    start: Tensor

    def times(self, copies: int) -> tuple[int, ...] | Contrast:
        """The target of a batch that holds this one several times, one whole after the other."""
        return self.target if isinstance(self.target, Contrast) else self.target * copies

    def f(self, scores: Tensor) -> Tensor:
        """f at other scores: one number a row, of one or of several copies of the batch."""
        start = starting_relevance(self.times(len(scores) // len(self.scores)), scores)
        return start.reshape(len(scores), -1).sum(1)

    @property
    def slope(self) -> Tensor:
        """∂f/∂scores: 1 at the class, −1 at the other class of a contrast."""
        return starting_relevance(self.target, torch.ones_like(self.scores))

    def explanation(self, method: Any, *relevance: Tensor, **more: Any) -> Explanation:
        """The answer: one relevance for each tensor of the input."""
        return Explanation(
            relevance=self.inputs.like(relevance),
            scores=self.scores,
            inputs=copied(self.inputs).form,
            target=self.target,
            method=method,
            start=self.start,
            **more,
        )


def ask(explainer: Explainer, x: Any, target: Any) -> Question:
    """Run the model once. Raises what Explainer.explain says of a model, an input or a target that cannot be."""
    inputs = inputs_of(x)
    check_mode(explainer.model)
    explainer.check_draws(inputs)
    with telling_of_tokens(explainer.model, inputs):
        scores = explainer.scores(inputs).detach()
    return _question(explainer, inputs, scores, target)


def ask_of_tape(explainer: Explainer, x: Any, target: Any) -> tuple[Tape, Question]:
    """Record the model as it is written (BatchNorm by itself, what is detached detached): what its gradients see."""
    inputs = inputs_of(x)
    check_mode(explainer.model)
    with telling_of_tokens(explainer.model, inputs):
        tape = record(explainer.model, inputs, explainer.select)
    return tape, _question(explainer, inputs, tape.scores.clone(), target)


def _question(explainer: Explainer, inputs: Inputs, scores: Tensor, target: Any) -> Question:
    if not bool(torch.isfinite(scores).all()):
        check_weights(explainer.model)
    check_scores(scores)
    resolved = resolve_target(target, scores)
    return Question(inputs, scores, resolved, starting_relevance(resolved, scores))


def one_tensor(method: Any, explainer: Explainer, x: Any) -> Tensor:
    """x where it is one floating-point tensor. Raises TypeError where a method that alters its input gets another."""
    tensor = inputs_of(x).form
    looked_up = any(isinstance(module, nn.Embedding) for module in explainer.model.modules())
    if isinstance(tensor, Tensor) and (floating(tensor) or not looked_up):
        check_input(tensor)
        return tensor.detach()
    got = f"whole numbers ({tensor.dtype})" if isinstance(tensor, Tensor) else f"a {type(tensor).__name__}"
    raise TypeError(
        f"The input of {type(method).__name__} must be one floating-point tensor, which it alters, got {got}. "
        "Explain it with lw.LRP(…), lw.Gradient() or lw.GuidedBackprop()."
    )


def check_token(method: Any) -> None:
    """Raise ValueError where the `token` of a method is none."""
    token = method.token
    if token is not None and (isinstance(token, bool) or not isinstance(token, int) or not 0 <= token < 2**31):
        raise ValueError(
            f"{type(method).__name__}.token must be the number of a token, such as that of padding, got {brief(token)}."
        )


def go_on(abandoned: Callable[[], bool]) -> None:
    """Raise Abandoned where somebody has abandoned this."""
    if abandoned():
        raise Abandoned
