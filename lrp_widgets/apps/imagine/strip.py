"""The strip: one prototype for each strength of the expert, from none to one that shows the data and not the class."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import ipywidgets
import numpy as np
import torch
from torch import Tensor

from lrp_widgets.apps.imagine.beside import Besides, NetworkAnswer, pictures
from lrp_widgets.apps.imagine.material import CODE, NONE, Material
from lrp_widgets.apps.imagine.request import ImagineSettings
from lrp_widgets.prototypes import prototype
from lrp_widgets.widgets import PrototypesView

__all__ = ["STRENGTHS", "Strip", "StripFrame"]

STRENGTHS = (0.0, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
STEPS = 100
NO_EXPERT = "Choose an expert on the left: here stands what becomes of a prototype as that expert grows stronger."


@dataclass(frozen=True)
class StripFrame:
    """One row of the strip so far.  titles: a strength each."""

    settings: ImagineSettings
    pictures: np.ndarray
    titles: tuple[str, ...]
    answers: tuple[NetworkAnswer, ...]  # of the judge, one a strength; () without a judge
    done: bool


class Strip:
    """`view`: what the page shows.  Only the worker calls `of` and `show`."""

    def __init__(self, material: Material, besides: Besides) -> None:
        self._material, self._besides = material, besides
        self._key: ImagineSettings | None = None
        self._found: list[tuple[Tensor, tuple[NetworkAnswer, ...]]] = []
        self.last: StripFrame | None = None  # what stands there, where it is of the present settings
        self.caption = ipywidgets.HTML(NO_EXPERT)
        self.caption.add_class("lrp-note")
        self.pictures = PrototypesView(size=84, description="A prototype for each strength of the expert")
        self.view = ipywidgets.VBox([self.caption, self.pictures])
        self.view.add_class("lrp-imagine-strip")

    def of(self, settings: ImagineSettings, superseded: Callable[[], bool]) -> Iterator[StripFrame]:
        """What to show, one strength after another; goes on where it was left when a newer request waited."""
        climb = dataclasses.replace(
            settings.climb, count=1, diversity=0.0, strength=0.0, rate=settings.climb.rate, steps=STEPS
        )
        key = dataclasses.replace(settings, climb=climb)
        if key != self._key:
            self._key, self._found, self.last = key, [], None
        if climb.shell if climb.image == CODE else climb.expert == NONE:
            return
        while len(self._found) < len(STRENGTHS) and not superseded():
            strength = STRENGTHS[len(self._found)]
            self._found.append(
                self._one(dataclasses.replace(key, climb=dataclasses.replace(climb, strength=strength)), superseded)
            )
            if superseded():
                self._found.pop()  # it may have been abandoned on its way
                return
            x = torch.cat([each for each, _ in self._found])
            titles = tuple(f"{each:g}" if each else "none" for each in STRENGTHS[: len(x)])
            answers = tuple(each for _, judged in self._found for each in judged)
            done = len(x) == len(STRENGTHS)
            self.last = StripFrame(key, pictures(x, self._material.samples), titles, answers, done)
            yield self.last

    def _one(
        self, settings: ImagineSettings, abandoned: Callable[[], bool]
    ) -> tuple[Tensor, tuple[NetworkAnswer, ...]]:
        material, aim, climb = self._material, settings.aim, settings.climb
        found = prototype(
            material.model, material.objective(aim), material.samples, material.expert(climb), material.image(climb),
            1, climb.steps, climb.seed, robust=material.robust(climb), rate=climb.rate, output=material.output,
            abandoned=abandoned,
        )  # fmt: skip
        return found.inputs, self._besides.answers(found.inputs)

    def show(self, frame: StripFrame | None) -> None:
        """Show it; None: there is no expert to vary."""
        if frame is None:
            self.caption.value = NO_EXPERT
            self.pictures.show(np.zeros((0, 1, 1), np.uint8))
            return
        judge = ", and what the other network calls it" if self._material.judge is not None else ""
        self.caption.value = (
            f"Strength of the expert{judge}. On the left nothing holds the network's wishes back; on the right the "
            "expert leaves of the class what the data have in common."
        )
        self.pictures.show(frame.pictures, frame.titles)
        aim = frame.settings.aim
        wanted = aim.target if aim.of_class and self._material.classes > 1 else None
        rows = [
            [{"text": str(each), "agrees": None if wanted is None else each.index == wanted}] for each in frame.answers
        ]
        self.pictures.show_beside(None, rows or [[] for _ in frame.titles], frame.pictures[:0], [])
