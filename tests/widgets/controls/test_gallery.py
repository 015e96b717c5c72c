from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import traitlets

from lrp_widgets.widgets.controls.gallery import BLOCK_BYTES, Gallery


@pytest.fixture
def gallery():
    return Gallery()


def test_show_sends_one_message(gallery, monkeypatch):
    messages = []
    monkeypatch.setattr(gallery, "_send", lambda message, buffers=None: messages.append(message["state"]))
    gallery.show(np.linspace(0, 1, 18).reshape(2, 3, 3), ["a", "b"], selected=1)
    assert messages == [
        {"shape": [2, 3, 3, 1], "block": BLOCK_BYTES // 9, "captions": ["a", "b"], "sequence": 1, "selected": 1}
    ]
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


class Pictures(Sequence):
    """A thousand pictures, each of one grey: its number."""

    def __init__(self):
        self.made = []

    def __len__(self):
        return 1000

    def __getitem__(self, index):
        self.made.append(index)
        return np.full((64, 64, 3), index % 256, np.uint8)


def test_a_thousand_pictures_are_made_and_sent_when_they_are_asked_for(gallery, monkeypatch):
    sent, pictures = [], Pictures()
    monkeypatch.setattr(gallery, "send", lambda content, buffers=None: sent.append((content, buffers)))
    gallery.show(pictures)
    size = 64 * 64 * 3
    assert gallery.block == BLOCK_BYTES // size == 40 and len(gallery.images) == 40 * size
    assert max(pictures.made) == 39
    pictures.made.clear()
    gallery._handle_msg({"content": {"data": {"method": "custom", "content": {"block": 24}}}, "buffers": []})
    assert pictures.made == list(range(960, 1000))  # the last block holds all that is left
    ((content, (pixels,)),) = sent
    assert content == {"block": 24, "sequence": 1} and len(pixels) == 40 * size
    assert pixels[0] == 960 % 256 and pixels[-1] == 999 % 256


@pytest.mark.parametrize(
    "content", [{"block": 25}, {"block": 0}, {"block": -1}, {"block": True}, {"block": "1"}, {}, 3]
)
def test_what_is_no_block_is_not_sent(gallery, monkeypatch, content):
    sent = []
    gallery.show(Pictures())
    monkeypatch.setattr(gallery, "send", lambda *message: sent.append(message))
    gallery._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
    assert sent == []


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
            "got pictures of shape (3, 8, 8).",
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
