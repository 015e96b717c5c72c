"""Sought: what the chosen class or channel looks for, as a few prototypes that climb while one watches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import ipywidgets
import numpy as np

from lrp_widgets.apps.explore.events import PrototypesClimbed
from lrp_widgets.apps.session.cores import cores_for
from lrp_widgets.apps.session.formatting import class_text, number
from lrp_widgets.apps.session.settings import Settings
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.target import Contrast
from lrp_widgets.engine.trace.model_state import model_state
from lrp_widgets.prototypes import ClimbError, ascend, experts, objectives, parameterizations, transformations
from lrp_widgets.prototypes.objectives import Objective
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import PrototypesView

__all__ = ["Sought"]

COUNT, STEPS, RATE = 4, 100, 0.1
FRAME = 1 / 12  # s between two pictures
MOST_BYTES = 60_000  # of one
QUICK = 1024  # numbers of an input up to which a Gaussian of the samples keeps prototypes plausible
STRENGTH = 0.03


class Sought:
    """Climbs once for each class or channel. Only the worker calls `of` and `show`."""

    def __init__(self, explainer: Explainer, samples: Samples) -> None:
        self._explainer, self._samples = explainer, samples
        self._key: Any = None  # of what the page shows; None while that is incomplete
        self.caption = ipywidgets.HTML("")
        self.caption.add_class("lrp-note")
        self.prototypes = PrototypesView(size=96)
        self.view = ipywidgets.VBox([self.caption, self.prototypes])
        self.view.add_class("lrp-patches")

    def of(
        self, settings: Settings, target: int | Contrast, superseded: Callable[[], bool]
    ) -> Iterator[PrototypesClimbed]:
        """Yields what to show, one after another; ends early when a newer request waits."""
        channel = bool(settings.layer) and settings.channel >= 0
        aim = (settings.layer, settings.channel) if channel else target
        key = aim, model_state(self._explainer.model).weights
        if key == self._key:
            return
        self._key, shown = None, 0.0
        objective, name = self._objective(settings, target, channel)
        caption = f"What the network looks for in {name}, {self._kept}."
        climb = None
        try:
            with cores_for(self._explainer.model, self._samples.inputs[:1]):
                for climb in self._ascend(objective, superseded):
                    if time.monotonic() - shown >= FRAME:
                        shown = time.monotonic()
                        yield self._event(caption, climb)
        except (ClimbError, KeyError, IndexError, TypeError, ValueError) as error:
            yield PrototypesClimbed(f"{name}: {error.args[0]}")
        if superseded():
            return
        self._key = key
        if climb is not None:
            yield self._event(caption, climb)

    def show(self, event: PrototypesClimbed) -> None:
        """Show them; to be called on the worker."""
        self.caption.value = event.caption
        self.prototypes.show(np.zeros((0, 1, 1), np.uint8) if event.pictures is None else event.pictures, event.titles)

    def _objective(self, settings: Settings, target: int | Contrast, channel: bool) -> tuple[Objective, str]:
        if channel:
            name = f"channel {settings.channel} of {settings.layer}"
            return objectives.Channel(settings.layer, settings.channel), name
        if isinstance(target, Contrast):
            return objectives.Contrast(target.a, target.b), class_text(target, self._samples.name)
        return objectives.Logit(target), f"class {self._samples.name(target)}"

    @cached_property
    def _gaussian(self) -> experts.Gaussian | None:
        """Fitted when the page is first looked at."""
        small = self._samples.inputs[0].numel() <= QUICK and len(self._samples) > 1
        return experts.Gaussian.fit(self._samples, STRENGTH) if small else None

    @property
    def _kept(self) -> str:
        if self._gaussian is not None:
            return "among inputs that a Gaussian of the samples finds plausible"
        return "with nothing that keeps it plausible"

    def _ascend(self, objective: Objective, superseded: Callable[[], bool]) -> Iterator[Any]:
        inputs, planar = self._samples.inputs, self._samples.modality.name == "picture"
        spectrum = self._gaussian is None and planar and min(inputs.shape[2:]) > 1
        image = parameterizations.Fourier() if spectrum else None
        robust = transformations.standard(min(inputs.shape[2:])) if spectrum else ()
        return ascend(
            self._explainer.model, objective, self._samples, self._gaussian, image, COUNT, STEPS, robust=robust,
            rate=None if spectrum else RATE, output=self._explainer.output, abandoned=superseded,
        )  # fmt: skip

    def _event(self, caption: str, climb: Any) -> PrototypesClimbed:
        images = self._samples.modality.thumbnails(climb.inputs, self._samples.low, self._samples.high)
        stack = np.stack([np.clip(np.nan_to_num(np.asarray(image, np.float32)), 0, 1) for image in images])
        step = max(1, int(np.ceil((stack.size / MOST_BYTES) ** 0.5)))
        titles = tuple(f"score {number(float(score))}" for score in climb.scores[-1])
        return PrototypesClimbed(caption, np.round(255 * stack[:, ::step, ::step]).astype(np.uint8), titles)
