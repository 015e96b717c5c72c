"""The page By hand: the user drags the input and sees how far the map moves, relative to the input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import ipywidgets
import numpy as np
import torch
from torch import Tensor

from lrp_widgets.apps.quality.page import QualityPage, Scene
from lrp_widgets.apps.quality.request import HandPosition, Request
from lrp_widgets.apps.session.formatting import number
from lrp_widgets.apps.session.large_maps import scale_of, show_map
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import pooled
from lrp_widgets.engine.propagation.target import Contrast
from lrp_widgets.evaluation.continuity.continuity import distances
from lrp_widgets.evaluation.continuity.neighbourhoods import shifted
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import HeatmapView, LinesView, ProbePad
from lrp_widgets.widgets.controls.control import guard

__all__ = ["Measurement", "ProbePage", "fill_of", "place_text"]

MAX_PLACES = 400  # of the trace: the oldest is forgotten, but never the one with the largest quotient
BATCH = 8  # places explained at once, when the whole trace is measured again
STEPS = (("whole pixels", 1.0), ("halves", 0.5), ("quarters", 0.25), ("tenths", 0.1))
SIZE = 360  # px of a map, at most

Place = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Measurement:
    """R(x') of the input dragged to one place.

    score: f(x').  map_change: ‖R(x) − R(x')‖₁.  input_change: ‖x − x'‖₂.
    """

    place: Place
    relevance: Tensor
    score: float
    map_change: float
    input_change: float

    @property
    def quotient(self) -> float:
        """How much more the map moves than the input; NaN where the input does not move."""
        return self.map_change / self.input_change if self.input_change > 0 else float("nan")


class ProbePage(QualityPage):
    """`pad`: the input, to be dragged.  `here`, `there`, `between`: R(x), R(x'), R(x') − R(x) on the scale of R(x).
    `step`, `again`: the size of a step, and forgetting the trace.  `trace`: the quotient at the places visited."""

    name = "By hand"
    tooltip = "Drag the input and watch how far its map moves"

    def __init__(self, samples: Samples, change: Callable[..., None], tell: Callable[[str], None]) -> None:
        self.pad = ProbePad(size=SIZE, description="The input")
        self.here, self.there, self.between = (HeatmapView(size=SIZE, arrangement="heatmap") for _ in range(3))
        self.step = guard(
            ipywidgets.Dropdown(
                options=STEPS,
                description="steps",
                tooltip="How far an arrow key moves the input, and what a drag snaps to",
                style={"description_width": "40px"},
                layout={"width": "auto"},
            ),
            tell,
        )
        self.again = guard(
            ipywidgets.Button(
                description="forget the way",
                tooltip="Begin the trace and the largest quotient anew, from where the input is",
                layout={"width": "auto"},
            ),
            tell,
        )
        self.numbers = ipywidgets.HTML("")
        self.trace = LinesView(height=186, title="‖R(x) − R(x′)‖₁ / ‖x − x′‖₂ along the way", x_label="place visited")
        self._fill = fill_of(samples)
        self._scene: Scene | None = None
        self._pad_scene: Scene | None = None  # whose picture is on the pad
        self._trace_number = 0
        self._places: list[Place] = []  # visited, in order
        self._quotients: dict[Place, float] = {}  # of this scene; of a new one they are measured again
        self.view = self._arranged()
        self.pad.observe(lambda event: change(hand=self._hand(event["new"])), "place")
        self.pad.observe(lambda event: tell(event["new"]), "problem")
        self.step.observe(lambda event: setattr(self.pad, "step", event["new"]), "value")
        self.again.on_click(lambda _: self._forget(change))
        for view in (self.here, self.there, self.between):
            view.observe(lambda event: tell(event["new"]), "problem")
        self._traces = 0
        self._now: Measurement | None = None
        # A separate explainer: that of the scene keeps its tape for the next move of a slider.
        self._explainer: Explainer | None = None

    def _arranged(self) -> ipywidgets.Widget:
        titles = ("x′: drag it", "R(x)", "R(x′)", "R(x′) − R(x)")
        columns = []
        for title, view in zip(titles, (self.pad, self.here, self.there, self.between), strict=True):
            columns.append(
                ipywidgets.VBox([ipywidgets.HTML(f'<div class="lrp-heading lrp-formula">{title}</div>'), view])
            )
        maps = ipywidgets.Box(columns)
        maps.add_class("lrp-probing")
        controls = ipywidgets.HBox([self.step, self.again])
        controls.add_class("lrp-probe-controls")
        below = ipywidgets.Box([ipywidgets.VBox([self.numbers, controls]), self.trace])
        below.add_class("lrp-probed")
        return ipywidgets.VBox([maps, below])

    def _hand(self, place: list[float]) -> HandPosition:
        return HandPosition(place[0], place[1], self._traces)

    def _forget(self, change: Callable[..., None]) -> None:
        self._traces += 1
        change(hand=self._hand(self.pad.place))

    def key(self, request: Request) -> Any:
        return request.settings, request.hand

    def turn(self, scene: Scene, request: Request) -> None:
        if scene is not self._pad_scene and scene.image is not None:
            self._pad_scene = scene
            self.pad.show(scene.image)

    def run(self, scene: Scene, request: Request, superseded: Callable[[], bool]) -> Iterator[Measurement | None]:
        """Measure the present place first; then, for a new method or input, the whole trace."""
        hand = request.hand
        if hand.trace != self._trace_number:
            self._trace_number = hand.trace
            self._places.clear()
        if scene is not self._scene:
            self._scene = scene
            self._quotients.clear()
        (measurement,) = self._measure(scene, [(hand.right, hand.down)])
        self._note(measurement)
        yield measurement
        missing = list(dict.fromkeys(place for place in self._places if place not in self._quotients))
        for first in range(0, len(missing), BATCH):
            batch = self._measure(scene, missing[first : first + BATCH])
            self._quotients |= {measurement.place: measurement.quotient for measurement in batch}
            yield None

    def _measure(self, scene: Scene, places: list[Place]) -> list[Measurement]:
        x, fill = scene.x, self._fill.to(scene.x)
        inputs = [x if place == (0, 0) else shifted(x, fill, *place) for place in places]
        target = scene.target if isinstance(scene.target, Contrast) else tuple(scene.target) * len(places)
        method = scene.explanation.method
        if self._explainer is None:
            self._explainer = Explainer(scene.explainer.model, scene.explainer.output)
        explanation = self._explainer.explain(torch.cat(inputs), target, method)
        r = _array(scene.explanation.relevance[0])
        return [
            Measurement(place, there, score, *distances(_array(x[0]), _array(other[0]), r, _array(there)))
            for place, other, there, score in zip(
                places, inputs, explanation.relevance, explanation.explained.tolist(), strict=True
            )
        ]

    def _note(self, measurement: Measurement) -> None:
        if measurement.input_change > 0:
            self._quotients[measurement.place] = measurement.quotient
            if not self._places or self._places[-1] != measurement.place:
                self._places.append(measurement.place)
        if len(self._places) > MAX_PLACES:
            del self._places[1 if self._places[0] == self._largest() else 0]

    def _largest(self) -> Place | None:
        """The place of the largest quotient so far."""
        places = [place for place in self._places if not np.isnan(self._quotients.get(place, np.nan))]
        return max(places, key=self._quotients.__getitem__, default=None)

    @property
    def bound(self) -> float:
        """The largest quotient so far; NaN before the first."""
        largest = self._largest()
        return float("nan") if largest is None else self._quotients[largest]

    def show(self, result: Measurement | None) -> None:
        if result is not None:
            self._paint(result)
            self._now = result
        self._trace()

    def fail(self) -> None:
        for view in (self.here, self.there, self.between, self.trace):
            view.stale = True

    def _paint(self, measurement: Measurement) -> None:
        assert self._scene is not None
        explanation = self._scene.explanation
        here, there = explanation.heatmap(), pooled(measurement.relevance)
        scale = scale_of(here)  # that of R(x), wherever the input is dragged
        place = place_text(measurement.place)
        show_map(self.here, here, None, _stamp("x", explanation.explained[0], here), scale=scale, description="R(x)")
        there_text = _stamp("x′", measurement.score, there)
        show_map(self.there, there, None, there_text, scale=scale, description=f"R(x′), the input moved {place}")
        change = f"‖·‖₁ = {number(measurement.map_change, 4)}"
        show_map(self.between, there - here, None, change, scale=scale, description=f"R(x′) − R(x), {place}")

    def _trace(self) -> None:
        places, largest, bound = self._places, self._largest(), self.bound
        quotients = np.array([self._quotients.get(place, float("nan")) for place in places])
        self.pad.mark(
            [(*place, share) for place, share in zip(places, np.nan_to_num(quotients / (bound or 1)), strict=True)],
            largest or (),
        )
        order = np.arange(1, len(places) + 1)
        marks = []
        if largest is not None:
            marks = [{"x": places.index(largest) + 1, "y": bound, "text": f"largest: {place_text(largest)}"}]
        self.trace.show(
            [
                {"name": "where the hand was", "x": order, "y": quotients, "points": len(places) < 80},
                {
                    "name": "largest so far",
                    "x": order,
                    "y": np.fmax.accumulate(quotients) if len(places) else quotients,
                    "colour": 2,
                    "dashed": True,
                },
            ],
            marks=marks,
        )
        self.numbers.value = self._numbers_html(largest, bound)

    def _numbers_html(self, largest: Place | None, bound: float) -> str:
        now = self._now
        assert now is not None
        at = "move the input" if largest is None else place_text(largest)
        places = set(self._places)
        left = len(places - self._quotients.keys())
        count = f"of {len(places)} places" + (f", {left} still to measure" if left else "")
        rows = (
            (
                "now",
                number(now.quotient),
                f"{number(now.map_change)} / {number(now.input_change)} · {place_text(now.place)}",
            ),
            ("largest so far", number(bound), f"{at} · {count}"),
        )
        return (
            '<div class="lrp-quotients">'
            + "".join(
                f"<div><span>{title}</span><b>{value}</b><i>{escape(text)}</i></div>" for title, value, text in rows
            )
            + "</div>"
        )


def fill_of(samples: Samples) -> Tensor:
    """What fills the border of a moved picture, as in the page's paths: the domain's low end, (1, c or 1, 1, 1)."""
    return torch.as_tensor(samples.low, dtype=torch.float64).reshape(1, -1, 1, 1)


def place_text(place: Place) -> str:
    """A place in words: how far the input is from where it was, in pixels."""
    sides = ((place[0], "right", "left"), (place[1], "down", "up"))
    parts = [f"{abs(round(far, 3)):g} px {plus if far > 0 else minus}" for far, plus, minus in sides if far]
    return ", ".join(parts) or "where it was"


def _stamp(name: str, score: Any, relevance: np.ndarray) -> str:
    return f"f({name}) = {number(float(score), 4)}\nΣR = {number(float(relevance.sum()), 4)}"


def _array(t: Tensor) -> np.ndarray:
    return t.detach().double().cpu().numpy()
