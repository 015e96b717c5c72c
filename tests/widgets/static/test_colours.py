"""colours.js: the colour tables, entry by entry, and what eyes can tell of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from widgets.colour_maps import STEPS, STOPS, colour

from lrp_widgets.widgets.views.heatmap import COLORMAPS


def table_of(node, name: str, dark: bool, veiled: bool) -> np.ndarray:
    """The entries of a table, (513, 4): red, green, blue and alpha, in the order in which a canvas has them."""
    table = f"colourTable({json.dumps(name)}, {json.dumps(dark)}, {json.dumps(veiled)})"
    return np.array(node("colours", f"Array.from(new Uint8Array({table}.buffer))")).reshape(-1, 4)


def test_every_colour_map_is_written_down_here():
    assert set(STOPS) == set(COLORMAPS)


@pytest.mark.parametrize("veiled", [False, True])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", COLORMAPS)
def test_every_entry_of_a_table(node, name, dark, veiled):
    expected = [colour(name, step / STEPS, dark, veiled) for step in range(-STEPS, STEPS + 1)]
    assert table_of(node, name, dark, veiled).tolist() == [list(entry) for entry in expected]


@pytest.mark.parametrize(
    ("name", "dark", "place", "rgba"),
    [
        ("red-blue", False, -1.0, [5, 48, 97, 255]),
        ("red-blue", False, 0.0, [247, 247, 247, 255]),
        ("red-blue", False, 0.5, [229, 131, 104, 255]),  # half-way from f4a582 to d6604d: 229, 130.5, 103.5
        ("red-blue", False, 1.0, [103, 0, 31, 255]),
        ("red-blue", True, -1.0, [158, 176, 255, 255]),
        ("red-blue", True, 0.0, [22, 22, 22, 255]),
        ("red-blue", True, 1.0, [255, 172, 172, 255]),
        ("orange-purple", False, -1.0, [45, 0, 75, 255]),
        ("orange-purple", False, 1.0, [127, 59, 8, 255]),
        ("green-purple", False, -0.5, [174, 139, 189, 255]),  # half-way from 9970ab to c2a5cf: 173.5, 138.5, 189
        ("green-purple", True, 1.0, [190, 253, 165, 255]),
        ("vik", False, 0.0, [236, 229, 225, 255]),
        ("vik", True, -1.0, [174, 219, 251, 255]),
        ("grey", False, -1.0, [0, 0, 0, 255]),
        ("grey", True, 0.0, [128, 128, 128, 255]),
    ],
)
def test_entries_by_hand(node, name, dark, place, rgba):
    assert table_of(node, name, dark, False)[int((place + 1) * STEPS)].tolist() == rgba


def test_veiled_entries_by_hand(node):
    table = table_of(node, "red-blue", False, True)
    assert table[STEPS].tolist() == [247, 247, 247, 0]
    # Half of the largest relevance: 0.125 · f4a582 + 0.875 · d6604d, and 0.5 to the power of 0.6 is 0.6598.
    assert table[STEPS + STEPS // 2].tolist() == [218, 105, 84, 168]
    assert table[-1].tolist() == [196, 60, 60, 255]  # half-way from d6604d to b2182b
    assert table[0].tolist() == [50, 125, 184, 255]  # half-way from 2166ac to 4393c3: 50, 124.5, 183.5


def lightness(node, name: str, dark: bool) -> np.ndarray:
    """L* of CIELAB along a colour map."""
    table = np.array(node("colours", f"Array.from(colourTable({json.dumps(name)}, {json.dumps(dark)}, false))"))
    rgb = np.stack([table & 255, table >> 8 & 255, table >> 16 & 255]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    y = np.array([0.2126, 0.7152, 0.0722]) @ linear
    return np.where(y > 0.008856, 116 * np.cbrt(y) - 16, 903.3 * y)


@pytest.mark.parametrize("name", [name for name in COLORMAPS if name != "grey"])
@pytest.mark.parametrize("dark", [False, True])
def test_a_colour_map_is_told_by_lightness_alone_and_says_as_much_to_either_side(node, name, dark):
    light = lightness(node, name, dark)
    size = np.abs(light - light[256])
    left, right = size[256::-1], size[256:]
    assert min(np.diff(left).min(), np.diff(right).min()) > -0.5  # a step of one of 256 reds is as much
    assert min(left[-1], right[-1]) > 50 and np.abs(left - right).max() < 25


def test_grey_is_told_by_lightness_alone(node):
    assert (np.diff(lightness(node, "grey", False)) >= 0).all()


def test_a_masked_pixel_is_as_bright_as_its_relevance(node):
    black = node("colours", "Array.from(maskTable(), (pixel) => pixel >>> 24)")
    assert black == [round(255 * (1 - abs(place / 256 - 1))) for place in range(513)]
    assert node("colours", "maskTable().every((pixel) => (pixel & 0xffffff) === 0)")
