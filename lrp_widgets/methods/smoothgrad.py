"""Smoothing: the mean over noisy copies of the input, of the gradient or of any other method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.method import Method, check_method, never
from lrp_widgets.engine.trace.inputs import Inputs, floating, inputs_of
from lrp_widgets.methods.along import Noisy, gradients
from lrp_widgets.methods.copies import check_runs, mean_of, relevance_of, runs_of
from lrp_widgets.methods.gradient import Gradient
from lrp_widgets.methods.question import ask, one_tensor
from lrp_widgets.params import MOST_SEED, param

__all__ = ["SmoothGrad", "Smoothed"]


@dataclass(frozen=True)
class Smoothed(Method):
    """R_i = 1/n Σ_s R_i(x + σ n_s), n_s ~ N(0, 1): any method, averaged over noisy copies of the input.

    method: what explains each copy.  noise: σ as a share of max x − min x of each row.
    The noise is the same for every row and every model; more samples keep the first ones.
    Of tokens it is the embeddings that get noise, which only methods of gradients can do.
    """

    title: ClassVar[str] = "Smoothed"
    equation: ClassVar[str] = "R_i = 1/n Σ_s R_i(x + σ n_s), n_s ~ N(0, 1)"
    reference: ClassVar[str] = "Smilkov et al. 2017"

    method: Method = field(default=Gradient())
    samples: int = param(
        32, low=1, most=10_000, slider=(1, 128), symbol="n", help="How many noisy copies are averaged."
    )
    noise: float = param(
        0.15, low=0, slider=(0, 0.5), step=0.01, symbol="σ", help="Of the noise, as a share of the input's range."
    )
    seed: int = param(0, low=0, most=MOST_SEED, slider=(0, 99), help="Which noise.")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_method(f"{type(self).__name__}.method", self.method)
        check_runs(self)

    @property
    def runs(self) -> int:
        """How many runs of the network one explanation takes, each with a way back."""
        return self.samples * runs_of(self.method)

    def relevance(
        self, explainer: Explainer, x: Any, target: Any, abandoned: Callable[[], bool] = never
    ) -> Explanation:
        """As many passes as samples, many of them in a batch. x: one floating-point tensor; of gradients, anything."""
        inputs = inputs_of(x)
        if isinstance(self.method, Gradient) and not (isinstance(inputs.form, Tensor) and floating(inputs.form)):
            return self._of_embeddings(self.method, explainer, inputs, target, abandoned)
        x = one_tensor(self, explainer, x)
        question = ask(explainer, x, target)
        return mean_of(self, question, relevance_of(self.method, explainer, self.copies(x), question, abandoned))

    def _of_embeddings(
        self, method: Gradient, explainer: Explainer, inputs: Inputs, target: Any, abandoned: Callable[[], bool]
    ) -> Explanation:
        """The same where the input holds tokens, or several tensors."""
        question = ask(explainer, inputs, target)

        def copies(numbers: Sequence[int]) -> Noisy:
            return Noisy(inputs, numbers, self.noise, self.seed)

        parts, notes = gradients(method, explainer, question, copies, range(self.samples), abandoned)
        dtypes = [t.dtype if floating(t) else question.scores.dtype for t in inputs.tensors]
        means = [torch.stack(of_one).mean(0).to(d) for of_one, d in zip(zip(*parts, strict=True), dtypes, strict=True)]
        notes += ("the embeddings of tokens got the noise",) if inputs.tokens else ()
        return question.explanation(self, *means, notes=notes)

    def copies(self, x: Tensor) -> Iterator[Tensor]:
        """The noisy copies, each of the shape of x."""
        draw = torch.Generator().manual_seed(self.seed)
        rows = x.reshape(len(x), -1)
        width = (rows.amax(1) - rows.amin(1)).reshape(-1, *[1] * (x.ndim - 1))
        for _ in range(self.samples):
            noise = torch.randn(x.shape[1:], generator=draw, dtype=torch.float64)
            yield x + self.noise * width * noise.to(x)


@dataclass(frozen=True)
class SmoothGrad(Smoothed):
    """R_i = 1/n Σ_s ∂f/∂x_i(x + σ n_s): the gradient, averaged over noisy copies of the input."""

    title: ClassVar[str] = "SmoothGrad"
    equation: ClassVar[str] = "R_i = 1/n Σ_s ∂f/∂x_i(x + σ n_s), n_s ~ N(0, 1)"
    reference: ClassVar[str] = "Smilkov et al. 2017"

    method: Method = field(init=False, repr=False, default=Gradient())
