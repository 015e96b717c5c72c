from __future__ import annotations

import numpy as np
import pytest

from lrp_widgets.widgets.controls.drawing import DrawingPad


@pytest.fixture
def pad():
    return DrawingPad()


def test_the_pad_is_empty_at_first(pad):
    assert pad.empty and pad.image.shape == (28, 28) and pad.image.dtype == np.float32 and not pad.image.any()


def test_a_drawing_arrives_as_memoryview(pad):
    seen = []
    pad.observe(lambda change: seen.append((change["new"], pad.empty, pad.image[1, 0])), "sequence")
    pixels = bytearray(784)
    pixels[28] = 255
    pad.set_state({"sequence": 1, "pixels": memoryview(pixels), "empty": False})
    assert seen == [(1, False, 1.0)]  # who observes the sequence finds the rest in place
    assert pad.problem == ""


@pytest.mark.parametrize(
    ("pixels", "problem"),
    [
        (memoryview(b"12345"), "DrawingPad.pixels must be 784 bytes (28 × 28), got 5."),
        (memoryview(b""), "DrawingPad.pixels must be 784 bytes (28 × 28), got 0."),
        ("x" * 784, f"The 'pixels' trait of a DrawingPad instance expected a bytes object, not the str {'x' * 784!r}."),
        (10**12, "The 'pixels' trait of a DrawingPad instance expected a bytes object, not the int 1000000000000."),
    ],
)
def test_forged_pixels_are_refused(pad, pixels, problem):
    pad.set_state({"pixels": pixels, "sequence": 1, "empty": False})
    assert pad.problem == problem
    assert (pad.sequence, pad.empty, pad.image.any()) == (0, True, False)


def test_show_and_clear_send_one_message_each(pad, monkeypatch):
    messages = []
    monkeypatch.setattr(pad, "_send", lambda message, buffers=None: messages.append(message["state"].keys()))
    pad.show(np.eye(28))
    assert pad.image.trace() == 28 and not pad.empty
    pad.clear()
    assert pad.empty and not pad.image.any()
    assert [sorted(keys) for keys in messages] == [["empty", "sequence"]] * 2  # and the pixels, as a buffer


def test_show_refuses_other_sizes(pad):
    with pytest.raises(ValueError) as error:
        pad.show(np.zeros((8, 8)))
    assert str(error.value) == "DrawingPad.show: image must have shape (28, 28), got (8, 8)."
