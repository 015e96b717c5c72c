"""MapsView: what is sent, what the browser may choose, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from lrp_widgets.widgets.views.maps import LONGEST, MOST_MAPS, MapsView

MAPS = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
CAPTIONS = [{"title": "α 1"}, {"title": "α 2", "text": "area 3", "marked": True}, {"title": "α 3"}]


@pytest.fixture
def view():
    return MapsView()


def test_show(view):
    view.show(MAPS, CAPTIONS, 1)
    assert np.frombuffer(view.maps, "<f4").tolist() == MAPS.ravel().tolist()
    assert (view.shape, view.selected, view.sequence) == ([3, 2, 2], 1, 1)
    assert view.captions[0] == {"title": "α 1", "text": "", "marked": False}
    assert view.captions[1] == {"title": "α 2", "text": "area 3", "marked": True}


def test_none_at_all(view):
    view.show(MAPS, CAPTIONS)
    view.show([], [])
    assert (view.shape, view.maps, view.captions) == ([0, 0, 0], b"", [])


def test_large_maps_are_pooled_and_no_sum_changes(view):
    maps = np.random.default_rng(0).normal(size=(2, 100, 130))
    view.show(maps, CAPTIONS[:2])
    assert max(view.shape[1:]) <= LONGEST
    small = np.frombuffer(view.maps, "<f4").reshape(view.shape)
    assert np.allclose(small.sum(axis=(1, 2)), maps.sum(axis=(1, 2)), atol=1e-3)


def test_one_is_picked(view):
    view.show(MAPS, CAPTIONS)
    view.set_state({"picked": {"index": 2, "count": 1}})
    assert (view.picked, view.problem) == ({"index": 2, "count": 1}, "")


@pytest.mark.parametrize("forged", [{"index": 3, "count": 1}, {"index": -1, "count": 1}, {"index": "a", "count": 1}])
def test_what_is_not_there_cannot_be_picked(view, forged):
    view.show(MAPS, CAPTIONS)
    view.set_state({"picked": forged})
    assert view.picked == {}
    assert view.problem == (
        f"MapsView.picked must be {{}} or {{index, count}} with an index in [0, 2], got {forged!r}."
    )


@pytest.mark.parametrize(
    ("maps", "captions", "message"),
    [
        (MAPS[0], CAPTIONS[:2], "maps must be (n, height, width), n at most 100, got shape (2, 2)."),
        (np.zeros((MOST_MAPS + 1, 1, 1)), [], "maps must be (n, height, width), n at most 100, got shape (101, 1, 1)."),
        (MAPS, CAPTIONS[:2], "captions must be one per map (3), got 2."),
    ],
)
def test_refused(view, maps, captions, message):
    with pytest.raises(ValueError) as caught:
        view.show(maps, captions)
    assert str(caught.value) == f"MapsView.show: {message}"
