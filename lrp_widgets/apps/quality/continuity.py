"""The page Continuity: how far the map moves while the input hardly does: along a path, by hand, and averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets
import numpy as np
import torch

from lrp_widgets.apps.quality.averaged import AveragedPage
from lrp_widgets.apps.quality.page import QualityPage, Scene
from lrp_widgets.apps.quality.path_editor import PathEditor, paths_of
from lrp_widgets.apps.quality.probe import ProbePage
from lrp_widgets.apps.quality.request import Request
from lrp_widgets.apps.session.formatting import number
from lrp_widgets.apps.session.offered import image_of
from lrp_widgets.engine.propagation.explanation import pooled
from lrp_widgets.evaluation import ContinuityPath
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import LinesView, MapsView, Pages
from lrp_widgets.widgets.views.maps import MOST_MAPS

__all__ = ["ContinuityPage"]

ALONG = "Along a path"


class ContinuityPage(QualityPage):
    """`path`: the editor of the neighbourhood.  `ratios`, `sums`, `maps`: views along the path.
    `choice`: which part is visible.  `probe`, `averaged`: the other parts."""

    name = "Continuity"
    tooltip = "How far the map moves while the input hardly does"

    def __init__(self, samples: Samples, change: Callable[..., None], tell: Callable[[str], None]) -> None:
        self.path = PathEditor(samples, tell)
        self.near, self.other = self.path.near, self.path.other
        self.ratios = LinesView(height=210, title="‖ΔR‖₁ / ‖Δx‖₂")
        self.sums = LinesView(height=210, title="Along the path")
        self.maps = MapsView(size=84, marked="jump", description="The maps along the path: choose a place")
        lines = ipywidgets.Box([self.ratios, self.sums])
        lines.add_class("lrp-two")
        along = ipywidgets.VBox([self.path, lines, self.maps])
        # Only a picture of one or three channels can be dragged.
        self.probe = ProbePage(samples, change, tell) if image_of(samples.inputs[0], samples) is not None else None
        self.averaged = AveragedPage(self.path, change, tell)
        others = [part for part in (self.probe, self.averaged) if part is not None]
        self._parts: dict[str, QualityPage] = {ALONG: self, **{part.name: part for part in others}}
        tooltips = {ALONG: "Every step of a path, and the maps on it", **{part.name: part.tooltip for part in others}}
        self.choice = Pages({ALONG: along, **{part.name: part.view for part in others}}, tooltips)
        self.choice.add_class("lrp-parts")
        self.view = ipywidgets.VBox([self.choice])
        self._path: ContinuityPath | None = None
        self._place = -1
        self.path.observe(lambda event: change(path=event["new"]), "value")
        self.choice.observe(lambda event: change(part=event["new"]), "selected")
        self.choice.observe(lambda event: tell(event["new"]), "problem")
        self.maps.observe(lambda event: change(place=event["new"].get("index", -1)), "picked")

    @property
    def parts(self) -> tuple[QualityPage, ...]:
        return tuple(self._parts.values())

    def visible_part(self, request: Request) -> QualityPage:
        return self._parts[request.part or ALONG]

    def key(self, request: Request) -> Any:
        return request.settings, request.path

    def run(self, scene: Scene, request: Request, superseded: Callable[[], bool]) -> Iterator[ContinuityPath]:
        return paths_of(scene, request.path, scene.explanation.method)

    def show(self, result: ContinuityPath) -> None:
        self._path = result
        self._draw()

    def turn(self, scene: Scene, request: Request) -> None:
        if request.place != self._place:
            self._place = request.place
            if self._path is not None:
                self._draw()

    def fail(self) -> None:
        self.ratios.stale = self.sums.stale = True

    def _draw(self) -> None:
        path = self._path
        assert path is not None
        kind, places, jumps = path.kind, path.places, path.jumps
        between = places[1:] if kind.around else (places[1:] + places[:-1]) / 2
        axis = f"{kind.title}, {kind.unit}"
        place = float(places[self._place]) if 0 <= self._place < len(places) else None
        count = "no jump" if not jumps else "1 jump" if len(jumps) == 1 else f"{len(jumps)} jumps"
        self.ratios.show(
            [
                {"name": "each step", "x": between, "y": path.ratios, "points": True},
                {"name": "largest so far", "x": between, "y": path.running, "colour": 2, "dashed": True},
            ],
            f"max {number(path.value)} · median {number(path.median)} · {count} (> {path.jump:g} medians)",
            marks=[{"x": between[i], "y": path.ratios[i], "text": f"jump at {number(between[i])}"} for i in jumps],
            position=place,
            x_label=axis,
        )
        rows = path.relevance.reshape(len(places), -1)
        self.sums.show(
            [
                {"name": "f(x)", "x": places, "y": path.scores, "colour": 2},
                {"name": "ΣR", "x": places, "y": rows.sum(1), "colour": 0, "dashed": True},
                {"name": "ΣR⁺", "x": places, "y": np.maximum(rows, 0).sum(1), "colour": 3},
                {"name": "ΣR⁻", "x": places, "y": np.minimum(rows, 0).sum(1), "colour": 1},
            ],
            position=place,
            x_label=axis,
        )
        after_jumps = {i + 1 for i in jumps}
        step = max(1, -(-len(places) // MOST_MAPS))
        if step > 1:
            places = places[::step]
        maps = [pooled(torch.from_numpy(path.relevance[i * step])) for i in range(len(places))]
        captions = [
            {"title": f"{number(place)} {kind.unit}", "marked": i * step in after_jumps}
            for i, place in enumerate(places)
        ]
        self.maps.show(maps, captions, self._place if self._place < len(maps) else -1)
