"""LookEditor: how a picture looks, without sending its numbers again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lrp_widgets.widgets import HeatmapView, LayersView, LookEditor
from lrp_widgets.widgets.heatmap import ARRANGEMENTS, COLORMAPS


@pytest.fixture
def heatmap() -> HeatmapView:
    view = HeatmapView()
    view.show(np.eye(3, dtype=np.float32))
    return view


def test_the_controls_start_where_the_picture_is(heatmap):
    heatmap.arrangement, heatmap.colormap, heatmap.percentile, heatmap.opacity = "beside", "grey", 95.0, 0.5
    look = LookEditor(heatmap)
    assert (look.arrangement.value, look.colormap.value) == ("beside", "grey")
    assert (look.percentile.value, look.opacity.value) == (95.0, 0.5)


def test_every_arrangement_and_colour_map_is_offered(heatmap):
    look = LookEditor(heatmap)
    assert tuple(value for _, value in look.arrangement.options) == ARRANGEMENTS
    assert look.colormap.options == COLORMAPS


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_a_choice_of_arrangement_reaches_the_picture(heatmap, name):
    look = LookEditor(heatmap)
    look.arrangement.set_state({"index": ARRANGEMENTS.index(name)})
    assert heatmap.arrangement == name


def test_colours_are_those_of_the_picture_and_of_the_layers(heatmap):
    layers = LayersView()
    look = LookEditor(heatmap, layers)
    look.colormap.set_state({"index": 1})
    assert heatmap.colormap == layers.colormap == COLORMAPS[1]


def test_clip_and_opacity_go_from_slider_to_picture_inside_the_browser(heatmap):
    look = LookEditor(heatmap)
    links = {link.source[0].description: link for link in look._links}
    assert links["clip at %"].source == (look.percentile, "value")
    assert links["clip at %"].target == (heatmap, "percentile")
    assert links["opacity"].source == (look.opacity, "value")
    assert links["opacity"].target == (heatmap, "opacity")


def test_no_control_sends_the_numbers_again(heatmap):
    look = LookEditor(heatmap)
    sequence, sent = heatmap.sequence, []

    def note(change: Any) -> None:
        sent.append(change["name"])

    heatmap.observe(note)
    look.arrangement.set_state({"index": 1})
    look.colormap.set_state({"index": 1})
    look.percentile.set_state({"value": 95.0})
    look.opacity.set_state({"value": 0.5})
    assert sent == ["arrangement", "colormap"]
    assert heatmap.sequence == sequence


@pytest.mark.parametrize(
    ("control", "state", "problem"),
    [
        ("arrangement", {"index": 9}, "show: Invalid selection: index out of bounds"),
        ("colormap", {"index": -3}, "colours: Invalid selection: index out of bounds"),
        ("percentile", {"value": "most"}, "clip at %: "),
        ("opacity", {"min": 7.0}, "opacity: Setting min > max"),
    ],
)
def test_a_forged_look_is_told_and_changes_nothing(heatmap, control, state, problem):
    look = LookEditor(heatmap)
    before = {trait: getattr(heatmap, trait) for trait in ("arrangement", "colormap", "percentile", "opacity")}
    getattr(look, control).set_state(state)
    assert look.problem.startswith(problem)
    assert {trait: getattr(heatmap, trait) for trait in before} == before
