"""A hidden layer at the input: a look that asks no engine, and every pixel leads to the right neuron."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.apps.explore.explore import Dashboard
from lrp_widgets.apps.session.settings import Pixel
from tests.apps.explore.test_explore import fresh, moved
from tests.engine.analysis.test_receptive_field import Enlarged

LAYER = "features.3"  # 8 × 8 positions; each sees 14 × 14 pixels, every 2


@pytest.fixture
def dashboard(explored) -> Dashboard:
    made = explored()
    moved(made, made.layers, selected=LAYER)
    return made


def test_a_layer_lies_over_the_input(dashboard):
    relevance = fresh(dashboard).layer(LAYER)
    field = lw.receptive_field(dashboard.explainer.model, dashboard.samples.inputs[:1], LAYER)
    expected = lw.at_input(relevance[0].sum(0), field)
    np.testing.assert_allclose(dashboard.heatmap.relevance, expected.numpy(), atol=1e-6)
    assert dashboard.heatmap.relevance.sum() == pytest.approx(float(relevance.sum()), rel=1e-5)
    assert dashboard.heatmap.image_shape == [28, 28, 1]
    assert dashboard.projection.note.value == "one position sees 14 × 14 px, every 2 px"
    channels = dashboard.inspection.channels
    moved(dashboard, channels, selected=channels.channels[1])
    expected = lw.at_input(relevance[0, channels.channels[1]], field)
    np.testing.assert_allclose(dashboard.heatmap.relevance, expected.numpy(), atol=1e-6)


def test_the_switch_is_a_look_and_asks_no_engine(dashboard, monkeypatch):
    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("the engine was asked")

    answered, at_input = dashboard.explanation, dashboard.heatmap.relevance
    for name in ("explain", "propagate", "tape"):
        monkeypatch.setattr(dashboard.explainer, name, forbidden)
    moved(dashboard, dashboard.projection.switch, value=False)
    assert dashboard.heatmap.shape == [8, 8] and dashboard.heatmap.image_shape == [0, 0, 0]
    np.testing.assert_allclose(dashboard.heatmap.relevance, answered.layer(LAYER)[0].sum(0).numpy(), atol=1e-6)
    moved(dashboard, dashboard.projection.switch, value=True)
    np.testing.assert_array_equal(dashboard.heatmap.relevance, at_input)
    assert dashboard.explanation is answered


def test_it_is_part_of_the_link(dashboard):
    moved(dashboard, dashboard.projection.switch, value=False)
    other = lw.explore(dashboard.explainer.model, dashboard.samples, state=dashboard.sharebar.state)
    try:
        assert other.settled(60)
        assert other.heatmap.shape == [8, 8] and other.projection.switch.value is False
    finally:
        other.close()


@pytest.mark.parametrize(("y", "x"), [(0, 0), (13, 14), (27, 27), (9, 20)])
def test_a_pixel_leads_to_the_neuron_that_looks_there(dashboard, y, x):
    field = dashboard.projection.field
    centres = [field.centre[0] + field.stride[0] * np.arange(8) for _ in range(2)]
    row, column = (int(np.abs(centre - (at + 0.5)).argmin()) for centre, at in zip(centres, (y, x), strict=True))
    moved(dashboard, dashboard.heatmap, clicked={"x": x, "y": y, "count": 1})
    ((known,), view) = dashboard.settings.trail, dashboard.inspection.arithmetic
    assert isinstance(known, Pixel) and known.layer == LAYER
    assert abs(centres[0][known.row] - y - 0.5) == pytest.approx(abs(centres[0][row] - y - 0.5))
    assert abs(centres[1][known.column] - x - 0.5) == pytest.approx(abs(centres[1][column] - x - 0.5))
    relevance = dashboard.explanation.layer(LAYER)[0, :, known.row, known.column]
    assert view.neuron["relevance"] == pytest.approx(float(relevance[relevance.abs().argmax()]), rel=1e-5)


def test_a_region_of_the_picture_holds_the_positions_whose_centres_are_in_it(dashboard):
    field = dashboard.projection.field
    top, left, bottom, right = 5.0, 8.0, 14.5, 18.0
    moved(dashboard, dashboard.heatmap, region=[[left, top], [right, top], [right, bottom], [left, bottom]])
    dashboard.filter_region(block=False)
    assert dashboard.settled(30)
    kept = dashboard.explanation.layer(LAYER)[0].abs().sum(0) > 0
    rows, columns = ((field.centre[0] + field.stride[0] * torch.arange(8)) for _ in range(2))
    inside = ((rows > top) & (rows < bottom))[:, None] & ((columns > left) & (columns < right))[None]
    assert not (kept & ~inside).any() and (kept & inside).any()


def test_without_a_field_there_is_the_small_map(explored):
    class Behind(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.flat = Enlarged(), nn.Flatten()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.flat(self.inner(x))

    dashboard = explored(Behind().eval(), torch.rand(3, 1, 8, 8))
    moved(dashboard, dashboard.layers, selected="inner.end")
    assert dashboard.heatmap.shape == [12, 12] and dashboard.projection.switch.disabled
    assert "what a position sees is not known" in dashboard.projection.note.value
    assert "upsample_bilinear2d" in dashboard.projection.note.value
    moved(dashboard, dashboard.layers, selected="inner.conv")
    assert dashboard.heatmap.shape == [8, 8] and not dashboard.projection.switch.disabled


def test_where_all_is_seen_or_nothing_is_a_map(dashboard):
    moved(dashboard, dashboard.layers, selected="features.8")
    assert dashboard.heatmap.shape == [1, 1] and dashboard.projection.switch.disabled
    assert dashboard.projection.note.value == "every position sees the whole input"
    for layer in ("classifier.2", ""):
        moved(dashboard, dashboard.layers, selected=layer)
        assert dashboard.projection.row.layout.display == "none"


def test_patches_are_found_once_and_only_in_sight(dashboard, monkeypatch):
    page, channels = dashboard.patches, dashboard.inspection.channels
    moved(dashboard, channels, selected=channels.channels[0])
    assert page.signals.shape == [0, 0, 0]  # nobody looks
    dashboard.views.selected = "Patches"
    assert dashboard.settled(60)
    found = lw.top_patches(dashboard.explainer, dashboard.samples.inputs, LAYER, channels.channels[0])
    assert [caption["title"] for caption in page.signals.captions] == [f"{patch.activation:.3g}" for patch in found]
    assert page.crops.shape == [9, 14, 14, 1]
    before = page.signals.sequence
    moved(dashboard, dashboard.gallery, selected=4)
    assert page.signals.sequence == before  # another sample, the same channel
    moved(dashboard, page.crops, selected=2)
    assert dashboard.settings.sample == dashboard.gallery.selected == found[2].index
    moved(dashboard, dashboard.layers, selected="features.0")  # its sum
    assert "Choose a layer" in page.caption.value and page.signals.shape[0] == 0


def test_a_newer_request_ends_the_search(dashboard):
    channels = dashboard.inspection.channels
    moved(dashboard, channels, selected=channels.channels[0])
    steps = list(dashboard.patches.of(dashboard.settings, lambda: True))
    assert [len(step.patches) for step in steps] == [0]
    again = list(dashboard.patches.of(dashboard.settings, lambda: False))  # nothing was kept of it
    assert [len(step.patches) for step in again] == [0, 9]
    assert list(dashboard.patches.of(dashboard.settings, lambda: False)) == []
