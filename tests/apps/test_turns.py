"""What comes from elsewhere into the controls of an app waits for its turn: nobody finds them half moved."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

import lrp_widgets as lw
from lrp_widgets.widgets import turn
from tests.waiting import Other, WatchedLock

PATIENCE = 60.0  # s: far longer than anything here takes


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], WatchedLock]:
    """Puts a watched lock in the place of TURN; what was decorated takes it from then on."""

    def watched() -> WatchedLock:
        lock = WatchedLock()
        monkeypatch.setattr(turn, "TURN", lock)
        return lock

    return watched


def whole(app: Any) -> tuple[Any, ...]:
    return app.methods.value, app.source.value, app.classes.auto


def test_settings_are_brought_into_the_explore_app_in_turn(explored: Any, lock: Any) -> None:
    app = explored()
    before, settings, watched = whole(app), app.settings, lock()
    wanted = dataclasses.replace(settings, sample=3, target=9, method=lw.LRP(lw.layered(alpha=2.0)))
    other = Other(lambda: app.bring(wanted), watched)
    with watched:
        assert other.had_to_wait()
        assert (whole(app), app.settings) == (before, settings)
    other.end()
    assert app.settled(PATIENCE)
    assert (whole(app), app.settings) == ((wanted.method, 3, False), wanted)


def test_settings_are_brought_into_the_quality_app_in_turn(assessed: Any, lock: Any) -> None:
    app = assessed()
    before, asked, watched = whole(app), app.asked, lock()
    wanted = dataclasses.replace(asked.settings, sample=3, target=9)
    other = Other(lambda: app.bring(wanted), watched)
    with watched:
        assert other.had_to_wait()
        assert (whole(app), app.asked) == (before, asked)
    other.end()
    assert app.settled(PATIENCE)
    assert (whole(app), app.asked.settings) == ((wanted.method, 3, False), wanted)


def test_the_rules_in_force_are_brought_into_the_own_composite_in_turn(explored: Any, lock: Any) -> None:
    app = explored()
    before, watched = app.composite.value, lock()
    method = lw.LRP(lw.layered(gamma=0.75))
    other = Other(lambda: app.composing.show(method, app.explanation.inputs), watched)
    with watched:
        assert other.had_to_wait()
        assert app.composite.value == before
    other.end()
    assert app.composite.value != before
    assert app.composite.value.lower == lw.rules.Gamma(0.75)


@pytest.mark.parametrize("app", ["explored", "assessed"])
def test_what_is_brought_asks_once_and_for_all_of_it(app: str, request: pytest.FixtureRequest) -> None:
    """The handlers of the controls would ask for each change by itself, and the middle of it would be explained."""
    app = request.getfixturevalue(app)()
    asked: list[Any] = []
    name = "settings" if hasattr(app, "settings") else "asked"
    app.observe(lambda change: asked.append(getattr(change["new"], "settings", change["new"])), name)
    settings = getattr(getattr(app, name), "settings", getattr(app, name))
    wanted = dataclasses.replace(settings, sample=3, target=9, method=lw.LRP(lw.epsilon(0.5)))
    app.bring(wanted)
    assert app.settled(PATIENCE)
    assert asked == [wanted]
    app.source.value = 2  # from here on, what is moved asks again
    assert app.settled(PATIENCE)
    assert [settings.sample for settings in asked] == [3, 2]
