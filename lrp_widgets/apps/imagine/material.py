"""Material: a model with samples, and whatever else prototypes are made with; objects of prototypes from settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import cached_property

import torch
from torch import Tensor, nn

from lrp_widgets.apps.imagine.request import Aim, ClimbSettings, ImagineSettings
from lrp_widgets.apps.session.cores import cores_for
from lrp_widgets.engine.propagation.explainer import Explainer, Output, check_model
from lrp_widgets.prototypes import Diversity, experts, objectives, parameterizations, transformations
from lrp_widgets.prototypes.experts import LARGEST, Expert
from lrp_widgets.prototypes.objectives import Objective
from lrp_widgets.prototypes.observed import Observed
from lrp_widgets.samples import Samples

__all__ = ["Material"]

NONE, L2, VARIATION, GAUSSIAN = "none", "L2", "total variation", "Gaussian"
PIXELS, FOURIER, CODE = "pixels", "Fourier", "code"
DRAWS = 32  # codes from which each prototype takes the best one to begin with
MOST_LAYERS = 2000
QUICK = 1024  # numbers of an input up to which a Gaussian is what the app begins with
SMALL = (  # of transformations that suit small pictures
    transformations.Jitter(1), transformations.Rotate(8.0), transformations.Scale(0.95, 1.05),
)  # fmt: skip
SMALL_SIDE = 64  # px


class Material:
    """The model to climb, samples of its inputs, a judge, a generator and fitted experts.

    judge: another model of the same inputs that is asked what it sees, or None.  generator: as in
    lw.parameterizations.Code.  fitted: experts that lw.experts has fitted already.
    """

    def __init__(
        self, model: nn.Module, samples: Samples, judge: nn.Module | None, generator: nn.Module | None,
        fitted: Iterable[Expert], output: Output,
    ) -> None:  # fmt: skip
        self.model, self.samples, self.output = model, samples, output
        self.explainer = Explainer(model, output)
        if judge is not None:
            check_model("imagine", judge)
        self.judge, self.generator = judge, generator
        self.fitted: dict[str, Expert] = {}
        shape = tuple(samples.inputs.shape[1:])
        for expert in fitted:
            if not isinstance(expert, Expert):
                raise TypeError(f"imagine.experts must be of lw.experts, got {type(expert).__name__}.")
            expert.check(shape)
            self.fitted[type(expert).__name__] = expert
        if generator is not None:
            parameterizations.Code(generator)  # says what is wrong before there is a page

    @cached_property
    def classes(self) -> int:
        """How many outputs the model has for one input."""
        return self.explainer.scores(self.samples.inputs[:1])[0].numel()

    @cached_property
    def layers(self) -> dict[str, int]:
        """How many channels each layer has that makes a tensor for each input, by name."""
        names = [name for name, module in self.model.named_modules() if name and not list(module.children())]
        x, found = self.samples.inputs[:1], {}
        observed = Observed(self.model, names[:MOST_LAYERS], self.output)
        with torch.no_grad(), cores_for(self.model, x):
            observed(x.clone())
        for name in names[:MOST_LAYERS]:
            a = observed.activations.get(name)
            if a is not None and len(a) == 1 and len(a.shape) > 1 and a.is_floating_point():
                found[name] = a.shape[objectives.channel_axis(a)]
        return found

    @property
    def experts(self) -> list[str]:
        """The names of the experts that there are for these inputs."""
        spatial = self.samples.inputs[0].shape[1:]
        named = [NONE, L2, *([VARIATION] if len(spatial) else []), *self.fitted]
        fits = self.samples.inputs[0].numel() <= LARGEST and len(self.samples) > 1
        return [*named, *([GAUSSIAN] if fits and GAUSSIAN not in named else [])]

    @property
    def images(self) -> list[str]:
        """What can be moved."""
        spatial = self.samples.inputs[0].shape[1:]
        fourier = [FOURIER] if len(spatial) and min(spatial) > 1 else []
        return [PIXELS, *fourier, *([CODE] if self.generator is not None else [])]

    @property
    def can_be_turned(self) -> bool:
        """Whether small turns and scalings are for these inputs: for pictures."""
        return self.samples.modality.name == "picture"

    def first(self) -> ImagineSettings:
        """What the app begins with: the first class, under the expert that knows most of the data."""
        quick = GAUSSIAN in self.fitted or self.samples.inputs[0].numel() <= QUICK
        if GAUSSIAN in self.experts and quick:
            return ImagineSettings(Aim("logit"), ClimbSettings(GAUSSIAN, strength=0.03))
        image = FOURIER if FOURIER in self.images else PIXELS
        expert = NONE if image == FOURIER else L2
        return ImagineSettings(Aim("logit"), ClimbSettings(expert, image, robust=self.can_be_turned))

    def check(self, settings: ImagineSettings) -> None:
        """Raise ValueError, KeyError or IndexError where settings name what there is not here."""
        aim, climb = settings.aim, settings.climb
        if aim.of_class and aim.target >= self.classes:
            raise IndexError(f"A class must lie in [0, {self.classes - 1}], the model's outputs, got {aim.target}.")
        if not aim.of_class:
            self._check_layer(aim.layer)
            if aim.kind == "channel" and aim.channel >= self.layers[aim.layer]:
                raise IndexError(
                    f"A channel of {aim.layer!r} must lie in [0, {self.layers[aim.layer] - 1}], got {aim.channel}."
                )
        self._checked_sample(aim.sample)
        self._checked_sample(climb.origin)
        if climb.expert not in self.experts:
            raise ValueError(f"There are the experts {', '.join(self.experts)} here, not {climb.expert!r}.")
        self.image(climb)

    def objective(self, aim: Aim) -> Objective:
        """What is made large. Raises ValueError, KeyError or IndexError where the model has no such class or layer."""
        if aim.kind == "channel":
            self._check_layer(aim.layer)
            return objectives.Channel(aim.layer, aim.channel)
        if aim.kind == "sample":
            self._check_layer(aim.layer)
            return objectives.Direction(aim.layer, self._direction(aim))
        kind = {"logit": objectives.Logit, "probability": objectives.Probability}
        return kind.get(aim.kind, objectives.LogProbability)(aim.target)

    def expert(self, climb: ClimbSettings) -> Expert:
        """What keeps the prototypes plausible. The first time that the Gaussian is asked for, it is fitted."""
        shown = self._expert(climb)
        if climb.near > 0 and climb.image != CODE:
            shown = shown + experts.Near(self.origin(climb), climb.near)
        return shown

    def origin(self, climb: ClimbSettings) -> Tensor:
        """x₀, which the prototypes stay near. Raises IndexError where there is no such sample."""
        return self.samples.inputs[self._checked_sample(climb.origin)]

    def image(self, climb: ClimbSettings) -> parameterizations.Parameterization:
        """What is moved. Raises ValueError where the app does not offer it."""
        if climb.image not in self.images:
            raise ValueError(f"There are {', '.join(self.images)} to move here, not {climb.image!r}.")
        if climb.image == CODE:
            assert self.generator is not None
            return parameterizations.Code(self.generator, draws=DRAWS, shell=climb.shell)
        return parameterizations.Fourier(climb.decay) if climb.image == FOURIER else parameterizations.Pixels()

    def robust(self, climb: ClimbSettings) -> tuple[transformations.Transformation, ...]:
        """What the prototypes must bear."""
        if not climb.robust or not self.can_be_turned:
            return ()
        side = min(self.samples.inputs.shape[2:])
        return SMALL if side <= SMALL_SIDE else transformations.standard(side)

    def diversity(self, climb: ClimbSettings) -> Diversity | None:
        """What drives them apart: likeness in the layer in the middle of the model."""
        if climb.diversity == 0 or climb.count < 2:
            return None
        return Diversity(self.compared, climb.diversity)

    @cached_property
    def compared(self) -> str:
        """The layer in which prototypes are compared: the last but one third of those with several channels."""
        names = [name for name, channels in self.layers.items() if channels > 1]
        return names[(2 * len(names)) // 3] if names else ""

    def _expert(self, climb: ClimbSettings) -> Expert:
        if climb.image == CODE:  # of codes, not of inputs: the prior of the generator
            return experts.NoExpert() if climb.shell else experts.L2(climb.strength)
        if climb.expert not in self.experts:
            raise ValueError(f"There are the experts {', '.join(self.experts)} here, not {climb.expert!r}.")
        if climb.expert == NONE:
            return experts.NoExpert()
        if climb.expert == L2:
            return experts.L2(climb.strength, around=self.samples.inputs.mean(0))
        if climb.expert == VARIATION:
            return experts.TotalVariation(climb.strength)
        fitted = self.fitted.get(climb.expert)
        return dataclasses.replace(fitted or self._gaussian, strength=climb.strength)  # type: ignore[type-var]

    @cached_property
    def _gaussian(self) -> Expert:
        return experts.Gaussian.fit(self.samples)

    def _direction(self, aim: Aim) -> Tensor:
        observed = Observed(self.model, [aim.layer], self.output)
        x = self.samples.inputs[self._checked_sample(aim.sample)][None]
        with torch.no_grad():
            observed(x.clone())
        a = observed.activations[aim.layer][0]
        return a / a.norm().clamp(min=1e-12)

    def _checked_sample(self, index: int) -> int:
        if not 0 <= index < len(self.samples):
            raise IndexError(f"A sample must lie in [0, {len(self.samples) - 1}], got {index}.")
        return index

    def _check_layer(self, layer: str) -> None:
        if layer not in self.layers:
            raise KeyError(f"The model has no layer {layer!r} here. Choose one of: {', '.join(self.layers)}.")
