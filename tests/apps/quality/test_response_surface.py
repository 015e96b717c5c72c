"""The page Response surface: what lw.sweep gives; it goes on while something else is moved, and can be cancelled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lrp_widgets as lw
from lrp_widgets.apps.quality.quality import Quality
from lrp_widgets.apps.quality.request import with_changes
from lrp_widgets.apps.quality.response_surface import sweepable, values_of
from lrp_widgets.evaluation import pareto
from tests.apps.quality.moves import chosen, moved, pressed, turned


@pytest.fixture
def app(assessed) -> Quality:
    return assessed()


def test_a_sweep_and_one_of_its_settings(app):
    turned(app, "Response surface")
    assert app.surface.maps.shape == [0, 0, 0]
    chosen(app, app.surface.second, "gamma")
    moved(app, app.surface.count, value=3)
    pressed(app, app.surface.running.start)
    known = {each.name: each for each in sweepable(app.methods.value)}
    over = {name: values_of(known[name], 3) for name in ("alpha", "gamma")}
    wanted = list(lw.sweep(app.explainer.model, app.explanation.inputs, app.methods.value, over))
    assert [result.parameters for result in app.surface.results] == [result.parameters for result in wanted]
    np.testing.assert_allclose([r.area for r in app.surface.results], [r.area for r in wanted], rtol=1e-4)
    assert app.surface.running.text.value == "9 of 9 settings"
    assert (app.surface.maps.shape[0], app.surface.maps.columns) == (9, 3)
    assert tuple(caption["marked"] for caption in app.surface.maps.captions) == pareto(app.surface.results)
    assert [len(line["x"]) for line in app.surface.curves["sparsity"].lines] == [3, 3, 3]
    moved(app, app.surface.maps, picked={"index": 5, "count": 1})
    assert app.methods.value == app.explanation.method == app.surface.results[5].method
    assert app.surface.maps.selected == 5
    moved(app, app.surface.pareto, index=3)
    marked = tuple(caption["marked"] for caption in app.surface.maps.captions)
    assert marked == pareto(app.surface.results, ("area", "continuity", "sparsity", "absorbed"))


def test_a_sweep_goes_on_while_something_else_is_moved(app):
    moves: list[float] = []
    steps: list[float] = []

    def move(change: Any) -> None:
        steps.append(change["new"])
        if len(moves) < 3 and change["new"] > 0:
            moves.append(change["new"])
            app.methods.editor.control("epsilon").inner.set_state({"value": 10.0 ** -len(moves)})
            app._latest.request(app.asked)

    app.surface.running.bar.observe(move, "value")
    turned(app, "Response surface")
    pressed(app, app.surface.running.start)
    assert len(moves) == 3 and steps == sorted(steps)  # it never began again
    assert len(app.surface.results) == 5
    assert {result.method.composite.epsilon for result in app.surface.results} == {1e-6}  # as it was at the start


def test_a_cancelled_sweep_keeps_what_it_has(app):
    def cancel(change: Any) -> None:
        if 0 < change["new"] < 1:
            app.asked = with_changes(app.asked, sweep=None)

    turned(app, "Response surface")
    app.surface.running.bar.observe(cancel, "value")
    pressed(app, app.surface.running.start)
    assert len(app.surface.results) == 1
    assert app.surface.running.text.value == "1 of 5 settings · cancelled"
    assert app.surface.running.cancel.disabled
    app.surface.running.bar.unobserve(cancel, "value")
    pressed(app, app.surface.running.start)
    assert len(app.surface.results) == 5


def test_the_parameters_follow_the_method(app):
    turned(app, "Response surface")
    chosen(app, app.methods.picker, "SmoothGrad")
    assert [name for _, name in app.surface.first.options] == [each.name for each in sweepable(lw.SmoothGrad())]
    chosen(app, app.methods.picker, "Gradient")
    if not sweepable(lw.Gradient()):
        pressed(app, app.surface.running.start)
        said = "ValueError: Gradient has no parameter to sweep. Choose another method."
        assert (app.status.level, app.status.text) == ("error", said)
