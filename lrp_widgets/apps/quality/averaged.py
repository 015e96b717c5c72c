"""Averaged: what the mean over shifts, or over noise, does to a map and to its continuity, beside the plain map."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import ipywidgets
import numpy as np

from lrp_widgets.apps.quality.asking import Asked, Averaging
from lrp_widgets.apps.quality.path_editor import PathEditor, paths_of
from lrp_widgets.apps.quality.scene import QualityPage, Scene
from lrp_widgets.apps.session.formatting import number
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.evaluation import ContinuityPath
from lrp_widgets.methods import Method, Smoothed, Translated
from lrp_widgets.widgets import HeatmapView, LinesView, SettingEditor

__all__ = ["Averaged"]

ROWS = 64  # copies at once, so that a newer request does not wait long
SIZE = 360  # px of a map, at most
PLAIN, SHIFTS, NOISE = "plain", "averaged over shifts", "averaged over noise"


@dataclass(frozen=True, eq=False)
class _Compared:
    """The explanations and the paths so far, by name."""

    scene: Scene
    explanations: dict[str, Explanation] = field(default_factory=dict)
    paths: dict[str, ContinuityPath] = field(default_factory=dict)


class Averaged(QualityPage):
    """`averaging`: the editor.  `maps`: a view by name, on the scale of the plain map.  `ratios`: along the path."""

    name = "Averaged"
    said = "The plain map beside its mean over shifts and over noise, each with its continuity"

    def __init__(self, path: PathEditor, change: Callable[..., None], tell: Callable[[str], None]) -> None:
        self.averaging = SettingEditor(Averaging())
        self.averaging.add_class("lrp-four").add_class("lrp-averaging")
        self.maps = {name: HeatmapView(size=SIZE, arrangement="heatmap") for name in (PLAIN, SHIFTS, NOISE)}
        self.ratios = LinesView(height=140, title="‖ΔR‖₁ / ‖Δx‖₂")
        columns = [
            ipywidgets.VBox([ipywidgets.HTML(f'<div class="lrp-heading lrp-formula">{name}</div>'), view])
            for name, view in self.maps.items()
        ]
        maps = ipywidgets.Box(columns)
        maps.add_class("lrp-averaged")
        self.view = ipywidgets.VBox([self.averaging, maps, path, self.ratios])
        self.averaging.observe(lambda event: change(averaging=event["new"]), "value")
        for part in (self.averaging, *self.maps.values()):
            part.observe(lambda event: tell(event["new"]), "problem")

    def key(self, asked: Asked) -> Any:
        return asked.settings, asked.near, asked.averaging

    def run(self, scene: Scene, asked: Asked, waits: Callable[[], bool]) -> Iterator[_Compared]:
        methods = averaged(scene.explanation.method, asked.averaging)
        compared = _Compared(scene)
        # Of its own, so that the next move of a slider finds the scene's as it was.
        beside = Explainer(scene.explainer.model, scene.explainer.output)
        for name, (method, _) in methods.items():
            compared.explanations[name] = (
                scene.explanation if name == PLAIN else beside.explain(scene.x, scene.target, method)
            )
            yield compared
        for name, (method, copies) in methods.items():
            for path in paths_of(scene, asked.near, method, max(1, min(8, ROWS // copies))):
                compared.paths[name] = path
                yield compared

    def show(self, result: _Compared) -> None:
        plain = result.explanations[PLAIN].heatmap()
        scale = float(np.abs(plain).max()) or None
        bounds = {name: path.value for name, path in result.paths.items()}
        for name, explanation in result.explanations.items():
            total = f"ΣR = {number(float(explanation.total[0]), 4)}"
            stamp = f"{total}\n{_said(name, bounds)}"
            self.maps[name].show(explanation.heatmap(), scale=scale, stamp=stamp, description=f"R(x), {name}")
        if not result.paths:
            self.ratios.stale = True
            return
        kind = next(iter(result.paths.values())).kind
        lines = []
        for colour, (name, path) in enumerate(result.paths.items()):
            places = path.places
            x = places[1:] if kind.around else (places[1:] + places[:-1]) / 2
            lines.append({"name": name, "x": x, "y": path.ratios, "points": True, "colour": (2, 0, 1)[colour]})
        largest = " · ".join(f"{name} {number(bound)}" for name, bound in bounds.items())
        self.ratios.show(lines, f"largest: {largest}", x_label=f"{kind.title}, {kind.unit}")

    def fail(self) -> None:
        for view in (*self.maps.values(), self.ratios):
            view.stale = True


def averaged(method: Method, how: Averaging) -> dict[str, tuple[Method, int]]:
    """The plain method and its two means by name, each with how many explanations it takes."""
    shifts = Translated(method, shift=how.shift, border=how.border)
    noise = Smoothed(method, samples=how.samples, noise=how.noise)
    return {PLAIN: (method, 1), SHIFTS: (shifts, (2 * how.shift + 1) ** 2), NOISE: (noise, how.samples)}


def _said(name: str, bounds: dict[str, float]) -> str:
    bound, plain = bounds.get(name), bounds.get(PLAIN)
    if bound is None:
        return "max ‖ΔR‖ / ‖Δx‖ …"
    beside = f" · {bound / plain:.0%} of plain" if name != PLAIN and plain else ""
    return f"max ‖ΔR‖ / ‖Δx‖ = {number(bound)}{beside}"
