"""The app on explanation quality: which explanation is better, by curves, a report card, sweeps and whole data sets.

Settings go down, results come up: handlers only replace `Quality.asked`; one worker measures and is the only one to
write what is shown. What a page has begun goes on after an interruption, as long as it is still asked for.
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
from lrp_widgets.apps.quality.asking import Asked, SelectivitySettings, with_changes
from lrp_widgets.apps.quality.data_set import DataSet
from lrp_widgets.apps.quality.near import Continuity
from lrp_widgets.apps.quality.report_card import ReportCard
from lrp_widgets.apps.quality.response import ResponseSurface
from lrp_widgets.apps.quality.scene import Job, QualityPage, Scene
from lrp_widgets.apps.quality.selectivity import Selectivity
from lrp_widgets.apps.session.app import App, column, grid, show_classes
from lrp_widgets.apps.session.cores import cores_for
from lrp_widgets.apps.session.formatting import status
from lrp_widgets.apps.session.history import BUTTONS
from lrp_widgets.apps.session.offered import OWN, as_samples, choices, image_of
from lrp_widgets.apps.session.settings import Settings, input_of
from lrp_widgets.engine.propagation.explainer import Explainer, Output
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.methods import Method
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import ClassPicker, MethodPicker, Pages, StatusLine, Toolbar
from lrp_widgets.widgets.turn import in_turn

__all__ = ["Quality", "quality"]

STYLE = Path(__file__).parent / "quality.css"
KEPT = "What was measured before stays; any move tries again."


def quality(model: nn.Module, samples: Samples | Tensor, output: Output = None) -> Quality:
    """The app that measures explanations of a model on samples: an ipywidgets widget.

    model: any nn.Module in evaluation mode.  samples: lw.Samples, or a tensor of inputs with values in [0, 1].
    output: which output to explain where the model returns several, as in lw.Explainer.
    Raises TypeError where these are something else; whatever goes wrong later stands in the status line.
    """
    return Quality(Explainer(model, output), as_samples(samples, "quality"))


class Quality(App):
    """Input, class and method on the left; beside them pages, of which one is in sight.

    asked: what is asked for; setting it asks the worker.  explanation: the last one; observe it.
    Every part is an attribute: `source`, `classes`, `methods`, `pages`, and the pages `selectivity`, `continuity`,
    `card`, `surface` and `data_set`.
    """

    asked = traitlets.Instance(Asked)
    explanation = traitlets.Instance(Explanation, allow_none=True)

    def __init__(self, explainer: Explainer, samples: Samples) -> None:
        self.explainer, self.samples = explainer, samples
        self._scene: Scene | None = None
        self._answered: Settings | None = None  # what the scene is of
        self._jobs: dict[str, Job] = {}
        self._bringing = False  # the controls are brought to settings that come from elsewhere
        offered = [(name, method) for name, method in choices(samples) if name != OWN]
        self.source, self.classes, self.methods = Source(samples), ClassPicker(), MethodPicker(offered)
        self.status = StatusLine()
        self.toolbar = Toolbar(BUTTONS, f"lrp_widgets · quality · {type(explainer.model).__name__}")
        planar = samples.modality.planar
        side = samples.modality.side(samples.inputs) if planar else 1
        first = Settings(0, self.methods.value)
        self.selectivity = Selectivity(side, planar, self._set, self.refuse)
        self.continuity = Continuity(samples, self._set, self.refuse)
        self.card = ReportCard(self._set, self.refuse)
        self.surface = ResponseSurface(lambda: self.asked.settings, self._set, self._put, self.refuse, first)
        self.data_set = DataSet(samples, offered, lambda: self.asked.settings, self._set, self.refuse)
        self._known: dict[str, QualityPage] = {
            page.name: page for page in (self.selectivity, self.continuity, self.card, self.surface, self.data_set)
        }
        self._measuring = tuple(part for page in self._known.values() for part in page.parts)
        self.pages = Pages(
            {name: page.view for name, page in self._known.items()},
            {name: page.said for name, page in self._known.items()},
        )
        self.pages.add_class("lrp-quality-pages")
        asked = Asked(
            first, self.pages.selected, flipping=SelectivitySettings(patch=side), near=self.continuity.path.value
        )
        left = column("lrp-left", "Input", self.source, "Class", self.classes, "Method", self.methods)
        middle = column("lrp-middle", self.pages)
        super().__init__("quality", [self.toolbar, grid(left, middle), self.status], [STYLE], asked=asked)
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

    def _work(self, asked: Asked, superseded: Callable[[], bool]) -> Iterator[Callable[[], None]]:
        if asked.settings != self._answered or self._scene is None:
            yield from self._explain(asked)
        scene = self._scene
        assert scene is not None
        with cores_for(self.explainer.model, scene.x):
            for page in self._measuring:
                yield partial(page.turn, scene, asked)
            in_sight = self._known[asked.page].in_sight(asked)
            for page in (in_sight, *(each for each in self._measuring if each.long and each is not in_sight)):
                yield from self._go_on(page, scene, asked, superseded)
                if superseded():
                    return

    def _explain(self, asked: Asked) -> Iterator[Callable[[], None]]:
        settings = asked.settings
        x = input_of(settings.sample, self.samples)
        with cores_for(self.explainer.model, x):
            explanation = self.explainer.explain(x, settings.target, settings.method)
        image = image_of(x[0], self.samples)
        self._scene = Scene(self.explainer, self.samples, x, image, explanation)
        self._answered = settings
        yield partial(self._show_explanation, explanation)

    def _go_on(
        self, page: QualityPage, scene: Scene, asked: Asked, superseded: Callable[[], bool]
    ) -> Iterator[Callable[[], None]]:
        """What a page is asked for, from where it stopped if that is still the same."""
        key, job = page.key(asked), self._jobs.get(page.name)
        if key is None:
            if self._jobs.pop(page.name, None) is not None:
                yield page.stop
            return
        if job is None or job.key != key:
            job = self._jobs[page.name] = Job(key, page.run(scene, asked, lambda: self._latest.superseded))
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
            if page.long:  # it does not begin again by itself
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
