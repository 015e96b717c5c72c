"""The page Data set: it shows what lw.evaluate gives, slice by slice, and can be cancelled."""

from __future__ import annotations

from typing import Any

import pytest

import lrp_widgets as lw
from lrp_widgets.apps.quality.quality import Quality
from lrp_widgets.apps.quality.request import with_changes
from tests.apps.quality.moves import moved, pressed, turned


@pytest.fixture
def app(assessed) -> Quality:
    return assessed()


def test_the_data_set_is_what_evaluate_gives(app, few):
    turned(app, "Data set")
    moved(app, app.data_set.count, value=6)
    pressed(app, app.data_set.running.start)
    names = app.data_set.methods.value
    half = lw.Samples(few.inputs[:6], few.labels[:6], few.classes)
    methods = {name: dict(app.data_set._choices).get(name, app.methods.value) for name in names}
    metrics = {
        "Selectivity": lw.metrics.Selectivity(patch=4),
        "Sparsity": lw.metrics.Sparsity(),
        "Completeness": lw.metrics.Completeness(),
    }
    wanted = lw.evaluate(app.explainer.model, half, methods, metrics, batch=8, progress=False)
    assert app.data_set.measured == wanted
    assert app.data_set.running.text.value == "54 of 54 numbers"
    assert "95 % bootstrap interval" in app.data_set.table.value
    assert "Differences on the same samples" in app.data_set.table.value


def test_an_evaluation_is_shown_slice_by_slice_and_can_be_cancelled(app, monkeypatch):
    monkeypatch.setattr("lrp_widgets.apps.quality.data_set.SLICE", 0.0)
    shown: list[float] = []

    def cancel(change: Any) -> None:
        shown.append(change["new"])
        if len(shown) == 3:
            app.asked = with_changes(app.asked, evaluation=None)

    turned(app, "Data set")
    app.data_set.running.bar.observe(cancel, "value")
    pressed(app, app.data_set.running.start)
    assert len(shown) == 3 and app.data_set.running.text.value == "3 of 108 numbers · cancelled"
    assert len(app.data_set.measured) == 3
