"""Regions: Python and the browser must come to the same pixels, sums and numbers."""

from __future__ import annotations

import numpy as np
import pytest

from lrp_widgets.polygon import polygon_mask
from lrp_widgets.widgets.views.region import RegionShare, share_of

MAP = np.array([[1.0, -2.0, 3.0], [0.0, 4.0, -5.0]])
RASTER = "$raster.readRaster(new DataView(Float32Array.from(given.values.flat()).buffer), given.shape)"


def given(values: np.ndarray, **more: object) -> dict[str, object]:
    return {"values": values.tolist(), "shape": list(values.shape), **more}


def polygons() -> list[list[list[float]]]:
    rng = np.random.default_rng(0)
    free = [np.column_stack([rng.uniform(0, 13, n), rng.uniform(0, 9, n)]) for n in (3, 5, 40, 400)]
    halves = [np.floor(polygon * 2) / 2 for polygon in free]  # edges that meet centres and borders
    return [polygon.tolist() for polygon in free + halves]


@pytest.mark.parametrize("polygon", polygons(), ids=lambda polygon: f"{len(polygon)} vertices")
def test_the_mask_is_the_same_in_the_browser(node, polygon):
    mask = polygon_mask(polygon, 9, 13)
    assert node("region", "Array.from(insideOf(given, 13, 9))", polygon) == mask.astype(int).flatten().tolist()


def test_share():
    inside = np.array([[True, True, False], [False, True, False]])
    share = share_of(MAP, inside)
    assert share == RegionShare(inside=3, total=1, inside_size=7, total_size=15, area=0.5)
    assert (share.outside, share.part, share.part_of_size) == (-2, None, 7 / 15)  # 300 % would say nothing
    assert share.density == pytest.approx(14 / 15)
    assert share_of(np.abs(MAP), inside).part == share_of(np.abs(MAP), inside).part_of_size == 7 / 15
    assert share_of(-np.abs(MAP), inside).part == 7 / 15
    nothing = share_of(np.zeros((2, 3)), inside)
    assert (nothing.part, nothing.part_of_size, nothing.density) == (None, None, None)
    assert share_of(MAP, np.zeros((2, 3), bool)).density is None
    assert share_of(np.array([[np.nan, np.inf, 2]]), np.ones((1, 3), bool)).total_size == 2


def test_share_is_the_same_in_the_browser(node):
    rng = np.random.default_rng(1)
    values, polygon = rng.normal(size=(9, 13)).astype(np.float32), polygons()[1]
    share = share_of(values, polygon_mask(polygon, 9, 13))
    got = node(
        "heatmap",
        f"(() => {{ const raster = {RASTER}; return shareOf(raster, $region.insideOf(given.polygon, 13, 9)); }})()",
        given(values, polygon=polygon),
    )
    assert got["inside"] == pytest.approx(share.inside) and got["insideSize"] == pytest.approx(share.inside_size)
    assert got["totalSize"] == pytest.approx(share.total_size) and got["area"] == share.area


@pytest.mark.parametrize(
    ("share", "total", "lines"),
    [
        (
            {"inside": 12.3, "insideSize": 12.3, "totalSize": 21, "area": 0.142},
            21,
            ["inside +12.30 of ΣR +21.00 (58.6 %)", "58.6 % of |R| on 14.2 % of the area: 4.1 × its share"],
        ),
        (
            {"inside": -3, "insideSize": 5, "totalSize": 20, "area": 0.5},
            -12,
            ["inside −3.00 of ΣR −12.00 (25.0 %)", "25.0 % of |R| on 50.0 % of the area: 0.50 × its share"],
        ),
        (
            {"inside": -3, "insideSize": 3, "totalSize": 13, "area": 0.001},
            7,
            ["inside −3.00, outside +10.00, ΣR +7.00", "23.1 % of |R| on 0.1 % of the area: 231 × its share"],
        ),
        (
            {"inside": 2, "insideSize": 2, "totalSize": 4, "area": 0.5},
            0,
            ["inside +2.000, outside −2.000, ΣR 0.000", "50.0 % of |R| on 50.0 % of the area: 1.0 × its share"],
        ),
        (
            {"inside": 0, "insideSize": 0, "totalSize": 0, "area": 0.25},
            0,
            ["no relevance in this picture", "25.0 % of the area"],
        ),
    ],
)
def test_a_share_in_words(node, share, total, lines):
    said = node("region", "sayShare(given.share, given.total)", {"share": share, "total": total})
    assert [line.replace("\u00a0", " ") for line in said] == lines


def test_what_is_drawn(node):
    assert node("region", "rectangle([5.6, 1.4], [2.4, 3.5])") == [[2, 1], [6, 1], [6, 4], [2, 4]]
    line = "Array.from({ length: 1000 }, (_, i) => [i / 3, 0])"
    thinned = node("region", f"thinned({line})")
    assert len(thinned) == 250 and thinned[:2] == [[0, 0], [1.33, 0]]
