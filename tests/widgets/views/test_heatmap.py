from __future__ import annotations

import math

import numpy as np
import pytest
import traitlets

from lrp_widgets.widgets.views.heatmap import HeatmapView
from lrp_widgets.widgets.views.region import RegionShare

MAP = np.array([[1.0, -2.0, 3.0], [0.0, 4.0, -5.0]])


@pytest.fixture
def view():
    return HeatmapView()


@pytest.fixture
def sent(view, monkeypatch):
    messages = []
    monkeypatch.setattr(view, "_send", lambda message, buffers=None: messages.append(message["state"]))
    return messages


def test_show_sends_one_message(view, sent):
    view.show(MAP, np.full((2, 3), 0.5), scale=2, stamp="ΣR 1.0", description="a map")
    assert len(sent) == 1
    assert sent[0].keys() == {
        "shape", "image_shape", "sequence", "scale", "stamp", "description",
    }  # fmt: skip
    assert view.relevance.tolist() == MAP.tolist()
    assert (view.shape, view.image_shape, view.image) == ([2, 3], [2, 3, 1], bytes([128] * 6))


def test_showing_the_same_again_sends_the_sequence_alone(view, sent):
    view.show(MAP)
    view.show(MAP)
    assert sent[1] == {"sequence": 2}


def test_show_takes_colour_pictures_and_forgets_the_last_one(view):
    view.show(MAP, np.zeros((4, 6, 3), np.uint8))
    assert view.image_shape == [4, 6, 3] and len(view.image) == 72
    view.show(MAP)
    assert view.image_shape == [0, 0, 0] and view.image == b""


def test_a_new_map_is_not_stale(view):
    view.stale = True
    view.show(MAP)
    assert not view.stale


def test_a_look_sends_no_data(view, sent):
    view.show(MAP)
    view.colormap, view.arrangement, view.percentile = "orange-purple", "beside", 99.0
    assert sent[1:] == [{"colormap": "orange-purple"}, {"arrangement": "beside"}, {"percentile": 99.0}]


@pytest.mark.parametrize(
    ("relevance", "image", "text"),
    [
        (
            np.zeros((1, 2, 3)),
            None,
            "HeatmapView.show: relevance must be (height, width) with 1 to 1,200,000 values, got shape (1, 2, 3).",
        ),
        (
            np.zeros((0, 2)),
            None,
            "HeatmapView.show: relevance must be (height, width) with 1 to 1,200,000 values, got shape (0, 2).",
        ),
        (
            MAP,
            np.zeros((2, 3, 4)),
            "HeatmapView.show: image must be (height, width) or (height, width, 3) with 1 to 1,200,000 pixels, "
            "got shape (2, 3, 4).",
        ),
        (
            MAP,
            np.full((2, 3), 2.5),
            "HeatmapView.show: image must lie in [0, 1], got [2.5, 2.5]. Rescale it from the input domain.",
        ),
    ],
)
def test_show_refuses(view, relevance, image, text):
    with pytest.raises(ValueError) as error:
        view.show(relevance, image)
    assert str(error.value) == text
    assert view.sequence == 0


def test_a_scale_must_be_a_finite_number(view):
    with pytest.raises(traitlets.TraitError, match=r"HeatmapView.scale must be a finite number, got nan\."):
        view.show(MAP, scale=math.nan)


def test_limit(view):
    assert view.limit == 0
    view.show(MAP)
    assert view.limit == 5
    view.percentile = 50.0
    assert view.limit == 2.5
    view.show(MAP, scale=7)
    assert view.limit == 7


def test_limit_of_odd_maps(view):
    view.percentile = 60.0
    view.show(np.array([[0.0, 0.0, 0.0, 3.0]]))  # the percentile is 0: that would colour nothing
    assert view.limit == 3
    view.show(np.array([[np.nan, np.inf, -2.0]]))
    assert view.limit == 2
    view.show(np.array([[np.nan]]))
    assert view.limit == 0


@pytest.mark.parametrize(
    ("signs", "percentile", "limits"),
    [
        ("symmetric", 100, (5, 5)),
        ("separate", 100, (5, 4)),
        ("positive", 100, (0, 4)),
        ("negative", 100, (5, 0)),
        ("symmetric", 50, (2.5, 2.5)),
        ("separate", 50, (3.5, 3)),
        ("negative", 50, (3.5, 0)),
    ],
)
def test_limits(view, signs, percentile, limits):
    view.show(MAP)
    view.signs, view.percentile = signs, percentile
    assert view.limits == limits
    assert view.limit == max(limits)
    view.show(MAP, scale=7)
    assert view.limits == tuple(limit and 7 for limit in limits)


def test_a_sign_that_is_not_there_has_no_end(view):
    view.show(np.abs(MAP))
    view.signs = "separate"
    assert view.limits == (0, 5)


def test_a_locked_scale_survives_other_pictures_and_their_scales(view, sent):
    view.show(MAP)
    view.lock()
    view.show(10 * MAP)
    assert (view.locked, view.limits) == ([5, 5], (5, 5))
    view.show(MAP, scale=9)
    assert view.limits == (5, 5)
    view.percentile = 60.0
    assert view.limits == (5, 5)
    view.release()
    view.percentile = 100.0
    assert (view.locked, view.limits) == ([], (9, 9))
    assert [message for message in sent if "locked" in message] == [{"locked": [5, 5]}, {"locked": []}]


def test_a_locked_scale_serves_every_choice_of_signs(view):
    view.show(MAP)
    view.signs = "separate"
    view.lock()
    view.show(10 * MAP)
    assert view.limits == (5, 4)
    view.signs = "symmetric"
    assert view.limits == (5, 5)
    view.signs = "positive"
    assert view.limits == (0, 4)
    view.release()
    view.lock()  # while one sign is shown
    view.signs = "negative"
    assert view.limits == (40, 0)


def test_a_blank_map_has_no_scale_to_lock(view):
    view.show(np.zeros((2, 2)))
    view.lock()
    assert view.locked == []


TRIANGLE = [[0, 0], [3, 0], [0, 2]]


def test_region(view):
    assert view.share is None and not view.inside.any()
    view.show(MAP)
    assert view.share is None and not view.inside.any()
    view.set_state({"region": TRIANGLE})
    assert (view.problem, view.region) == ("", TRIANGLE)
    assert view.inside.tolist() == [[True, True, False], [True, False, False]]
    assert view.share == RegionShare(inside=-1, total=1, inside_size=3, total_size=15, area=0.5)


def test_a_region_lasts_as_long_as_the_shape(view, sent):
    view.show(MAP)
    view.set_state({"region": TRIANGLE})
    view.show(-MAP)
    assert view.region == TRIANGLE and view.share and view.share.inside == 1
    view.show(MAP.T)
    assert view.region == [] and view.share is None
    assert sent[-1]["region"] == []


@pytest.mark.parametrize(
    ("region", "got"),
    [
        (TRIANGLE[:1], "1 vertex"),
        (TRIANGLE[:2], "2 vertices"),
        ([[1, 1]] * 401, "401 vertices"),
        ([*TRIANGLE, [3.1, 0]], "[3.1, 0] among them"),
        ([*TRIANGLE, [0, 2.1]], "[0, 2.1] among them"),
        ([*TRIANGLE, [-0.1, 0]], "[-0.1, 0] among them"),
        ([*TRIANGLE, [math.nan, 0]], "[nan, 0] among them"),
        ([*TRIANGLE, [10**400, 0]], f"[1{'0' * 58} among them"),
        ([*TRIANGLE, [True, 0]], "[True, 0] among them"),
        ([*TRIANGLE, ["1", 0]], "['1', 0] among them"),
        ([*TRIANGLE, [0, 0, 0]], "[0, 0, 0] among them"),
        ([*TRIANGLE, 5], "5 among them"),
    ],
)
def test_a_forged_region_is_refused(view, region, got):
    view.show(MAP)
    view.set_state({"region": region})
    assert view.region == []
    assert view.problem == (
        f"HeatmapView.region must be [] or 3 to 400 vertices [x, y] with 0 ≤ x ≤ 3 and 0 ≤ y ≤ 2, got {got}."
    )


def test_clicked(view):
    view.show(MAP)
    view.set_state({"clicked": {"x": 2, "y": 1, "count": 1}})
    assert view.clicked == {"x": 2, "y": 1, "count": 1}
    view.clicked = {}


@pytest.mark.parametrize(
    "clicked",
    [
        {"x": 3, "y": 1, "count": 1},
        {"x": 0, "y": -1, "count": 1},
        {"x": 0, "y": 0},
        {"x": 0, "y": 0, "count": 0, "more": 1},
        {"x": True, "y": 0, "count": 0},
        {"x": "0", "y": 0, "count": 0},
    ],
)
def test_a_forged_click_is_refused(view, clicked):
    view.show(MAP)
    view.set_state({"clicked": clicked})
    assert view.clicked == {}
    assert view.problem == (
        f"HeatmapView.clicked must be {{}} or {{x, y, count}} with x < 3 and y < 2, got {clicked!r}."
    )


@pytest.mark.parametrize("name", ["data", "shape", "image", "sequence", "scale", "stamp", "stale", "locked"])
def test_the_browser_cannot_write_the_map(view, name):
    view.show(MAP)
    view.set_state({name: 0})
    assert view.problem == f"HeatmapView.{name} cannot be set from the browser."
    assert view.relevance.tolist() == MAP.tolist()


def test_the_browser_sets_the_look(view):
    view.set_state({"opacity": 0.25, "pixelated": False})
    assert (view.opacity, view.pixelated) == (0.25, False)
    view.set_state({"signs": "separate", "colormap": "vik", "arrangement": "mask"})
    assert (view.signs, view.colormap, view.arrangement) == ("separate", "vik", "mask")
    view.arrangement = "overlay"
    view.set_state({"opacity": 25})
    assert view.opacity == 0.25 and view.problem.startswith("The value of the 'opacity' trait")
    view.set_state({"arrangement": "sideways"})
    assert view.arrangement == "overlay" and "expected any of" in view.problem
