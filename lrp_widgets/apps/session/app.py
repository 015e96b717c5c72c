"""App: the base of every app. One worker answers the newest request, and settings can be undone and redone.

It also holds what the pages of all apps have in common: style, headings, columns, and the list of other classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import ipywidgets

from lrp_widgets.apps.session.closing import close_widgets_of, replace_earlier
from lrp_widgets.apps.session.formatting import class_names
from lrp_widgets.apps.session.history import History
from lrp_widgets.apps.session.memory import as_memory_error, reuse_memory
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.target import Contrast
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import ClassPicker, Latest, StatusLine, Toolbar

__all__ = ["App", "against", "column", "grid", "heading", "show_classes"]

STYLE = Path(__file__).parent / "app.css"


class App(ipywidgets.VBox):
    """A page of controls and views, and the worker that answers what the controls ask for.

    A subclass makes `toolbar`, `status` and all other parts, and then calls `__init__`, which starts the worker. It
    defines `_work` and `_fail`, and where they are needed `bring`, `_show` and `_rest`. Handlers of controls only
    replace a frozen value and call `_latest.request`; what is shown is written by the worker alone.
    A cell of a notebook that is run again closes the apps of the run before: their pages are gone, and their networks
    would stay in memory. A cell is told by its id or, where the notebook sends none, by its text.
    An app whose toolbar has the buttons of `history.BUTTONS` calls `_keep_history` once and `_remember` for each value.
    """

    toolbar: Toolbar
    status: StatusLine
    history: History[Any]
    _closed = False

    def __init__(
        self, name: str, children: Sequence[ipywidgets.Widget], sheets: Sequence[Path] = (), **traits: Any
    ) -> None:
        """name: the app's class in the page, after "lrp-".  sheets: style sheets that follow the one of all apps."""
        reuse_memory()
        super().__init__([_style(STYLE, *sheets), *children], **traits)
        self.add_class("lrp-app").add_class("lrp-explore").add_class(f"lrp-{name}")
        self._latest: Latest[Any] = Latest(self._work, self._show, self._tell, self._rest, self._free, self._late)
        replace_earlier(self)

    def settled(self, timeout: float | None = None) -> bool:
        """Wait until nothing is being computed; False after `timeout` seconds."""
        return self._latest.settled(timeout)

    def close(self) -> None:
        """End the worker and remove every widget of the app."""
        if not self._closed:
            self._closed = True
            if latest := getattr(self, "_latest", None):  # ipywidgets also closes an app whose __init__ raised
                latest.close()
            self._free()
        super().close()

    def _free(self) -> None:
        """Close the widgets; the worker does so once more when it ends, since it may have made others meanwhile."""
        close_widgets_of(self)

    def refuse(self, problem: str) -> None:
        """Say in the status line what cannot be done."""
        if problem:
            self._latest.refuse(ValueError(problem))

    def bring(self, value: Any, /) -> None:
        """Bring the controls to a value that comes from elsewhere, such as an earlier one, and ask for it."""
        raise NotImplementedError

    def _refuse_problems_of(self, *parts: Any) -> None:
        """Say in the status line what a part refuses: its `problem`."""
        for part in parts:
            part.observe(lambda change: self.refuse(change["new"]), "problem")

    # Undo and redo.

    def _keep_history(self, first: Any) -> None:
        self.history = History(first)
        self.toolbar.on_press(self._step)
        self._enable_steps()

    def _remember(self, value: Any) -> None:
        self.history.push(value)
        self._enable_steps()

    def _step(self, name: str) -> None:
        """Go back to the value before, or forth again."""
        self.bring(self.history.undo() if name == "undo" else self.history.redo())
        self._enable_steps()

    def _enable_steps(self) -> None:
        self.toolbar.disabled = self.history.impossible

    # On the worker's thread.

    def _work(self, request: Any, superseded: Callable[[], bool], /) -> Iterator[Any]:
        """Answer a request with results, each of which `_show` can show; stop early where `superseded()`."""
        raise NotImplementedError

    def _show(self, result: Any, /) -> None:
        """Show a result of `_work`; without another definition, results are functions that do so."""
        result()

    def _tell(self, error: BaseException) -> None:
        self._fail(as_memory_error(error))

    def _fail(self, error: BaseException) -> None:
        """Say what went wrong, and mark what is shown as outdated."""
        raise NotImplementedError

    def _late(self, request: Any, /) -> None:
        """Say that a request takes long, and mark what it will replace; called on a thread of its own."""

    def _rest(self, superseded: Callable[[], bool]) -> None:
        """Prepare likely requests while nobody asks for anything."""


def heading(title: str) -> ipywidgets.HTML:
    """A title over a group of parts."""
    return ipywidgets.HTML(f'<div class="lrp-heading">{title}</div>')


def column(name: str, *parts: ipywidgets.Widget | str) -> ipywidgets.VBox:
    """Parts below each other, texts among them as headings; `name` is the column's class in the page."""
    box = ipywidgets.VBox([heading(part) if isinstance(part, str) else part for part in parts])
    box.add_class(name)
    return box


def grid(*columns: ipywidgets.Widget) -> ipywidgets.Box:
    """Columns side by side, or below each other on a narrow page."""
    box = ipywidgets.Box(columns)
    box.add_class("lrp-grid")
    return box


def against(classes: int, name: Any) -> ipywidgets.Dropdown:
    """Which other class the chosen one is contrasted with."""
    options = [("nothing", -1), *((name(index), index) for index in range(classes))]
    return ipywidgets.Dropdown(
        options=options,
        value=-1,
        description="against",
        tooltip="Explain the chosen class rather than another one: f(x) = f_a(x) − f_b(x).",
        style={"description_width": "76px"},
        layout={"width": "auto", "display": None if classes > 1 else "none"},
    )


def show_classes(
    picker: ClassPicker, explanation: Explanation, samples: Samples, target: int | Contrast | None
) -> None:
    """Show the scores of an explanation's classes, and choose the target there; the top class where it is None."""
    names = class_names(explanation, samples)
    scores = explanation.scores[0].flatten().double()
    probabilities = samples.probabilities(scores)
    chosen = target.a if isinstance(target, Contrast) else target
    if chosen is None or not 0 <= chosen < len(names):
        chosen = int(scores.argmax())
    picker.show(names, scores.tolist(), None if probabilities is None else probabilities.tolist(), chosen)


def _style(*sheets: Path) -> ipywidgets.HTML:
    text = "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)
    element = ipywidgets.HTML(f"<style>{text}</style>")
    element.add_class("lrp-style")
    return element
