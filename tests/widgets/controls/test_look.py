"""LookEditor: how a picture looks, without sending its numbers again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lrp_widgets.widgets import HeatmapView, LayersView, LookEditor
from lrp_widgets.widgets.views.heatmap import ARRANGEMENTS, COLORMAPS, SIGNS


@pytest.fixture
def heatmap() -> HeatmapView:
    view = HeatmapView()
    view.show(np.eye(3, dtype=np.float32))
    return view


def test_the_controls_start_where_the_picture_is(heatmap):
    heatmap.arrangement, heatmap.colormap, heatmap.percentile, heatmap.opacity = "beside", "grey", 95.0, 0.5
    heatmap.signs, heatmap.pixelated = "separate", False
    heatmap.lock()
    look = LookEditor(heatmap)
    assert (look.arrangement.value, look.colormap.value, look.signs.value) == ("beside", "grey", "separate")
    assert (look.percentile.value, look.opacity.value, look.pixelated.value) == (95.0, 0.5, False)
    assert look.locked.value


def test_every_arrangement_colour_map_and_sign_is_offered(heatmap):
    look = LookEditor(heatmap)
    assert tuple(value for _, value in look.arrangement.options) == ARRANGEMENTS
    assert tuple(value for _, value in look.signs.options) == SIGNS
    assert look.colormap.options == COLORMAPS


def test_each_control_says_what_it_does_in_a_sentence(heatmap):
    look = LookEditor(heatmap)
    for control in (
        look.arrangement, look.colormap, look.signs, look.percentile, look.opacity, look.pixelated, look.locked,
        look.restore,
    ):  # fmt: skip
        assert control.tooltip.endswith(".") and control.tooltip.count(".") == 1, control.tooltip


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


@pytest.mark.parametrize("signs", SIGNS)
def test_a_choice_of_signs_reaches_the_picture(heatmap, signs):
    look = LookEditor(heatmap)
    look.signs.set_state({"index": SIGNS.index(signs)})
    assert heatmap.signs == signs


def test_a_locked_scale_stays_until_it_is_released(heatmap):
    look = LookEditor(heatmap)
    look.locked.set_state({"value": True})
    heatmap.show(5 * np.eye(3, dtype=np.float32))
    assert heatmap.limits == (1, 1) and look.percentile.disabled
    look.locked.set_state({"value": False})
    assert heatmap.limits == (5, 5) and not look.percentile.disabled


def test_the_scale_of_a_blank_picture_cannot_be_locked(heatmap):
    look = LookEditor(heatmap)
    heatmap.show(np.zeros((3, 3)))
    look.locked.set_state({"value": True})
    assert not look.locked.value and heatmap.locked == []


def test_opacity_is_for_what_lies_over_the_input(heatmap):
    look = LookEditor(heatmap)
    assert not look.opacity.disabled
    look.arrangement.set_state({"index": ARRANGEMENTS.index("mask")})
    assert look.opacity.disabled


def test_reset_brings_back_the_first_look(heatmap):
    heatmap.percentile = 99.0
    layers = LayersView()
    look = LookEditor(heatmap, layers)
    look.arrangement.set_state({"index": 2})
    look.colormap.set_state({"index": 3})
    look.signs.set_state({"index": 1})
    look.locked.set_state({"value": True})
    for name, control, value in (
        ("percentile", look.percentile, 91.0), ("opacity", look.opacity, 0.1), ("pixelated", look.pixelated, False),
    ):  # fmt: skip
        control.set_state({"value": value})
        heatmap.set_state({name: value})  # as the browser's own link does
    sequence = heatmap.sequence
    look.restore.click()
    assert (heatmap.arrangement, heatmap.colormap, heatmap.signs) == ("overlay", "red-blue", "symmetric")
    assert (heatmap.percentile, heatmap.opacity, heatmap.pixelated, heatmap.locked) == (99.0, 0.9, True, [])
    assert (look.arrangement.value, look.colormap.value, look.signs.value) == ("overlay", "red-blue", "symmetric")
    assert (look.percentile.value, look.opacity.value, look.pixelated.value) == (99.0, 0.9, True)
    assert (look.locked.value, look.percentile.disabled, look.opacity.disabled) == (False, False, False)
    assert (layers.colormap, heatmap.sequence) == ("red-blue", sequence)


def test_clip_and_opacity_go_from_slider_to_picture_inside_the_browser(heatmap):
    look = LookEditor(heatmap)
    links = {link.source[0].description: link for link in look._links}
    assert links["clip %"].source == (look.percentile, "value")
    assert links["clip %"].target == (heatmap, "percentile")
    assert links["opacity"].source == (look.opacity, "value")
    assert links["opacity"].target == (heatmap, "opacity")
    assert links["pixels"].source == (look.pixelated, "value")
    assert links["pixels"].target == (heatmap, "pixelated")


def test_no_control_sends_the_numbers_again(heatmap):
    look = LookEditor(heatmap)
    sequence, sent = heatmap.sequence, []

    def note(change: Any) -> None:
        sent.append(change["name"])

    heatmap.observe(note)
    look.arrangement.set_state({"index": 1})
    look.colormap.set_state({"index": 1})
    look.signs.set_state({"index": 1})
    look.percentile.set_state({"value": 95.0})
    look.opacity.set_state({"value": 0.5})
    look.pixelated.set_state({"value": False})
    look.locked.set_state({"value": True})
    assert sent == ["arrangement", "colormap", "signs", "locked"]
    assert heatmap.sequence == sequence


@pytest.mark.parametrize(
    ("control", "state", "problem"),
    [
        ("arrangement", {"index": 9}, "show: Invalid selection: index out of bounds"),
        ("colormap", {"index": -3}, "colours: Invalid selection: index out of bounds"),
        ("percentile", {"value": "most"}, "clip %: "),
        ("signs", {"index": 4}, "signs: Invalid selection: index out of bounds"),
        ("locked", {"value": "yes"}, "lock scale: "),
        ("opacity", {"min": 7.0}, "opacity: Setting min > max"),
    ],
)
def test_a_forged_look_is_told_and_changes_nothing(heatmap, control, state, problem):
    look = LookEditor(heatmap)
    before = {
        trait: getattr(heatmap, trait)
        for trait in ("arrangement", "colormap", "signs", "locked", "percentile", "opacity")
    }
    getattr(look, control).set_state(state)
    assert look.problem.startswith(problem)
    assert {trait: getattr(heatmap, trait) for trait in before} == before


@pytest.mark.parametrize(
    ("name", "moved", "said"),
    [
        ("arrangement", "mask", "Reset show to overlay"),
        ("colormap", "grey", "Reset colours to red-blue"),
        ("signs", "separate", "Reset signs to one scale"),
        ("percentile", 95.0, "Reset clip % to 100.0"),
        ("opacity", 0.3, "Reset opacity to"),
    ],
)
def test_each_control_that_was_moved_has_a_reset_of_its_own(heatmap, name, moved, said):
    look = LookEditor(heatmap)
    control = getattr(look, name)
    first = control.value
    (row,) = [child for child in look.children if getattr(child, "inner", None) is control]
    assert row.reset is None
    control.value = moved
    assert row.reset.tooltip.startswith(said) and "lrp-changed" in row._dom_classes
    row.reset.click()
    assert control.value == first and "lrp-changed" not in row._dom_classes
    if name in ("arrangement", "colormap", "signs"):  # the others are linked in the browser
        assert getattr(heatmap, name) == first
