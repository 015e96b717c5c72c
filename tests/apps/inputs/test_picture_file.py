"""A picture as the model's input: what is cut off, what is kept, and that the words say just that."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lrp_widgets.apps.inputs.decoding import DecodedPicture
from lrp_widgets.apps.inputs.picture_file import Fit, from_file, to_input
from lrp_widgets.params import params_of
from lrp_widgets.samples import Samples

RNG = np.random.default_rng(0)
DIGITS = Samples(torch.zeros(2, 1, 28, 28))
PHOTOS = Samples(torch.full((2, 3, 8, 8), 0.5, dtype=torch.float64), low=(-2.0, -1.5, -1.0), high=(2.0, 2.5, 3.0))
WIDE = Samples(torch.full((1, 3, 10, 30), 0.5, dtype=torch.float16), low=-1.0, high=1.0)
PLAIN = Samples(torch.full((1, 3, 8, 8), 0.5))


def picture(pixels: np.ndarray) -> DecodedPicture:
    pixels = np.asarray(pixels)
    return DecodedPicture("cat.jpg", pixels if pixels.ndim == 3 else pixels[..., None], "as made here")


def colours(height: int, width: int, channels: int = 3) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, channels), np.uint8)


def read(pixels: np.ndarray, samples: Samples, **fit: str) -> tuple[np.ndarray, str]:
    x, said = to_input(picture(pixels), samples, Fit(**fit))
    assert x.shape == (1, *samples.inputs.shape[1:]) and x.dtype == samples.inputs.dtype
    assert said.startswith("cat.jpg: as made here → ")
    return x[0].double().numpy(), said.removeprefix("cat.jpg: as made here → ")


def test_a_picture_of_the_right_size_is_mapped_into_the_domain_channel_by_channel():
    pixels = colours(8, 8)
    pixels[0, 0], pixels[0, 1] = 0, 255
    x, said = read(pixels, PHOTOS)
    assert x[:, 0, 0].tolist() == [-2, -1.5, -1] and x[:, 0, 1].tolist() == [2, 2.5, 3]
    low, high = np.array(PHOTOS.low), np.array(PHOTOS.high)
    assert np.allclose(x, (low + pixels / 255 * (high - low)).transpose(2, 0, 1), atol=1e-12)
    assert said == "[0, 1] → [low, high] of each channel"


def test_a_picture_that_fits_is_taken_as_it_is():
    pixels = RNG.random((8, 8, 3), np.float32)
    x, said = read(pixels, PLAIN)
    assert np.array_equal(x, pixels.transpose(2, 0, 1)) and said == "taken as it is"


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from([1, 3]), st.sampled_from([0, 1]), st.integers(0, 9))
def test_any_picture_stays_in_the_domain(height, width, channels, aspect, seed):
    pixels = np.random.default_rng(seed).integers(0, 2, (height, width, channels), np.uint8) * 255  # Lanczos overshoots
    for samples in (DIGITS, PHOTOS, WIDE):
        x, _ = read(pixels, samples, aspect=("crop", "pad")[aspect])
        low, high = (np.asarray(bound).reshape(-1, 1, 1) for bound in (samples.low, samples.high))
        assert (low <= x).all() and (x <= high).all()


@pytest.mark.parametrize("aspect", ["crop", "pad"])
@pytest.mark.parametrize("size", [(1, 1), (500, 700), (3, 900), (900, 3), (1, 40_000), (40_000, 1)])
@pytest.mark.parametrize("samples", [DIGITS, PHOTOS, WIDE])
def test_one_colour_stays_one_colour(aspect, size, samples):
    x, _ = read(np.full((*size, 3), 51, np.uint8), samples, aspect=aspect)
    unit = (x.transpose(1, 2, 0) - samples.low) / np.subtract(samples.high, samples.low)
    assert np.allclose(unit, 0.2, atol=1e-3)


def test_the_middle_is_cropped():
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 20:40] = 255  # white is the middle square, and nothing else
    x, said = read(pixels, PLAIN)
    assert x.min() == 1 and said == "cropped to the square, reduced to 8 × 8"
    x, said = read(pixels.transpose(1, 0, 2), PLAIN)
    assert x.min() == 1 and said == "cropped to the square, reduced to 8 × 8"
    x, said = read(pixels[:, 20:40], WIDE)
    assert said == "cropped to 30 : 10, enlarged to 30 × 10, [0, 1] → [-1, 1]"


def test_padding_keeps_all_of_it_and_takes_the_colour_of_the_edge():
    pixels = np.full((20, 40, 3), 200, np.uint8)
    pixels[5:15, 10:30] = 0
    x, said = read(pixels, PLAIN, aspect="pad")
    assert said == "reduced to 8 × 4, padded to 8 × 8 in the colour of its edge"
    assert np.allclose(x[:, [0, 1, 6, 7]], 200 / 255, atol=1e-6)
    assert x[:, 4, 4].max() < 0.1
    assert read(colours(8, 8), PLAIN, aspect="pad")[1] == "taken as it is"


def test_reducing_means_over_what_a_pixel_covers():
    stripes = np.zeros((280, 280, 3), np.uint8)
    stripes[:, ::2] = 255  # taking every tenth pixel would show one colour
    x, _ = read(stripes, DIGITS, invert="never")
    assert np.allclose(x, 0.5, atol=0.06)


def test_reducing_agrees_with_pillow_on_bytes():
    pixels = colours(70, 70)
    expected = np.asarray(Image.fromarray(pixels).resize((8, 8), Image.Resampling.LANCZOS)) / 255
    assert np.abs(read(pixels, PLAIN)[0].transpose(1, 2, 0) - expected).max() < 1.01 / 255


@pytest.mark.parametrize(("colour", "light"), [((255, 0, 0), 0.299), ((0, 255, 0), 0.587), ((0, 0, 255), 0.114)])
def test_grey_has_the_light_of_its_colours(colour, light):
    x, said = read(np.full((28, 28, 3), colour, np.uint8), DIGITS, invert="never")
    assert np.allclose(x, light) and said == "made grey"


def test_grey_fills_three_channels():
    pixels = colours(8, 8, 1)
    x, said = read(pixels, PLAIN)
    assert np.allclose(x, pixels[..., 0] / 255) and said == "grey in all 3 channels"


PAPER = np.full((28, 28, 3), 240, np.uint8)
PAPER[10:18, 13:15] = 20
ON_PAPER = Samples(torch.ones(2, 1, 28, 28))


@pytest.mark.parametrize(
    ("pixels", "samples", "invert", "inverted"),
    [
        (PAPER, DIGITS, "auto", ", inverted, for the samples are bright on dark"),
        (255 - PAPER, DIGITS, "auto", ""),
        (PAPER, ON_PAPER, "auto", ""),
        (255 - PAPER, ON_PAPER, "auto", ""),
        (PAPER, DIGITS, "never", ""),
        (255 - PAPER, DIGITS, "always", ", inverted"),
    ],
)
def test_ink_is_inverted_where_the_samples_are_bright_on_dark(pixels, samples, invert, inverted):
    x, said = read(pixels, samples, invert=invert)
    expected = pixels[..., 0] / 255
    assert np.allclose(x[0], 1 - expected if inverted else expected, atol=1e-6)
    assert said == "made grey" + inverted


def test_colours_are_not_inverted_by_themselves():
    x, said = read(np.full((8, 8, 3), 250, np.uint8), Samples(torch.zeros(1, 3, 8, 8)))
    assert x.min() > 0.9 and said == "taken as it is"


def test_samples_are_dark_by_their_domain():
    x, said = read(PAPER, Samples(torch.full((2, 1, 28, 28), -1.0), low=-1.0, high=1.0))
    assert said == "made grey, inverted, for the samples are bright on dark, [0, 1] → [-1, 1]"
    assert np.allclose(x[0], 1 - PAPER[..., 0] / 127.5, atol=1e-6)


def test_a_whole_file():
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    samples = Samples(torch.zeros(1, 1, 28, 28), low=-1.0)
    Image.fromarray(colours(30, 40)).save(file, "JPEG", exif=exif)
    x, said = from_file(file.getvalue(), "C:\\cat.jpg", samples, Fit(invert="never"))
    assert x.shape == (1, 1, 28, 28)
    assert said == (
        "cat.jpg: 40 × 30, RGB, EXIF turned it 90° clockwise → "
        "cropped to the square, reduced to 28 × 28, made grey, [0, 1] → [-1, 1]"
    )


@pytest.mark.parametrize("samples", [PHOTOS, PLAIN, DIGITS])
def test_a_sample_that_was_saved_comes_back(samples):
    low, high = (torch.as_tensor(bound).reshape(-1, 1, 1) for bound in (samples.low, samples.high))
    sample = low + torch.rand(samples.inputs.shape[1:], generator=torch.Generator().manual_seed(0)) * (high - low)
    file = io.BytesIO()
    np.save(file, sample.numpy())
    x, _ = from_file(file.getvalue(), "a.npy", samples, Fit(invert="never"))
    assert torch.allclose(x[0].double(), sample.double(), atol=1e-6)


def test_inputs_that_are_no_pictures_are_refused():
    with pytest.raises(ValueError) as error:
        to_input(picture(colours(8, 8)), Samples(torch.zeros(2, 4)))
    assert str(error.value) == (
        "cat.jpg must go to a model of pictures (n, c, h, w), got one that takes inputs of shape (2, 4). "
        "Choose one of the samples."
    )


@pytest.mark.parametrize(("channels", "wanted"), [(3, 5), (1, 2), (4, 3), (4, 1)])
def test_other_channels_are_refused(channels, wanted):
    with pytest.raises(ValueError) as error:
        to_input(picture(colours(8, 8, channels)), Samples(torch.zeros(1, wanted, 8, 8)))
    assert str(error.value) == (
        f"cat.jpg must have {wanted} channels as the model's input has, got {channels}. "
        f"Save it as an NPY file of shape ({wanted}, h, w)."
    )


def test_the_choices_describe_themselves():
    assert Fit() == Fit("crop", "auto") and all(known.help for known in params_of(Fit))
    with pytest.raises(ValueError, match=r"Fit\.invert must be one of 'auto', 'never', 'always', got 'no'\."):
        Fit(invert="no")
