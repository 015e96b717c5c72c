from __future__ import annotations

from dataclasses import replace

import pytest

import lrp_widgets as lw
from lrp_widgets.apps.explore.explore import Settings
from lrp_widgets.apps.session.history import History, changed_fields


class Clock:
    def __init__(self):
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock():
    return Clock()


def settings(alpha: float = 2.0, **changes) -> Settings:
    return replace(Settings(0, lw.LRP(lw.layered(alpha=alpha))), **changes)


def of(settings: Settings) -> float:
    return settings.method.composite.alpha


def test_there_and_back(clock):
    history = History("a", now=clock)
    assert not history.can_undo and not history.can_redo
    for letter in "bcd":
        clock.time += 1
        history.push(letter)
    assert [history.undo() for _ in range(4)] == ["c", "b", "a", "a"]
    assert not history.can_undo and history.can_redo
    assert [history.redo() for _ in range(4)] == ["b", "c", "d", "d"]
    assert history.can_undo and not history.can_redo


def test_a_new_value_ends_what_could_be_redone(clock):
    history = History(1, drag=0, now=clock)
    for number in (2, 3):
        clock.time += 1
        history.push(number)
    history.undo()
    clock.time += 1
    history.push(9)
    assert not history.can_redo
    assert [history.undo(), history.undo()] == [2, 1]


def test_what_undo_puts_back_is_no_step(clock):
    history = History(1, now=clock)
    history.push(2)
    history.push(history.undo())
    assert history.value == 1 and history.can_redo


def test_a_drag_is_one_step(clock):
    history = History(settings(1.0), now=clock)
    for alpha in (1.1, 1.2, 1.3, 1.4):
        clock.time += 0.6
        history.push(settings(alpha))
    assert of(history.undo()) == 1.0
    assert of(history.redo()) == 1.4


def test_a_pause_ends_a_drag(clock):
    history = History(settings(1.0), now=clock)
    for pause, alpha in ((0.1, 1.1), (0.1, 1.2), (0.8, 1.3), (0.1, 1.4)):
        clock.time += pause
        history.push(settings(alpha))
    assert [of(history.undo()), of(history.undo())] == [1.2, 1.0]


def test_another_slider_is_another_step(clock):
    history = History(settings(1.0), now=clock)
    history.push(settings(1.5))
    history.push(settings(1.5, target=3))
    history.push(settings(1.7, target=3))
    history.push(settings(1.7, target=4, layer="fc"))  # two fields at once
    history.push(settings(1.7, target=5, layer="out"))
    seen = [history.undo() for _ in range(5)]
    assert [(of(s), s.target) for s in seen] == [(1.7, 4), (1.7, 3), (1.5, 3), (1.5, None), (1.0, None)]


def test_a_drag_back_to_its_beginning_leaves_no_step(clock):
    history = History(settings(1.0), now=clock)
    for alpha in (1.5, 1.2, 1.0):
        history.push(settings(alpha))
    assert not history.can_undo and of(history.value) == 1.0
    history.push(settings(1.1))
    assert of(history.undo()) == 1.0


def test_after_undo_a_move_is_a_step_of_its_own(clock):
    history = History(settings(1.0), now=clock)
    history.push(settings(2.0))
    clock.time += 5
    history.push(settings(3.0))
    history.undo()
    history.push(settings(2.5))
    assert [of(history.undo()), of(history.undo())] == [2.0, 1.0]


def test_strokes_of_a_drawing_are_one_step(clock):
    history = History(settings(), now=clock)
    for ink in range(5):
        clock.time += 0.08
        history.push(settings(sample=bytes([ink])))
    assert history.undo().sample == 0 and not history.can_undo


def test_the_oldest_are_forgotten(clock):
    history = History(0, most=3, drag=0, now=clock)
    for number in range(1, 10):
        clock.time += 1
        history.push(number)
    assert [history.undo() for _ in range(4)] == [8, 7, 6, 6]
    with pytest.raises(ValueError, match=r"^History\.most must be at least 1, got 0\.$"):
        History(0, most=0)


@pytest.mark.parametrize(
    ("now", "fields"),
    [
        (settings(), []),
        (settings(1.5), ["method.composite.alpha"]),
        (settings(method=lw.LRP(lw.epsilon())), ["method.composite"]),
        (settings(method=lw.Gradient(), target=1), ["method", "target"]),
        (settings(target=lw.contrast(1, 2)), ["target"]),
        (settings(sample=b"ink"), ["sample"]),
        (settings(sample=False), ["sample"]),
    ],
)
def test_changed_fields(now, fields):
    assert [".".join(path) for path in changed_fields(settings(), now)] == fields
