"""The page Averaged: its maps and bounds are those of the wrappers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.apps.quality.averaged import NOISE, PLAIN, SHIFTS
from lrp_widgets.apps.quality.quality import Quality
from lrp_widgets.apps.quality.request import AveragingSettings
from lrp_widgets.apps.session.cores import cores_for
from lrp_widgets.apps.session.formatting import number
from lrp_widgets.evaluation.continuity.neighbourhoods import Noise
from lrp_widgets.params import params_of
from tests.apps.quality.moves import chosen, lines, moved, opened_at


def wrapped(app: Quality) -> dict[str, Any]:
    method = app.explanation.method
    how = app.continuity.averaged.averaging.value
    return {
        PLAIN: method,
        SHIFTS: lw.Translated(method, shift=how.shift, border=how.border),
        NOISE: lw.Smoothed(method, samples=how.samples, noise=how.noise),
    }


def test_averaged_maps_and_bounds_are_those_of_the_wrappers(assessed):
    app = opened_at(assessed(), "Averaged")
    page = app.continuity.averaged
    moved(app, page.averaging.control("samples").inner, value=5)
    moved(app, page.averaging.control("noise").inner, value=0.05)
    chosen(app, page.averaging.control("border").inner, "edge")
    chosen(app, app.continuity.near.picker, Noise.title)
    moved(app, app.continuity.near.editor.control("samples").inner, value=4)
    kind = app.continuity.near.value
    assert kind.samples == 4
    scale = float(np.abs(app.explanation.heatmap()).max())
    for name, method in wrapped(app).items():
        with cores_for(app.explainer.model, app.explanation.inputs):  # as the app explains
            explanation = lw.Explainer(app.explainer.model).explain(app.explanation.inputs, None, method)
        np.testing.assert_array_equal(page.maps[name].relevance, explanation.heatmap())
        assert page.maps[name].scale == pytest.approx(scale)
        path = lw.continuity(app.explainer.model, app.explanation.inputs, method, kind=kind)
        np.testing.assert_allclose(lines(page.ratios)[name], path.ratios, rtol=1e-3)
        assert f"max ‖ΔR‖ / ‖Δx‖ = {number(path.value)}" in page.maps[name].stamp
        assert f"{name} {number(path.value)}" in page.ratios.text


def test_the_averages_go_with_the_method(assessed):
    app = opened_at(assessed(), "Averaged")
    chosen(app, app.methods.picker, "Gradient")
    moved(app, app.continuity.averaged.averaging.control("shift").inner, value=0)
    plain, shifts = (app.continuity.averaged.maps[name] for name in (PLAIN, SHIFTS))
    np.testing.assert_allclose(shifts.relevance, plain.relevance, atol=1e-6)  # of one shift, by nothing
    assert "100% of plain" in shifts.stamp


def test_features_are_averaged_and_not_dragged(assessed):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    app = assessed(model, lw.Samples(torch.rand(5, 6), [0, 1, 2, 0, 1]))
    assert app.continuity.probe is None and "By hand" not in app.continuity.choice.pages
    opened_at(app, "Averaged")
    assert "of plain" in app.continuity.averaged.maps[NOISE].stamp


def test_what_averages_is_described_by_the_wrappers_alone():
    known = {each.name: each for each in (*params_of(lw.Translated), *params_of(lw.Smoothed))}
    assert [each.name for each in params_of(AveragingSettings)] == ["shift", "border", "samples", "noise"]
    assert all(each == known[each.name] for each in params_of(AveragingSettings))
