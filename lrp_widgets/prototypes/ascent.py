"""The climb: from a start to inputs that make an objective and the log-density of an expert large.

    x* = argmax_x f(x) + log p(x)        (in code space: x* = g(z*), z* = argmax_z f(g(z)) + log p(z))

Two ways up. Where the expert says how it bends (L2, a Gaussian, an RBM), steps are taken in the units of that bend,
H⁻¹ ∇, and one that leads down is taken back and halved: exact for a linear f, and whitened for a Gaussian. Elsewhere,
and where transformations change the picture at each step, it is Adam with a rate that falls to zero, or the same
whitened step with a length that falls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lrp_widgets.engine.propagation.explainer import Output, check_model
from lrp_widgets.prototypes.diversity import Diversity
from lrp_widgets.prototypes.experts import Expert, NoExpert
from lrp_widgets.prototypes.objectives import Objective
from lrp_widgets.prototypes.observed import Observed, passing_gradients
from lrp_widgets.prototypes.parameterizations import Domain, Parameterization, Pixels
from lrp_widgets.prototypes.steps import Adam, Whitened
from lrp_widgets.prototypes.transformations import Transformation
from lrp_widgets.samples import Samples

__all__ = ["ClimbError", "Prototypes", "ascend", "prototype"]

PASSING = 16  # first steps in which silent units are woken up
NO_GRADIENT = "The objective has no gradient: it does not depend on the input by torch's operations."
MOST_STEPS, MOST_COUNT = 100_000, 1024


@dataclass(frozen=True, eq=False)
class Prototypes:
    """Where a climb is, or ended.

    inputs: (count, …) as the model takes them.  parameters: what was moved (pixels, spectra, codes).
    scores: (steps, count), the objective at each step.  densities: (steps, count), log p but for a constant.
    """

    inputs: Tensor
    parameters: Tensor
    scores: Tensor
    densities: Tensor

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return len(self.scores)


class ClimbError(ArithmeticError):
    """The climb came to numbers that are not finite. `last`: the last good Prototypes, or None."""

    def __init__(self, text: str, last: Prototypes | None) -> None:
        super().__init__(text)
        self.last = last


def prototype(
    model: nn.Module,
    objective: Objective,
    like: Samples | Tensor,
    expert: Expert | None = None,
    image: Parameterization | None = None,
    count: int = 4,
    steps: int = 256,
    seed: int = 0,
    *,
    robust: tuple[Transformation, ...] = (),
    diversity: Diversity | None = None,
    rate: float | None = None,
    start: Prototypes | Tensor | None = None,
    output: Output = None,
    abandoned: Callable[[], bool] | None = None,
) -> Prototypes:
    """The inputs that a model answers most strongly to: `count` of them, after `steps` steps.

    model: any nn.Module in evaluation mode; it is only read.  objective: what to make large (lw.objectives).
    like: lw.Samples, which say shape and domain, or a tensor (n, …) that says the shape alone.
    expert: what keeps them plausible (lw.experts).  image: what is moved (lw.parameterizations).
    robust: transformations that are drawn at every step (lw.transformations).  diversity: lw.Diversity(…).
    rate: the length of a step: of Adam, or the share of a whitened step; chosen where it is None.
    start: prototypes of an earlier climb to go on from, or inputs to begin at.  output: as in lw.Explainer.
    abandoned: asked before each step; where it says True, what there is so far is returned.
    The same seed gives the same prototypes. Raises TypeError, ValueError, KeyError or IndexError that say what is
    wrong, and ClimbError, with the last good prototypes, where numbers are no longer finite.
    """
    way = ascend(
        model,
        objective,
        like,
        expert,
        image,
        count,
        steps,
        seed,
        robust=robust,
        diversity=diversity,
        rate=rate,
        start=start,
        output=output,
        abandoned=abandoned,
    )
    (last,) = deque(way, maxlen=1)
    return last


def ascend(
    model: nn.Module,
    objective: Objective,
    like: Samples | Tensor,
    expert: Expert | None = None,
    image: Parameterization | None = None,
    count: int = 4,
    steps: int = 256,
    seed: int = 0,
    *,
    robust: tuple[Transformation, ...] = (),
    diversity: Diversity | None = None,
    rate: float | None = None,
    start: Prototypes | Tensor | None = None,
    output: Output = None,
    abandoned: Callable[[], bool] | None = None,
) -> Iterator[Prototypes]:
    """The same climb, step by step: what is yielded after each step can be shown, and may be the last.

    The arguments are those of lw.prototype.
    """
    check_model("prototype", model)
    count, steps = _whole("count", count, MOST_COUNT), _whole("steps", steps, MOST_STEPS)
    robust, objective = _checked_transformations(robust), _checked_objective(objective)
    expert, image = expert or NoExpert(), image or Pixels()
    climb = _Climb(model, objective, like, expert, image, count, steps, seed, robust, diversity, rate, start, output)
    return climb.run(abandoned or (lambda: False))


def _whole(name: str, value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ValueError(f"{name} must be a whole number from 1 to {most}, got {value!r}.")
    return value


def _checked_objective(objective: Any) -> Objective:
    if not isinstance(objective, Objective):
        raise TypeError(f"objective must be one of lw.objectives, such as lw.objectives.Logit(3), got {objective!r}.")
    return objective


def _checked_transformations(robust: Any) -> tuple[Transformation, ...]:
    robust = (robust,) if isinstance(robust, Transformation) else robust
    if not isinstance(robust, tuple | list) or not all(isinstance(item, Transformation) for item in robust):
        raise TypeError(f"robust must be a tuple of lw.transformations, got {robust!r}.")
    return tuple(robust)


def domain_of(like: Any) -> Domain:
    """Shape and bounds of the inputs. Raises TypeError where neither samples nor a tensor say them."""
    if isinstance(like, Samples):
        x = like.inputs
        sizes = [1] * (x.ndim - 1)
        sizes[like.modality.channel_axis % x.ndim - 1] = -1

        def bound(value: Any) -> Tensor:
            numbers = torch.as_tensor(value, dtype=x.dtype)
            return numbers if numbers.ndim == 0 else numbers.reshape(sizes)

        return Domain(tuple(x.shape[1:]), bound(like.low), bound(like.high))
    if isinstance(like, Tensor) and like.ndim >= 2:
        return Domain(tuple(like.shape[1:]))
    raise TypeError(f"like must be lw.Samples or a tensor with a batch dimension, got {type(like).__name__}.")


class _Climb:
    """One climb: the settings, the model's copy, and where it is."""

    def __init__(
        self, model: nn.Module, objective: Objective, like: Any, expert: Expert, image: Parameterization, count: int,
        steps: int, seed: int, robust: tuple[Transformation, ...], diversity: Diversity | None, rate: float | None,
        start: Any, output: Output,
    ) -> None:  # fmt: skip
        for name, item, kind in (("expert", expert, Expert), ("image", image, Parameterization)):
            if not isinstance(item, kind):
                where = "parameterizations" if name == "image" else "experts"
                raise TypeError(f"{name} must be one of lw.{where}, got {item!r}.")
        if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < 1e6):
            raise ValueError(f"rate must be a number above 0, got {rate!r}.")
        self.domain = domain_of(like)
        self.size = image.size(self.domain)
        expert.check(self.size if image.of_codes else self.domain.shape)
        self.objective, self.expert, self.image = objective, expert, image
        self.steps, self.robust, self.diversity, self.rate = steps, robust, diversity, rate
        layers = (*objective.layers, *(diversity.layers if diversity is not None else ()))
        self.observed = Observed(model, dict.fromkeys(layers), output)
        self.draws = torch.Generator().manual_seed(seed)
        weight = next((p for p in model.parameters() if p.is_floating_point()), None)
        inputs = like.inputs if isinstance(like, Samples) else like
        self.dtype = weight.dtype if weight is not None else inputs.dtype
        self.device = weight.device if weight is not None else inputs.device
        self.parameters = self._start(count, start)

    def _start(self, count: int, start: Any) -> Tensor:
        if isinstance(start, Prototypes):
            if tuple(start.parameters.shape[1:]) != self.size:
                raise ValueError(
                    f"start was climbed in parameters of shape {tuple(start.parameters.shape[1:])}, not {self.size}."
                )
            return start.parameters.detach().clone()
        noise = torch.randn(count, *self.size, generator=self.draws).to(self.dtype)
        if self.diversity is not None and not self.image.of_codes:
            noise = 10 * noise  # prototypes that begin alike have nothing to be driven apart by
            noise[1::2] = -noise[: len(noise) - len(noise) % 2 : 2]
        near = self.expert.start(self.domain.shape) if not self.image.of_codes else None
        if start is not None:
            near = torch.as_tensor(start)
        first = self.image.start(self.domain, noise, near).to(self.device, self.dtype)
        return self._best_of(first) if start is None and self.image.draws > 1 else first

    def _best_of(self, best: Tensor) -> Tensor:
        """For each prototype the best of as many starts as the parameterization wants."""
        value = self._value_of(best)
        for _ in range(self.image.draws - 1):
            noise = torch.randn(best.shape, generator=self.draws).to(best)
            other = self.image.start(self.domain, noise, None)
            new = self._value_of(other)
            better = new > value
            best = torch.where(better.reshape(-1, *[1] * (best.ndim - 1)), other, best)
            value = torch.where(better, new, value)
        return best

    def _value_of(self, parameters: Tensor) -> Tensor:
        with torch.no_grad():
            scores = self.observed(self.image.image(parameters, self.domain))
            return self.objective.value(scores, self.observed.activations)

    def run(self, abandoned: Callable[[], bool]) -> Iterator[Prototypes]:
        """Step by step up."""
        bend = self._bend()
        exact = bend is not None and not self.robust and self.diversity is None
        way = Whitened(self.parameters, bend, self.rate, exact, self.steps) if bend is not None else _adam(self)
        last: Prototypes | None = None
        # Each step writes its own row, so that what was yielded before stays as it was.
        scores, densities = (self.parameters.new_empty(self.steps, len(self.parameters)) for _ in range(2))
        for step in range(self.steps):
            if last is not None and abandoned():
                return
            value, density, gradient, shown = self._look(self.parameters, step)
            if not bool(torch.isfinite(value + density).all()) or not bool(torch.isfinite(gradient).all()):
                raise ClimbError(
                    f"The climb came to NaN or infinity at step {step + 1}. Take a smaller rate or a stronger expert; "
                    "the last good prototypes are in `last` of this error.", last,
                )  # fmt: skip
            kept = way.accepted(value + density)
            scores[step] = torch.where(kept, value, scores[step - 1]) if step else value
            densities[step] = torch.where(kept, density, densities[step - 1]) if step else density
            good = way.good(self.parameters, kept)
            inputs = shown if bool(kept.all()) else self._inputs(good)
            last = Prototypes(inputs, good.clone(), scores[: step + 1], densities[: step + 1])
            self.parameters = self.image.keep(way.step(self.parameters, gradient, kept, step), self.domain)
            yield last

    def _inputs(self, parameters: Tensor) -> Tensor:
        with torch.no_grad():
            return self.image.image(parameters, self.domain)

    def _bend(self) -> Tensor | None:
        """The curvature of the expert, in the parameters; None where there is none to go by."""
        if not self.image.climbs_by_curvature:
            return None
        return self.expert.curvature(self.parameters)

    def _look(self, parameters: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The objective, log p, the gradient of both in the parameters, and the inputs."""
        draws = self.draws.get_state()
        value, density, gradient, x, silent = self._differentiated(parameters, False)
        if silent and step < PASSING:
            self.draws.set_state(draws)
            value, density, gradient, x, _ = self._differentiated(parameters, True)
        return value, density, gradient, x

    def _differentiated(self, parameters: Tensor, waking: bool) -> tuple[Tensor, Tensor, Tensor, Tensor, bool]:
        """The same, and whether the objective has no gradient at all for some prototype: its units are silent."""
        with torch.enable_grad():
            moved = parameters.detach().clone().requires_grad_()
            x = self.image.image(moved, self.domain)
            seen = x
            for transformation in self.robust:
                seen = transformation(seen, self.draws)
            with passing_gradients(waking):
                scores = self.observed(seen)
            value = self.objective.value(scores, self.observed.activations)
            if not value.requires_grad:
                raise ValueError(NO_GRADIENT)
            density = self.expert.log_density(moved if self.image.of_codes else x)
            rest = (
                density if self.diversity is None else density + self.diversity.value(seen, self.observed.activations)
            )
            (gradient,) = torch.autograd.grad(value.sum(), moved, allow_unused=True, retain_graph=rest.requires_grad)
            if gradient is None:
                raise ValueError(NO_GRADIENT)
            silent = bool((gradient.reshape(len(gradient), -1) == 0).all(1).any())
            if rest.requires_grad:
                gradient = gradient + torch.autograd.grad(rest.sum(), moved)[0]
            gradient = self.image.along(moved.detach(), gradient)
        return value.detach(), density.detach(), gradient, x.detach(), silent


def _adam(climb: _Climb) -> Adam:
    own = climb.image.rate * (climb.domain.width if isinstance(climb.image, Pixels) else 1.0)
    return Adam(climb.parameters, own if climb.rate is None else climb.rate, climb.steps)
