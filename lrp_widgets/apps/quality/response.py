"""ResponseSurface: what one or two parameters do to the explanation: maps side by side, and curves of its quality."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets
import numpy as np

from lrp_widgets.apps.quality.asking import Asked, Sweeping, sweepable, values_of
from lrp_widgets.apps.quality.scene import QualityPage, Running, Scene
from lrp_widgets.apps.session.formatting import number
from lrp_widgets.apps.session.settings import Settings, input_of
from lrp_widgets.evaluation import SweepResult, pareto, sweep
from lrp_widgets.evaluation.dataset.sweep import OBJECTIVES
from lrp_widgets.methods import LRP, Method
from lrp_widgets.params import Param
from lrp_widgets.widgets import LinesView, MapsView
from lrp_widgets.widgets.controls.control import guard

__all__ = ["ResponseSurface"]

NONE = "(none)"
PARETO = "Settings are marked that no other one beats in all of these."
MOST = 9  # values of a parameter
WIDE = 470  # px of the maps side by side
OFTEN = 0.3  # s between two pictures of what is there
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


class ResponseSurface(QualityPage):
    """`first`, `second`, `count`: what is swept.  `running`: start and cancel.  `maps`: observe `picked`."""

    name = "Response surface"
    said = "What one or two parameters of the method do: maps, and curves of their quality"
    long = True

    def __init__(
        self,
        now: Callable[[], Settings],
        change: Callable[..., None],
        put: Callable[[Method], None],
        tell: Callable[[str], None],
        first: Settings,
    ) -> None:
        """now(): the settings in force, `first` at the start.  put(method): brings a method into the controls."""
        self._now, self._change, self._put, self._tell = now, change, put, tell
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
            ipywidgets.IntSlider(5, min=2, max=MOST, description="values", tooltip="How many values of each.", **style),
            tell,
        )
        self.pareto = guard(ipywidgets.Dropdown(description="best in", options=CHOICES, tooltip=PARETO, **style), tell)
        self.running = Running("sweep", self._act, tell)
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
        self._starts = 0
        self.results: list[SweepResult] = []
        self._sweeping: Sweeping | None = None
        self._drawn = 0.0
        self._names: tuple[str, ...] = ()
        self._objectives: tuple[str, ...] = CHOICES[0][1]
        self._method: Method | None = None
        self.offer(first.method)
        self.pareto.observe(lambda event: change(objectives=event["new"]), "value")
        self.maps.observe(self._picked, "picked")

    def offer(self, method: Method) -> None:
        """Let the parameters of a method be chosen."""
        known = {each.label: each.name for each in sweepable(method)}
        if tuple(known.values()) == self._names:
            return
        self._names = tuple(known.values())
        chosen = (self.first.value, self.second.value)
        options = list(known.items())
        self.first.options = options or [(NONE, NONE)]
        self.second.options = [(NONE, NONE), *options]
        if chosen[0] in self._names:
            self.first.value = chosen[0]
        if chosen[1] in self._names:
            self.second.value = chosen[1]

    def start(self) -> None:
        """Sweep the parameters that are chosen."""
        self._act(True)

    def _act(self, go: bool) -> None:
        if not go:
            self._change(swept=None)
            return
        settings = self._now()
        known = {each.name: each for each in sweepable(settings.method)}
        names = list(dict.fromkeys(name for name in (self.first.value, self.second.value) if name in known))
        if not names:
            self._tell(f"{settings.method.title} has no parameter to sweep. Choose another method.")
            return
        self._starts += 1
        over = tuple((name, values_of(known[name], self.count.value)) for name in names)
        self._change(swept=Sweeping(self._starts, settings, over))

    def _picked(self, event: Any) -> None:
        if (picked := event["new"]) and picked["index"] < len(self.results):
            self._put(self.results[picked["index"]].method)

    def key(self, asked: Asked) -> Any:
        return asked.swept

    def run(self, scene: Scene, asked: Asked, waits: Callable[[], bool]) -> Iterator[Any]:
        sweeping = asked.swept
        assert sweeping is not None
        settings = sweeping.settings
        method = settings.method
        x = input_of(settings.sample, scene.samples)
        setting = method.composite if isinstance(method, LRP) else method
        total = int(np.prod([len(values) for _, values in sweeping.over]))
        began, results = time.monotonic(), []
        yield sweeping, results, total, None
        for result in sweep(
            scene.explainer, x, setting, dict(sweeping.over), settings.target, baseline=scene.samples.low
        ):
            results.append(result)
            left = (time.monotonic() - began) / len(results) * (total - len(results))
            yield sweeping, results, total, left

    def show(self, result: Any) -> None:
        sweeping, results, total, left = result
        self.running.tell(len(results), total, left, "settings")
        if not results:
            self._drawn = 0.0
        elif len(results) == total or time.monotonic() - self._drawn > OFTEN:
            self._sweeping, self.results = sweeping, list(results)
            self._draw()
            self._drawn = time.monotonic()

    def turn(self, scene: Scene, asked: Asked) -> None:
        self.offer(asked.settings.method)
        if self._method != asked.settings.method or self._objectives != asked.objectives:
            self._method, self._objectives = asked.settings.method, asked.objectives
            if self.results:
                self._draw()

    def stop(self) -> None:
        self.running.stopped()

    def _draw(self) -> None:
        assert self._sweeping is not None
        results, best = self.results, pareto(self.results, self._objectives)
        over = self._sweeping.over
        known = {each.name: each for each in sweepable(self._sweeping.settings.method)}
        captions = [
            {
                "title": " · ".join(
                    f"{known[name].symbol} {_said(value)}".strip() for name, value in result.parameters
                ),
                "text": f"area {number(result.area)} · jump {number(result.continuity)} · "
                f"Gini {number(result.sparsity)} · absorbed {number(result.absorbed, 2)}",
                "marked": marked,
            }
            for result, marked in zip(results, best, strict=True)
        ]
        now = next((i for i, result in enumerate(results) if result.method == self._method), -1)
        columns = len(over[1][1]) if len(over) == 2 else min(5, len(over[0][1]))
        self.maps.columns, self.maps.size = columns, min(92, WIDE // columns)
        self.maps.show([_two(result.heatmap) for result in results], captions, now)
        for name, view in self.curves.items():
            self._curve(view, name, known, best)

    def _curve(self, view: LinesView, name: str, known: dict[str, Param], best: tuple[bool, ...]) -> None:
        assert self._sweeping is not None
        over = self._sweeping.over
        first, values = known[over[0][0]], over[0][1]
        place = _place(first, values)
        lines, marks = [], []
        for colour, other in enumerate(over[1][1] if len(over) == 2 else (None,)):
            own = [
                (r, b) for r, b in zip(self.results, best, strict=True) if other is None or r.parameters[1][1] == other
            ]
            x = [place(result.parameters[0][1]) for result, _ in own]
            y = [abs(getattr(result, name)) if name == "absorbed" else getattr(result, name) for result, _ in own]
            title = name if other is None else f"{known[over[1][0]].label} {_said(other)}"
            lines.append({"name": title, "x": x, "y": y, "colour": colour, "points": True})
            marks += [
                {"x": a, "y": b, "text": "Pareto"} for a, b, (_, is_best) in zip(x, y, own, strict=True) if is_best
            ]
        log = first.log and all(isinstance(value, float) and value > 0 for value in values)
        view.show(lines, marks=marks, x_label=first.label, logarithmic=log)


def _place(known: Param, values: tuple[Any, ...]) -> Callable[[Any], float]:
    """Where a value stands on the axis: a number at itself, a choice at its place in the list."""
    if known.kind in ("number", "integer"):
        return float
    return lambda value: float(values.index(value))


def _two(heatmap: np.ndarray) -> np.ndarray:
    return np.asarray(heatmap, np.float32)


def _said(value: Any) -> str:
    return number(value, 2) if isinstance(value, float) else str(value)
