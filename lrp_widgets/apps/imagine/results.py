"""The results of the imagine app: the prototypes with what stands beside them, their curves, and what they mean."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets
import numpy as np
from torch import Tensor

from lrp_widgets.apps.imagine.beside import FRAME, STILL, Beside, pictures
from lrp_widgets.apps.imagine.material import CODE, NONE, Material
from lrp_widgets.apps.imagine.request import ImagineSettings
from lrp_widgets.apps.imagine.way import Way
from lrp_widgets.apps.session.formatting import number
from lrp_widgets.prototypes import Prototypes
from lrp_widgets.widgets import LinesView, PrototypesView

__all__ = ["PrototypeResults", "aim_text"]

POINTS = 60  # of a curve as sent


class PrototypeResults:
    """`said`: what the pictures mean.  `prototypes`: they themselves.  `scores`, `densities`: the curves.

    Only the worker calls its methods.
    """

    def __init__(self, material: Material) -> None:
        self._material = material
        self._model = type(material.model).__name__
        self._judge = type(material.judge).__name__
        self.said = ipywidgets.HTML("")
        self.said.add_class("lrp-imagine-said")
        sides = material.samples.inputs.shape[2:]
        self.prototypes = PrototypesView(size=96 if not sides or min(sides) <= 64 else 160)
        self.scores = LinesView(height=150, legend=False, x_label="step")
        self.densities = LinesView(height=150, legend=False, x_label="step")

    def show(self, now: Prototypes, moving: bool) -> None:
        """Show where the prototypes are; while they move, with few bytes."""
        shown = pictures(now.inputs, self._material.samples, FRAME if moving else STILL)
        self.prototypes.show(shown, [f"score {number(float(score))}" for score in now.scores[-1]])

    def show_beside(self, beside: Beside, settings: ImagineSettings) -> None:
        """Show what was found out about them."""
        samples, aim = self._material.samples, settings.aim
        near = pictures(samples.inputs[beside.nearest.flatten().cpu()], samples)
        titles = []
        for index, distance in zip(beside.nearest.flatten().tolist(), beside.distances.flatten().tolist(), strict=True):
            name = "" if samples.labels is None else f"{samples.name(int(samples.labels[index]))} · "
            titles.append(f"{name}{distance:.3g} away")
        rows = []
        for at, own in enumerate(beside.own):
            row: list[dict[str, Any]] = []
            for name, answer in ((self._model, own), *((self._judge, each) for each in beside.judged[at : at + 1])):
                agrees = answer.index == aim.target if aim.of_class and self._material.classes > 1 else None
                row.append({"text": f"{name}: {answer}", "agrees": agrees})
            rows.append(row)
        self.prototypes.show_beside(beside.heatmaps, rows, near, titles)
        self.said.value = self._sentence(beside, settings)

    def show_curves(self, way: Way, at: int | None = None) -> None:
        """Draw the curves of the whole way.  at: the step that is looked at."""
        first = way.steps - len(way.scores) + 1
        for view, values, title in (
            (self.scores, way.scores, "What is made large"), (self.densities, way.densities, "log p(x) of the expert"),
        ):  # fmt: skip
            rows = np.unique(np.linspace(0, len(values) - 1, min(POINTS, len(values))).round().astype(int))
            x = (rows + first).tolist()
            lines = [
                {"name": str(k + 1), "x": x, "y": [float(f"{v:.4g}") for v in values[rows, k].tolist()], "colour": k}
                for k in range(values.shape[1])
            ]
            view.show(lines, "" if not len(values) else _between(values[-1]), title=title, position=at)

    def _sentence(self, beside: Beside, settings: ImagineSettings) -> str:
        aim, climb, count = settings.aim, settings.climb, len(beside.own)
        what = f"<b>{escape(aim_text(settings, self._material))}</b>"
        if climb.image == CODE:
            kept = "among what the generator makes" + ("" if climb.shell else f" (λ = {climb.strength:g})")
        elif climb.expert == NONE:
            kept = "with nothing that keeps it plausible"
        else:
            kept = f"among inputs that the expert {escape(climb.expert)} finds plausible (strength {climb.strength:g})"
        text = f"What {self._model} looks for in {what}, {kept}."
        if aim.of_class and self._material.classes > 1 and beside.judged:
            own, other = (sum(each.index == aim.target for each in group) for group in (beside.own, beside.judged))
            text += f" It calls {own} of {count} so itself; {self._judge}, which was not asked, {other} of {count}."
        return text


def aim_text(settings: ImagineSettings, material: Material) -> str:
    """What is made large, in words."""
    aim = settings.aim
    if aim.kind == "channel":
        return f"channel {aim.channel} of {aim.layer}"
    if aim.kind == "sample":
        return f"sample {aim.sample}, as {aim.layer} sees it"
    return f"class {material.samples.name(aim.target)}" if material.classes > 1 else "its output"


def _between(values: Tensor) -> str:
    low, high = number(float(values.min())), number(float(values.max()))
    return low if low == high else f"{low} to {high}"
