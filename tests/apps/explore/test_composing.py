"""A hand in the browser and the worker at the same control: neither takes the other's word away."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

import lrp_widgets as lw
from lrp_widgets.widgets.turn import TURN


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that change places all the time."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_the_own_composite_chosen_while_the_worker_brings_another_one_into_it(explored):
    app = explored()
    picker = app.methods.picker
    names = [*picker.options]
    for round_ in range(25):
        picker.set_state({"index": names.index(lw.layered.title)})
        assert app.settled(60)
        shown = app.heatmap.sequence
        app.methods.editor.control("gamma").inner.set_state({"value": (round_ + 1) / 100})
        while app.heatmap.sequence == shown:  # from here on the worker brings the rules into the own composite
            pass
        picker.set_state({"index": names.index(lw.by_depth.title)})
        assert app.settled(60)
        chosen = app.settings.method.composite
        assert (picker.value, type(chosen)) == (lw.by_depth.title, lw.by_depth)
        assert app.methods.value.composite == chosen == app.composite.value
        assert chosen.lower == lw.rules.Gamma((round_ + 1) / 100)
        assert app.status.level == "ok"


def test_what_comes_from_the_browser_waits_for_its_turn(explored):
    app = explored()
    before = (app.methods.picker.value, app.layers.selected)
    hands = [
        threading.Thread(target=app.methods.picker.set_state, args=({"index": 1},)),
        threading.Thread(target=app.layers.set_state, args=({"selected": "features.3"},)),
    ]
    with TURN:
        for hand in hands:
            hand.start()
            hand.join(0.1)
        assert all(hand.is_alive() for hand in hands)
        assert (app.methods.picker.value, app.layers.selected) == before
    for hand in hands:
        hand.join()
    assert app.settled(60)
    assert (app.methods.picker.value, app.layers.selected) == (app.methods.picker.options[1], "features.3")
