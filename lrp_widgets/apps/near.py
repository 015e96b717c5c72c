"""Continuity: how far the map moves while the input hardly does, along a path that can be looked at."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets
import numpy as np
import torch

from lrp_widgets.apps.asking import Asked, Near
from lrp_widgets.apps.offered import captions, thumbnails
from lrp_widgets.apps.scene import QualityPage, Scene, number
from lrp_widgets.apps.settings import input_of
from lrp_widgets.engine.explanation import pooled
from lrp_widgets.evaluation import Path, stream_continuity
from lrp_widgets.evaluation.neighbourhoods import NEIGHBOURHOODS, Between
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import Gallery, LinesView, MapsView, MethodPicker
from lrp_widgets.widgets.maps import MOST_MAPS

__all__ = ["Continuity"]

OTHERS = 100  # samples offered as the end of a way


class Continuity(QualityPage):
    """`near`: the neighbourhood.  `other`: where a way ends.  `ratios`, `sums`, `maps`: views along the path."""

    name = "Continuity"
    said = "How far the map moves while the input hardly does"

    def __init__(self, samples: Samples, change: Callable[..., None], tell: Callable[[str], None]) -> None:
        picture = samples.inputs.ndim == 4
        kinds = [(kind.title, kind()) for kind in NEIGHBOURHOODS if picture or not kind.picture]
        self.near = MethodPicker(kinds, description="path", tooltip="How the input is moved")
        self.other = Gallery(thumbnail=32, rows=1, description="Where the way ends")
        few = dataclasses.replace(
            samples,
            inputs=samples.inputs[:OTHERS],
            labels=None if samples.labels is None else samples.labels[:OTHERS],
        )
        self.other.show(thumbnails(few), captions(few), selected=min(1, len(few) - 1))
        self.other.layout.display = "none"
        self.ratios = LinesView(height=210, title="‖ΔR‖₁ / ‖Δx‖₂")
        self.sums = LinesView(height=210, title="Along the path")
        self.maps = MapsView(size=84, marked="jump", description="The maps along the path: choose a place")
        lines = ipywidgets.Box([self.ratios, self.sums])
        lines.add_class("lrp-two")
        self.near.add_class("lrp-near")
        self.view = ipywidgets.VBox([self.near, self.other, lines, self.maps])
        self._change = change
        self._path: Path | None = None
        self._place = -1
        self.near.observe(self._moved, "value")
        self.other.observe(self._moved, "selected")
        self.near.observe(lambda event: tell(event["new"]), "problem")
        self.maps.observe(lambda event: change(place=event["new"].get("index", -1)), "picked")

    def _moved(self, event: Any) -> None:
        self.other.layout.display = None if isinstance(self.near.value, Between) else "none"
        self._change(near=Near(self.near.value, max(0, self.other.selected)))

    def key(self, asked: Asked) -> Any:
        return asked.settings, asked.near

    def run(self, scene: Scene, asked: Asked, waits: Callable[[], bool]) -> Iterator[Path]:
        near = asked.near
        yield from stream_continuity(
            scene.explainer,
            scene.x,
            scene.explanation.method,
            scene.target,
            kind=near.kind,
            other=input_of(near.other, scene.samples) if isinstance(near.kind, Between) else None,
            fill=scene.samples.low,
        )

    def show(self, result: Path) -> None:
        self._path = result
        self._draw()

    def turn(self, scene: Scene, asked: Asked) -> None:
        if asked.place != self._place:
            self._place = asked.place
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
        counted = "no jump" if not jumps else "1 jump" if len(jumps) == 1 else f"{len(jumps)} jumps"
        self.ratios.show(
            [
                {"name": "each step", "x": between, "y": path.ratios, "points": True},
                {"name": "largest so far", "x": between, "y": path.running, "colour": 2, "dashed": True},
            ],
            f"max {number(path.value)} · median {number(path.median)} · {counted} (> {path.jump:g} medians)",
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
        jumped = {i + 1 for i in jumps}
        step = max(1, -(-len(places) // MOST_MAPS))
        if step > 1:
            places = places[::step]
        maps = [pooled(torch.from_numpy(path.relevance[i * step])) for i in range(len(places))]
        said = [
            {"title": f"{number(place)} {kind.unit}", "marked": i * step in jumped} for i, place in enumerate(places)
        ]
        self.maps.show(maps, said, self._place if self._place < len(maps) else -1)
