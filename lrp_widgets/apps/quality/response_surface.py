"""The page Response surface: one or two parameters are swept; a map for each setting, and curves of their quality."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets
import numpy as np

from lrp_widgets.apps.quality.page import QualityPage, Scene
from lrp_widgets.apps.quality.progress_row import ProgressRow
from lrp_widgets.apps.quality.request import Request, SweepPlan
from lrp_widgets.apps.session.formatting import number
from lrp_widgets.apps.session.settings import Settings, input_of
from lrp_widgets.evaluation import SweepResult, pareto, sweep
from lrp_widgets.evaluation.dataset.sweep import OBJECTIVES
from lrp_widgets.methods import LRP, Method
from lrp_widgets.params import Param, params_of
from lrp_widgets.widgets import LinesView, MapsView
from lrp_widgets.widgets.controls.control import guard

__all__ = ["ResponseSurfacePage", "sweepable", "values_of"]

NONE = "(none)"
PARETO = "Settings are marked that no other one beats in all of these."
MAX_VALUES = 9  # of a parameter
WIDTH = 470  # px of the maps side by side
REDRAW_INTERVAL = 0.3  # s
TITLES = {
    "area": "area under f ↓",
    "continuity": "largest jump ↓",
    "sparsity": "sparsity (Gini) ↑",
    "absorbed": "absorbed / f ↓",
}
CHOICES = (
    ("area, continuity", ("area", "continuity")),
    ("area, sparsity", ("area", "sparsity")),
    ("area, continuity, sparsity", ("area", "continuity", "sparsity")),
    ("all four", tuple(OBJECTIVES)),
)


class ResponseSurfacePage(QualityPage):
    """`first`, `second`, `count`: what is swept.  `running`: start and cancel.  `maps`: observe `picked`."""

    name = "Response surface"
    tooltip = "What one or two parameters of the method do: maps, and curves of their quality"
    long = True

    def __init__(
        self,
        current: Callable[[], Settings],
        change: Callable[..., None],
        put: Callable[[Method], None],
        tell: Callable[[str], None],
        first: Settings,
    ) -> None:
        """current(): the settings in force, `first` at the start.  put(method): brings a method into the controls."""
        self._current, self._change, self._put, self._tell = current, change, put, tell
        style: Any = {"style": {"description_width": "76px"}, "layout": {"width": "auto"}}
        self.first = guard(
            ipywidgets.Dropdown(description="parameter", options=[NONE], tooltip="Which parameter is swept.", **style),
            tell,
        )
        self.second = guard(
            ipywidgets.Dropdown(
                description="and", options=[NONE], tooltip="A second one, for every pair of values.", **style
            ),
            tell,
        )
        self.count = guard(
            ipywidgets.IntSlider(
                5, min=2, max=MAX_VALUES, description="values", tooltip="How many values of each.", **style
            ),
            tell,
        )
        self.pareto = guard(ipywidgets.Dropdown(description="best in", options=CHOICES, tooltip=PARETO, **style), tell)
        self.running = ProgressRow("sweep", self._act, tell)
        self.maps = MapsView(size=84, marked="Pareto", description="Settings, each with its map: choose one")
        self.curves = {
            name: LinesView(height=170, title=title, legend=name == "area") for name, title in TITLES.items()
        }
        controls = ipywidgets.Box([self.first, self.second, self.count, self.pareto])
        controls.add_class("lrp-four")
        curves = ipywidgets.Box(list(self.curves.values()))
        curves.add_class("lrp-curves")
        pair = ipywidgets.Box([ipywidgets.VBox([self.maps]), curves])
        pair.add_class("lrp-pair")
        self.view = ipywidgets.VBox([controls, self.running, pair])
        self._number = 0
        self.results: list[SweepResult] = []
        self._plan: SweepPlan | None = None
        self._drawn_at = 0.0
        self._names: tuple[str, ...] = ()
        self._objectives: tuple[str, ...] = CHOICES[0][1]
        self._method: Method | None = None
        self.offer(first.method)
        self.pareto.observe(lambda event: change(objectives=event["new"]), "value")
        self.maps.observe(self._picked, "picked")

    def offer(self, method: Method) -> None:
        """Offer the parameters of a method; a choice that it has too stays."""
        options = [(param.label, param.name) for param in sweepable(method)]
        names = tuple(name for _, name in options)
        if names == self._names:
            return
        self._names = names
        first, second = self.first.value, self.second.value
        self.first.options = options or [(NONE, NONE)]
        self.second.options = [(NONE, NONE), *options]
        if first in names:
            self.first.value = first
        if second in names:
            self.second.value = second

    def start(self) -> None:
        """Start the sweep that the controls describe."""
        self._act(True)

    def _act(self, go: bool) -> None:
        if not go:
            self._change(sweep=None)
            return
        settings = self._current()
        params = {param.name: param for param in sweepable(settings.method)}
        names = list(dict.fromkeys(name for name in (self.first.value, self.second.value) if name in params))
        if not names:
            self._tell(f"{settings.method.title} has no parameter to sweep. Choose another method.")
            return
        self._number += 1
        over = tuple((name, values_of(params[name], self.count.value)) for name in names)
        self._change(sweep=SweepPlan(self._number, settings, over))

    def _picked(self, event: Any) -> None:
        if (picked := event["new"]) and picked["index"] < len(self.results):
            self._put(self.results[picked["index"]].method)

    def key(self, request: Request) -> Any:
        return request.sweep

    def run(self, scene: Scene, request: Request, superseded: Callable[[], bool]) -> Iterator[Any]:
        plan = request.sweep
        assert plan is not None
        settings = plan.settings
        method = settings.method
        x = input_of(settings.sample, scene.samples)
        setting = method.composite if isinstance(method, LRP) else method
        total = int(np.prod([len(values) for _, values in plan.over]))
        began, results = time.monotonic(), []
        yield plan, results, total, None
        how: dict[str, Any] = {"baseline": scene.samples.low, "modality": scene.samples.modality}
        for result in sweep(scene.explainer, x, setting, dict(plan.over), settings.target, **how):
            results.append(result)
            left = (time.monotonic() - began) / len(results) * (total - len(results))
            yield plan, results, total, left

    def show(self, result: Any) -> None:
        plan, results, total, left = result
        self.running.tell(len(results), total, left, "settings")
        if not results:
            self._drawn_at = 0.0
        elif len(results) == total or time.monotonic() - self._drawn_at > REDRAW_INTERVAL:
            self._plan, self.results = plan, list(results)
            self._draw()
            self._drawn_at = time.monotonic()

    def turn(self, scene: Scene, request: Request) -> None:
        self.offer(request.settings.method)
        if self._method != request.settings.method or self._objectives != request.objectives:
            self._method, self._objectives = request.settings.method, request.objectives
            if self.results:
                self._draw()

    def stop(self) -> None:
        self.running.stopped()

    def _draw(self) -> None:
        assert self._plan is not None
        results, best = self.results, pareto(self.results, self._objectives)
        over = self._plan.over
        params = {param.name: param for param in sweepable(self._plan.settings.method)}
        captions = [
            {
                "title": " · ".join(
                    f"{params[name].symbol} {_value_text(value)}".strip() for name, value in result.parameters
                ),
                "text": f"area {number(result.area)} · jump {number(result.continuity)} · "
                f"Gini {number(result.sparsity)} · absorbed {number(result.absorbed, 2)}",
                "marked": marked,
            }
            for result, marked in zip(results, best, strict=True)
        ]
        now = next((i for i, result in enumerate(results) if result.method == self._method), -1)
        columns = len(over[1][1]) if len(over) == 2 else min(5, len(over[0][1]))
        self.maps.columns, self.maps.size = columns, min(92, WIDTH // columns)
        self.maps.show([np.asarray(result.heatmap, np.float32) for result in results], captions, now)
        for name, view in self.curves.items():
            self._curve(view, name, params, best)

    def _curve(self, view: LinesView, name: str, params: dict[str, Param], best: tuple[bool, ...]) -> None:
        assert self._plan is not None
        over = self._plan.over
        first, values = params[over[0][0]], over[0][1]
        place = _place(first, values)
        lines, marks = [], []
        for colour, other in enumerate(over[1][1] if len(over) == 2 else (None,)):
            own = [
                (r, b) for r, b in zip(self.results, best, strict=True) if other is None or r.parameters[1][1] == other
            ]
            x = [place(result.parameters[0][1]) for result, _ in own]
            y = [abs(getattr(result, name)) if name == "absorbed" else getattr(result, name) for result, _ in own]
            title = name if other is None else f"{params[over[1][0]].label} {_value_text(other)}"
            lines.append({"name": title, "x": x, "y": y, "colour": colour, "points": True})
            marks += [
                {"x": a, "y": b, "text": "Pareto"} for a, b, (_, is_best) in zip(x, y, own, strict=True) if is_best
            ]
        log = first.log and all(isinstance(value, float) and value > 0 for value in values)
        view.show(lines, marks=marks, x_label=first.label, logarithmic=log)


def sweepable(method: Method) -> tuple[Param, ...]:
    """The parameters of a method, or of its composite, that have several values to try; numbers first."""
    setting = method.composite if isinstance(method, LRP) else method
    kinds = ("number", "integer", "choice", "switch")
    params = [param for param in params_of(setting) if param.kind in kinds and not param.advanced]
    return tuple(sorted(params, key=lambda param: kinds.index(param.kind)))


def values_of(param: Param, count: int) -> tuple[Any, ...]:
    """`count` values, evenly spaced on the scale of the parameter's slider; all values of a choice or a switch."""
    if param.kind == "choice":
        return param.choices
    if param.kind == "switch":
        return (False, True)
    low, high = param.shown
    if param.log:
        low = low or high * 1e-6
        return tuple(float(f"{value:.3g}") for value in np.geomspace(low, high, count))
    spaced = np.linspace(low, high, count)
    if param.kind == "integer":
        return tuple(dict.fromkeys(round(value) for value in spaced))
    return tuple(float(f"{value:.6g}") for value in spaced)


def _place(param: Param, values: tuple[Any, ...]) -> Callable[[Any], float]:
    """The place of a value on the axis: a number is its own, a choice has its index in the list."""
    if param.kind in ("number", "integer"):
        return float
    return lambda value: float(values.index(value))


def _value_text(value: Any) -> str:
    return number(value, 2) if isinstance(value, float) else str(value)
