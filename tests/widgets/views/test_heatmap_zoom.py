"""The zoom of a HeatmapView: what the browser computes of it, and what Python takes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lrp_widgets.widgets.views.heatmap import MOST_BOXES, HeatmapView


@pytest.fixture
def view() -> HeatmapView:
    view = HeatmapView()
    view.show(np.zeros((20, 40)))
    return view


def seen(zoom: list[float], place: list[float]) -> list[float]:
    """Where in the picture a place of the frame is."""
    return [start + at / zoom[0] for start, at in zip(zoom[1:], place, strict=True)]


@pytest.mark.parametrize("place", [[0.5, 0.5], [0.1, 0.9], [0, 1]])
@pytest.mark.parametrize("factor", [1.5, 8.0, 1 / 1.5])
def test_what_is_under_the_pointer_stays_there(node, place, factor):
    before = [2, 0.3, 0.2]
    given = {"zoom": before, "factor": factor, "place": place}
    zoom = node("zoom", "enlarged(given.zoom, given.factor, given.place, 64)", given)
    assert zoom[0] == pytest.approx(2 * factor)
    assert all(0 <= start <= 1 - 1 / zoom[0] for start in zoom[1:])
    if factor > 1:  # the other way an end of the picture may come in between
        assert seen(zoom, place) == pytest.approx(seen(before, place))


def test_it_goes_from_all_to_a_few_pixels_and_no_further(node):
    assert node("zoom", "enlarged([1.2, 0.1, 0], 0.5, [0.5, 0.5], 64)") == [1, 0, 0]
    assert node("zoom", "enlarged([8, 0.5, 0.5], 9, [0.5, 0.5], 10)")[0] == 10
    assert node("zoom", "[mostFor(40, 20), mostFor(3, 3), mostFor(5000, 100)]") == [10, 1, 64]


def test_a_drag_pushes_the_picture_and_stops_at_its_ends(node):
    assert node("zoom", "pushed([4, 0.5, 0.5], 0.4, -0.2)") == pytest.approx([4, 0.4, 0.55])
    assert node("zoom", "pushed([4, 0.5, 0.5], 9, -9)") == [4, 0, 0.75]
    assert node("zoom", "pushed([1, 0, 0], 0.5, 0.5)") == [1, 0, 0]


def test_what_is_in_sight_follows_the_cursor_no_further_than_it_must(node):
    around = [0.05, 0.05]
    follow = "following(given.zoom, given.place, given.around)"
    at = {"zoom": [4, 0.5, 0.5], "around": around}
    assert node("zoom", follow, at | {"place": [0.6, 0.6]}) == [4, 0.5, 0.5]
    assert node("zoom", follow, at | {"place": [0.72, 0.52]}) == pytest.approx([4, 0.52, 0.47])
    assert node("zoom", follow, at | {"place": [0.99, 0.01]}) == [4, 0.75, 0]


def test_the_browser_zooms_and_another_shape_shows_all(view):
    view.set_state({"zoom": [4, 0.75, 0.1]})
    assert (view.problem, view.zoom) == ("", [4, 0.75, 0.1])
    view.show(np.ones((20, 40)))
    assert view.zoom == [4, 0.75, 0.1]
    view.frame([[0, 0, 5, 5]], 0)
    view.show(np.ones((21, 40)))
    assert (view.zoom, view.boxes, view.box) == ([1, 0, 0], [], -1)


@pytest.mark.parametrize(
    "zoom",
    [[], [2, 0], [0.5, 0, 0], [65, 0, 0], [2, 0.6, 0], [2, 0, -0.1], [math.nan, 0, 0], [True, 0, 0], ["2", 0, 0]],
    ids=str,
)
def test_a_forged_zoom_is_refused(view, zoom):
    view.set_state({"zoom": zoom})
    assert view.zoom == [1, 0, 0]
    assert view.problem == (
        "HeatmapView.zoom must be [scale, left, top] with a scale in [1, 64] and 0 ≤ left, top ≤ 1 − 1/scale, "
        f"got {zoom!r}."
    )


def test_frames(view):
    view.frame(np.array([[0, 0, 5, 5], [2.5, 3, 7.5, 8]]), 1)
    assert (view.boxes, view.box) == ([[0, 0, 5, 5], [2.5, 3, 7.5, 8]], 1)
    view.frame([])
    assert (view.boxes, view.box) == ([], -1)
    view.set_state({"boxes": [[0, 0, 1, 1]]})
    assert view.problem == "HeatmapView.boxes cannot be set from the browser." and view.boxes == []


@pytest.mark.parametrize("boxes", [[[0, 0, 1]], [[0, 0, math.nan, 1]], np.zeros((MOST_BOXES + 1, 4))], ids=len)
def test_frames_that_are_none(view, boxes):
    said = (
        f"HeatmapView.frame: boxes must be at most 100 rows of top, left, bottom, right, got shape {np.shape(boxes)}."
    )
    with pytest.raises(ValueError) as caught:
        view.frame(boxes)
    assert str(caught.value) == said
