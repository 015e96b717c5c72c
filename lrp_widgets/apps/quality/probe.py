"""Probe: move the input by hand, and see the map move, and by how much more than the input it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import ipywidgets
import numpy as np
import torch
from torch import Tensor

from lrp_widgets.apps.quality.asking import Asked, Hand
from lrp_widgets.apps.quality.scene import QualityPage, Scene
from lrp_widgets.apps.session.formatting import number
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import pooled
from lrp_widgets.engine.propagation.target import Contrast
from lrp_widgets.evaluation.continuity.continuity import distances
from lrp_widgets.evaluation.continuity.neighbourhoods import shifted
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import HeatmapView, LinesView, ProbePad
from lrp_widgets.widgets.controls.control import guard

__all__ = ["Probe", "Probed", "fill_of", "said_place"]

MOST = 400  # places that are remembered; then the first ones go, but never the one with the largest quotient
ROWS = 8  # places explained at once, when another method goes the same way
STEPS = (("whole pixels", 1.0), ("halves", 0.5), ("quarters", 0.25), ("tenths", 0.1))
SIZE = 360  # px of a map, at most

Place = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Probed:
    """R(x') at one place beside R(x).  score: f(x').  moved, apart: ‖R(x) − R(x')‖₁ and ‖x − x'‖₂."""

    place: Place
    relevance: Tensor
    score: float
    moved: float
    apart: float

    @property
    def quotient(self) -> float:
        """How much more the map moves than the input; NaN where the input does not move."""
        return self.moved / self.apart if self.apart > 0 else float("nan")


class Probe(QualityPage):
    """`pad`: the input under the hand.  `here`, `there`, `between`: R(x), R(x'), R(x') − R(x) on the scale of R(x).
    `step`, `again`: its steps, and forgetting the way.  `trace`: the quotient along it."""

    name = "By hand"
    said = "Drag the input and watch how far its map moves"

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
        self._shown: Scene | None = None  # whose picture is on the pad
        self._cleared = 0
        self._way: list[Place] = []  # where the hand was, in order
        self._known: dict[Place, float] = {}  # the quotients there, of this scene
        self.view = self._arranged()
        self.pad.observe(lambda event: change(hand=self._hand(event["new"])), "place")
        self.pad.observe(lambda event: tell(event["new"]), "problem")
        self.step.observe(lambda event: setattr(self.pad, "step", event["new"]), "value")
        self.again.on_click(lambda _: self._forget(change))
        for view in (self.here, self.there, self.between):
            view.observe(lambda event: tell(event["new"]), "problem")
        self._starts = 0
        self._now: Probed | None = None
        self._beside: Explainer | None = (
            None  # of its own, so that the next move of a slider finds the scene's as it was
        )

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

    def _hand(self, place: list[float]) -> Hand:
        return Hand(place[0], place[1], self._starts)

    def _forget(self, change: Callable[..., None]) -> None:
        self._starts += 1
        change(hand=self._hand(self.pad.place))

    def key(self, asked: Asked) -> Any:
        return asked.settings, asked.hand

    def turn(self, scene: Scene, asked: Asked) -> None:
        if scene is not self._shown and scene.image is not None:
            self._shown = scene
            self.pad.show(scene.image)

    def run(self, scene: Scene, asked: Asked, waits: Callable[[], bool]) -> Iterator[Probed | None]:
        """First where the hand is; then, for a new method or input, the way that it has come."""
        hand = asked.hand
        if hand.cleared != self._cleared:
            self._cleared = hand.cleared
            self._way.clear()
        if scene is not self._scene:
            self._scene = scene
            self._known.clear()
        (probed,) = self._measured(scene, [(hand.right, hand.down)])
        self._note(probed)
        yield probed
        unknown = list(dict.fromkeys(place for place in self._way if place not in self._known))
        for first in range(0, len(unknown), ROWS):
            self._known |= {each.place: each.quotient for each in self._measured(scene, unknown[first : first + ROWS])}
            yield None

    def _measured(self, scene: Scene, places: list[Place]) -> list[Probed]:
        x, fill = scene.x, self._fill.to(scene.x)
        moved = [x if place == (0, 0) else shifted(x, fill, *place) for place in places]
        target = scene.target if isinstance(scene.target, Contrast) else tuple(scene.target) * len(places)
        method = scene.explanation.method
        if self._beside is None:
            self._beside = Explainer(scene.explainer.model, scene.explainer.output)
        explanation = self._beside.explain(torch.cat(moved), target, method)
        r = _array(scene.explanation.relevance[0])
        return [
            Probed(place, there, score, *distances(_array(x[0]), _array(other[0]), r, _array(there)))
            for place, other, there, score in zip(
                places, moved, explanation.relevance, explanation.explained.tolist(), strict=True
            )
        ]

    def _note(self, probed: Probed) -> None:
        if probed.apart > 0:
            self._known[probed.place] = probed.quotient
            if not self._way or self._way[-1] != probed.place:
                self._way.append(probed.place)
        if len(self._way) > MOST:
            del self._way[1 if self._way[0] == self._largest() else 0]

    def _largest(self) -> Place | None:
        """Where the largest quotient so far was met."""
        known = [place for place in self._way if self._known.get(place, float("nan")) == self._known.get(place)]
        return max(known, key=self._known.__getitem__, default=None)

    @property
    def bound(self) -> float:
        """The largest quotient so far; NaN before the first."""
        largest = self._largest()
        return float("nan") if largest is None else self._known[largest]

    def show(self, result: Probed | None) -> None:
        if result is not None:
            self._paint(result)
            self._now = result
        self._trace()

    def fail(self) -> None:
        for view in (self.here, self.there, self.between, self.trace):
            view.stale = True

    def _paint(self, probed: Probed) -> None:
        assert self._scene is not None
        explanation = self._scene.explanation
        here, there = explanation.heatmap(), pooled(probed.relevance)
        scale = float(np.abs(here).max()) or None  # that of R(x), wherever the hand goes
        place = said_place(probed.place)
        self.here.show(here, scale=scale, stamp=_stamp("x", explanation.explained[0], here), description="R(x)")
        self.there.show(
            there, scale=scale, stamp=_stamp("x′", probed.score, there), description=f"R(x′), the input moved {place}"
        )
        self.between.show(
            there - here, scale=scale, stamp=f"‖·‖₁ = {number(probed.moved, 4)}", description=f"R(x′) − R(x), {place}"
        )

    def _trace(self) -> None:
        way, largest, bound = self._way, self._largest(), self.bound
        quotients = np.array([self._known.get(place, float("nan")) for place in way])
        self.pad.mark(
            [(*place, share) for place, share in zip(way, np.nan_to_num(quotients / (bound or 1)), strict=True)],
            largest or (),
        )
        places = np.arange(1, len(way) + 1)
        marks = []
        if largest is not None:
            marks = [{"x": way.index(largest) + 1, "y": bound, "text": f"largest: {said_place(largest)}"}]
        self.trace.show(
            [
                {"name": "where the hand was", "x": places, "y": quotients, "points": len(way) < 80},
                {
                    "name": "largest so far",
                    "x": places,
                    "y": np.fmax.accumulate(quotients) if len(way) else quotients,
                    "colour": 2,
                    "dashed": True,
                },
            ],
            marks=marks,
        )
        self.numbers.value = self._said(largest, bound)

    def _said(self, largest: Place | None, bound: float) -> str:
        now = self._now
        assert now is not None
        where = "move the input" if largest is None else said_place(largest)
        places = set(self._way)
        left = len(places - self._known.keys())
        count = f"of {len(places)} places" + (f", {left} still to measure" if left else "")
        rows = (
            ("now", number(now.quotient), f"{number(now.moved)} / {number(now.apart)} · {said_place(now.place)}"),
            ("largest so far", number(bound), f"{where} · {count}"),
        )
        return (
            '<div class="lrp-quotients">'
            + "".join(
                f"<div><span>{title}</span><b>{value}</b><i>{escape(text)}</i></div>" for title, value, text in rows
            )
            + "</div>"
        )


def fill_of(samples: Samples) -> Tensor:
    """What comes in from outside of a moved picture, as lw.continuity takes it here: the low end of the domain."""
    return torch.as_tensor(samples.low, dtype=torch.float64).reshape(1, -1, 1, 1)


def said_place(place: Place) -> str:
    """A place in words, as the pad has it."""
    sides = ((place[0], "right", "left"), (place[1], "down", "up"))
    parts = [f"{abs(round(far, 3)):g} px {plus if far > 0 else minus}" for far, plus, minus in sides if far]
    return ", ".join(parts) or "where it was"


def _stamp(name: str, score: Any, relevance: np.ndarray) -> str:
    return f"f({name}) = {number(float(score), 4)}\nΣR = {number(float(relevance.sum()), 4)}"


def _array(t: Tensor) -> np.ndarray:
    return t.detach().double().cpu().numpy()
