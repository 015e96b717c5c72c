"""ProbePad: what is sent, where the browser may move it, what is refused; and the page's own translation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lrp_widgets.evaluation.continuity.neighbourhoods import shifted
from lrp_widgets.widgets.controls.probe import MOST_VISITED, ProbePad

IMAGE = np.linspace(0, 1, 12).reshape(3, 4)


@pytest.fixture
def pad() -> ProbePad:
    return ProbePad()


def test_show(pad):
    pad.show(IMAGE, fill=1.0)
    assert np.frombuffer(pad.image, np.uint8).reshape(3, 4)[0, 1] == round(255 / 11)
    assert (pad.image_shape, pad.fill, pad.reach, pad.sequence) == ([3, 4, 1], 255, 2.0, 1)


def test_it_stays_where_it_is_as_far_as_the_next_picture_reaches(pad):
    pad.show(np.zeros((28, 28)))
    pad.set_state({"place": [3.5, -9]})
    pad.show(np.zeros((28, 28, 3), np.uint8))
    assert (pad.place, pad.image_shape) == ([3.5, -9.0], [28, 28, 3])
    pad.show(IMAGE)
    assert pad.place == [2.0, -2.0]


def test_a_drag_is_heard(pad):
    pad.show(IMAGE)
    seen = []
    pad.observe(lambda change: seen.append(change["new"]), "place")
    pad.set_state({"place": [1, 0]})
    pad.set_state({"place": [1.25, 0]})
    assert (seen, pad.problem) == ([[1, 0], [1.25, 0]], "")


@pytest.mark.parametrize("forged", [[2.5, 0], [0], [0, 0, 0], [0, None], ["1", 0], [True, 0], [float("nan"), 0]])
def test_what_is_no_place_is_refused(pad, forged):
    pad.show(IMAGE)
    pad.set_state({"place": forged})
    assert pad.place == [0.0, 0.0]
    assert pad.problem == f"ProbePad.place must be [right, down] within 2 px either way, got {forged!r}."


@pytest.mark.parametrize("name", ["visited", "largest", "reach", "step", "image"])
def test_the_rest_is_pythons(pad, name):
    pad.set_state({name: []})
    assert pad.problem == f"ProbePad.{name} cannot be set from the browser."


def test_marks(pad):
    pad.mark([(1, 2, 0.5), (0, 1, float("nan"))], (1, 2))
    assert (pad.visited, pad.largest) == ([[1, 2, 0.5], [0, 1, None]], [1, 2])
    pad.mark([(0, 0, 0)] * (MOST_VISITED + 1))
    assert (len(pad.visited), pad.largest) == (MOST_VISITED // 2 + 1, [])
    pad.mark([])
    assert pad.visited == []


def test_show_refuses_what_is_no_picture(pad):
    with pytest.raises(ValueError) as error:
        pad.show(np.zeros((2, 3, 4)))
    assert str(error.value) == "ProbePad.show: image must be (height, width) or (height, width, 3), got (2, 3, 4)."


@pytest.mark.parametrize("place", [(0, 0), (1, 0), (0, -2), (0.25, 0.5), (-1.5, 1.25), (9, 0)])
def test_the_page_moves_the_picture_as_the_neighbourhood_does(node, place):
    """One colour a channel; a fill of 51 is 0.2."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3))
    data = np.concatenate([pixels, np.full((4, 5, 1), 255)], 2).flatten().tolist()
    made = "(globalThis.ImageData = class { constructor(width, height) { Object.assign(this, {width, height, "
    made += "data: new Uint8ClampedArray(4 * width * height)}); } }, "
    moved = node("shifting", f"{made}[...shifted(given[0], given[1], given[2], 51).data])", [
        {"data": data, "width": 5, "height": 4}, *place
    ])  # fmt: skip
    x = torch.from_numpy(pixels / 255).permute(2, 0, 1)[None]
    wanted = shifted(x, torch.tensor(0.2), *place)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(np.reshape(moved, (4, 5, 4))[..., :3] - wanted).max() <= 0.51


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("snapped(3.4, 1, 14)", 3),
        ("snapped(3.4, 0.25, 14)", 3.5),
        ("snapped(-0.04, 0.1, 14)", 0),
        ("snapped(99, 0.5, 14)", 14),
        ("snapped(-99, 4, 14)", -12),
        ("saidPlace(0, 0)", "where it was"),
        ("saidPlace(-1.5, 2)", "1.5 px left, 2 px down"),
        ("saidPlace(0, -1)", "1 px up"),
    ],
)
def test_steps_and_words(node, expression, wanted):
    assert node("shifting", expression) == wanted
