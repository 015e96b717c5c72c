"""mnist.js: a drawing becomes a digit as MNIST has them."""

from __future__ import annotations

import numpy as np
import pytest


def ink(draw) -> list[int]:
    pad = np.zeros((280, 280), np.uint8)
    draw(pad)
    return pad.flatten().tolist()


def digit_of(node, pad: list[int]) -> np.ndarray:
    return np.array(node("mnist", "Array.from(centred(Uint8Array.from(given), 280))", pad)).reshape(28, 28)


@pytest.mark.parametrize("corner", [(0, 0), (37, 91), (160, 200)])
def test_a_digit_is_scaled_to_20_and_centred(node, corner):
    def draw(pad):
        pad[corner[0] : corner[0] + 100, corner[1] : corner[1] + 50] = 255

    digit = digit_of(node, ink(draw))
    expected = np.zeros((28, 28), int)
    expected[4:24, 9:19] = 255
    assert np.array_equal(digit, expected)


def test_the_centre_of_mass_comes_to_the_middle(node):
    def draw(pad):
        pad[20:260, 40:70] = 255
        pad[20:60, 40:180] = 255

    digit = digit_of(node, ink(draw))
    rows, columns = np.indices(digit.shape) + 0.5
    assert (rows * digit).sum() / digit.sum() == pytest.approx(14, abs=0.05)
    assert (columns * digit).sum() / digit.sum() == pytest.approx(14, abs=0.05)


def test_ink_is_kept_within_the_picture(node):
    def draw(pad):
        pad[:120, :120] = 255  # heavy at one end,
        pad[115:120, :280] = 255  # with a long thin tail

    pad = ink(draw)
    digit = digit_of(node, pad)
    scale = 20 / 280
    assert digit.sum() == pytest.approx(sum(pad) * scale**2, rel=0.01)


def test_no_ink_is_no_digit(node):
    assert not digit_of(node, ink(lambda pad: None)).any()
