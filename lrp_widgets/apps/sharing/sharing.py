"""Sharing: what the buttons of the share bar do: undo and redo, a link, the Python, an exported page."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import torch
import traitlets
from torch import Tensor

from lrp_widgets.apps.session.cores import is_small
from lrp_widgets.apps.session.history import History
from lrp_widgets.apps.sharing.encoding import StateError
from lrp_widgets.apps.sharing.export import export_html
from lrp_widgets.apps.sharing.link import from_query, to_query
from lrp_widgets.apps.sharing.manifest import installed
from lrp_widgets.apps.sharing.snippet import snippet
from lrp_widgets.apps.sharing.state import from_state, to_state
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import HeatmapView, ShareBar
from lrp_widgets.widgets.exit import end_before_exit

__all__ = ["Sharing", "choice_of", "look_of", "put_look"]

NOT_A_LOOK = ("clicked", "region", "size")  # traits that a browser sets and that do not belong to the look
PROGRESS_INTERVAL = 0.2  # s between two messages of how far an export is


class Sharing:
    """Connects a ShareBar with a dashboard, which calls `changed` with its settings and takes others by `put`.

    put: brings settings into the controls and the dashboard; what it sets on the way is no step of the history.
    refuse: takes the text of an error, for the status line.  input_of: the tensor of a sample.
    accept: raises StateError where the dashboard cannot show some settings; it is asked before anything changes.
    more: classes of the user's own that may stand in settings.  names: the expressions for `model` and `samples` in
    the Python that is copied.
    Buttons are answered on the thread of their message; a page is exported on another thread.
    """

    def __init__(
        self,
        toolbar: ShareBar,
        explainer: Explainer,
        samples: Samples,
        view: HeatmapView,
        settings: Any,
        *,
        put: Callable[[Any], None],
        refuse: Callable[[str], None],
        input_of: Callable[[Any], Tensor],
        accept: Callable[[Any], None] = lambda settings: None,
        more: Iterable[type] = (),
        names: tuple[str, str] = ("model", "samples"),
    ) -> None:
        self.toolbar, self.explainer, self.samples, self.view = toolbar, explainer, samples, view
        self.history: History[Any] = History(settings)
        self._put, self._refuse, self._input_of, self._accept = put, refuse, input_of, accept
        self._more, self._names = tuple(more), names
        self._putting = False
        self._export: threading.Thread | None = None
        self._stopped = threading.Event()
        toolbar.observe(self._asked, "asked")
        toolbar.observe(lambda change: self.open(change["new"]), "query")
        toolbar.observe(lambda change: change["new"] and refuse(change["new"]), "problem")
        view.observe(lambda _: self._tell(), list(look_of(view)))
        self._tell()

    def changed(self, settings: Any) -> None:
        """Take note of new settings of the dashboard."""
        if not self._putting:
            self.history.push(settings)
            self._tell()

    def open(self, state: Mapping[str, Any] | str, raises: bool = False) -> None:
        """Show what a state, its JSON or a link to it describes. An error goes to `refuse`; with `raises` it is raised.

        The query of a page that has no state is ignored.
        """
        if isinstance(state, str) and state.startswith("?") and "state=" not in state:
            return
        try:
            fields = from_query(state) if isinstance(state, str) and state.startswith("?") else state
            settings, look = from_state(fields, type(self.history.value), self.samples, self._more)
            self._accept(settings)
            put_look(self.view, look)
        except StateError as error:
            if raises:
                raise
            self._refuse(str(error))
            return
        self.history.push(settings)
        self._show(settings)

    def close(self) -> None:
        """Stop an export that is running."""
        self._stopped.set()

    def _show(self, settings: Any) -> None:
        self._putting = True
        try:
            self._put(settings)
        finally:
            self._putting = False
        self._tell()

    def _tell(self) -> None:
        settings, history = self.history.value, self.history
        state, python = "", ""
        with suppress(StateError):  # too long for a link: the button is disabled
            state = to_query(to_state(settings, look_of(self.view), self._more))
        with suppress(TypeError):  # an input that a snippet cannot write out
            small = is_small(self.explainer.model, self._input_of(settings.sample))
            versions = f"lrp_widgets {installed('lrp_widgets')}, torch {torch.__version__}"
            python = snippet(
                settings, *self._names, output=self.explainer.output, one_core=small, task=self.samples.task,  # type: ignore[arg-type]
                versions=versions,
            )  # fmt: skip
        with self.toolbar.one_message():
            self.toolbar.can_undo, self.toolbar.can_redo = history.can_undo, history.can_redo
            self.toolbar.state, self.toolbar.python = state, python

    def _asked(self, change: Any) -> None:
        action = change["new"].get("action")
        if action == "undo" and self.history.can_undo:
            self._show(self.history.undo())
        elif action == "redo" and self.history.can_redo:
            self._show(self.history.redo())
        elif action == "stop":
            self._stopped.set()
        elif action == "save" and (self._export is None or not self._export.is_alive()):
            self._stopped.clear()
            self.toolbar.progress = 0.0
            self._export = threading.Thread(target=self._save, args=(self.history.value,), daemon=True)
            end_before_exit(self._export, self._stopped.set)
            self._export.start()

    def _save(self, settings: Any) -> None:
        last = time.monotonic()

        def progress(done: int, of: int) -> None:
            nonlocal last
            if time.monotonic() - last > PROGRESS_INTERVAL:
                last, self.toolbar.progress = time.monotonic(), done / of

        try:
            page = export_html(
                self.explainer,
                self._input_of(settings.sample),
                settings,
                self.samples,
                look=look_of(self.view),
                date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
                code=self.toolbar.python,
                progress=progress,
                abandoned=self._stopped.is_set,
            )
            self.toolbar.send_file("explanation.html", page)
        except Abandoned:
            pass
        except Exception as error:  # nothing else would show an error of this thread
            self._refuse(f"The page was not made: {error}")
        finally:
            self.toolbar.progress = None


def look_of(view: HeatmapView) -> dict[str, Any]:
    """How a HeatmapView shows its map: the traits a user moves, by name."""
    return {name: getattr(view, name) for name in _look_traits(view)}


def put_look(view: HeatmapView, look: Mapping[str, Any]) -> None:
    """Show as another view did: all of the look, or nothing. Raises StateError that names the trait."""
    names = _look_traits(view)
    for name in look:
        if name not in names:
            raise StateError(f"State.look.{name} is not known. Known are: {', '.join(names)}.")
    before = look_of(view)
    try:
        with view.one_message():
            for name, value in look.items():
                setattr(view, name, value)
    except traitlets.TraitError as error:
        for name, value in before.items():
            setattr(view, name, value)
        raise StateError(f"State.look: {error}") from None


def _look_traits(view: HeatmapView) -> tuple[str, ...]:
    return tuple(sorted(name for name in view.traits(from_browser=True) if name not in NOT_A_LOOK))


def choice_of(choices: Sequence[tuple[str, Any]], method: Any) -> str | None:
    """The name under which a method is offered: the first choice of its class, and of its composite's; else None."""
    kind = (type(method), type(getattr(method, "composite", None)))
    kinds = ((name, (type(offered), type(getattr(offered, "composite", None)))) for name, offered in choices)
    return next((name for name, offered in kinds if offered == kind), None)
