"""A method that takes long: the page says so, marks what is old, and can be told to give up."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from tests.apps.explore.test_explore import moved

PATIENCE = 60.0
ROOT = Path(__file__).parents[3]


class Gate(nn.Module):
    """The demo network, which stands still in every forward pass while the gate is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = lw.demo.models.digits_cnn()
        self.passes, self.open, self.entered = True, threading.Event(), threading.Event()
        self.open.set()
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        if not self.open.is_set():
            self.entered.set()
            assert self.open.wait(PATIENCE)
        return self.inner(x)


@pytest.fixture
def gate() -> Any:
    model = Gate()
    yield model
    model.open.set()


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    pause = threading.Event()
    for _ in range(int(100 * PATIENCE)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it never happened")


def stuck(explored: Callable[..., Any], gate: Gate, few: lw.Samples) -> Any:
    """A dashboard whose worker stands still in the explanation of another sample."""
    dashboard = explored(gate, few)
    gate.open.clear()
    dashboard.gallery.set_state({"selected": 3})
    assert gate.entered.wait(PATIENCE)
    until(lambda: dashboard.status.level == "busy")
    return dashboard


def test_the_page_is_busy_and_the_old_picture_is_marked(explored, gate, few):
    dashboard = stuck(explored, gate, few)
    before = dashboard.heatmap.relevance
    until(lambda: dashboard.pins.view.stale)
    assert dashboard.status.text == "explaining by LRP …" and dashboard.status.can_cancel
    assert dashboard.heatmap.stale and dashboard.inspection.channels.stale
    gate.open.set()
    assert dashboard.settled(PATIENCE)
    assert dashboard.status.level == "ok" and not dashboard.status.can_cancel
    assert not (dashboard.heatmap.stale or dashboard.inspection.channels.stale or dashboard.pins.view.stale)
    assert not np.array_equal(dashboard.heatmap.relevance, before)


def test_cancelling_goes_back_to_what_is_shown(explored, gate, few):
    dashboard = stuck(explored, gate, few)
    before, settings = dashboard.heatmap.relevance, dashboard._last
    dashboard.status.set_state({"cancelled": 1})
    assert dashboard.settings == settings and dashboard.gallery.selected == 0
    gate.open.set()
    assert dashboard.settled(PATIENCE)
    assert dashboard.status.text.startswith("cancelled: back to what was shown before · ")
    assert dashboard.status.level == "ok" and not dashboard.heatmap.stale
    np.testing.assert_array_equal(dashboard.heatmap.relevance, before)
    moved(dashboard, dashboard.gallery, selected=5)
    assert not dashboard.status.text.startswith("cancelled")


def test_a_newer_move_outlives_the_cancellation_of_an_older_one(explored, gate, few):
    dashboard = stuck(explored, gate, few)
    dashboard.gallery.set_state({"selected": 4})
    dashboard.status.set_state({"cancelled": 1})
    gate.open.set()
    assert dashboard.settled(PATIENCE)
    assert dashboard.settings.sample == 4 and torch.equal(dashboard.explanation.inputs, few.inputs[4:5])
    assert dashboard.status.level == "ok" and not dashboard.status.text.startswith("cancelled")


def test_what_never_worked_can_be_cancelled_too(explored, gate, few):
    dashboard = explored(gate, few)
    dashboard._last = None
    gate.open.clear()
    dashboard.gallery.set_state({"selected": 3})
    assert gate.entered.wait(PATIENCE)
    until(lambda: dashboard.status.level == "busy")
    dashboard.status.set_state({"cancelled": 1})
    gate.open.set()
    assert dashboard.settled(PATIENCE)
    assert (dashboard.status.level, dashboard.status.text) == ("ok", "cancelled; any move explains again")
    assert dashboard.heatmap.stale
    moved(dashboard, dashboard.gallery, selected=5)
    assert not dashboard.heatmap.stale


def test_nothing_is_cancelled_where_nothing_is_made(explored, few):
    dashboard = explored(None, few)
    settings, text = dashboard.settings, dashboard.status.text
    dashboard.status.set_state({"cancelled": 1})
    assert dashboard.settled(PATIENCE)
    assert (dashboard.settings, dashboard.status.text) == (settings, text)


def test_the_quality_app_is_busy_too(assessed, gate, few):
    app = assessed(gate, few)
    gate.open.clear()
    app.source.gallery.set_state({"selected": 3})
    assert gate.entered.wait(PATIENCE)
    until(lambda: app.status.text.startswith("explaining by "))
    until(lambda: app.selectivity.curve.stale)
    gate.open.set()
    assert app.settled(PATIENCE)
    assert app.status.level == "ok" and not app.selectivity.heatmap.stale


SCRIPT = """
import sys
import torch
import lrp_widgets as lw

state = torch.get_rng_state()
app = lw.explore(lw.demo.models.digits_cnn(), lw.demo.data.digits())
assert app.settled(60)
assert not [name for name in sys.modules if name.startswith("sympy")]
app._rest(lambda: True)
assert not [name for name in sys.modules if name.startswith("sympy")]
app._rest(lambda: False)
before = set(sys.modules)
app.methods.value = lw.Gradient()
app.methods.value = lw.IntegratedGradients()
assert app.settled(60)
print(app.status.level, len([name for name in set(sys.modules) - before if name.startswith(("sympy", "torch"))]))
print(torch.equal(state, torch.get_rng_state()))
"""


def test_the_first_gradient_loads_nothing():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=2 * PATIENCE, cwd=ROOT, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok 0\nTrue\n", "")
