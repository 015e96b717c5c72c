"""The main app: move an explanation and watch heatmap, layerwise flow and pixel-flipping curve follow.

Settings go down, explanations come up, never back: handlers only replace `Dashboard.settings`; one worker explains and
is the only one to write what is shown.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import traitlets
from torch import Tensor, nn

from lrp_widgets.apps.explore.ahead import Ahead, Preview
from lrp_widgets.apps.explore.curves import Curves
from lrp_widgets.apps.explore.inspection import region_filters, unfiltered, with_filters
from lrp_widgets.apps.explore.patches import Strip
from lrp_widgets.apps.explore.projection import Projection
from lrp_widgets.apps.explore.stage import Stage
from lrp_widgets.apps.session.cores import cores_for, is_small
from lrp_widgets.apps.session.offered import image_of
from lrp_widgets.apps.session.reading import equations, findings, ledger_rows, said_target, stamp, status
from lrp_widgets.apps.session.settings import PARTS, Pixel, Settings, input_of
from lrp_widgets.apps.sharing.sharing import Sharing
from lrp_widgets.engine.analysis.doctor import examine
from lrp_widgets.engine.composites.presets import by_depth
from lrp_widgets.engine.propagation.explainer import Explainer, Output
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.engine.propagation.target import Contrast
from lrp_widgets.engine.trace.memo import Memo
from lrp_widgets.evaluation import Curve
from lrp_widgets.samples import Samples
from lrp_widgets.widgets.turn import in_turn

__all__ = ["Dashboard", "Settings", "explore"]

EXAMINED = 16  # inputs that the model doctor looks at; of a large network one
CURVE_EVERY = 0.15  # s: during a drag the curve is drawn at least this often


def explore(
    model: nn.Module, samples: Samples | Tensor, output: Output = None, state: Mapping[str, Any] | str | None = None
) -> Dashboard:
    """The dashboard of a model on samples: an ipywidgets widget.

    model: any nn.Module in evaluation mode.  samples: lw.Samples, or a tensor of inputs with values in [0, 1].
    output: which output to explain where the model returns several, as in lw.Explainer.
    state: what to show first: the dict, JSON or link that the dashboard gave ("copy state").
    Raises TypeError where these are something else; whatever goes wrong later stands in the status line.
    """
    if isinstance(samples, Tensor):
        samples = Samples(samples)
    if not isinstance(samples, Samples):
        raise TypeError(f"explore() needs lw.Samples or a tensor of inputs, got {type(samples).__name__}.")
    dashboard = Dashboard(Explainer(model, output), samples)
    if state is not None:
        dashboard.sharing.open(state, raises=True)
    return dashboard


class Dashboard(Stage):
    """Controls on the left, pictures in the middle, layers on the right.

    settings: what is asked for; setting it asks the engine.  explanation: the last answer; observe it.
    Every part is an attribute and a widget of its own: `heatmap`, `layers`, `methods`, `source`, `curve`, …
    """

    settings = traitlets.Instance(Settings)
    explanation = traitlets.Instance(Explanation, allow_none=True)

    def __init__(self, explainer: Explainer, samples: Samples) -> None:
        self.explainer, self.samples = explainer, samples
        self._memo, self._ahead = Memo(), Ahead(explainer)
        self._curves, self._curve_drawn = Curves(explainer, samples.low), -CURVE_EVERY
        self._watched = False  # a browser has painted the first picture
        self._examined = False  # the doctor has seen the model
        self._answered: Settings | None = None  # what the picture shows
        self._bringing = True  # the controls are brought to settings that come from elsewhere
        super().__init__(explainer, samples)
        self.settings = Settings(0, self.methods.value)
        self._first_picture()
        self._connect()
        self._bringing = False
        self.sharing = Sharing(
            self.sharebar, explainer, samples, self.heatmap, self.settings,
            put=self.bring, refuse=self.refuse, input_of=self._input, more=PARTS,
        )  # fmt: skip
        self.history = self.sharing.history
        self._latest.request(self.settings)

    def close(self) -> None:
        """End the worker and what is being saved, and remove the widgets."""
        if sharing := getattr(self, "sharing", None):
            sharing.close()
        super().close()

    # Settings down: a handler replaces one of them and does nothing else.

    def _connect(self) -> None:
        self.observe(self._asked, "settings")
        self.methods.observe(self._picked_method, "value")
        self.source.observe(lambda change: self._set(sample=change["new"]), "value")
        self.classes.observe(self._picked_class, ["selected", "auto"])
        self.against.observe(self._picked_class, "value")
        self.layers.observe(self._picked_layer, "selected")
        self.heatmap.observe(self._picked_pixel, "clicked")
        self.heatmap.on_msg(self._looked_at)
        self.toolbar.on_press(lambda _: self.pin())
        self.views.observe(lambda change: change["new"] == "Patches" and self.again(), "selected")

    def _shown(self) -> bool:
        """Whether what changes in a control now is shown there, and no choice of a hand."""
        return self._bringing or self._latest.on_worker()

    def _asked(self, change: Any) -> None:
        self.sharing.changed(change["new"])
        self._latest.request(change["new"])

    def _set(self, **changes: Any) -> None:
        if self._bringing:
            return
        if "filters" in changes:
            changes["method"] = with_filters(self.settings, changes.pop("filters"))
        elif "method" in changes:  # sliders know nothing of filters
            changes["method"] = with_filters(
                dataclasses.replace(self.settings, method=changes["method"]),
                getattr(self.settings.method, "filters", ()),
            )
        if "layer" in changes and changes["layer"] != self.settings.layer:
            changes.setdefault("channel", -1)
        self.settings = dataclasses.replace(self.settings, **changes)
        if "method" in changes and self.methods.value != (plain := unfiltered(changes["method"])):
            self.bring(dataclasses.replace(self.settings, method=plain))

    @in_turn
    def bring(self, settings: Settings) -> None:
        """Bring every control to settings that come from elsewhere (undo, a pin, a link), and explain them."""
        self._bringing = True
        try:
            self.methods.value = unfiltered(settings.method)
            self.source.value = settings.sample
            target = settings.target
            self.classes.auto = target is None
            self.against.value = target.b if isinstance(target, Contrast) else -1
        finally:
            self._bringing = False
        self.settings = settings

    def _picked_method(self, change: Any) -> None:
        if isinstance(getattr(change["new"], "composite", None), by_depth):
            self.details.selected = "Composite"
        self._set(method=change["new"])

    def _picked_class(self, change: Any) -> None:
        if self._shown():
            return
        chosen, other = self.classes.selected, self.against.value
        if other >= 0 and chosen >= 0 and other != chosen:
            self._set(target=Contrast(chosen, other))
        else:
            self._set(target=None if self.classes.auto or chosen < 0 else chosen)

    def _picked_layer(self, change: Any) -> None:
        if self._shown():
            return
        self.composite.choose(change["new"])
        self._set(layer=change["new"])

    def _picked_pixel(self, change: Any) -> None:
        at = change["new"]
        if at and not self._shown():
            place = self.projection.position(at["y"], at["x"])
            self._set(trail=(Pixel(self.settings.layer, *place, self.settings.channel),))
            self.views.selected = "Arithmetic"

    def pin(self) -> None:
        """Keep the present explanation beside the ones that follow."""
        try:
            self.pins.pin()
        except ValueError as error:
            self.refuse(str(error))
        else:
            self.views.selected = "Compare"

    def filter_region(self, block: bool) -> None:
        """Let only what lies inside of the region drawn on the picture pass the layer that is shown, or block it."""
        filters = region_filters(self.settings, *self.projection.region(), block)
        if filters:
            self._set(filters=filters)
        else:
            self.refuse("Choose a layer and draw a region on its map first: a filter needs both.")

    def again(self) -> None:
        self._latest.request(self.settings)

    def _looked_at(self, widget: Any, content: Any, buffers: Any) -> None:
        if not self._watched and content == {"painted": True}:
            self._watched = True
            self.again()

    # Explanations up: from here on everything runs on the worker's thread.

    def _work(self, settings: Settings, superseded: Callable[[], bool]) -> Iterator[Any]:
        x = self._input(settings.sample)
        explanation: Explanation | None = self.explanation  # type: ignore[assignment]
        if explanation is None or settings is not self._answered:  # else a browser looks now and wants the curve
            known = self._ahead.known(x, settings.method, settings.target)
            guess = self._ahead.guess(x, settings.method, settings.target)
            if settings.layer or settings.trail:  # maps of layers are the engine's alone
                known = guess = None
            if known is None and guess is not None:
                yield guess
            try:
                explanation = known or self._explained(x, settings, superseded, guess is not None)
            except Abandoned:  # a picture stands there, and a newer request waits
                return
            yield settings, explanation
        elif self.projection.outdated:
            yield self.projection
        for pin in self.pins.missing(settings):
            self.pins.know(pin, self.explainer.explain(self._input(pin.sample), pin.target, pin.method))
            yield settings, explanation
        small = is_small(self.explainer.model, x)
        if superseded() and (not small or time.monotonic() - self._curve_drawn < CURVE_EVERY):
            return
        if self.views.selected == "Patches":
            yield from self.patches.of(settings, superseded)
            if superseded():
                return
        if self.samples.modality.removable:
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
        show = None if settings.layer or settings.trail or self.explanation is None else self._show_preview
        with cores_for(self.explainer.model, x):
            return self._ahead.explain(x, settings.method, settings.target, show, superseded, guessed)

    def _rest(self, superseded: Callable[[], bool]) -> None:
        """While nobody moves: make what is likely to be asked next."""
        if (settings := self._answered) is not None:
            self._ahead.fill(self._input(settings.sample), settings.method, settings.target, superseded)

    def _input(self, sample: Any) -> Tensor:
        return self._memo("input", lambda sample: input_of(sample, self.samples), sample)

    def _show(self, result: Any) -> None:
        if isinstance(result, list):
            self._examined = True
            self.doctor.value = findings(result)
        elif isinstance(result, Preview):
            self._show_preview(result)
        elif isinstance(result, Strip):
            self.patches.show(result)
        elif isinstance(result, Projection):
            explanation: Any = self.explanation
            if explanation is not None and self._answered is not None:
                self._show_picture(self._answered, explanation)
        elif isinstance(result[0], Curve):
            self.curve.prepare()
            self.curve.show(*result)
            if self._watched:  # with its data: a browser that loads plotly may lose what comes later
                self.curve.start()
            self._curve_drawn = time.monotonic()
        else:
            self._show_explanation(*result)

    def _show_preview(self, preview: Preview) -> None:
        """A picture that is not the last word: layers, scores and numbers stay until the exact one is there."""
        image = image_of(preview.x[0], self.samples)
        self.heatmap.show(preview.picture, image, stamp=preview.said + "\n ", description=preview.said)

    def _show_picture(self, settings: Settings, explanation: Explanation) -> Any:
        names = self._names(explanation)
        layer = settings.layer if any(known.name == settings.layer for known in explanation.layers) else ""
        picture = self.projection.picture(explanation, layer, settings.channel)
        alone = layer and self.projection.field is None  # a grid of its own
        image = None if alone else image_of(explanation.inputs[0], self.samples)
        what = f"Relevance of {layer or 'the input'} for class {said_target(explanation, names)}"
        said = stamp(explanation)
        self.heatmap.show(picture, image, stamp=said, description=f"{what}. {said}")
        return image

    def _names(self, explanation: Explanation) -> tuple[str, ...]:
        return tuple(self.samples.name(i) for i in range(explanation.scores[0].numel()))

    def _show_explanation(self, settings: Settings, explanation: Explanation) -> None:
        names = self._names(explanation)
        known = {layer.name for layer in explanation.layers}
        layer = settings.layer if settings.layer in known else ""
        shown = dataclasses.replace(settings, layer=layer)
        image = self._show_picture(settings, explanation)
        scores = explanation.scores[0].flatten().double()
        chosen = self.settings.target  # the newest choice, so that an older answer does not move it back
        chosen = chosen.a if isinstance(chosen, Contrast) else chosen
        if chosen is None or not 0 <= chosen < len(names):
            chosen = int(scores.argmax())
        self.classes.show(names, scores.tolist(), scores.softmax(0).tolist(), chosen)
        self.layers.show(ledger_rows(explanation), selected=self.settings.layer if self.settings.layer in known else "")
        self.equation.value = equations(explanation)
        self.composing.show(settings.method, explanation.inputs)
        self.inspection.show(shown, explanation)
        self.pins.show(shown, explanation, None if layer else image)
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
