"""Selectivity: pixel flipping as it runs, and the picture at each step of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets
import numpy as np
import torch
from torch import Tensor

from lrp_widgets.apps.quality.asking import Asked, SelectivitySettings
from lrp_widgets.apps.quality.scene import QualityPage, Scene
from lrp_widgets.apps.session.formatting import number
from lrp_widgets.apps.session.offered import image_of
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import pooled
from lrp_widgets.evaluation import Curve, area_between, stream_flipping, superpixels
from lrp_widgets.evaluation.flipping.flipping import band_of
from lrp_widgets.evaluation.flipping.ranking import in_order, relevance_of_regions
from lrp_widgets.evaluation.flipping.regions import regions_of
from lrp_widgets.evaluation.flipping.removal import Removal, removal_of
from lrp_widgets.widgets import HeatmapView, LinesView, SettingEditor
from lrp_widgets.widgets.controls.control import guard

__all__ = ["Selectivity"]

MOST_STEPS = 100  # scores of a curve: more than the eye tells apart
ROWS = 16  # inputs at once, so that a newer request does not wait long
SUPERPIXELS = 50
NAMES = {"most": "most relevant first", "least": "least relevant first", "random": "random orders: mean and band"}


@dataclasses.dataclass(frozen=True, eq=False)
class _Flipped:
    """The curves so far, and what is left at each step of the one with the most relevant first."""

    scene: Scene
    curves: dict[str, Curve]
    frames: _Frames


class Selectivity(QualityPage):
    """`flipping`: the editor of how it is measured.  `scrubber`: the step that is shown.  `curve`, `heatmap`: views."""

    name = "Selectivity"
    said = "Pixel flipping: how fast the score falls as the most relevant patches go"

    def __init__(self, side: int, planar: bool, change: Callable[..., None], tell: Callable[[str], None]) -> None:
        self.flipping = SettingEditor(SelectivitySettings(patch=side))
        self.flipping.add_class("lrp-three")
        self.heatmap = HeatmapView(size=236, arrangement="beside" if planar else "heatmap")
        self.curve = LinesView(height=330, title="Pixel flipping", x_label="removed", percent=True)
        self.scrubber = guard(
            ipywidgets.IntSlider(
                0,
                min=0,
                max=1,
                description="step",
                tooltip="What is left of the input, and where the curve is, after so many removals",
                style={"description_width": "40px"},
                layout={"width": "auto"},
            ),
            tell,
        )
        self._shown: _Flipped | None = None
        self._step = 0
        left = ipywidgets.VBox([self.heatmap, self.scrubber])
        pair = ipywidgets.Box([left, ipywidgets.VBox([self.curve])])
        pair.add_class("lrp-pair")
        self.view = ipywidgets.VBox([self.flipping, pair])
        self.flipping.observe(lambda event: change(flipping=event["new"]), "value")
        self.flipping.observe(lambda event: tell(event["new"]), "problem")
        self.scrubber.observe(lambda event: change(step=event["new"]), "value")

    def key(self, asked: Asked) -> Any:
        return asked.settings, asked.flipping

    def run(self, scene: Scene, asked: Asked, waits: Callable[[], bool]) -> Iterator[_Flipped]:
        how, x, explanation = asked.flipping, scene.x, scene.explanation
        labels = _labels(scene, how)
        steps = None if int(labels.max()) < MOST_STEPS else MOST_STEPS
        removal = removal_of(how.removal, scene.samples.low)
        frames = _Frames(scene, labels, removal, how)
        options: dict[str, Any] = {
            "unit": how.unit,
            "steps": steps,
            "removal": removal,
            "output": scene.explainer.output,
            "batch": ROWS,
            **({"patch": how.patch} if how.regions == "patches" else {"regions": labels.numpy()}),
        }
        model, curves = scene.explainer.model, {}
        for order in ("most", "least"):
            # Of its own, so that the next move of a slider finds the scene's as it was.
            beside = Explainer(model, scene.explainer.output)

            def again(left: Tensor, beside: Explainer = beside, keep: bool = order == "most") -> Tensor:
                r = beside.explain(left, explanation.target, explanation.method).relevance
                if keep:
                    frames.note(left, r)
                return r

            explain = again if how.ranking == "again" else None
            for curve in stream_flipping(
                model, x, explanation.relevance, explanation.target, order=order, explain=explain, **options
            ):
                curves[order] = curve
                yield _Flipped(scene, dict(curves), frames)
        done: list[Curve] = []
        for seed in range(how.seeds):
            whole = None
            for whole in stream_flipping(  # noqa: B007 - the last one is whole
                model, x, explanation.relevance, explanation.target, order="random", seed=seed, **options
            ):
                yield _Flipped(scene, dict(curves), frames)
            assert whole is not None
            done.append(whole)
            curves["random"] = band_of(done, evenly=how.regions != "patches")
            yield _Flipped(scene, dict(curves), frames)

    def show(self, result: _Flipped) -> None:
        fresh = self._shown is None or self._shown.frames is not result.frames
        self._shown = result
        last = len(result.curves["most"].values) - 1
        if fresh or last > self.scrubber.max:
            self.scrubber.max = max(1, last)
        self._draw()
        if fresh or self._step <= last:
            self._picture()

    def turn(self, scene: Scene, asked: Asked) -> None:
        if asked.step != self._step:
            self._step = asked.step
            if self._shown is not None:
                self.curve.position = self._place()
                self._picture()
        elif self._shown is None or self._shown.scene is not scene:
            self._paint(scene, scene.image, scene.explanation.heatmap(), "the whole input")

    def fail(self) -> None:
        self.heatmap.stale = self.curve.stale = True

    def _place(self) -> float:
        assert self._shown is not None
        removed = self._shown.curves["most"].removed
        return float(removed[min(self._step, len(removed) - 1)])

    def _draw(self) -> None:
        assert self._shown is not None
        curves = self._shown.curves
        lines = [
            {
                "name": NAMES[order],
                "x": curve.removed,
                "y": curve.values,
                "low": curve.low,
                "high": curve.high,
                "colour": colour,
                "dashed": order == "random",
            }
            for colour, (order, curve) in enumerate(curves.items())
        ]
        self.curve.show(lines, _said(curves), position=self._place())

    def _picture(self) -> None:
        assert self._shown is not None
        shown = self._shown
        most = shown.curves["most"]
        step = min(self._step, len(most.values) - 1)
        left, relevance = shown.frames.at(step, float(most.removed[step]))
        image = image_of(left[0], shown.scene.samples)
        said = f"step {step}: {most.removed[step]:.0%} of the {most.of} removed · score {number(most.values[step], 4)}"
        self._paint(shown.scene, image, relevance, said)

    def _paint(self, scene: Scene, image: np.ndarray | None, relevance: np.ndarray, said: str) -> None:
        self.heatmap.show(relevance, image, stamp=said, description=f"Input and relevance, {said}")


class _Frames:
    """What is left of the input after some removals, and its relevance."""

    def __init__(self, scene: Scene, labels: Tensor, removal: Removal, how: SelectivitySettings) -> None:
        self._scene, self._labels, self._removal = scene, labels, removal
        x = scene.x
        self._picture = scene.samples.modality.grid(x)
        relevance = relevance_of_regions(scene.explanation.relevance, x, self._picture, labels)
        self._order = in_order(relevance, "most")
        sizes = torch.ones_like(relevance) if how.regions == "patches" else labels.flatten().bincount().double()
        self._shares = (torch.cat([sizes.new_zeros(1), sizes[self._order].cumsum(0)]) / sizes.sum()).numpy()
        self._again = how.ranking == "again"
        self._noted: list[tuple[Tensor, np.ndarray]] = [(x, scene.explanation.heatmap())]

    def note(self, left: Tensor, relevance: Tensor) -> None:
        """Ranked again: keep what was just explained."""
        self._noted.append((left.clone(), pooled(relevance[0])))

    def at(self, step: int, share: float) -> tuple[Tensor, np.ndarray]:
        """(1, …) what is left at a step, and the relevance (h, w) that ranks it."""
        if self._again and step < len(self._noted):
            return self._noted[step]
        count = int(np.abs(self._shares - share).argmin())
        gone = torch.zeros(len(self._order), dtype=torch.bool)
        gone[self._order[:count]] = True
        if self._again:  # the last one: nothing is left to be ranked
            gone[:] = True
        pixels = gone[self._labels].to(self._picture.device)[None, None]
        left = self._removal.removed(self._picture, pixels).reshape(self._scene.x.shape)
        return left, self._noted[-1][1] if self._again else self._noted[0][1]


def _labels(scene: Scene, how: SelectivitySettings) -> Tensor:
    modality = scene.samples.modality
    height, width = modality.grid(scene.x).shape[-2:]
    if how.regions == "patches":
        return modality.regions(scene.x, how.patch)
    return regions_of(superpixels(scene.x, SUPERPIXELS), height, width)


def _said(curves: dict[str, Curve]) -> str:
    most = curves["most"]
    parts = [f"{most.ranking}, {most.removal}", f"area: most {number(most.area)}"]
    if least := curves.get("least"):
        parts[1] += f", least {number(least.area)}"
        if least.removed[-1] >= 1:
            parts.append(f"between {number(area_between(most, least))} (high is selective)")
    if random := curves.get("random"):
        parts[1] += f", random {number(random.area)}"
    return " · ".join(parts)
