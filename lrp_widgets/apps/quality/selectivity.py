"""The page Selectivity: flipping curves as they grow, and the input at each step of the curve."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets
import numpy as np
import torch
from torch import Tensor

from lrp_widgets.apps.quality.page import QualityPage, Scene
from lrp_widgets.apps.quality.request import Request, SelectivitySettings
from lrp_widgets.apps.session.formatting import number
from lrp_widgets.apps.session.large_maps import show_map
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

__all__ = ["SelectivityPage"]

MAX_STEPS = 100  # of a curve: with more the eye sees no difference
BATCH = 16  # inputs at once: few, so that a newer request does not wait long
SUPERPIXELS = 50
NAMES = {"most": "most relevant first", "least": "least relevant first", "random": "random orders: mean and band"}


@dataclasses.dataclass(frozen=True, eq=False)
class _Progress:
    """The curves so far, and the frames of the one that removes the most relevant first."""

    scene: Scene
    curves: dict[str, Curve]
    frames: _Frames


class SelectivityPage(QualityPage):
    """`flipping`: the editor of how it is measured.  `scrubber`: the step that is shown.  `curve`, `heatmap`: views."""

    name = "Selectivity"
    tooltip = "Pixel flipping: how fast the score falls as the most relevant patches go"

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
        self._progress: _Progress | None = None
        self._step = 0
        left = ipywidgets.VBox([self.heatmap, self.scrubber])
        pair = ipywidgets.Box([left, ipywidgets.VBox([self.curve])])
        pair.add_class("lrp-pair")
        self.view = ipywidgets.VBox([self.flipping, pair])
        self.flipping.observe(lambda event: change(flipping=event["new"]), "value")
        self.flipping.observe(lambda event: tell(event["new"]), "problem")
        self.scrubber.observe(lambda event: change(step=event["new"]), "value")

    def key(self, request: Request) -> Any:
        return request.settings, request.flipping

    def run(self, scene: Scene, request: Request, superseded: Callable[[], bool]) -> Iterator[_Progress]:
        options, x, explanation = request.flipping, scene.x, scene.explanation
        unit = options.unit if scene.has_probabilities else "logit"
        labels = _labels(scene, options)
        steps = None if int(labels.max()) < MAX_STEPS else MAX_STEPS
        removal = removal_of(options.removal, scene.samples.low)
        frames = _Frames(scene, labels, removal, options)
        arguments: dict[str, Any] = {
            "unit": unit,
            "steps": steps,
            "removal": removal,
            "output": scene.explainer.output,
            "batch": BATCH,
            "modality": scene.samples.modality,
            **({"patch": options.patch} if options.regions == "patches" else {"regions": labels.numpy()}),
        }
        model, curves = scene.explainer.model, {}
        for order in ("most", "least"):
            # A separate explainer: that of the scene keeps its tape for the next move of a slider.
            explainer = Explainer(model, scene.explainer.output)

            def rank_again(left: Tensor, explainer: Explainer = explainer, keep: bool = order == "most") -> Tensor:
                r = explainer.explain(left, explanation.target, explanation.method).relevance
                if keep:
                    frames.note(left, r)
                return r

            explain = rank_again if options.ranking == "again" else None
            for curve in stream_flipping(
                model, x, explanation.relevance, explanation.target, order=order, explain=explain, **arguments
            ):
                curves[order] = curve
                yield _Progress(scene, dict(curves), frames)
        randoms: list[Curve] = []
        for seed in range(options.seeds):
            whole = None
            for whole in stream_flipping(  # noqa: B007 - only the last curve of the stream is whole
                model, x, explanation.relevance, explanation.target, order="random", seed=seed, **arguments
            ):
                yield _Progress(scene, dict(curves), frames)
            assert whole is not None
            randoms.append(whole)
            curves["random"] = band_of(randoms, evenly=options.regions != "patches")
            yield _Progress(scene, dict(curves), frames)

    def show(self, result: _Progress) -> None:
        is_new = self._progress is None or self._progress.frames is not result.frames
        self._progress = result
        last = len(result.curves["most"].values) - 1
        if is_new or last > self.scrubber.max:
            self.scrubber.max = max(1, last)
        self._draw()
        if is_new or self._step <= last:
            self._picture()

    def turn(self, scene: Scene, request: Request) -> None:
        self.flipping.control("unit").layout.display = None if scene.has_probabilities else "none"
        if request.step != self._step:
            self._step = request.step
            if self._progress is not None:
                self.curve.position = self._place()
                self._picture()
        elif self._progress is None or self._progress.scene is not scene:
            self._paint(scene, scene.image, scene.explanation.heatmap(), "the whole input")

    def fail(self) -> None:
        self.heatmap.stale = self.curve.stale = True

    def _place(self) -> float:
        assert self._progress is not None
        removed = self._progress.curves["most"].removed
        return float(removed[min(self._step, len(removed) - 1)])

    def _draw(self) -> None:
        assert self._progress is not None
        curves = self._progress.curves
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
        self.curve.show(lines, _areas_text(curves), position=self._place())

    def _picture(self) -> None:
        assert self._progress is not None
        progress = self._progress
        most = progress.curves["most"]
        step = min(self._step, len(most.values) - 1)
        left, relevance = progress.frames.at(step, float(most.removed[step]))
        image = image_of(left[0], progress.scene.samples)
        stamp = f"step {step}: {most.removed[step]:.0%} of the {most.of} removed · score {number(most.values[step], 4)}"
        self._paint(progress.scene, image, relevance, stamp)

    def _paint(self, scene: Scene, image: np.ndarray | None, relevance: np.ndarray, stamp: str) -> None:
        show_map(self.heatmap, relevance, image, stamp, description=f"Input and relevance, {stamp}")


class _Frames:
    """The input after each number of removals, and the relevance by which the next region is chosen."""

    def __init__(self, scene: Scene, labels: Tensor, removal: Removal, options: SelectivitySettings) -> None:
        self._scene, self._labels, self._removal = scene, labels, removal
        x = scene.x
        self._picture = scene.samples.modality.grid(x)
        what = scene.samples.modality
        relevance = relevance_of_regions(scene.explanation.relevance, x, self._picture, labels, modality=what)
        self._order = in_order(relevance, "most")
        sizes = torch.ones_like(relevance) if options.regions == "patches" else labels.flatten().bincount().double()
        self._shares = (torch.cat([sizes.new_zeros(1), sizes[self._order].cumsum(0)]) / sizes.sum()).numpy()
        self._again = options.ranking == "again"
        self._ranked: list[tuple[Tensor, np.ndarray]] = [(x, scene.explanation.heatmap())]

    def note(self, left: Tensor, relevance: Tensor) -> None:
        """Keep an input that was ranked again, with its relevance."""
        self._ranked.append((left.clone(), pooled(relevance[0])))

    def at(self, step: int, share: float) -> tuple[Tensor, np.ndarray]:
        """What is left of the input (1, …) at a step, and the relevance (h, w) that ranks its regions.

        share: of the input that is removed, in [0, 1].
        """
        if self._again and step < len(self._ranked):
            return self._ranked[step]
        count = int(np.abs(self._shares - share).argmin())
        removed = torch.zeros(len(self._order), dtype=torch.bool)
        removed[self._order[:count]] = True
        if self._again:  # the last step, which nothing ranks: all regions are removed
            removed[:] = True
        pixels = removed[self._labels].to(self._picture.device)[None, None]
        left = self._scene.samples.modality.from_grid(self._removal.removed(self._picture, pixels), self._scene.x)
        return left, self._ranked[-1][1] if self._again else self._ranked[0][1]


def _labels(scene: Scene, options: SelectivitySettings) -> Tensor:
    modality = scene.samples.modality
    if options.regions == "patches":
        return modality.regions(scene.x, options.patch)
    return regions_of(superpixels(scene.x, SUPERPIXELS), *modality.grid(scene.x).shape[2:])


def _areas_text(curves: dict[str, Curve]) -> str:
    most = curves["most"]
    parts = [f"{most.ranking}, {most.removal}", f"area: most {number(most.area)}"]
    if least := curves.get("least"):
        parts[1] += f", least {number(least.area)}"
        if least.removed[-1] >= 1:
            parts.append(f"between {number(area_between(most, least))} (high is selective)")
    if random := curves.get("random"):
        parts[1] += f", random {number(random.area)}"
    return " · ".join(parts)
