"""The main app: move an explanation and watch heatmap, layerwise flow and pixel-flipping curve follow.

Settings go down, explanations come up, never back: handlers only replace `Dashboard.settings`; one worker explains and
is the only one to write what is shown.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import torch
import traitlets
from torch import Tensor, nn

from lrp_widgets.apps.ahead import Ahead, Preview
from lrp_widgets.apps.cores import cores_for, is_small
from lrp_widgets.apps.curves import Curves
from lrp_widgets.apps.memory import reuse_memory
from lrp_widgets.apps.offered import captions, choices, image_of, thumbnails
from lrp_widgets.apps.reading import equations, findings, ledger_rows, picture_of, said_target, stamp, status
from lrp_widgets.engine.doctor import examine
from lrp_widgets.engine.explainer import Explainer, Output
from lrp_widgets.engine.explanation import Explanation
from lrp_widgets.engine.memo import Memo
from lrp_widgets.engine.propagate import Abandoned
from lrp_widgets.evaluation import Curve
from lrp_widgets.methods import Method
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import (
    ClassPicker,
    CurveView,
    DrawingPad,
    Gallery,
    HeatmapView,
    Latest,
    LayersView,
    LookEditor,
    MethodPicker,
    StatusLine,
)
from lrp_widgets.widgets.control import guard

__all__ = ["Dashboard", "Settings", "explore"]

EXAMINED = 16  # inputs that the model doctor looks at; of a large network one
CURVE_EVERY = 0.15  # s: during a drag the curve is drawn at least this often


@dataclass(frozen=True)
class Settings:
    """What is explained and how: everything that asks the engine for an answer.

    sample: index of a sample, or the bytes of a drawn picture.  target: a class, None for the top one.
    layer: the layer whose map is shown, "" for the input.
    """

    sample: int | bytes
    method: Method
    target: int | None = None
    layer: str = ""


def explore(model: nn.Module, samples: Samples | Tensor, output: Output = None) -> Dashboard:
    """The dashboard of a model on samples: an ipywidgets widget.

    model: any nn.Module in evaluation mode.  samples: lw.Samples, or a tensor of inputs with values in [0, 1].
    output: which output to explain where the model returns several, as in lw.Explainer.
    Raises TypeError where these are something else; whatever goes wrong later stands in the status line.
    """
    if isinstance(samples, Tensor):
        samples = Samples(samples)
    if not isinstance(samples, Samples):
        raise TypeError(f"explore() needs lw.Samples or a tensor of inputs, got {type(samples).__name__}.")
    return Dashboard(Explainer(model, output), samples)


class Dashboard(ipywidgets.VBox):
    """Controls on the left, pictures in the middle, layers on the right.

    settings: what is asked for; setting it asks the engine.  explanation: the last answer; observe it.
    """

    settings = traitlets.Instance(Settings)
    explanation = traitlets.Instance(Explanation, allow_none=True)

    def __init__(self, explainer: Explainer, samples: Samples) -> None:
        reuse_memory()
        self.explainer, self.samples = explainer, samples
        self._memo, self._ahead = Memo(), Ahead(explainer)
        self._curves, self._curve_drawn = Curves(explainer, samples.low), -CURVE_EVERY
        self._watched = False  # a browser has painted the first picture
        self._examined = False  # the doctor has seen the model
        self._answered: Settings | None = None  # what the picture shows
        self.methods = MethodPicker(choices(samples))
        self.gallery, self.pad, self.classes = Gallery(thumbnail=38, rows=2), DrawingPad(), ClassPicker()
        source = ipywidgets.ToggleButtons(options=["Samples", "Draw"], tooltips=["Real inputs", "Your own digit"])
        self.source = guard(source, self._refuse)
        self.heatmap, self.layers, self.curve = HeatmapView(size=320), LayersView(), CurveView()
        self.look = LookEditor(self.heatmap, self.layers)
        self.equation, self.doctor, self.status = ipywidgets.HTML(""), ipywidgets.HTML(""), StatusLine()
        self.gallery.show(thumbnails(samples), captions(samples), selected=0)
        super().__init__(self._arranged(), settings=Settings(0, self.methods.value))
        self.add_class("lrp-explore")
        self._first_picture()
        self._latest: Latest[Settings] = Latest(self._work, self._show, self._fail, self._rest)
        self._connect()
        self._latest.request(self.settings)

    def settled(self, timeout: float | None = None) -> bool:
        """Wait until nothing is being computed; False after `timeout` seconds."""
        return self._latest.settled(timeout)

    def close(self) -> None:
        """End the worker and remove the widgets."""
        if latest := getattr(self, "_latest", None):  # ipywidgets closes what was never finished, too
            latest.close()
        super().close()

    # Settings down: a handler replaces one of them and does nothing else.

    def _connect(self) -> None:
        self.observe(lambda change: self._latest.request(change["new"]), "settings")
        self.methods.observe(lambda change: self._set(method=change["new"]), "value")
        self.gallery.observe(self._picked_sample, "selected")
        self.pad.observe(self._drawn, "sequence")
        self.source.observe(self._switched, "value")
        self.classes.observe(self._picked_class, ["selected", "auto"])
        self.layers.observe(self._picked_layer, "selected")
        self.heatmap.on_msg(self._looked_at)
        for part in (self.methods, self.gallery, self.pad, self.classes, self.layers, self.heatmap, self.look):
            part.observe(lambda change: self._refuse(change["new"]), "problem")

    def _set(self, **changes: Any) -> None:
        self.settings = dataclasses.replace(self.settings, **changes)

    def _picked_sample(self, change: Any) -> None:
        if change["new"] >= 0:
            self._set(sample=change["new"])

    def _drawn(self, change: Any) -> None:
        if not self.pad.empty:
            self._set(sample=self.pad.pixels)

    def _switched(self, change: Any) -> None:
        drawing = change["new"] == "Draw"
        self.pad.layout.display, self.gallery.layout.display = (None, "none") if drawing else ("none", None)
        if not drawing and self.gallery.selected >= 0:
            self._set(sample=self.gallery.selected)
        elif drawing and not self.pad.empty:
            self._set(sample=self.pad.pixels)

    def _picked_class(self, change: Any) -> None:
        if not self._latest.on_worker():  # what the worker shows is no choice
            self._set(target=None if self.classes.auto or self.classes.selected < 0 else self.classes.selected)

    def _picked_layer(self, change: Any) -> None:
        if not self._latest.on_worker():
            self._set(layer=change["new"])

    def _refuse(self, problem: str) -> None:
        if problem:
            self._latest.request(_Refusal(problem))  # type: ignore[arg-type]

    def _looked_at(self, widget: Any, content: Any, buffers: Any) -> None:
        if not self._watched and content == {"painted": True}:
            self._watched = True
            self._latest.request(self.settings)

    # Explanations up: from here on everything runs on the worker's thread.

    def _work(self, settings: Settings, superseded: Callable[[], bool]) -> Iterator[Any]:
        if isinstance(settings, _Refusal):
            raise settings.error
        x = self._input(settings.sample)
        explanation: Explanation | None = self.explanation  # type: ignore[assignment]
        if explanation is None or settings is not self._answered:  # else a browser looks now and wants the curve
            known = self._ahead.known(x, settings.method, settings.target)
            guess = self._ahead.guess(x, settings.method, settings.target)
            if settings.layer:  # maps of layers are the engine's alone
                known = guess = None
            if known is None and guess is not None:
                yield guess
            try:
                explanation = known or self._explained(x, settings, superseded, guess is not None)
            except Abandoned:  # a picture stands there, and a newer request waits
                return
            yield settings, explanation
        small = is_small(self.explainer.model, x)
        if superseded() and (not small or time.monotonic() - self._curve_drawn < CURVE_EVERY):
            return
        if x.ndim in (2, 4):
            with cores_for(self.explainer.model, x):
                yield from self._curves.of(x, explanation, superseded)
            if superseded():
                return
        if not self._examined:
            with cores_for(self.explainer.model, x):
                found = examine(
                    self.explainer.model, self.samples.inputs[: EXAMINED if small else 1], self.explainer.output
                )
            yield found

    def _explained(self, x: Tensor, settings: Settings, superseded: Callable[[], bool], guessed: bool) -> Explanation:
        show = None if settings.layer or self.explanation is None else self._show_preview
        with cores_for(self.explainer.model, x):
            return self._ahead.explain(x, settings.method, settings.target, show, superseded, guessed)

    def _rest(self, superseded: Callable[[], bool]) -> None:
        """While nobody moves: make what is likely to be asked next."""
        if (settings := self._answered) is not None:
            self._ahead.fill(self._input(settings.sample), settings.method, settings.target, superseded)

    def _input(self, sample: int | bytes) -> Tensor:
        if isinstance(sample, int):
            return self._memo("input", lambda sample: self.samples.inputs[sample : sample + 1], sample)
        return self._memo("input", self._from_drawing, sample)

    def _from_drawing(self, pixels: bytes) -> Tensor:
        ink = np.frombuffer(pixels, np.uint8).reshape(1, 1, 28, 28).astype(np.float32) / 255
        like = self.samples.inputs
        low, high = (float(np.mean(bound)) for bound in (self.samples.low, self.samples.high))
        return torch.from_numpy(low + ink * (high - low)).to(like)

    def _show(self, result: Any) -> None:
        if isinstance(result, list):
            self._examined = True
            self.doctor.value = findings(result)
        elif isinstance(result, Preview):
            self._show_preview(result)
        elif isinstance(result[0], Curve):
            self.curve.prepare()
            if self._watched:
                self.curve.start()
            self.curve.show(*result)
            self._curve_drawn = time.monotonic()
        else:
            self._show_explanation(*result)

    def _show_preview(self, preview: Preview) -> None:
        """A picture that is not the last word: layers, scores and numbers stay until the exact one is there."""
        image = image_of(preview.x[0], self.samples)
        self.heatmap.show(preview.picture, image, stamp=preview.said + "\n ", description=preview.said)

    def _show_explanation(self, settings: Settings, explanation: Explanation) -> None:
        names = tuple(self.samples.name(i) for i in range(explanation.scores[0].numel()))
        known = {layer.name for layer in explanation.layers}
        layer = settings.layer if settings.layer in known else ""
        picture = picture_of(explanation, layer)
        image = None if layer else image_of(explanation.inputs[0], self.samples)
        what = f"Relevance of {layer or 'the input'} for class {said_target(explanation, names)}"
        said = stamp(explanation)
        self.heatmap.show(picture, image, stamp=said, description=f"{what}. {said}")
        scores = explanation.scores[0].flatten().double()
        chosen = self.settings.target  # the newest choice, so that an older answer does not move it back
        if chosen is None or not 0 <= chosen < len(names):
            chosen = int(scores.argmax())
        self.classes.show(names, scores.tolist(), scores.softmax(0).tolist(), chosen)
        self.layers.show(ledger_rows(explanation), selected=self.settings.layer if self.settings.layer in known else "")
        self.equation.value = equations(explanation)
        self.status.ok(status(explanation))
        self.explanation, self._answered = explanation, settings

    def _fail(self, error: BaseException) -> None:
        self._answered = None
        self.heatmap.stale = True
        known = "The picture is the last one that worked" if self.heatmap.sequence else "There is no picture yet"
        self.status.error(error, f"{known}; any move tries again.")

    def _first_picture(self) -> None:
        """Explain before the page is asked for, so that it opens on a picture."""
        try:
            self._show(next(self._work(self.settings, lambda: False)))
        except Exception as error:
            self._fail(error)

    def _arranged(self) -> list[ipywidgets.Widget]:
        model = type(self.explainer.model).__name__
        title = ipywidgets.HTML(f'<div class="lrp-title"><b>lrp_widgets</b> · explore <span>{model}</span></div>')
        style = ipywidgets.HTML(f"<style>{(Path(__file__).parent / 'explore.css').read_text(encoding='utf-8')}</style>")
        style.add_class("lrp-style")
        self.pad.layout.display = "none"
        if tuple(self.samples.inputs.shape[1:]) != (1, 28, 28):  # the pad draws 28 × 28 in grey
            self.source.layout.display = "none"
        left = _column(
            "lrp-left", "Input", self.source, self.gallery, self.pad, "Class", self.classes, "Method", self.methods
        )
        middle = _column("lrp-middle", self.heatmap, self.look, self.curve)
        right = _column("lrp-right", "Layers", self.layers, "Rules in force", self.equation, self.doctor)
        grid = ipywidgets.Box([left, middle, right])
        grid.add_class("lrp-grid")
        return [style, title, grid, self.status]


class _Refusal:
    """What a control refused, on its way to the status line: only the worker writes there."""

    def __init__(self, problem: str) -> None:
        self.error = ValueError(problem)


def _column(name: str, *parts: ipywidgets.Widget | str) -> ipywidgets.VBox:
    made = [ipywidgets.HTML(f'<div class="lrp-heading">{p}</div>') if isinstance(p, str) else p for p in parts]
    column = ipywidgets.VBox(made)
    column.add_class(name)
    return column
