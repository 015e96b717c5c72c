"""The main app: move an explanation and watch heatmap, layerwise flow and pixel-flipping curve follow.

`Dashboard` is the live loop, and reads in its order:

1. Controls → settings: a handler replaces `Dashboard.settings` and does nothing else.
2. Settings → request: the one worker (widgets/latest.py) gets the newest settings.
3. Request → events: the worker asks the explainer and yields events (events.py).
4. Events → views: the worker shows each of them (display.py).

Settings go down, explanations come up, never back. Only the worker writes what is shown.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import traitlets
from torch import Tensor, nn

from lrp_widgets.apps.explore.ahead import Ahead
from lrp_widgets.apps.explore.curves import Curves
from lrp_widgets.apps.explore.display import Display
from lrp_widgets.apps.explore.events import (
    Cancelled,
    CurveGrew,
    Event,
    Explained,
    ModelExamined,
    Previewed,
    ProjectionSwitched,
)
from lrp_widgets.apps.explore.gradients import load_gradients
from lrp_widgets.apps.explore.inspection import unfiltered, with_filters
from lrp_widgets.apps.session.cores import cores_for, is_small
from lrp_widgets.apps.session.offered import as_samples
from lrp_widgets.apps.session.settings import PARTS, Pixel, Settings, input_of
from lrp_widgets.apps.sharing.encoding import StateError
from lrp_widgets.apps.sharing.sharing import Sharing
from lrp_widgets.apps.sharing.state import target_classes
from lrp_widgets.engine.analysis.doctor import examine
from lrp_widgets.engine.composites.presets import by_depth
from lrp_widgets.engine.propagation.explainer import Explainer, Output
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.engine.propagation.target import Contrast
from lrp_widgets.engine.trace.memo import Memo
from lrp_widgets.samples import Samples
from lrp_widgets.widgets.turn import in_turn

__all__ = ["Dashboard", "Settings", "explore"]

EXAMINED = 16  # inputs that the model doctor looks at; of a large network one
CURVE_EVERY = 0.15  # s: while a slider moves, the curve is drawn at least this often


def explore(
    model: nn.Module,
    samples: Samples | Tensor,
    output: Output = None,
    state: Mapping[str, Any] | str | None = None,
    names: tuple[str, str] = ("model", "samples"),
) -> Dashboard:
    """The dashboard of a model on samples: an ipywidgets widget.

    model: any nn.Module in evaluation mode.  samples: lw.Samples, or a tensor of inputs with values in [0, 1].
    output: which output to explain where the model returns several, as in lw.Explainer.
    names: the Python that makes model and samples, such as "lw.demo.data.digits()": what is copied runs as it is then.
    state: what to show first: the dict, JSON or link that the dashboard gave ("copy state").
    A notebook's cell that runs again closes the app of the run before, with all that it holds; the cell is told by the
    id that the notebook sends with it and, where it sends none, by its text. `close()` does the same.
    Raises TypeError where these are something else; whatever goes wrong later stands in the status line.
    """
    samples = as_samples(samples, "explore")
    if not (isinstance(names, tuple) and len(names) == 2 and all(isinstance(name, str) and name for name in names)):
        raise TypeError(f"explore.names must be two expressions, of the model and of the samples, got {names!r}.")
    dashboard = Dashboard(Explainer(model, output), samples, names)
    if state is not None:
        dashboard.sharing.open(state, raises=True)
    return dashboard


class Dashboard(Display):
    """Controls on the left, pictures in the middle, layers on the right.

    settings: what is asked for; setting it asks the engine.  explanation: the last answer; observe it.
    Every part is an attribute and a widget of its own: `heatmap`, `layers`, `methods`, `source`, `curve`, …
    """

    settings = traitlets.Instance(Settings)

    def __init__(self, explainer: Explainer, samples: Samples, names: tuple[str, str] = ("model", "samples")) -> None:
        self.explainer, self.samples = explainer, samples
        self._memo, self._ahead = Memo(), Ahead(explainer, lambda: self._latest.closed or self._is_cancelled())
        self._curves = Curves(explainer, samples.low, samples.modality)
        self._bringing = True  # whether the controls are being brought to settings that come from elsewhere
        super().__init__(explainer, samples)
        self.settings = Settings(0, self.methods.value)
        self._first_picture()
        self._connect()
        self._bringing = False
        self.sharing = Sharing(
            self.sharebar, explainer, samples, self.heatmap, self.settings,
            put=self.bring, refuse=self.refuse, input_of=self._input, accept=self._accept, more=PARTS, names=names,
        )  # fmt: skip
        self.history = self.sharing.history
        self.again()

    def close(self) -> None:
        """End the worker and what is being saved, and remove the widgets."""
        if sharing := getattr(self, "sharing", None):  # ipywidgets also closes an app whose __init__ raised
            sharing.close()
        super().close()

    # 1. Controls → settings: a handler replaces a setting and does nothing else.

    def _connect(self) -> None:
        self.methods.observe(self._change_method, "value")
        self.source.observe(lambda change: self._change(sample=change["new"]), "value")
        self.classes.observe(self._change_target, ["selected", "auto"])
        self.against.observe(self._change_target, "value")
        self.layers.observe(self._change_layer, "selected")
        self.heatmap.observe(self._choose_pixel, "clicked")
        self.toolbar.on_press(lambda _: self.pin())
        self.heatmap.on_msg(self._note_painted)
        self.views.observe(lambda change: change["new"] in ("Patches", "Prototype") and self.again(), "selected")
        self.observe(self._request, "settings")
        self.status.observe(lambda _: self.cancel(), "cancelled")

    def _change(self, **changes: Any) -> None:
        if self._bringing:
            return
        if "filters" in changes:
            changes["method"] = with_filters(self.settings, changes.pop("filters"))
        elif "method" in changes:  # the sliders of a method do not know its filters
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

    def _accept(self, settings: Settings) -> None:
        """Raise StateError where a link names what no control can be brought to."""
        for each in (settings, *settings.pins):
            if not self.methods.offers(unfiltered(each.method)):
                name = type(getattr(each.method, "composite", each.method)).__name__
                raise StateError(
                    f"State.method must be one of the list of methods, got {name}. Explainer.explain takes it."
                )
        try:
            input_of(settings.sample, self.samples)
        except ValueError as error:
            raise StateError(f"State.sample: {error}") from None
        classes = len(self.classes.names)  # 0 while there is no explanation
        for index in target_classes(settings.target):
            if classes and index >= classes:
                raise StateError(f"State.target must lie in [0, {classes - 1}], the classes there are, got {index}.")

    def _is_programmatic(self) -> bool:
        return self._bringing or self._latest.on_worker()

    def _change_method(self, change: Any) -> None:
        if isinstance(getattr(change["new"], "composite", None), by_depth):
            self.details.selected = "Composite"
        self._change(method=change["new"])

    def _change_target(self, change: Any) -> None:
        if self._is_programmatic():
            return
        chosen, other = self.classes.selected, self.against.value
        if other == chosen >= 0:
            self.against.value = -1  # which asks for the class alone
            self.refuse(f"{self.samples.name(other)} cannot be explained against itself. Choose another class.")
        elif other >= 0 and chosen >= 0:
            self._change(target=Contrast(chosen, other))
        else:
            self._change(target=None if self.classes.auto or chosen < 0 else chosen)

    def _change_layer(self, change: Any) -> None:
        if self._is_programmatic():
            return
        self.composite.choose(change["new"])
        self._change(layer=change["new"])

    def _choose_pixel(self, change: Any) -> None:
        at = change["new"]
        if at and not self._is_programmatic():
            place, shown = self.projection.position(at["y"], at["x"]), self._shown or self.settings
            self._change(trail=(Pixel(shown.layer, *place, shown.channel),))
            self.views.selected = "Arithmetic"

    # 2. Settings → request: the worker gets the newest settings.

    def _request(self, change: Any) -> None:
        self.sharing.changed(change["new"])
        self._latest.request(change["new"])

    def again(self) -> None:
        self._latest.request(self.settings)

    def cancel(self) -> None:
        """Give up the explanation that is being made, and go back to the settings of the one that is shown."""
        given_up, before = self._working, self._last
        if given_up is None or self._answered is given_up:
            return
        self._cancelled = given_up
        self.status.busy("cancelling …")
        if before is not None and self.settings is given_up:
            self.bring(before)

    def _is_cancelled(self) -> bool:
        return self._cancelled is not None and self._cancelled is self._working

    def _note_painted(self, widget: Any, content: Any, buffers: Any) -> None:
        if not self._painted and content == {"painted": True}:
            self._painted = True
            self.again()

    # 3. Request → events, on the worker's thread.

    def _work(self, settings: Settings, superseded: Callable[[], bool]) -> Iterator[Event]:
        self._working = settings
        x = self._input(settings.sample)
        explanation: Explanation | None = self.explanation  # type: ignore[assignment]
        if explanation is not None and self._cancelled is not None and settings is self._last:
            yield Explained(settings, explanation)  # it is shown already, but marked as old
        elif explanation is None or settings is not self._answered:
            explanation = yield from self._explain(x, settings, superseded)
            if explanation is None:
                return
        elif self.projection.outdated:
            yield ProjectionSwitched()
        for pin in self.pins.missing(settings):
            try:
                self.pins.add(pin, self.explainer.explain(self._input(pin.sample), pin.target, pin.method, superseded))
            except Abandoned:
                return
            except Exception as error:  # the present explanation does not depend on it
                self.pins.miss(pin, error)
            yield Explained(settings, explanation)
        small = is_small(self.explainer.model, x)
        if superseded() and (not small or time.monotonic() - self._curve_drawn < CURVE_EVERY):
            return
        if self.views.selected == "Patches":
            yield from self.patches.of(settings, superseded)
            if superseded():
                return
        if self.views.selected == "Prototype":
            target = explanation.target
            yield from self.sought.of(settings, target[0] if isinstance(target, tuple) else target, superseded)
            if superseded():
                return
        if self.samples.modality.removable:
            with cores_for(self.explainer.model, x):
                for curve, band in self._curves.of(x, explanation, superseded):
                    yield CurveGrew(curve, band)
            if superseded():
                return
        if not self._examined:
            inputs = self.samples.inputs[: EXAMINED if small else 1]
            with cores_for(self.explainer.model, x):
                report = examine(self.explainer.model, inputs, self.explainer.output)
            yield ModelExamined(report)

    def _explain(
        self, x: Tensor, settings: Settings, superseded: Callable[[], bool]
    ) -> Generator[Event, None, Explanation | None]:
        """Yields a preview where there is one, and then the explanation, which it also returns; None if abandoned."""
        method, target = settings.method, settings.target
        explanation, preview = self._ahead.lookup(x, method, target), self._ahead.preview(x, method, target)
        if hidden := bool(settings.layer or settings.trail):  # only the engine has relevance of hidden layers
            explanation = preview = None
        if explanation is None and preview is not None:
            yield Previewed(preview)
        if explanation is None:
            show = None if hidden or self.explanation is None else self._show_preview
            try:
                with cores_for(self.explainer.model, x):
                    explanation = self._ahead.explain(x, method, target, show, superseded, preview is not None)
            except Abandoned:  # a newer request waits, or the user gave this one up
                if self._is_cancelled() and not superseded():
                    yield Cancelled()
                return None
            except ValueError as error:
                if not str(error).startswith("Filter."):
                    raise
                self._lift_filters(settings, error)
                return None
        if self._is_cancelled():  # it ended before the cancellation was noticed
            if not superseded():
                yield Cancelled()
            return None
        yield Explained(settings, explanation)
        return explanation

    @in_turn
    def _lift_filters(self, settings: Settings, error: ValueError) -> None:
        """Take off filters that do not fit the model, as a link may bring them: else no other move could."""
        if self.settings is settings:
            self.bring(dataclasses.replace(settings, method=unfiltered(settings.method)))
        self.refuse(f"The filters are taken off. {error}")

    def _rest(self, superseded: Callable[[], bool]) -> None:
        if (settings := self._answered) is not None:
            self._ahead.prefetch(self._input(settings.sample), settings.method, settings.target, superseded)
        if not superseded():
            load_gradients()

    def _input(self, sample: Any) -> Tensor:
        return self._memo("input", lambda sample: input_of(sample, self.samples), sample)

    def _first_picture(self) -> None:
        """Explain before the page is asked for, so that it opens on a picture."""
        try:
            self._show(next(self._work(self.settings, lambda: False)))
        except Exception as error:
            self._fail(error)
