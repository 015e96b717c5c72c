"""The page Averaged: the plain map beside its means over shifts and over noise, each with its continuity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import ipywidgets

from lrp_widgets.apps.quality.page import QualityPage, Scene
from lrp_widgets.apps.quality.path_editor import PathEditor, paths_of
from lrp_widgets.apps.quality.request import AveragingSettings, Request
from lrp_widgets.apps.session.formatting import number
from lrp_widgets.apps.session.large_maps import scale_of, show_map
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.evaluation import ContinuityPath
from lrp_widgets.methods import Method, Smoothed, Translated
from lrp_widgets.widgets import HeatmapView, LinesView, SettingEditor

__all__ = ["AveragedPage"]

BATCH = 64  # copies explained at once: few, so that a newer request does not wait long
SIZE = 360  # px of a map, at most
PLAIN, SHIFTS, NOISE = "plain", "averaged over shifts", "averaged over noise"


@dataclass(frozen=True, eq=False)
class _Comparison:
    """The explanations and the paths that are ready, by name."""

    scene: Scene
    explanations: dict[str, Explanation] = field(default_factory=dict)
    paths: dict[str, ContinuityPath] = field(default_factory=dict)


class AveragedPage(QualityPage):
    """`averaging`: the editor.  `maps`: a view by name, on the scale of the plain map.  `ratios`: along the path."""

    name = "Averaged"
    tooltip = "The plain map beside its mean over shifts and over noise, each with its continuity"

    def __init__(self, path: PathEditor, change: Callable[..., None], tell: Callable[[str], None]) -> None:
        self.averaging = SettingEditor(AveragingSettings())
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

    def key(self, request: Request) -> Any:
        return request.settings, request.path, request.averaging

    def run(self, scene: Scene, request: Request, superseded: Callable[[], bool]) -> Iterator[_Comparison]:
        methods = averaging_methods(scene.explanation.method, request.averaging)
        comparison = _Comparison(scene)
        # A separate explainer: that of the scene keeps its tape for the next move of a slider.
        explainer = Explainer(scene.explainer.model, scene.explainer.output)
        for name, (method, _) in methods.items():
            comparison.explanations[name] = (
                scene.explanation if name == PLAIN else explainer.explain(scene.x, scene.target, method)
            )
            yield comparison
        for name, (method, copies) in methods.items():
            for path in paths_of(scene, request.path, method, max(1, min(8, BATCH // copies))):
                comparison.paths[name] = path
                yield comparison

    def show(self, result: _Comparison) -> None:
        plain = result.explanations[PLAIN].heatmap()
        scale = scale_of(plain)
        bounds = {name: path.value for name, path in result.paths.items()}
        for name, explanation in result.explanations.items():
            total = f"ΣR = {number(float(explanation.total[0]), 4)}"
            stamp = f"{total}\n{_bound_text(name, bounds)}"
            show_map(self.maps[name], explanation.heatmap(), None, stamp, scale=scale, description=f"R(x), {name}")
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


def averaging_methods(method: Method, options: AveragingSettings) -> dict[str, tuple[Method, int]]:
    """The plain method and its two means by name, each with the number of explanations that it takes."""
    shifts = Translated(method, shift=options.shift, border=options.border)
    noise = Smoothed(method, samples=options.samples, noise=options.noise)
    return {PLAIN: (method, 1), SHIFTS: (shifts, (2 * options.shift + 1) ** 2), NOISE: (noise, options.samples)}


def _bound_text(name: str, bounds: dict[str, float]) -> str:
    bound, plain = bounds.get(name), bounds.get(PLAIN)
    if bound is None:
        return "max ‖ΔR‖ / ‖Δx‖ …"
    share = f" · {bound / plain:.0%} of plain" if name != PLAIN and plain else ""
    return f"max ‖ΔR‖ / ‖Δx‖ = {number(bound)}{share}"
