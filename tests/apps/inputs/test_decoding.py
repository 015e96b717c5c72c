"""Files from a visitor: the right pixels with a note, or one clear error; all of them are made here by Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from lrp_widgets.apps.inputs.decoding import decoded, plain_name

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (9, 14, 3), np.uint8)
LOSSLESS: dict[str, dict[str, Any]] = {"PNG": {}, "WEBP": {"lossless": True, "exact": True}}


def file_of(image: Image.Image | np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def blocks(height: int, width: int) -> np.ndarray:
    """Smooth enough that JPEG changes little, and different in each corner."""
    y, x = np.mgrid[0 : 1 : 1j * height, 0 : 1 : 1j * width]
    return np.stack([255 * x, 255 * y, 255 * (1 - x) * (1 - y)], 2).astype(np.uint8)


@pytest.mark.parametrize("kind", LOSSLESS)
@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 99))
def test_pixels_come_back_as_they_were(kind, height, width, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    picture = decoded(file_of(pixels, kind, **LOSSLESS[kind]), "a.png")
    assert np.array_equal(picture.pixels, pixels) and picture.pixels.dtype == np.uint8
    assert picture.said == f"{width} × {height}, RGB"


def test_jpeg_is_near():
    picture = decoded(file_of(blocks(40, 64), "JPEG", quality=95), "a.jpg")
    assert np.abs(picture.pixels.astype(int) - blocks(40, 64)).mean() < 2
    assert (picture.name, picture.said) == ("a.jpg", "64 × 40, RGB")


# Which of the stored pixels is at the upper left, and whether rows are stored as columns: EXIF 2.3, table 6.
UPRIGHT = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: np.rot90(p, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_exif_orientation(kind, orientation):
    stored = COLOURS if kind != "JPEG" else blocks(32, 48)
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = file_of(stored, kind, exif=exif, **LOSSLESS.get(kind, {"quality": 95}))
    picture = decoded(content, "a")
    expected = UPRIGHT[orientation](stored)
    assert picture.pixels.shape == expected.shape
    assert np.abs(picture.pixels.astype(int) - expected).mean() < (0.1 if kind != "JPEG" else 2)
    assert np.array_equal(picture.pixels, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content)))))
    assert ("EXIF" in picture.said) == (orientation != 1)
    assert picture.said.startswith(f"{stored.shape[1]} × {stored.shape[0]}, RGB")


def test_a_16_bit_png_is_turned_too():
    levels = RNG.integers(0, 65536, (5, 8)).astype(np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = decoded(file_of(levels, exif=exif), "a.png")
    assert np.allclose(picture.pixels[..., 0], np.rot90(levels, -1) / 65535, atol=1e-6)
    assert picture.said == "8 × 5, 16-bit grey, EXIF turned it 90° clockwise"


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(decoded(file_of(COLOURS, exif=exif), "a").pixels, COLOURS)


def test_broken_exif_costs_only_itself():
    content = file_of(COLOURS, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + bytes(20))
    assert decoded(content, "a").said == "14 × 9, RGB"


@pytest.mark.parametrize("kind", LOSSLESS)
def test_alpha_is_laid_over_white(kind):
    pixels = np.dstack([COLOURS, RNG.integers(0, 256, COLOURS.shape[:2], np.uint8)])
    pixels[0, :3, 3] = 0, 255, 128
    picture = decoded(file_of(pixels, kind, **LOSSLESS[kind]), "a")
    share = pixels[..., 3:] / 255
    assert np.abs(picture.pixels - (COLOURS * share + 255 * (1 - share))).max() <= 1
    assert picture.pixels[0, 0].tolist() == [255] * 3
    assert picture.said == "14 × 9, RGB with alpha, laid over white where transparent"


def test_alpha_that_hides_nothing_is_not_mentioned():
    pixels = np.dstack([COLOURS, np.full(COLOURS.shape[:2], 255, np.uint8)])
    picture = decoded(file_of(pixels), "a.png")
    assert np.array_equal(picture.pixels, COLOURS) and picture.said == "14 × 9, RGB with alpha"


WHITE = np.full((2, 2, 3), 255)
OVER_WHITE = ", laid over white where transparent"


@pytest.mark.parametrize(
    ("image", "options", "expected", "said"),
    [
        (Image.fromarray(COLOURS[..., 0]), {}, COLOURS[..., :1], "grey"),
        (Image.fromarray(COLOURS[..., 0] > 99), {}, 255 * (COLOURS[..., :1] > 99), "black and white"),
        (Image.new("LA", (2, 2), (0, 0)), {}, WHITE[..., :1], "grey with alpha" + OVER_WHITE),
        (Image.new("L", (2, 2), 7), {"transparency": 7}, WHITE[..., :1], "grey" + OVER_WHITE),
        (Image.new("1", (2, 2), 0), {"transparency": 0}, WHITE[..., :1], "black and white" + OVER_WHITE),
        (Image.new("RGB", (2, 2), "red"), {"transparency": (255, 0, 0)}, WHITE, "RGB" + OVER_WHITE),
        (Image.new("P", (2, 2), 0), {"transparency": 0}, WHITE, "palette" + OVER_WHITE),
    ],
)
def test_modes_of_png(image, options, expected, said):
    picture = decoded(file_of(image, **options), "a.png")
    assert np.array_equal(picture.pixels, expected)
    assert picture.said == f"{image.width} × {image.height}, {said}"


def test_a_palette_becomes_its_colours():
    image = Image.fromarray(COLOURS).quantize(16)
    assert np.array_equal(decoded(file_of(image), "a").pixels, np.asarray(image.convert("RGB")))


def test_16_bits_keep_their_levels():
    levels = np.array([[0, 1, 257], [32768, 65534, 65535]], np.uint16)
    picture = decoded(file_of(levels), "a.png")
    assert np.array_equal(picture.pixels[..., 0], (levels / 65535).astype(np.float32))
    assert picture.said == "3 × 2, 16-bit grey"
    hole = decoded(file_of(levels, transparency=257), "a.png")
    assert hole.pixels[0, 2, 0] == 1 and hole.said == "3 × 2, 16-bit grey, laid over white where transparent"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG that Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_16_bits_a_channel_are_read_as_8_and_it_is_said():
    picture = decoded(png(1, 1, 16, 2, b"\0" + struct.pack(">HHH", 0xFF00, 0x8012, 0x00FF)), "a.png")
    assert np.abs(picture.pixels[0, 0].astype(int) - [255, 128, 0]).max() <= 1
    assert picture.said == "1 × 1, RGB, 16 bits a channel read as 8"


def test_cmyk_is_converted_and_it_is_said():
    picture = decoded(file_of(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "JPEG", quality=95), "a.jpg")
    assert np.abs(picture.pixels.astype(int) - [0, 255, 255]).max() <= 3
    assert picture.said == "8 × 8, CMYK, converted from CMYK without its colour profile"


def test_a_phone_s_second_picture_is_left_out():
    content = file_of(blocks(16, 16), "MPO", save_all=True, append_images=[Image.new("RGB", (4, 4))])
    assert decoded(content, "a.jpg").said == "16 × 16, RGB"


def refusal(content: bytes, name: str = "a.png") -> str:
    with pytest.raises(ValueError) as error:
        decoded(content, name)
    return str(error.value)


FRAMES = {"save_all": True, "append_images": [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]}
KINDS_SAID = "a.png must be a PNG, JPEG, WebP or NPY file, got "
SAVE = ". Save it as PNG or JPEG."


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", f"{KINDS_SAID}an empty file. Choose another one."),
        (b"hello", f"{KINDS_SAID}something else{SAVE}"),
        (bytes(1000), f"{KINDS_SAID}something else{SAVE}"),
        (file_of(COLOURS, "GIF"), f"{KINDS_SAID}a GIF{SAVE}"),
        (file_of(COLOURS, "BMP"), f"{KINDS_SAID}a BMP{SAVE}"),
        (file_of(COLOURS, "TIFF"), f"{KINDS_SAID}a TIFF{SAVE}"),
        (file_of(COLOURS, "PDF"), f"{KINDS_SAID}a PDF{SAVE}"),
        (b"\0\0\0\x24ftypheic", f"{KINDS_SAID}a HEIC photo{SAVE}"),
        (b"PK\x03\x04...", f"{KINDS_SAID}an archive (ZIP or NPZ){SAVE}"),
        (b"<svg/>", f"{KINDS_SAID}an SVG drawing{SAVE}"),
        (
            file_of(Image.new("RGB", (4, 4)), "PNG", **FRAMES),
            "a.png must be a single picture, got an animation of 3 frames. Save one frame of it as PNG.",
        ),
        (
            file_of(Image.new("RGB", (4, 4)), "WEBP", **FRAMES),
            "a.png must be a single picture, got an animation of 3 frames. Save one frame of it as PNG.",
        ),
        (
            png(8000, 5001, 8, 0, b""),
            "a.png must have at most 40 megapixels, got 8000 × 5001, 40.0. Save it smaller.",
        ),
        (
            png(10000, 10000, 8, 0, b""),  # here Pillow warns
            "a.png must have at most 40 megapixels, got 10000 × 10000, 100.0. Save it smaller.",
        ),
        (
            png(2**31 - 1, 2**31 - 1, 8, 0, b""),  # and here it raises
            "a.png must have at most 40 megapixels, got far more. Save it smaller.",
        ),
        (
            b"\x89PNG\r\n\x1a\n" + bytes(20),
            "a.png must be a whole PNG file, got a damaged one (its header cannot be read). "
            "Export or download it again.",
        ),
        (
            b"\xff\xd8\xff" + b"x" * 40,
            "a.png must be a whole JPEG file, got a damaged one (its header cannot be read). "
            "Export or download it again.",
        ),
    ],
)
def test_refusals(content, said):
    assert refusal(content) == said


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.97])
def test_a_truncated_file_is_refused(kind, share):
    content = file_of(RNG.integers(0, 256, (64, 64, 3), np.uint8), kind)
    said = refusal(content[: int(share * len(content))])
    name = {"WEBP": "WebP"}.get(kind, kind)
    assert said.startswith(f"a.png must be a whole {name} file, got a damaged one (")
    assert said.endswith("). Export or download it again.")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_file_is_a_picture_or_a_clear_refusal(kind, data):
    exif = Image.Exif()
    exif[0x0112] = 6
    content = bytearray(file_of(COLOURS, kind, exif=exif))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        picture = decoded(bytes(content), "a")
    except ValueError as error:
        assert str(error).startswith("a must ") and str(error).endswith(".")
    else:
        assert picture.pixels.ndim == 3 and picture.pixels.shape[2] in (1, 3)


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("cat.jpg", "cat.jpg"),
        ("C:\\photos\\cat.jpg", "cat.jpg"),
        ("../../cat.jpg", "cat.jpg"),
        ("", "The file"),
        ("a\nb\u202egnp.jpg\ud800", "a�b�gnp.jpg�"),
        ("x" * 70 + ".png", "x" * 40 + "…" + "x" * 15 + ".png"),
    ],
)
def test_plain_name(filename, name):
    assert plain_name(filename) == name
    plain_name(filename).encode()
