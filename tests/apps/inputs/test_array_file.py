"""NPY files: every layout and range that is meant is read rightly; every other one is refused by name."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lrp_widgets.apps.inputs.array_file import array_pixels
from lrp_widgets.apps.inputs.decoding import decoded
from lrp_widgets.samples import Samples

PHOTOS = Samples(torch.zeros(2, 3, 8, 8), low=(-2.0, -1.5, -1.0), high=(2.0, 2.5, 3.0))
FIVE = Samples(torch.zeros(2, 5, 8, 8), low=-1.0, high=1.0)
UNIT = np.linspace(0, 1, 6 * 7 * 3, dtype=np.float32).reshape(6, 7, 3)


def file_of(array: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


def read(array: np.ndarray, samples: Samples | None = None) -> tuple[np.ndarray, str]:
    return array_pixels(file_of(array), "a.npy", samples)


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", "longdouble"])
def test_formats_of_the_file(version, order, dtype):
    content = file_of(np.asarray(UNIT, dtype, order=order), version=version)
    pixels, _ = array_pixels(content, "a.npy")
    assert pixels.dtype == np.float32 and np.allclose(pixels, UNIT, atol=1e-3)


@pytest.mark.parametrize(
    ("array", "samples", "expected", "said"),
    [
        (UNIT[..., 0], None, UNIT[..., :1], "7 × 6, float32 array 6 × 7"),
        (UNIT, None, UNIT, "7 × 6, float32 array 6 × 7 × 3"),
        (UNIT.transpose(2, 0, 1), None, UNIT, "7 × 6, float32 array 3 × 6 × 7"),
        (UNIT.transpose(2, 0, 1)[None], None, UNIT, "7 × 6, float32 array 1 × 3 × 6 × 7"),
        (UNIT[:3], None, UNIT[:3], "7 × 3, float32 array 3 × 7 × 3 read as h × w × c"),
        (UNIT[:1], PHOTOS, UNIT[:1], "7 × 1, float32 array 1 × 7 × 3 read as h × w × c"),
        (
            UNIT[:3, :, :1],
            PHOTOS,
            UNIT[:3, :, :1].transpose(1, 2, 0),
            "1 × 7, float32 array 3 × 7 × 1 read as c × h × w",
        ),
        (UNIT[:5], FIVE, UNIT[:5].transpose(1, 2, 0), "3 × 7, float32 array 5 × 7 × 3 read as c × h × w"),
        (UNIT > 0.5, None, UNIT > 0.5, "7 × 6, bool array 6 × 7 × 3"),
        (
            np.arange(4, dtype=np.uint8).reshape(2, 2),
            None,
            np.arange(4).reshape(2, 2, 1) / 255,
            "2 × 2, uint8 array 2 × 2, divided by 255",
        ),
        (np.array([[0, 65535]], ">u2"), None, [[[0], [1]]], "2 × 1, uint16 array 1 × 2, divided by 65535"),
        (np.array([[0, 255]], np.int64), None, [[[0], [1]]], "2 × 1, int64 array 1 × 2, divided by 255"),
        (np.array([[0, 1]], np.int64), None, [[[0], [1]]], "2 × 1, int64 array 1 × 2"),
        (np.array([[0, 25.5]]), None, [[[0], [0.1]]], "2 × 1, float64 array 1 × 2, divided by 255"),
        (np.array([[-5e-4, 1.0005]]), None, [[[0], [1]]], "2 × 1, float64 array 1 × 2"),
        (
            np.array([[[-2.0, 0.5, 3.0]]]),
            PHOTOS,
            [[[0, 0.5, 1]]],
            "1 × 1, float64 array 1 × 1 × 3 read as h × w × c, taken to be in the model's own domain",
        ),
        (
            np.array([[[0.2, 0.4, 0.6, 0.5]]]),
            None,
            [[[0.6, 0.7, 0.8]]],
            "1 × 1, float64 array 1 × 1 × 4 read as h × w × c, laid over white where transparent",
        ),
    ],
)
def test_layouts_and_ranges(array, samples, expected, said):
    pixels, got = read(array, samples)
    assert got == said
    assert pixels.dtype == np.float32 and np.allclose(pixels, np.asarray(expected), atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(st.sampled_from([np.uint8, np.int16, np.float32, np.float64]), hnp.array_shapes(max_dims=5, max_side=6))
)
def test_any_array_is_a_picture_or_a_clear_refusal(array):
    try:
        picture = decoded(file_of(array), "a.npy", PHOTOS)
    except ValueError as error:
        assert str(error).startswith("a.npy must ") and str(error).endswith(".")
    else:
        assert picture.pixels.ndim == 3 and picture.pixels.min() >= 0 and picture.pixels.max() <= 1
        assert array.ndim <= 4


class Trap:
    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


SHAPES = "a.npy must have shape (h, w), (h, w, c) or (c, h, w) with c 1, 3 or 4, got "
REORDER = ". Take one picture of it, or reorder its axes with np.moveaxis."
NUMBERS = "a.npy must hold real numbers, got "
SAVE = ". Save it with np.save(file, x.astype('float32'))."
AGAIN = ". Save it again with np.save."
BROKEN = "a.npy must begin with an NPY header, got a broken one" + AGAIN
REPLACE = "Replace them with np.nan_to_num."
RESCALE = ". Rescale it to [0, 1]."
RANGES = "a.npy must have values in [0, 1] or [0, 255]"


@pytest.mark.parametrize(
    ("array", "samples", "said"),
    [
        (np.zeros(5), None, f"{SHAPES}(5,){REORDER}"),
        (np.zeros((0, 4)), None, f"{SHAPES}(0, 4){REORDER}"),
        (np.float64(1), None, f"{SHAPES}(){REORDER}"),
        (np.zeros((2, 5, 5)), None, f"{SHAPES}(2, 5, 5){REORDER}"),
        (np.zeros((2, 3, 5, 5)), None, f"{SHAPES}(2, 3, 5, 5){REORDER}"),
        (np.zeros((1,) * 30), None, f"{SHAPES}30 dimensions, (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, …{REORDER}"),
        (np.zeros((2, 6, 6)), FIVE, f"{SHAPES}(2, 6, 6){REORDER}".replace("3 or 4", "3, 4 or 5")),
        (
            np.array([[np.nan, 1], [np.inf, 0]]),
            None,
            "a.npy must be finite, got 2 NaN or infinite values of 4. " + REPLACE,
        ),
        (
            np.full((1, 1), np.longdouble(10) ** 400),
            None,
            "a.npy must be finite, got 1 NaN or infinite values of 1. " + REPLACE,
        ),
        (np.array([[-1.0, 1.0]]), None, f"{RANGES}, got [-1, 1]" + RESCALE),
        (np.array([[0.0, 2.0]]), None, f"{RANGES}, got [0, 2]" + RESCALE),
        (np.array([[0, 256]]), None, f"{RANGES}, got [0, 256]" + RESCALE),
        (np.array([[-1, 200]]), None, f"{RANGES}, got [-1, 200]" + RESCALE),
        (np.array([[[-2.1, 0.5, 3.0]]]), PHOTOS, f"{RANGES}, or the model's own domain, got [-2.1, 3]" + RESCALE),
        (np.array([[-1.0, 1.0]]), PHOTOS, f"{RANGES}, or the model's own domain, got [-1, 1]" + RESCALE),
        (np.zeros((2, 2), complex), None, NUMBERS + "complex128" + SAVE),
        (np.zeros((2, 2), "S3"), None, NUMBERS + "|S3" + SAVE),
        (np.zeros((2, 2), "i4,f4"), None, NUMBERS + "[('f0', '<i4'), ('f1', '<f4')]" + SAVE),
        (np.zeros((2, 2), "M8[s]"), None, NUMBERS + "datetime64[s]" + SAVE),
    ],
)
def test_refusals(array, samples, said):
    with pytest.raises(ValueError) as error:
        read(np.asarray(array), samples)
    assert str(error.value) == said


def refusal(content: bytes) -> str:
    with pytest.raises(ValueError) as error:
        decoded(content, "a.npy")
    return str(error.value)


def test_no_object_is_unpickled():
    content = file_of(np.array([[Trap()]], object))
    with pytest.raises(SystemExit, match="unpickled"):  # the trap works
        np.load(io.BytesIO(content), allow_pickle=True)
    assert refusal(content).startswith(NUMBERS + "pickled objects.")


HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }"


def with_header(text: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + data


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x93NUMPY", BROKEN),
        (b"\x93NUMPY\x09\x00", BROKEN),
        (with_header("(" * 5000), BROKEN),
        (with_header("__import__('os')"), BROKEN),
        (
            with_header(HEADER % "(60000, 60000, 3)"),
            "a.npy must hold 43200000000 bytes for its shape (60000, 60000, 3), got 0" + AGAIN,
        ),
        (with_header(HEADER % "(2, 2)", bytes(15)), "a.npy must hold 16 bytes for its shape (2, 2), got 15" + AGAIN),
        (with_header(HEADER % "(2, 2)", bytes(17)), "a.npy must hold 16 bytes for its shape (2, 2), got 17" + AGAIN),
        (with_header(HEADER % "(-1, 2)"), f"{SHAPES}(-1, 2){REORDER}"),
        (with_header(HEADER % f"(1, {10**100})"), f"{SHAPES}2 dimensions, (1, {10**35}…{REORDER}"),
    ],
)
def test_forged_headers(content, said):
    assert refusal(content) == said
