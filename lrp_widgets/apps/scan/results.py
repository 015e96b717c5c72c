"""The results of a scan: the map over the photo, the scores, the best windows and one of them enlarged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets
import numpy as np
from torch import Tensor

from lrp_widgets.apps.scan.request import ScanRequest, range_text
from lrp_widgets.apps.scan.subject import Subject
from lrp_widgets.apps.session.app import heading
from lrp_widgets.apps.session.formatting import class_text, number
from lrp_widgets.apps.session.offered import image_of
from lrp_widgets.methods import WindowMap
from lrp_widgets.methods.sliding_window import cut_window
from lrp_widgets.widgets import Folded, Gallery, HeatmapView, LookEditor

__all__ = ["Results"]

BEST = 5  # how many windows are framed
OVERLAP = 0.1  # of two framed windows, at most
CUTTING = 56  # px of a window in the list of the best ones


class Results:
    """`heatmap`: relevance over the photo.  `scores`: mean f of the windows at each pixel.  `best`: a list of the best
    windows.  `window`: one of them, enlarged.

    Only the worker calls its methods. Heatmap and scores share their zoom, in the page.
    """

    def __init__(self) -> None:
        self.heatmap = HeatmapView(size=528, percentile=99.5)
        self.scores = HeatmapView(size=232, opacity=0.8, pixelated=False)
        self.window = HeatmapView(size=132, arrangement="beside")
        self.best = Gallery(thumbnail=46, rows=1, first=1, description="The best windows")
        editor = LookEditor(self.heatmap)
        self.look = Folded("look", editor)
        self.parts: tuple[Any, ...] = (self.heatmap, self.scores, self.window, self.best, editor, self.look)
        self._links = [
            ipywidgets.jslink((self.heatmap, name), (self.scores, name)) for name in ("zoom", "colormap")
        ] + [ipywidgets.jslink((self.heatmap, "colormap"), (self.window, "colormap"))]
        self._subject: Subject | None = None
        self._photo: Tensor | None = None
        self._map: tuple[WindowMap, ScanRequest] | None = None
        self._ranked: list[int] = []
        self._enlarged: tuple[WindowMap, int] | None = None
        self.side = ipywidgets.VBox(
            [
                ipywidgets.VBox([heading("Scores: mean f of windows"), self.scores]),
                ipywidgets.VBox([heading("Best windows"), self.best, self.window]),
            ]
        )
        self.side.add_class("lrp-right").add_class("lrp-scan-right")

    def on_choose(self, act: Callable[[int], None]) -> None:
        """Call `act(rank)` when one of the best windows is chosen: in the list, or by a click into it on the photo."""

        def clicked(change: Any) -> None:
            x, y = (change["new"].get(name, -1) + 0.5 for name in ("x", "y"))
            at = [
                (bottom - top, rank)
                for rank, (top, left, bottom, right) in enumerate(self.heatmap.boxes)
                if top <= y < bottom and left <= x < right
            ]
            if at:
                act(min(at)[1])

        self.heatmap.observe(clicked, "clicked")
        self.best.observe(lambda change: act(change["new"]) if change["new"] >= 0 else None, "selected")

    def open(self, subject: Subject, photo: Tensor) -> None:
        """Show a photo that is not scanned yet."""
        self._subject, self._photo, self._map, self._enlarged = subject, photo, None, None
        nothing, picture = np.zeros(tuple(photo.shape[2:])), self._picture(photo)
        for view in (self.heatmap, self.scores):
            view.show(nothing, picture, stamp="scanning …", description="A photo, not scanned yet")
            view.frame([])
        self._list([], [], -1)

    def show(self, window_map: WindowMap, request: ScanRequest, rank: int) -> None:
        """Show a map, and the best window of this rank enlarged."""
        subject, photo = self._subject, self._photo
        assert subject is not None and photo is not None
        self._map, self._enlarged = (window_map, request), None
        self._ranked = window_map.best(BEST, OVERLAP)
        picture, target = self._picture(photo), class_text(window_map.target, subject.photos[0].name)
        boxes = window_map.boxes[self._ranked]
        count, stride = len(window_map.values), window_map.stride
        sides = request.windows.sides(photo)
        self.heatmap.show(
            window_map.heatmap(),
            picture,
            stamp=f"{target} · f = {number(window_map.f)} · ΣR = {number(float(window_map.relevance.sum()))}\n"
            f"{count:,} windows of {range_text(sides)} px · stride {stride} px of {subject.side}",
            description=f"Relevance for {target} over a photo, the {len(boxes)} best windows framed",
        )
        ends = [number(float(end)) for end in (window_map.score_map.min(), window_map.score_map.max())]
        self.scores.show(
            window_map.score_map,
            picture,
            stamp=f"from {ends[0]} to {ends[1]}",
            description=f"Mean score for {target} of the windows at each pixel of the photo",
        )
        cuttings = [self._picture(cut_window(photo, box, CUTTING)) for box in boxes]
        shown_rank = min(rank, len(boxes) - 1)
        self._list(cuttings, [f"f {number(float(window_map.values[i]))}" for i in self._ranked], shown_rank)
        self.heatmap.frame(boxes, shown_rank)
        self.enlarge(rank)

    def enlarge(self, rank: int) -> None:
        """Explain the best window of a rank by itself and show it enlarged."""
        if self._map is None or self._subject is None or self._photo is None:
            return
        window_map, request = self._map
        rank = min(rank, len(self._ranked) - 1)
        if self._enlarged == (window_map, rank):
            return
        self._enlarged = (window_map, rank)
        self.heatmap.frame(window_map.boxes[self._ranked], rank)
        self.window.layout.visibility = "visible" if rank >= 0 else "hidden"
        if rank < 0:
            return
        self.best.selected = rank
        box = window_map.boxes[self._ranked[rank]]
        x = cut_window(self._photo, box, self._subject.side)
        explanation = self._subject.explainer.explain(x, window_map.target, request.method)
        scores = explanation.scores[0].flatten()
        top = int(scores.argmax())
        samples = self._subject.photos[0]
        chances = samples.probabilities(scores)
        chance = "" if chances is None else f" {100 * float(chances[top]):.0f}\u00a0%"
        self.window.show(
            explanation.heatmap(),
            self._picture(x),
            stamp=f"{rank + 1}: {box[2] - box[0]:.0f} px · f = {number(float(explanation.explained))}"
            f" · top: {samples.name(top)}{chance}",
            description=f"Window {rank + 1} as the network sees it, and its relevance",
        )

    def fail(self) -> None:
        """Grey what is shown, because it does not belong to the present request."""
        self.heatmap.stale = self.scores.stale = self.window.stale = True

    def _picture(self, x: Tensor) -> np.ndarray | None:
        assert self._subject is not None
        return image_of(x[0], self._subject.photos[0])

    def _list(self, cuttings: list[Any], captions: list[str], rank: int) -> None:
        if any(cutting is None for cutting in cuttings) or not cuttings:
            self.best.show(np.zeros((0, CUTTING, CUTTING, 3)), selected=-1)
        else:
            self.best.show(np.stack(cuttings), captions, rank)
