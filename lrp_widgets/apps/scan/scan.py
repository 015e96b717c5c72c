"""The app for photos larger than the network's input: windows all over them, coarse first and then finer.

Settings go down, maps come up: handlers only replace `Scan.asked`; one worker scans and is the only one to write what
is shown. To look into another window interrupts nothing; whatever else is moved abandons the scan at once.
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

from lrp_widgets.apps.scan.examples import EXAMPLES
from lrp_widgets.apps.scan.finds import Finds
from lrp_widgets.apps.scan.maps import Maps
from lrp_widgets.apps.scan.photos import Photo, Photos, photo_of, photos_of
from lrp_widgets.apps.scan.scanning import Controls, Scanning, Subject, Windows, default_method
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
TELL_EVERY = 0.1  # s


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
    taken = photos_of(photos)
    windows = Windows(max(1, side // 4) if stride is None else stride, window, sizes, only_top)
    against = target.b if isinstance(target, Contrast) else -1
    name = f"{type(model).__name__} · {side} px"
    first = Scanning(
        name,
        default_method(taken[0]) if method is None else method,
        windows=windows,
        target=target.a if isinstance(target, Contrast) else target,
        against=against,
    )
    subject = Subject(name, Explainer(model, output), taken, side, first)
    return Scan(((name, lambda: subject),))


class Scan(App):
    """Photo, class, windows and method on the left; the map over the photo; scores and the best windows on the right.

    asked: what is asked for; setting it asks the worker.  found: the finest map so far; observe it.
    Every part is an attribute: `controls` (`source`, `target`, `against`, `windows`, `methods`), `heatmap`, `scores`, …
    """

    asked = traitlets.Instance(Scanning)
    found: Any = traitlets.Instance(WindowMap, allow_none=True)

    def __init__(self, subjects: tuple[tuple[str, Callable[[], Subject]], ...]) -> None:
        self._makers, self._known = dict(subjects), {}
        self._lately: dict[str, Scanning] = {}  # what was asked last of each subject
        self._maps: Maps | None = None
        self._opened: tuple[str, Photo] | None = None  # whose photo is shown
        self._answered: Scanning | None = None  # the key of what is shown
        self._problem, self._refused = "", False
        self._told = 0.0
        self.controls = self._controls_of(subjects[0][0])
        self.finds = Finds()
        self.heatmap, self.scores = self.finds.heatmap, self.finds.scores
        self.best, self.window = self.finds.best, self.finds.window
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
        middle = column("lrp-middle", self.heatmap, row, self.finds.look)
        return [self.toolbar, grid(self._left, middle, self.finds.side), self.status]

    # Settings down: a handler replaces one of them and does nothing else.

    def _connect(self) -> None:
        self.observe(self._ask, "asked")
        self.subject.observe(lambda change: self._turn(change["new"]), "value")
        self.halt.observe(lambda change: self._set(halted=change["new"]), "value")
        self.finds.on_choose(lambda rank: self._set(chosen=rank))
        self._refuse_problems_of(self.toolbar, *self.finds.parts)

    def _controls_of(self, name: str) -> Controls:
        """Made once for each subject: a browser never forgets a widget."""
        if name not in self._known:
            self._known[name] = Controls(self._makers[name](), self._set, self.refuse)
        return self._known[name]

    def _set(self, **changes: Any) -> None:
        if self._latest.on_worker():
            return
        if changes.keys() - {"chosen", "halted"}:
            changes = {"chosen": 0, "halted": False, **changes}
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
        self.asked = self._lately.get(name, controls.subject.first)

    def _ask(self, change: Any) -> None:
        asked: Scanning = change["new"]
        self._refused = False
        self._lately[asked.subject] = asked
        self._remember(asked.key)
        self.controls = self._controls_of(asked.subject)
        self._left.children = [self.subject, self.controls]
        self.subject.value, self.halt.value = asked.subject, asked.halted
        self.controls.say(asked)
        self._latest.request(asked)

    def bring(self, asked: Scanning) -> None:
        """Bring the controls to what comes from elsewhere, and scan for it."""
        self._controls_of(asked.subject).bring(asked)
        self.asked = asked

    def refuse(self, problem: str) -> None:
        """Say in the status line what cannot be done; the scan goes on."""
        if problem:
            self._problem = problem
            self._latest.request(self.asked)

    # Maps up: from here on everything runs on the worker's thread.

    def _work(self, asked: Scanning, superseded: Callable[[], bool]) -> Iterator[Callable[[], None]]:
        self._tell_problem()
        yield partial(self.finds.look_into, asked.chosen)
        if asked.halted and self._answered == asked.key:
            yield self._halted
            return
        if self._maps is None or self._maps.key != asked.key:
            self._maps = None
            subject = self._known[asked.subject].subject
            photo = photo_of(asked.photo, subject.photos)
            if self._opened != (asked.subject, asked.photo):
                self._opened, self._answered = (asked.subject, asked.photo), None
                yield partial(self.finds.open, subject, photo)
            yield self._start
            self._maps = Maps(subject, photo, asked.key, partial(self._abandoned, asked.key), self._progress)
        maps = self._maps
        try:
            while not maps.done:
                maps.finer()
                yield partial(self._show_map, maps)
                if superseded():
                    return
                if asked.halted:
                    yield self._halted
                    return
        except BaseException as error:
            self._maps = None  # it is over; who asks again has it begin anew
            if not isinstance(error, Abandoned):
                raise

    def _start(self) -> None:
        self.halt.disabled = False
        self._say(self.status.busy, "scanning …")

    def _abandoned(self, key: Scanning) -> bool:
        stops = self.asked.key != key or (self.asked.halted and self._answered == key)
        return self._closed or (self._latest.superseded and stops)

    def _progress(self, done: int, total: int) -> None:
        """Between two batches: how far it is, and what was asked for meanwhile that interrupts nothing."""
        self._tell_problem()
        if self._answered == self.asked.key:
            self.finds.look_into(self.asked.chosen)
        now = time.monotonic()
        if now - self._told >= TELL_EVERY or done == total:
            self._told = now
            self.bar.value = done / max(1, total)
            self.progress.value = f"{done:,} of {total:,} windows"

    def _show_map(self, maps: Maps) -> None:
        assert maps.found is not None
        self._answered = maps.key
        self.finds.show(maps.found, maps.key, self.asked.chosen)
        self.halt.disabled = maps.done
        self._say(self.status.ok if maps.done else self.status.busy, maps.said())
        self.found = maps.found

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
            self.finds.fail()
        self.status.error(error, KEPT)
