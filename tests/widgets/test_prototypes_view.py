"""What PrototypesView sends to the page, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from lrp_widgets.widgets import PrototypesView


def test_pictures_and_what_stands_beside() -> None:
    view = PrototypesView()
    pictures = np.linspace(0, 1, 2 * 4 * 4, dtype=np.float32).reshape(2, 4, 4)
    view.show(pictures, ["a", "b"])
    assert view.shape == [2, 4, 4, 1] and view.titles == ["a", "b"]
    np.testing.assert_array_equal(np.frombuffer(view.pictures, np.uint8), np.round(pictures * 255).ravel())
    near = np.zeros((6, 3, 3, 3), np.uint8)
    said = [[{"text": "x", "agrees": True}], [{"text": "y", "agrees": None}]]
    view.show_beside(np.ones((2, 200, 100)), said, near, ["n"] * 6)
    assert view.near_shape == [2, 3, 3, 3, 3] and view.verdicts == said
    assert view.maps_shape == [2, 50, 25]  # small enough to be sent often, with the same sum
    assert np.frombuffer(view.maps, "<f4").sum() == 2 * 200 * 100
    before = view.sequence
    view.show(pictures[:1])
    assert (view.sequence, view.shape[0], view.titles) == (before + 1, 1, [])


def test_what_does_not_fit_is_refused() -> None:
    view = PrototypesView()
    with pytest.raises(ValueError, match=r"PrototypesView\.show must be \(n, height, width\)"):
        view.show(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="with n at most 64"):
        view.show(np.zeros((65, 4, 4)))
    with pytest.raises(ValueError, match="titles must be one per picture"):
        view.show(np.zeros((2, 4, 4)), ["one"])
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        view.show(np.full((1, 4, 4), np.nan))
    view.show(np.zeros((2, 4, 4)))
    with pytest.raises(ValueError, match="there are 2 pictures"):
        view.show_beside(np.ones((1, 4, 4)), [[], []], np.zeros((2, 4, 4)), [])
    view.set_state({"titles": ["forged"]})
    assert view.titles == [] and "cannot be set from the browser" in view.problem
