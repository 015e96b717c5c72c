"""scale.js: where the colours end, what stands under the colour bar, and that Python agrees."""

from __future__ import annotations

import numpy as np
import pytest

from lrp_widgets.widgets.views.heatmap import SIGNS, HeatmapView

MAP = np.array([[1.0, -2.0, 3.0], [0.0, 4.0, -5.0]])
RASTER = "$raster.readRaster(new DataView(Float32Array.from(given.values.flat()).buffer), given.shape)"


def given(values: np.ndarray, **more: object) -> dict[str, object]:
    return {"values": values.tolist(), "shape": list(values.shape), **more}


def ends(node, values: np.ndarray, **scale: object) -> list[float]:
    settings = {"signs": "symmetric", "percentile": 100, "scale": None, "locked": [], **scale}
    got = node("scale", f"endsOf({RASTER}, given.scale)",
               given(values, scale=settings))  # fmt: skip
    return [got["low"], got["high"]]


@pytest.mark.parametrize("signs", SIGNS)
@pytest.mark.parametrize("percentile", [100.0, 97.3, 60.0])
def test_the_colours_end_where_python_says(node, signs, percentile):
    values = (np.random.default_rng(2).normal(size=(9, 13)) ** 3 + 0.1).astype(np.float32)
    values[0] = 0
    view = HeatmapView(signs=signs, percentile=percentile)
    view.show(values)
    assert ends(node, values, signs=signs, percentile=percentile) == pytest.approx(view.limits, rel=1e-6)
    view.show(values, scale=0.5)
    assert ends(node, values, signs=signs, percentile=percentile, scale=0.5) == list(view.limits)
    view.locked = [0.25, 0.75]
    assert ends(node, values, signs=signs, percentile=percentile, scale=0.5, locked=view.locked) == list(view.limits)


@pytest.mark.parametrize(
    ("scale", "labels", "note"),
    [
        ({}, ["−5.00", "0", "+5.00"], "scale: largest |R|"),
        ({"signs": "separate"}, ["−5.00", "0", "+4.00"], "scales: largest of each sign"),
        ({"signs": "positive"}, ["0", "", "+4.00"], "scale: largest R · R < 0 not shown"),
        ({"signs": "negative"}, ["−5.00", "", "0"], "scale: lowest R · R > 0 not shown"),
        ({"percentile": 50}, ["−2.50", "0", "+2.50"], "percentile 50 of |R| · 3 clipped · largest 5.000"),
        (
            {"percentile": 50, "signs": "positive"},
            ["0", "", "+3.00"],
            "percentile 50 of R > 0 · 1 clipped · largest 4.000 · R < 0 not shown",
        ),
        ({"scale": 7}, ["−7.00", "0", "+7.00"], "scale set · largest 5.000"),
        ({"locked": [1, 2], "signs": "separate"}, ["−1.00", "0", "+2.00"], "scale locked · 4 clipped · largest 5.000"),
    ],
)
def test_the_legend_says_how_the_scale_came_about(node, scale, labels, note):
    settings = {"signs": "symmetric", "percentile": 100, "scale": None, "locked": [], **scale}
    expression = (
        f"(() => {{ const raster = {RASTER}; "
        "const ends = endsOf(raster, given.scale); return [endLabels(ends), noteOf(raster, ends, given.scale)]; })()"
    )
    assert node("scale", expression, given(MAP, scale=settings)) == [labels, note]


RASTERS = "given.map((row) => $raster.readRaster(new DataView(Float32Array.from(row).buffer), [1, row.length]))"


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [
        ("rasters", 6),  # the largest |R| of all maps
        ("rasters, 50", 3),  # the medians of |R|: 2, 3 and 1
        ("rasters, 75", 4.5),  # 2.5, 4.5 and 1
        ("[rasters[0], null, rasters[2]], 50", 2),  # a map that is not there has no part in it
        ("rasters, 50, 0.25", 0.25),
        ("rasters, 100, 9", 9),
        ("rasters, 50, 0", 3),
        ("[]", 0),
        ("[null]", 0),
    ],
)
def test_maps_beside_each_other_share_the_largest_of_their_limits(node, arguments, limit):
    maps = [[1.0, -2.0, 3.0], [0.0, 2.0, -6.0, 4.0], [1.0, -1.0, 1.0]]
    assert node("scale", f"(() => {{ const rasters = {RASTERS}; return commonLimit({arguments}); }})()", maps) == limit


def test_the_limit_follows_the_percentile_and_the_maps(node):
    expression = (
        f"(() => {{ const [one, other] = {RASTERS}; return ["
        "...[50, 100, 100, 50].map((percent) => commonLimit([one], percent)),"
        "...[50, 100].map((percent) => commonLimit([one, other], percent)), commonLimit([one], 100)]; })()"
    )
    assert node("scale", expression, [[1.0, -2.0, 3.0], [0.0, 3.0, -6.0]]) == [2, 3, 3, 2, 3, 6, 3]
