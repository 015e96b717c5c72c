from __future__ import annotations

import numpy as np
import pytest
import traitlets

from lrp_widgets.widgets.gallery import MOST_BYTES, Gallery


@pytest.fixture
def gallery():
    return Gallery()


def test_show_sends_one_message(gallery, monkeypatch):
    messages = []
    monkeypatch.setattr(gallery, "_send", lambda message, buffers=None: messages.append(message["state"]))
    gallery.show(np.linspace(0, 1, 18).reshape(2, 3, 3), ["a", "b"], selected=1)
    assert messages == [{"shape": [2, 3, 3, 1], "captions": ["a", "b"], "sequence": 1, "selected": 1}]
    assert gallery.images[0] == 0 and gallery.images[-1] == 255


def test_the_choice_is_kept_where_it_still_exists(gallery):
    gallery.show(np.zeros((5, 4, 4)), selected=3)
    gallery.show(np.zeros((4, 4, 4)))
    assert gallery.selected == 3
    gallery.show(np.zeros((3, 4, 4)))
    assert gallery.selected == -1


@pytest.mark.parametrize("shape", [(3, 224, 224, 3), (2, 100, 300, 1), (1, 97, 97, 3)])
def test_large_pictures_are_averaged_down(gallery, shape):
    gallery.show(np.full(shape, 0.5))
    count, height, width, channels = gallery.shape
    assert (count, channels) == (shape[0], shape[3])
    assert 32 <= max(height, width) <= 96
    assert len(gallery.images) == count * height * width * channels and set(gallery.images) == {128}


def test_a_thousand_pictures_fit_in_a_message(gallery):
    gallery.show(np.zeros((2000, 64, 64, 3), np.uint8))
    assert len(gallery.images) <= MOST_BYTES


def test_nothing_to_show(gallery):
    gallery.show(np.zeros((0, 28, 28)))
    assert gallery.shape[0] == 0 and gallery.selected == -1


@pytest.mark.parametrize(
    ("images", "captions", "text"),
    [
        (
            np.zeros((2, 3, 8, 8)),
            (),
            "Gallery.show: images must be (n, height, width), or with 1 or 3 channels at the end, "
            "got shape (2, 3, 8, 8).",
        ),
        (np.zeros((2, 8, 8)), ["a"], "Gallery.show: captions must be one per image (2), got 1."),
        (
            np.full((1, 8, 8), 9.0),
            (),
            "Gallery.show: images must lie in [0, 1], got [9, 9]. Rescale it from the input domain.",
        ),
    ],
)
def test_show_refuses(gallery, images, captions, text):
    with pytest.raises(ValueError) as error:
        gallery.show(images, captions)
    assert str(error.value) == text
    assert gallery.sequence == 0


def test_a_forged_choice_is_refused(gallery):
    gallery.show(np.zeros((3, 4, 4)), selected=0)
    gallery.set_state({"selected": 2})
    assert (gallery.selected, gallery.problem) == (2, "")
    for forged in (3, -2):
        gallery.set_state({"selected": forged})
        assert (gallery.selected, gallery.problem) == (2, f"Gallery.selected must lie in [-1, 2], got {forged}.")
    with pytest.raises(traitlets.TraitError, match=r"Gallery\.selected must lie in \[-1, 2\], got 7\."):
        gallery.selected = 7
