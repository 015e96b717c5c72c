"""PathEditor: the choice of neighbouring inputs over which continuity is measured; a method's path over them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets
import traitlets

from lrp_widgets.apps.quality.page import Scene
from lrp_widgets.apps.quality.request import PathChoice
from lrp_widgets.apps.session.offered import captions, thumbnails
from lrp_widgets.apps.session.settings import input_of
from lrp_widgets.evaluation import ContinuityPath, stream_continuity
from lrp_widgets.evaluation.continuity.neighbourhoods import NEIGHBOURHOODS, Between
from lrp_widgets.methods import Method
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import Gallery, MethodPicker

__all__ = ["PathEditor", "paths_of"]

MAX_SAMPLES = 100  # offered as the end of a path


class PathEditor(ipywidgets.VBox):
    """`near`: the neighbourhood.  `other`: the sample where a path to it ends.  value: both as one; observe it."""

    value = traitlets.Instance(PathChoice)

    def __init__(self, samples: Samples, tell: Callable[[str], None]) -> None:
        planar = samples.modality.planar
        kinds = [(kind.title, kind()) for kind in NEIGHBOURHOODS if planar or not kind.picture]
        self.near = MethodPicker(kinds, description="path", tooltip="How the input is moved")
        self.other = Gallery(thumbnail=32, rows=1, description="Where the way ends")
        few = dataclasses.replace(
            samples,
            inputs=samples.inputs[:MAX_SAMPLES],
            labels=None if samples.labels is None else samples.labels[:MAX_SAMPLES],
        )
        self.other.show(thumbnails(few), captions(few), selected=min(1, len(few) - 1))
        self.other.layout.display = "none"
        self.near.add_class("lrp-near")
        super().__init__([self.near, self.other], value=self._choice())
        self.add_class("lrp-path")
        self.near.observe(self._moved, "value")
        self.other.observe(self._moved, "selected")
        for part in (self.near, self.other):
            part.observe(lambda event: tell(event["new"]), "problem")

    def _choice(self) -> PathChoice:
        return PathChoice(self.near.value, max(0, self.other.selected))

    def _moved(self, event: Any) -> None:
        self.other.layout.display = None if isinstance(self.near.value, Between) else "none"
        self.value = self._choice()


def paths_of(scene: Scene, choice: PathChoice, method: Method | None, batch: int = 8) -> Iterator[ContinuityPath]:
    """The path of a method over inputs near the scene's, as it grows.  batch: inputs explained at once."""
    return stream_continuity(
        scene.explainer,
        scene.x,
        method,
        scene.target,
        kind=choice.kind,
        other=input_of(choice.other, scene.samples) if isinstance(choice.kind, Between) else None,
        fill=scene.samples.low,
        modality=scene.samples.modality,
        batch=batch,
    )
