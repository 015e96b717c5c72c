"""The app on explanation quality: which explanation is better, by curves, a report card, sweeps and whole data sets.

A handler of a control only replaces the request, `Quality.asked`; one worker measures what it asks for, and only the
worker writes what is shown. The work of a page goes on after an interruption, while the request is still for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import traitlets
from torch import Tensor, nn

from lrp_widgets.apps.inputs.source import Source
from lrp_widgets.apps.quality.continuity import ContinuityPage
from lrp_widgets.apps.quality.data_set import DataSetPage
from lrp_widgets.apps.quality.page import Job, QualityPage, Scene
from lrp_widgets.apps.quality.report_card import ReportCardPage
from lrp_widgets.apps.quality.request import Request, SelectivitySettings, with_changes
from lrp_widgets.apps.quality.response_surface import ResponseSurfacePage
from lrp_widgets.apps.quality.selectivity import SelectivityPage
from lrp_widgets.apps.session.app import App, column, grid, show_classes
from lrp_widgets.apps.session.cores import cores_for
from lrp_widgets.apps.session.formatting import status
from lrp_widgets.apps.session.history import BUTTONS
from lrp_widgets.apps.session.offered import OWN, as_samples, choices, image_of
from lrp_widgets.apps.session.settings import Settings, input_of
from lrp_widgets.engine.propagation.explainer import Explainer, Output
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.methods import Method
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import ClassPicker, MethodPicker, Pages, StatusLine, Toolbar
from lrp_widgets.widgets.turn import in_turn

__all__ = ["Quality", "quality"]

STYLE = Path(__file__).parent / "quality.css"
TOO_LONG = 1.0  # s: an explanation that takes longer is given up for a newer request
KEPT = "What was measured before stays; any move tries again."


def quality(model: nn.Module, samples: Samples | Tensor, output: Output = None) -> Quality:
    """The app that measures explanations of a model on samples: an ipywidgets widget.

    model: any nn.Module in evaluation mode.  samples: lw.Samples, or a tensor of inputs with values in [0, 1].
    output: which output to explain where the model returns several, as in lw.Explainer.
    A cell that runs again closes the app of the run before, as in lw.explore.
    Raises TypeError where these are something else; whatever goes wrong later stands in the status line.
    """
    return Quality(Explainer(model, output), as_samples(samples, "quality"))


class Quality(App):
    """Input, class and method on the left; beside them pages, of which one is visible.

    asked: the request in force; setting it starts the worker.  explanation: the last one; observe it.
    Every part is an attribute: `source`, `classes`, `methods`, `pages`, and the pages `selectivity`, `continuity`,
    `card`, `surface` and `data_set`.
    """

    asked = traitlets.Instance(Request)
    explanation = traitlets.Instance(Explanation, allow_none=True)

    def __init__(self, explainer: Explainer, samples: Samples) -> None:
        self.explainer, self.samples = explainer, samples
        self._scene: Scene | None = None
        self._answered: Settings | None = None  # those of the scene
        self._jobs: dict[str, Job] = {}
        self._bringing = False  # whether the controls are just being set to settings that come from elsewhere
        offered = [(name, method) for name, method in choices(samples) if name != OWN]
        self.source, self.classes, self.methods = Source(samples), ClassPicker(), MethodPicker(offered)
        self.status = StatusLine()
        self.toolbar = Toolbar(BUTTONS, f"lrp_widgets · quality · {type(explainer.model).__name__}")
        planar = samples.modality.planar
        side = samples.modality.side(samples.inputs) if planar else 1
        first = Settings(0, self.methods.value)
        self.selectivity = SelectivityPage(side, planar, self._set, self.refuse)
        self.continuity = ContinuityPage(samples, self._set, self.refuse)
        self.card = ReportCardPage(self._set, self.refuse)
        self.surface = ResponseSurfacePage(lambda: self.asked.settings, self._set, self._put, self.refuse, first)
        self.data_set = DataSetPage(samples, offered, lambda: self.asked.settings, self._set, self.refuse)
        self._pages_by_name: dict[str, QualityPage] = {
            page.name: page for page in (self.selectivity, self.continuity, self.card, self.surface, self.data_set)
        }
        self._measuring = tuple(part for page in self._pages_by_name.values() for part in page.parts)
        self.pages = Pages(
            {name: page.view for name, page in self._pages_by_name.items()},
            {name: page.tooltip for name, page in self._pages_by_name.items()},
        )
        self.pages.add_class("lrp-quality-pages")
        request = Request(
            first, self.pages.selected, flipping=SelectivitySettings(patch=side), path=self.continuity.path.value
        )
        left = column("lrp-left", "Input", self.source, "Class", self.classes, "Method", self.methods)
        middle = column("lrp-middle", self.pages)
        super().__init__("quality", [self.toolbar, grid(left, middle), self.status], [STYLE], asked=request)
        self._keep_history(first)
        self._connect()
        self._latest.request(self.asked)

    # Settings down: a handler replaces one of them and does nothing else.

    def _connect(self) -> None:
        self.observe(self._ask, "asked")
        self.methods.observe(lambda change: self._set(method=change["new"]), "value")
        self.source.observe(lambda change: self._set(sample=change["new"]), "value")
        self.classes.observe(self._picked_class, ["selected", "auto"])
        self.pages.observe(lambda change: self._set(page=change["new"]), "selected")
        self._refuse_problems_of(
            self.methods,
            self.source,
            self.classes,
            self.pages,
            self.toolbar,
            self.continuity.maps,
            self.surface.maps,
            self.selectivity.heatmap,
        )

    def _ask(self, change: Any) -> None:
        self._remember(change["new"].settings)
        self._latest.request(change["new"])

    def _set(self, **changes: Any) -> None:
        if not self._bringing and not self._latest.on_worker():
            self.asked = with_changes(self.asked, **changes)

    def _put(self, method: Method) -> None:
        self.methods.value = method

    def _picked_class(self, change: Any) -> None:
        chosen = self.classes.selected
        self._set(target=None if self.classes.auto or chosen < 0 else chosen)

    @in_turn
    def bring(self, settings: Settings) -> None:
        """Bring the controls to settings that come from elsewhere, and measure with them."""
        self._bringing = True
        try:
            self.methods.value, self.source.value = settings.method, settings.sample
            self.classes.auto = settings.target is None
        finally:
            self._bringing = False
        self.asked = with_changes(self.asked, settings=settings)

    # Results up: from here on everything runs on the worker's thread.

    def _work(self, request: Request, superseded: Callable[[], bool]) -> Iterator[Callable[[], None]]:
        if request.settings != self._answered or self._scene is None:
            yield from self._explain(request, superseded)
        if request.settings != self._answered:
            return
        scene = self._scene
        assert scene is not None
        with cores_for(self.explainer.model, scene.x):
            for page in self._measuring:
                yield partial(page.turn, scene, request)
            visible = self._pages_by_name[request.page].visible_part(request)
            for page in (visible, *(page for page in self._measuring if page.long and page is not visible)):
                yield from self._go_on(page, scene, request, superseded)
                if superseded():
                    return

    def _late(self, request: Request) -> None:
        if request.settings != self._answered:
            self.status.busy(f"explaining by {request.settings.method.title} …")
            for page in self._measuring:
                page.fail()

    def _explain(self, request: Request, superseded: Callable[[], bool]) -> Iterator[Callable[[], None]]:
        settings = request.settings
        x, began = input_of(settings.sample, self.samples), time.monotonic()

        def abandoned() -> bool:  # while a slider moves, a short explanation is always finished
            return superseded() and time.monotonic() - began > TOO_LONG

        with cores_for(self.explainer.model, x):
            try:
                explanation = self.explainer.explain(x, settings.target, settings.method, abandoned)
            except Abandoned:
                return
        image = image_of(x[0], self.samples)
        self._scene = Scene(self.explainer, self.samples, x, image, explanation)
        self._answered = settings
        yield partial(self._show_explanation, explanation)

    def _go_on(
        self, page: QualityPage, scene: Scene, request: Request, superseded: Callable[[], bool]
    ) -> Iterator[Callable[[], None]]:
        """Run the job of a page: the present one from where it stopped, or a new one if its key has changed."""
        key, job = page.key(request), self._jobs.get(page.name)
        if key is None:
            if self._jobs.pop(page.name, None) is not None:
                yield page.stop
            return
        if job is None or job.key != key:
            job = self._jobs[page.name] = Job(key, page.run(scene, request, lambda: self._latest.superseded))
        if job.done:
            return
        began = time.monotonic()
        yield partial(self.status.busy, f"{page.name}: measuring …")
        try:
            for result in job.results:
                yield partial(page.show, result)
                if superseded():
                    return
        except BaseException:
            if page.long:  # only the user starts it again
                job.done = True
                page.stop()
            else:
                del self._jobs[page.name]
                page.fail()
            raise
        job.done = True
        yield partial(
            self.status.ok, f"{page.name}: done in {time.monotonic() - began:.1f} s · {status(scene.explanation)}"
        )

    def _show_explanation(self, explanation: Explanation) -> None:
        # The newest target, so that a late answer does not move the choice back.
        show_classes(self.classes, explanation, self.samples, self.asked.settings.target)
        self.status.ok(status(explanation))
        self.explanation = explanation

    def _fail(self, error: BaseException) -> None:
        if self._answered != self.asked.settings and not self._latest.superseded:
            for page in self._measuring:
                page.fail()
        self.status.error(error, KEPT)
