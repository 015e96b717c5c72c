"""The base of every app: the newest request is answered, refusals are told, and undo, redo and closing work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import pytest
import traitlets

from lrp_widgets.apps.session.app import App, column, grid
from lrp_widgets.apps.session.history import BUTTONS
from lrp_widgets.widgets import StatusLine, Toolbar

PATIENCE = 60.0


class Squares(App):
    """Shows the square of a number; of a negative one it fails."""

    asked = traitlets.Int(1)

    def __init__(self, sheets: tuple[Path, ...] = ()) -> None:
        self.toolbar, self.status, self.result = Toolbar(BUTTONS), StatusLine(), ipywidgets.Label("")
        super().__init__("squares", [self.toolbar, self.result, self.status], sheets)
        self._keep_history(self.asked)
        self._refuse_problems_of(self.toolbar)
        self.observe(self._ask, "asked")
        self._latest.request(self.asked)

    def _ask(self, change: Any) -> None:
        self._remember(change["new"])
        self._latest.request(change["new"])

    def bring(self, value: int) -> None:
        self.asked = value

    def _work(self, request: int, superseded: Callable[[], bool]) -> Iterator[Callable[[], None]]:
        if request < 0:
            raise ValueError(f"{request} is negative")
        if request > 10**9:
            raise MemoryError
        yield lambda: setattr(self.result, "value", str(request**2))
        yield lambda: self.status.ok("done")

    def _fail(self, error: BaseException) -> None:
        self.status.error(error)


@pytest.fixture
def app() -> Iterator[Squares]:
    made = Squares()
    assert made.settled(PATIENCE)
    yield made
    made.close()


def test_results_are_shown_and_errors_are_told(app):
    assert (app.result.value, app.status.text) == ("1", "done")
    app.asked = 7
    assert app.settled(PATIENCE)
    assert (app.result.value, app.status.level) == ("49", "ok")
    app.asked = -3
    assert app.settled(PATIENCE)
    assert (app.result.value, app.status.text) == ("49", "ValueError: -3 is negative")


def test_what_is_refused_is_told_and_an_empty_problem_is_none(app):
    app.refuse("")
    assert app.settled(PATIENCE)
    assert app.status.level == "ok"
    app.refuse("no such number")
    assert app.settled(PATIENCE)
    assert app.status.text == "ValueError: no such number"
    app.toolbar.set_state({"pressed": {"name": "print", "count": 1}})  # no button has this name
    assert app.settled(PATIENCE)
    assert app.status.text.startswith("ValueError: Toolbar.pressed must be the name of a button")


def press(app: Squares, name: str) -> None:
    app.toolbar.set_state({"pressed": {"name": name, "count": 1 + app.toolbar.pressed.get("count", 0)}})
    assert app.settled(PATIENCE)


def press_to_the_end(app: Squares, name: str) -> None:
    for _ in range(3):  # at most as many steps as values
        if name not in app.toolbar.disabled:
            press(app, name)


def test_the_buttons_undo_and_redo_and_are_disabled_at_either_end(app):
    assert app.toolbar.disabled == ["undo", "redo"]
    for number in (2, 5, 3):  # quick moves of one field may be one step
        app.asked = number
        assert app.settled(PATIENCE)
    assert app.toolbar.disabled == ["redo"]
    press_to_the_end(app, "undo")
    assert (app.asked, app.result.value) == (1, "1")
    assert app.toolbar.disabled == ["undo"]
    press_to_the_end(app, "redo")
    assert (app.asked, app.result.value) == (3, "9")


def test_closing_ends_the_worker_and_later_requests_are_harmless(app):
    before = {thread for thread in threading.enumerate() if thread.name == "lrp_widgets-latest"}
    other = Squares()
    (worker,) = {thread for thread in threading.enumerate() if thread.name == "lrp_widgets-latest"} - before
    other.close()
    worker.join(PATIENCE)
    assert not worker.is_alive()
    other.asked = 4
    assert other.settled(PATIENCE)


def test_an_app_that_never_began_can_be_closed():
    unfinished = Squares.__new__(Squares)
    unfinished.close()
    assert unfinished.comm is None


def test_a_page_has_the_style_of_all_apps_and_then_its_own(tmp_path):
    sheet = tmp_path / "squares.css"
    sheet.write_text(".lrp-squares { color: teal; }", encoding="utf-8")
    app = Squares((sheet,))
    try:
        text = app.children[0].value
        assert text.startswith("<style>.lrp-explore") and text.endswith(".lrp-squares { color: teal; }</style>")
        assert set(app._dom_classes) >= {"lrp-app", "lrp-explore", "lrp-squares"}
    finally:
        app.close()


def test_texts_in_a_column_are_headings():
    label = ipywidgets.Label("a part")
    left = column("lrp-left", "Input", label)
    title, part = left.children
    assert (title.value, part) == ('<div class="lrp-heading">Input</div>', label)
    assert "lrp-left" in left._dom_classes
    both = grid(left, label)
    assert both.children == (left, label) and "lrp-grid" in both._dom_classes


def test_a_want_of_memory_is_told(app):
    app.asked = 10**10
    assert app.settled(PATIENCE)
    assert (
        app.status.text
        == "MemoryError: This takes more memory than there is for it. Take a smaller input, or fewer of them at once."
    )
