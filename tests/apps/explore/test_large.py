"""Large things: inputs of more pixels than a message can carry are shown smaller; each of many classes is explained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.apps.session import large_maps
from lrp_widgets.apps.session.large_maps import show_map
from lrp_widgets.widgets import HeatmapView
from tests.apps.explore.test_explore import moved

PIXELS = 5_000  # what a message may carry here


def net(outputs: int = 5) -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 5, stride=4), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(96, outputs)).eval()


def test_an_input_of_three_million_pixels_is_shown(explored):
    dashboard = explored(net(), torch.rand(1, 3, 1200, 2400))
    assert dashboard.status.level == "ok", dashboard.status.text
    assert (dashboard.heatmap.shape, dashboard.heatmap.image_shape) == ([600, 1200], [600, 1200, 3])
    assert dashboard.heatmap.stamp.endswith(" · shown smaller: 2 × 2 pixels pooled to one")


@pytest.fixture
def few_pixels(monkeypatch):
    monkeypatch.setattr(large_maps, "MOST_VALUES", PIXELS)


def test_what_is_pooled_keeps_its_sum_and_a_click_finds_the_pixel(explored, few_pixels):
    dashboard = explored(net(), torch.rand(2, 3, 118, 250))
    whole = dashboard.explanation.heatmap()
    assert (dashboard.heatmap.shape, dashboard.projection.block) == ([40, 84], 3)
    assert float(dashboard.heatmap.relevance.sum()) == pytest.approx(float(dashboard.explanation.total), rel=1e-4)
    np.testing.assert_allclose(dashboard.heatmap.relevance[39, 83], whole[117:, 249:].sum(), rtol=1e-5)
    moved(dashboard, dashboard.heatmap, clicked={"x": 20, "y": 10, "count": 1})
    inside = np.abs(whole[30:33, 60:63])
    row, column = np.unravel_index(inside.argmax(), inside.shape)
    (stop,) = dashboard.settings.trail
    assert (stop.row, stop.column) == (30 + row, 60 + column)
    moved(dashboard, dashboard.layers, selected="0")  # a layer at the input is as large
    assert dashboard.projection.block == 3
    moved(dashboard, dashboard.heatmap, region=[[0, 0], [84, 0], [84, 20], [0, 20]])
    region, grid = dashboard.projection.region()
    assert grid == [29, 62] and np.array(region)[:, 1].max() == pytest.approx((60 - 2) / 4 + 0.5, abs=0.5)
    moved(dashboard, dashboard.heatmap, at_input=False)
    assert (dashboard.heatmap.shape, dashboard.projection.block) == ([29, 62], 1)
    assert "shown smaller" not in dashboard.heatmap.stamp


def test_an_image_is_shown_by_its_means(few_pixels):
    view, image = HeatmapView(), np.zeros((100, 100, 3), np.uint8)
    image[:, ::2] = 200
    assert show_map(view, np.ones((100, 100)), image, "x") == 2
    pixels = np.frombuffer(view.image, np.uint8).reshape(view.image_shape)
    assert pixels.shape == (50, 50, 3) and (pixels == 100).all() and (view.relevance == 4).all()
    assert show_map(view, np.ones((10, 500)), np.full((10, 500), 0.5), "x") == 1
    assert view.stamp == "x"


def test_the_quality_app_shows_large_inputs_too(opened, few_pixels):
    app = opened(lw.quality, lw.Samples(torch.rand(2, 3, 80, 90)), net())
    assert app.status.level == "ok" and app.selectivity.heatmap.shape == [40, 45]
    for page in app.pages.pages:
        app.pages.selected = page
        assert app.settled(60) and app.status.level == "ok", (page, app.status.text)


def test_each_of_a_thousand_classes_is_explained(explored):
    names = tuple(f"kind {index}" for index in range(1200))
    dashboard = explored(net(1200), lw.Samples(torch.rand(2, 3, 30, 30), classes=names))
    assert len(dashboard.classes.names) == 1200
    for label in (1199, 1000, 0):
        moved(dashboard, dashboard.classes, selected=label, auto=False)
        assert dashboard.explanation.target == (label,)
        moved(dashboard, dashboard.against, index=1 + (label + 7) % 1200)
        assert dashboard.settings.target == lw.contrast(label, (label + 7) % 1200)
        moved(dashboard, dashboard.against, index=0)
