"""Guided backpropagation and deconvolution: the gradient with another way back through every ReLU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.method import Method, never
from lrp_widgets.engine.trace.inputs import floating
from lrp_widgets.engine.trace.step import Step
from lrp_widgets.engine.trace.tape import Tape
from lrp_widgets.methods.backward import StepAdjoint, backward, chain_rule, is_rectifier
from lrp_widgets.methods.question import ask_of_tape

__all__ = ["Deconvolution", "GuidedBackprop"]


@dataclass(frozen=True)
class GuidedBackprop(Method):
    """R_j = 1[z_j > 0] · max(0, R_k) through a ReLU a_k = max(0, z_j), and the chain rule through all else.

    Every ReLU of the run counts, be it a function, in place, shared, ReLU6 or clamp(min=0); no module is touched.
    """

    title: ClassVar[str] = "Guided backprop"
    equation: ClassVar[str] = "R_j = 1[z_j > 0] · max(0, R_k) through ReLU, else the chain rule"
    reference: ClassVar[str] = "Springenberg et al. 2015"

    def relevance(
        self, explainer: Explainer, x: Any, target: Any, abandoned: Callable[[], bool] = never
    ) -> Explanation:
        """One recorded forward pass and one way back. x: whatever the model takes."""
        tape, question = ask_of_tape(explainer, x, target)
        arrived = backward(tape, question.slope, self.adjoint, abandoned)
        relevance = []
        for value, t in zip(tape.inputs, question.inputs.tensors, strict=True):
            dtype = t.dtype if floating(t) else question.scores.dtype
            gradient = arrived.get(value)
            relevance.append(torch.zeros_like(t, dtype=dtype) if gradient is None else gradient.to(dtype, copy=True))
        rectified = any(is_rectifier(step) for step in tape.steps)
        notes = () if rectified else ("no ReLU on the way: this is the gradient",)
        return question.explanation(self, *relevance, notes=notes)

    def adjoint(self, step: Step, tape: Tape) -> StepAdjoint:
        """The way back through one step."""
        gradient = chain_rule(step, tape)
        return (lambda s: [gradient(s)[0].clamp(min=0)]) if is_rectifier(step) else gradient


@dataclass(frozen=True)
class Deconvolution(GuidedBackprop):
    """R_j = max(0, R_k) through a ReLU a_k = max(0, z_j), and the chain rule through all else.

    Max pooling goes back to its winners, the "switches". As with guided backprop, every ReLU of the run counts.
    """

    title: ClassVar[str] = "Deconvolution"
    equation: ClassVar[str] = "R_j = max(0, R_k) through ReLU, else the chain rule"
    reference: ClassVar[str] = "Zeiler & Fergus 2014"

    def adjoint(self, step: Step, tape: Tape) -> StepAdjoint:
        if not is_rectifier(step):
            return chain_rule(step, tape)
        shape = tape.values[step.inputs[0]].shape
        return lambda s: [s.clamp(min=0).sum_to_size(shape)]
