"""The app for photos larger than the network's input: windows all over them, coarse first and then finer.

A handler of a control only replaces the request, `Scan.asked`; one worker scans, and only the worker writes what is
shown. Another window is enlarged without an interruption; whatever else the user moves abandons the scan at once.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets
import traitlets
from torch import nn

from lrp_widgets.apps.scan.controls import Controls
from lrp_widgets.apps.scan.examples import EXAMPLES
from lrp_widgets.apps.scan.map_series import MapSeries
from lrp_widgets.apps.scan.photos import Photo, Photos, photo_of, photos_of
from lrp_widgets.apps.scan.request import ScanRequest, Windows
from lrp_widgets.apps.scan.results import Results
from lrp_widgets.apps.scan.subject import Subject, default_method
from lrp_widgets.apps.session.app import App, column, grid
from lrp_widgets.apps.session.history import BUTTONS
from lrp_widgets.engine.propagation.explainer import Explainer, Output
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.engine.propagation.target import Contrast, Target
from lrp_widgets.methods import Method, WindowMap
from lrp_widgets.widgets import StatusLine, Toolbar
from lrp_widgets.widgets.accessible import accessible
from lrp_widgets.widgets.controls.control import guard

__all__ = ["Scan", "scan"]

STYLE = Path(__file__).parent / "scan.css"
KEPT = "What was found before stays; any move tries again."
PROGRESS_INTERVAL = 0.1  # s


def scan(
    model: nn.Module | None = None,
    photos: Photos | None = None,
    *,
    side: int | None = None,
    target: Target = None,
    method: Method | None = None,
    stride: int | None = None,
    window: tuple[float, float] = (0.5, 1.0),
    sizes: int = 3,
    only_top: bool = False,
    output: Output = None,
) -> Scan:
    """The app that scans photos larger than a model's input: an ipywidgets widget; without a model, of two examples.

    photos: lw.Samples of one size, or a list of (n, channels, height, width) tensors or Samples of different sizes.
    side: of the model's input, in pixels.  target: a class, lw.contrast(a, b), or None for the top class.
    stride: as in lw.sliding_window.  window: the smallest and largest side of windows, as parts of the photo's shorter
    side; `sizes` in all.  only_top: windows count only where the target is the top class.  output: as in lw.Explainer.
    A cell that runs again closes the app of the run before, as in lw.explore.
    Raises TypeError or ValueError where these are something else; whatever goes wrong later stands in the status line.
    """
    if model is None and photos is None:
        return Scan(EXAMPLES)
    if not isinstance(model, nn.Module) or photos is None:
        raise TypeError(f"scan() needs a model and photos, or neither for the examples, got {type(model).__name__}.")
    if isinstance(side, bool) or not isinstance(side, int) or side < 1:
        raise ValueError(f"side must be a whole number, at least 1, got {side!r}.")
    if not (target is None or isinstance(target, int | Contrast)):
        raise TypeError(f"target must be a class, lw.contrast(a, b) or None, got {target!r}.")
    photo_samples = photos_of(photos)
    windows = Windows(max(1, side // 4) if stride is None else stride, window, sizes, only_top)
    against = target.b if isinstance(target, Contrast) else -1
    name = f"{type(model).__name__} · {side} px"
    first = ScanRequest(
        name,
        default_method(photo_samples[0]) if method is None else method,
        windows=windows,
        target=target.a if isinstance(target, Contrast) else target,
        against=against,
    )
    subject = Subject(name, Explainer(model, output), photo_samples, side, first)
    return Scan(((name, lambda: subject),))


class Scan(App):
    """Photo, class, windows and method on the left; the map over the photo; scores and the best windows on the right.

    asked: the request in force; setting it starts the worker.  found: the finest map so far; observe it.
    Every part is an attribute: `controls` (`source`, `target`, `against`, `windows`, `methods`), `heatmap`, `scores`, …
    """

    asked = traitlets.Instance(ScanRequest)
    found: Any = traitlets.Instance(WindowMap, allow_none=True)

    def __init__(self, subjects: tuple[tuple[str, Callable[[], Subject]], ...]) -> None:
        self._makers = dict(subjects)
        self._controls_by_subject: dict[str, Controls] = {}
        self._last_requests: dict[str, ScanRequest] = {}  # of each subject
        self._series: MapSeries | None = None
        self._opened: tuple[str, Photo] | None = None  # whose photo is shown
        self._answered: ScanRequest | None = None  # the key of what is shown
        self._problem, self._refused = "", False
        self._progress_at = 0.0
        self.controls = self._controls_of(subjects[0][0])
        self.results = Results()
        self.heatmap, self.scores = self.results.heatmap, self.results.scores
        self.best, self.window = self.results.best, self.results.window
        self.status = StatusLine()
        self.toolbar = Toolbar(BUTTONS, "lrp_widgets · scan")
        self.subject = guard(
            ipywidgets.Dropdown(
                options=list(self._makers), description="find", tooltip="What is looked for, and by which network",
                style={"description_width": "76px"}, layout={"width": "auto"},
            ),
            self.refuse,
        )  # fmt: skip
        self.subject.layout.display = None if len(self._makers) > 1 else "none"
        self.bar = ipywidgets.FloatProgress(0.0, min=0.0, max=1.0)
        self.progress = ipywidgets.Label("")
        self.halt = guard(
            ipywidgets.ToggleButton(description="stop", tooltip="Leave it at the map there is; again to go on"),
            self.refuse,
        )
        first = self.controls.subject.first
        super().__init__("scan", self._arranged(), [STYLE], asked=first)
        self._keep_history(first)
        self._connect()
        self._latest.request(self.asked)

    def _arranged(self) -> list[ipywidgets.Widget]:
        self._left = ipywidgets.VBox([self.subject, self.controls])
        row = ipywidgets.HBox([self.halt, self.bar, self.progress, accessible()])
        row.add_class("lrp-running")
        middle = column("lrp-middle", self.heatmap, row, self.results.look)
        return [self.toolbar, grid(self._left, middle, self.results.side), self.status]

    # Settings down: a handler replaces one of them and does nothing else.

    def _connect(self) -> None:
        self.observe(self._ask, "asked")
        self.subject.observe(lambda change: self._turn(change["new"]), "value")
        self.halt.observe(lambda change: self._set(halted=change["new"]), "value")
        self.results.on_choose(lambda rank: self._set(rank=rank))
        self._refuse_problems_of(self.toolbar, *self.results.parts)

    def _controls_of(self, name: str) -> Controls:
        """The controls of a subject, made once: a browser keeps every widget that it was ever sent."""
        if name not in self._controls_by_subject:
            self._controls_by_subject[name] = Controls(self._makers[name](), self._set, self.refuse)
        return self._controls_by_subject[name]

    def _set(self, **changes: Any) -> None:
        if self._latest.on_worker():
            return
        if changes.keys() - {"rank", "halted"}:
            changes = {"rank": 0, "halted": False, **changes}
        self.asked = dataclasses.replace(self.asked, **changes)

    def _turn(self, name: str) -> None:
        if name == self.asked.subject:
            return
        try:
            controls = self._controls_of(name)
        except (ImportError, OSError, ValueError) as error:  # the photographs of an example are not installed
            self.subject.value = self.asked.subject
            self.refuse(str(error))
            return
        self.asked = self._last_requests.get(name, controls.subject.first)

    def _ask(self, change: Any) -> None:
        request: ScanRequest = change["new"]
        self._refused = False
        self._last_requests[request.subject] = request
        self._remember(request.key)
        self.controls = self._controls_of(request.subject)
        self._left.children = [self.subject, self.controls]
        self.subject.value, self.halt.value = request.subject, request.halted
        self.controls.annotate(request)
        self._latest.request(request)

    def bring(self, request: ScanRequest) -> None:
        """Bring the controls to what comes from elsewhere, and scan for it."""
        self._controls_of(request.subject).bring(request)
        self.asked = request

    def refuse(self, problem: str) -> None:
        """Say in the status line what cannot be done; the scan goes on."""
        if problem:
            self._problem = problem
            self._latest.request(self.asked)

    # Maps up: from here on everything runs on the worker's thread.

    def _work(self, request: ScanRequest, superseded: Callable[[], bool]) -> Iterator[Callable[[], None]]:
        self._tell_problem()
        yield partial(self.results.enlarge, request.rank)
        if request.halted and self._answered == request.key:
            yield self._halted
            return
        if self._series is None or self._series.key != request.key:
            self._series = None
            subject = self._controls_by_subject[request.subject].subject
            photo = photo_of(request.photo, subject.photos)
            if self._opened != (request.subject, request.photo):
                self._opened, self._answered = (request.subject, request.photo), None
                yield partial(self.results.open, subject, photo)
            yield self._start
            self._series = MapSeries(subject, photo, request.key, partial(self._abandoned, request.key), self._progress)
        series = self._series
        try:
            while not series.done:
                series.refine()
                yield partial(self._show_map, series)
                if superseded():
                    return
                if request.halted:
                    yield self._halted
                    return
        except BaseException as error:
            self._series = None  # a generator that has raised is over: the next request begins a new one
            if not isinstance(error, Abandoned):
                raise

    def _start(self) -> None:
        self.halt.disabled = False
        self._say(self.status.busy, "scanning …")

    def _abandoned(self, key: ScanRequest) -> bool:
        stops = self.asked.key != key or (self.asked.halted and self._answered == key)
        return self._closed or (self._latest.superseded and stops)

    def _progress(self, done: int, total: int) -> None:
        """Between two batches: how far it is, and what was asked for meanwhile that interrupts nothing."""
        self._tell_problem()
        if self._answered == self.asked.key:
            self.results.enlarge(self.asked.rank)
        now = time.monotonic()
        if now - self._progress_at >= PROGRESS_INTERVAL or done == total:
            self._progress_at = now
            self.bar.value = done / max(1, total)
            self.progress.value = f"{done:,} of {total:,} windows"

    def _show_map(self, series: MapSeries) -> None:
        assert series.finest is not None
        self._answered = series.key
        self.results.show(series.finest, series.key, self.asked.rank)
        self.halt.disabled = series.done
        self._say(self.status.ok if series.done else self.status.busy, series.summary())
        self.found = series.finest

    def _halted(self) -> None:
        assert self.found is not None
        self.progress.value = f"{len(self.found.values):,} windows · stopped"
        self._say(self.status.ok, f"stopped at a stride of {self.found.stride} px")

    def _say(self, tell: Callable[[str], None], text: str) -> None:
        if not self._refused:  # what was refused stays to be read
            tell(text)

    def _tell_problem(self) -> None:
        if self._problem:
            problem, self._problem, self._refused = self._problem, "", True
            self.status.error(ValueError(problem), KEPT)

    def _fail(self, error: BaseException) -> None:
        if self._answered != self.asked.key and not self._latest.superseded:
            self.results.fail()
        self.status.error(error, KEPT)
