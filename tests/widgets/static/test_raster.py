"""raster.js: what is read from a map of numbers and from an image, and how they become pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from widgets.colour_maps import colour, step_of

from lrp_widgets.widgets.views.heatmap import COLORMAPS, SIGNS, HeatmapView


@pytest.mark.parametrize("percent", [50, 90, 99.3, 100])
def test_percentile_is_numpy_s(node, percent):
    values = np.random.default_rng(0).normal(size=400).astype("<f4") ** 3
    values[:40] = 0
    got = node(
        "raster",
        "percentileOf(readRaster(new DataView(Float32Array.from(given.values).buffer), [20, 20]), given.percent)",
        {"values": values.tolist(), "percent": percent},
    )
    assert got == pytest.approx(np.percentile(np.abs(values), percent), rel=1e-6)


def test_a_raster_leaves_out_what_is_not_finite(node):
    expression = (
        "(() => { const raster = readRaster(new DataView(Float32Array.of(1, NaN, -3, Infinity, 0, 2).buffer), [2, 3]);"
        "return [raster.largest, raster.sum, raster.broken, percentileOf(raster, 50), countBeyond(raster, 1.5)]; })()"
    )
    assert node("raster", expression) == [3, 0, 2, 1.5, 3]  # an infinite number lies beyond every limit


MAP = np.array([[1.0, -2.0, 3.0], [0.0, 4.0, -5.0]], np.float32)
# What a HeatmapView does: the scale of scale.js, the table of colours.js, the pixels of raster.js.
COLOURED = """(() => {
  const values = Float32Array.from(given.values.flat(), (value) => value ?? NaN);
  const raster = readRaster(new DataView(values.buffer), given.shape);
  const table = $colours.colourTable(given.name, given.dark, given.veiled);
  return Array.from(colourRaster(raster, given.ends, table, given.unknown).data);
})()"""


def coloured(node, values: np.ndarray, name: str, ends: tuple[float, float], dark=False, veiled=False, unknown=0):
    """The pixels of a map, (h, w, 4): red, green, blue and alpha."""
    given = {
        "values": [[float(value) if math.isfinite(value) else None for value in row] for row in values],
        "shape": values.shape,
        "name": name,
        "ends": {"low": ends[0], "high": ends[1]},
        "dark": dark,
        "veiled": veiled,
        "unknown": unknown,
    }
    return np.array(node("raster", COLOURED, given)).reshape(*values.shape, 4)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("signs", SIGNS)
@pytest.mark.parametrize("name", COLORMAPS)
def test_the_colour_of_every_value(node, name, signs, dark):
    view = HeatmapView(signs=signs)
    view.show(MAP)
    expected = [[list(colour(name, step_of(value, *view.limits), dark)) for value in row] for row in MAP]
    assert coloured(node, MAP, name, view.limits, dark).tolist() == expected


def test_colours_by_hand(node):
    red, blue, white = [103, 0, 31, 255], [5, 48, 97, 255], [247, 247, 247, 255]
    line = np.array([[-8.0, -4.0, 0.0, 2.0, 4.0, 1e9]])
    orange = [229, 131, 104, 255]  # half of the way to the end
    assert coloured(node, line, "red-blue", (4, 4)).tolist() == [[blue, blue, white, orange, red, red]]
    assert coloured(node, line, "red-blue", (0, 4)).tolist() == [[white, white, white, orange, red, red]]
    assert coloured(node, line, "red-blue", (8, 0))[0, [0, 2, 3, 4]].tolist() == [blue, white, white, white]
    assert coloured(node, line, "red-blue", (0, 0)).tolist() == [[white] * 6]


def test_what_is_not_finite_is_transparent_or_has_a_colour_of_its_own(node):
    line = np.array([[math.nan, 1.0]])
    assert coloured(node, line, "red-blue", (1, 1))[0, 0].tolist() == [0, 0, 0, 0]
    assert coloured(node, line, "red-blue", (1, 1), unknown=0xFF000000)[0, 0].tolist() == [0, 0, 0, 255]


def image_of(node, pixels: list[int], shape: list[int], underlay: bool) -> list[list[int]]:
    expression = (
        "Array.from(readImage(new DataView(Uint8Array.from(given.pixels).buffer), given.shape, given.underlay).data)"
    )
    got = node("raster", expression, {"pixels": pixels, "shape": shape, "underlay": underlay})
    return np.array(got).reshape(-1, 4).tolist()


def test_an_rgb_image_keeps_its_colours(node):
    got = image_of(node, [255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30], [2, 2, 3], False)
    assert got == [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255], [10, 20, 30, 255]]


def test_a_grey_image_is_grey(node):
    assert image_of(node, [0, 128, 255], [1, 3, 1], False) == [[0, 0, 0, 255], [128] * 3 + [255], [255] * 4]


def test_under_a_heatmap_an_image_is_grey_and_dimmed(node):
    # 30 + 0.6 · (0.299 R + 0.587 G + 0.114 B): 30 + 0.6 · 76.245, 30 + 0.6 · 149.685, 30 + 0.6 · 29.07
    got = image_of(node, [255, 0, 0, 0, 255, 0, 0, 0, 255], [1, 3, 3], True)
    assert got == [[76, 76, 76, 255], [120, 120, 120, 255], [47, 47, 47, 255]]
    assert image_of(node, [0, 100, 255], [1, 3, 1], True) == [[30] * 3 + [255], [90] * 3 + [255], [183] * 3 + [255]]


def test_an_image_of_another_size_is_none(node):
    assert node("raster", "readImage(new DataView(new ArrayBuffer(5)), [2, 1, 3], false)") is None


def test_maps_one_behind_the_other(node):
    values = "new DataView(Float32Array.of(1, 2, 3, 4, 5, 6).buffer)"
    assert node("raster", f"readRasters({values}, [3, 1, 2]).map(({{ sum }}) => sum)") == [3, 7, 11]
    assert node("raster", "readRasters(null, [3, 1, 2])") == []
