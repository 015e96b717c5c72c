"""The app that shows what a network looks for: several prototypes that climb side by side, live.

A handler of a control only replaces the request, `Imagine.asked`; one worker climbs, and only the worker writes what is
shown. A slider that moves interrupts the climb, which goes on from where the prototypes are.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets
import traitlets
from torch import Tensor, nn

from lrp_widgets.apps.imagine.beside import Beside, Besides
from lrp_widgets.apps.imagine.controls import ImagineControls
from lrp_widgets.apps.imagine.links import Links
from lrp_widgets.apps.imagine.material import Material
from lrp_widgets.apps.imagine.request import ImagineRequest, ImagineSettings
from lrp_widgets.apps.imagine.results import PrototypeResults
from lrp_widgets.apps.imagine.strip import Strip
from lrp_widgets.apps.imagine.way import Way
from lrp_widgets.apps.session.app import App, column, grid
from lrp_widgets.apps.session.cores import cores_for
from lrp_widgets.apps.session.offered import as_samples
from lrp_widgets.engine.propagation.explainer import Output, check_model
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.prototypes import Prototypes
from lrp_widgets.prototypes.experts import Expert
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import Pages, ShareBar, StatusLine, Toolbar
from lrp_widgets.widgets.accessible import accessible
from lrp_widgets.widgets.controls.control import guard
from lrp_widgets.widgets.turn import in_turn

__all__ = ["Imagine", "imagine"]

STYLE = Path(__file__).parent / "imagine.css"
FRAME = 1 / 12  # s between two pictures
SLOW = 0.5  # s between two looks at curves and at what stands beside
CHEAP = 0.12  # s: what stands beside is found while they move only where it takes no longer
KEPT = "The prototypes stay where they were; any move tries again."


def imagine(
    model: nn.Module,
    samples: Samples | Tensor,
    *,
    judge: nn.Module | None = None,
    generator: nn.Module | None = None,
    experts: Expert | Iterable[Expert] = (),
    output: Output = None,
    state: Mapping[str, Any] | str | None = None,
    names: tuple[str, str] = ("model", "samples"),
) -> Imagine:
    """The app that shows what a model looks for, as prototypes that climb side by side: an ipywidgets widget.

    model: any nn.Module in evaluation mode; it is only read.  samples: lw.Samples, or a tensor of inputs in [0, 1].
    judge: another model of the same inputs that is asked what it sees in the prototypes.
    generator: a decoder of such inputs; the app climbs in its code too.  experts: fitted ones of lw.experts.
    output: as in lw.Explainer.  names: the Python that makes model and samples, for the copied Python.
    state: what to show first: the dict, JSON or link that the app gave.
    A cell that runs again closes the app of the run before, as in lw.explore.
    Raises TypeError or ValueError where these are something else; whatever goes wrong later stands in the status line.
    """
    check_model("imagine", model)
    if generator is not None and not isinstance(generator, nn.Module):
        raise TypeError(f"imagine.generator must be a torch.nn.Module or None, got {type(generator).__name__}.")
    if not (isinstance(names, tuple) and len(names) == 2 and all(isinstance(name, str) and name for name in names)):
        raise TypeError(f"imagine.names must be two expressions, of the model and of the samples, got {names!r}.")
    experts = (experts,) if isinstance(experts, Expert) else tuple(experts)
    app = Imagine(Material(model, as_samples(samples, "imagine"), judge, generator, experts, output), names)
    if state is not None:
        app.links.open(state, raises=True)
    return app


class Imagine(App):
    """What is looked for on the left, the prototypes in the middle, their curves on the right.

    asked: the request in force; setting it starts the worker.  found: where the prototypes are; observe it.
    Every part is an attribute: `controls`, `results`, `strip`, `pause`, `single`, `restart`, `scrubber`, `pages`, …
    """

    asked = traitlets.Instance(ImagineRequest)
    found: Any = traitlets.Instance(Prototypes, allow_none=True)

    def __init__(self, material: Material, names: tuple[str, str] = ("model", "samples")) -> None:
        self.material = material
        first = material.first()
        self._besides = Besides(material)
        self._way: Way | None = None
        self._singles = self._restarts = 0  # the presses that were answered
        self._beside: tuple[Prototypes, Beside] | None = None  # what stands beside, and of which prototypes
        self._beside_cost = 0.0  # s
        self.results, self.strip = PrototypeResults(material), Strip(material, self._besides)
        self.status = StatusLine()
        self.toolbar = Toolbar((), f"lrp_widgets · imagine · {type(material.model).__name__}")
        self.sharebar = ShareBar(can_save=False, offers_page=False, app="lw.imagine", thing="these prototypes")
        self.controls = ImagineControls(material, first, self._moved, self.refuse)
        self.pause = guard(
            ipywidgets.ToggleButton(description="pause", tooltip="Let the prototypes stand still; again to go on"),
            self.refuse,
        )
        self.single = self._button("step", "One step, and stand still")
        self.restart = self._button("restart", "From the start again")
        self.bar = ipywidgets.FloatProgress(0.0, min=0.0, max=1.0)
        self.progress = ipywidgets.Label("")
        self.scrubber = guard(
            ipywidgets.IntSlider(
                0, min=0, max=0, description="way", tooltip="Look back along the way; going on starts from there",
                readout=False, style={"description_width": "76px"}, layout={"width": "auto"},
            ),
            self.refuse,
        )  # fmt: skip
        self.pages = Pages(
            {"Curves": self._curves(), "Strength": self.strip.view},
            {
                "Curves": "The objective and log p(x) of each prototype",
                "Strength": "The same over the expert's strength",
            },
        )
        self.pages.add_class("lrp-imagine-pages")
        request = ImagineRequest(first, page=self.pages.selected)
        super().__init__("imagine", self._arranged(), [STYLE], asked=request)
        self.links = Links(self.sharebar, material, first, self.bring_settings, self.refuse, names)
        self.history = self.links.history
        self._connect()
        self._latest.request(self.asked)

    def _button(self, name: str, tooltip: str) -> ipywidgets.Button:
        return guard(ipywidgets.Button(description=name, tooltip=tooltip), self.refuse)

    def _curves(self) -> ipywidgets.Box:
        box = ipywidgets.Box([self.results.scores, self.results.densities])
        box.add_class("lrp-imagine-curves")
        return box

    def _arranged(self) -> list[ipywidgets.Widget]:
        row = ipywidgets.HBox([self.pause, self.single, self.restart, self.bar, self.progress, accessible()])
        row.add_class("lrp-running")
        middle = column("lrp-middle", self.results.said, row, self.scrubber, self.results.prototypes, self.pages)
        head = ipywidgets.Box([self.toolbar, self.sharebar])
        head.add_class("lrp-head")
        return [head, grid(self.controls, middle), self.status]

    # Settings down: a handler replaces one of them and does nothing else.

    def _connect(self) -> None:
        self.observe(self._ask, "asked")
        self.pause.observe(
            lambda change: self._set(paused=change["new"], at=-1 if not change["new"] else self.asked.at), "value"
        )
        self.single.on_click(lambda _: self._press(single=self.asked.single + 1))
        self.restart.on_click(lambda _: self._set(restart=self.asked.restart + 1, at=-1))
        self.scrubber.observe(self._scrubbed, "value")
        self.pages.observe(lambda change: self._set(page=change["new"]), "selected")
        self._refuse_problems_of(self.toolbar, self.pages)

    def _ask(self, change: Any) -> None:
        self.links.changed(change["new"].settings)
        self._latest.request(change["new"])

    def _set(self, **changes: Any) -> None:
        if not self._latest.on_worker():
            self.asked = dataclasses.replace(self.asked, **changes)

    def _moved(self, settings: ImagineSettings) -> None:
        self._set(settings=settings, at=-1)

    def _press(self, **changes: Any) -> None:
        """A single step stands still after it."""
        self._set(**changes, paused=True, at=-1)
        self.pause.value = True

    def _scrubbed(self, change: Any) -> None:
        if self._latest.on_worker():
            return
        self._set(at=change["new"], paused=True)
        self.pause.value = True

    @in_turn
    def bring(self, request: ImagineRequest) -> None:
        """Bring the controls to a request that comes from elsewhere, and climb for it."""
        self.controls.bring(request.settings)
        self.asked = request

    def bring_settings(self, settings: ImagineSettings) -> None:
        """The same for settings: of an undo, or of a link. Raises ValueError where there is no such control."""
        self.bring(dataclasses.replace(self.asked, settings=settings, at=-1))

    # Prototypes up: from here on everything runs on the worker's thread.

    def _work(self, request: ImagineRequest, superseded: Callable[[], bool]) -> Iterator[Callable[[], None]]:
        with cores_for(self.material.model, self.material.samples.inputs[:1]):
            yield from self._climb(request, superseded)

    def _climb(self, request: ImagineRequest, superseded: Callable[[], bool]) -> Iterator[Callable[[], None]]:
        way = self._taken(request)
        if request.at >= 0 and way.kept:
            at = min(request.at, len(way.kept) - 1)
            yield partial(self._look_back, way, at)
            yield from self._find_beside(way.kept[at][1], request, superseded)
            return
        steps = 0 if request.paused else way.left
        if request.single != self._singles:
            steps, self._singles = 1, request.single
        if not way.kept:
            steps = max(1, steps)
        if steps:
            yield from self._go(way, steps, request, superseded)
            if superseded():
                return
        assert way.newest is not None
        yield partial(self._rest_at, way, request.paused)
        yield from self._find_beside(way.newest, request, superseded)
        yield partial(self._done, way, request)
        if request.page == "Strength" and not superseded():
            yield from self._vary(request, superseded)

    def _taken(self, request: ImagineRequest) -> Way:
        """The way that goes on, or a new one."""
        way = self._way
        if way is None or request.restart != self._restarts or not way.can_go_on(request.settings):
            way = self._way = Way(request.settings)
            self._beside = None
        elif 0 <= self._looked_at < len(way.kept) - 1 and request.at < 0:
            way.back_to(self._looked_at)
        self._restarts = request.restart
        self._looked_at = request.at
        way.go_on(request.settings)
        return way

    _looked_at = -1  # the step that is looked at

    def _go(
        self, way: Way, steps: int, request: ImagineRequest, superseded: Callable[[], bool]
    ) -> Iterator[Callable[[], None]]:
        shown = looked = 0.0
        for now in way.climb(self.material, steps, superseded):
            moment = time.monotonic()
            if moment - shown >= FRAME:
                shown = moment
                yield partial(self._frame, way, now)
            if moment - looked >= SLOW:
                looked = moment
                yield partial(self._show_way, way)
                if self._beside_cost <= CHEAP:
                    yield from self._find_beside(now, request, superseded)
            if superseded():
                yield partial(self._frame, way, now)
                return

    def _find_beside(
        self, now: Prototypes, request: ImagineRequest, superseded: Callable[[], bool]
    ) -> Iterator[Callable[[], None]]:
        if self._beside is None or self._beside[0] is not now:
            began = time.monotonic()
            try:
                beside = self._besides.of(now.inputs, request.settings.aim, superseded)
            except Abandoned:
                return
            self._beside_cost = time.monotonic() - began
            self._beside = now, beside
        yield partial(self.results.show_beside, self._beside[1], request.settings)

    def _vary(self, request: ImagineRequest, superseded: Callable[[], bool]) -> Iterator[Callable[[], None]]:
        frames = self.strip.of(request.settings, superseded)
        shown = False
        for frame in frames:
            shown = True
            yield partial(self.strip.show, frame)
            if not frame.done:
                yield partial(self.status.busy, f"strength: {len(frame.titles)} prototypes …")
        if not shown and not superseded():
            yield partial(self.strip.show, self.strip.last)
        if self._way is not None and not superseded():
            yield partial(self._done, self._way, request)

    def _frame(self, way: Way, now: Prototypes) -> None:
        self.results.show(now, moving=True)
        self.bar.value = 1 - way.left / max(1, way.settings.climb.steps)
        self.progress.value = f"step {way.steps:,}"

    def _show_way(self, way: Way, at: int | None = None) -> None:
        self.results.show_curves(way, None if at is None else way.kept[at][0])
        self.scrubber.max = len(way.kept) - 1
        self.scrubber.value = len(way.kept) - 1 if at is None else at

    def _rest_at(self, way: Way, paused: bool) -> None:
        now = way.newest
        assert now is not None
        self.results.show(now, moving=False)
        self._show_way(way)
        self.bar.value = 1 - way.left / max(1, way.settings.climb.steps)
        self.progress.value = f"step {way.steps:,}" + (" · paused" if paused else "")
        self.found = now

    def _look_back(self, way: Way, at: int) -> None:
        step, now = way.kept[at]
        self.results.show(now, moving=False)
        self._show_way(way, at)
        self.progress.value = f"step {step:,} of {way.steps:,}"
        self.found = now

    def _done(self, way: Way, request: ImagineRequest) -> None:
        self.status.ok(f"{'paused' if request.paused else 'climbed'} at step {way.steps:,}")

    def _late(self, request: ImagineRequest) -> None:
        if self._way is None or not self._way.kept:
            self.status.busy("climbing …")

    def _fail(self, error: BaseException) -> None:
        if self._way is None or not self._way.kept or self._way.settings != self.asked.settings:
            self.results.prototypes.stale = True
        self.status.error(error, KEPT)
