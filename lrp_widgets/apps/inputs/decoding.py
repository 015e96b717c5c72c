"""A picture file from a visitor as pixels: PNG, JPEG, WebP and NPY; whatever is odd about it is said, or refused."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile

from lrp_widgets.apps.inputs.array_file import array_pixels
from lrp_widgets.samples import Samples

__all__ = ["MOST_PIXELS", "DecodedPicture", "decoded", "plain_name"]

MOST_PIXELS = 40_000_000  # a phone takes 12 million; this many need 2 s and half a gigabyte
FORMATS = ("PNG", "JPEG", "WEBP")  # Pillow reads many more: each is another way in
ACCEPTED = "a PNG, JPEG, WebP or NPY file"

# How files begin, and what to call them. Those that are read come first.
KINDS = (
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (8, b"WEBP", "WebP"),
    (0, b"\x93NUMPY", "NPY"),
    (0, b"GIF8", "a GIF"),
    (0, b"BM", "a BMP"),
    (0, b"II*\0", "a TIFF"),
    (0, b"MM\0*", "a TIFF"),
    (4, b"ftyphe", "a HEIC photo"),
    (4, b"ftypmif1", "a HEIC photo"),
    (4, b"ftypavif", "an AVIF"),
    (0, b"%PDF", "a PDF"),
    (0, b"PK\x03\x04", "an archive (ZIP or NPZ)"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"<?xml", "an SVG drawing or other XML"),
)
READ = ("PNG", "JPEG", "WebP", "NPY")

ORIENTATION = 0x0112  # of EXIF
TURNS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT, "EXIF mirrored it"),
    3: (Image.Transpose.ROTATE_180, "EXIF turned it 180°"),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, "EXIF flipped it"),
    5: (Image.Transpose.TRANSPOSE, "EXIF mirrored and turned it"),
    6: (Image.Transpose.ROTATE_270, "EXIF turned it 90° clockwise"),
    7: (Image.Transpose.TRANSVERSE, "EXIF mirrored and turned it"),
    8: (Image.Transpose.ROTATE_90, "EXIF turned it 90° counterclockwise"),
}
MODES = {
    "1": "black and white",
    "L": "grey",
    "LA": "grey with alpha",
    "I": "16-bit grey",
    "I;16": "16-bit grey",
    "P": "palette",
    "RGBA": "RGB with alpha",
}


@dataclass(frozen=True, eq=False)
class DecodedPicture:
    """A decoded file.

    name: of the file, fit to be shown.  pixels: (height, width, channels), uint8, or float32 in [0, 1].
    said: what the file holds and what reading it changed: "4032 × 3024, RGB, EXIF turned it 180°".
    """

    name: str
    pixels: np.ndarray
    said: str


def decoded(content: bytes, filename: str, samples: Samples | None = None) -> DecodedPicture:
    """The pixels of a PNG, JPEG, WebP or NPY file, upright, over white where it is transparent.

    The content decides what a file is, not its name. samples: whose channels and domain an NPY file may have, too.
    Raises ValueError that names the file, what it is, what it must be and what to do.
    """
    name = plain_name(filename)
    if not content:
        raise ValueError(f"{name} must be {ACCEPTED}, got an empty file. Choose another one.")
    kind = next((kind for at, start, kind in KINDS if content[at:].startswith(start)), "")
    if kind not in READ:
        got = kind or "something else"
        raise ValueError(f"{name} must be {ACCEPTED}, got {got}. Save it as PNG or JPEG.")
    with warnings.catch_warnings():  # of sizes and odd metadata; what matters of them is checked here
        warnings.simplefilter("ignore")
        if kind == "NPY":
            return DecodedPicture(name, *array_pixels(content, name, samples))
        return DecodedPicture(name, *_image_pixels(content, name, kind))


def plain_name(filename: str) -> str:
    """A file's name on one line, at most 60 letters, its end kept: what it is called in messages."""
    name = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in filename).strip()
    name = name.replace("\\", "/").rpartition("/")[2] or "The file"
    return name if len(name) <= 60 else f"{name[:40]}…{name[-19:]}"


def _image_pixels(content: bytes, name: str, kind: str) -> tuple[np.ndarray, str]:
    file = _opened(content, name, kind)
    width, height = file.size
    deep = any(";16" in str(tile) for tile in file.tile) and not file.mode.startswith("I")
    try:
        file.load()
    except Exception as error:  # decoders fail in many ways on a damaged file: all of them mean this
        raise ValueError(_damaged(name, kind, error)) from None
    image: Image.Image = file
    said = [f"{width} × {height}", MODES.get(image.mode, image.mode)]
    if deep:
        said.append("16 bits a channel read as 8")
    if (orientation := _orientation(image)) in TURNS:
        turn, turned = TURNS[orientation]
        image = image.transpose(turn)
        said.append(turned)
    pixels, note = _values(image)
    return pixels, ", ".join(said + note)


def _opened(content: bytes, name: str, kind: str) -> ImageFile.ImageFile:
    """The file with its header read and nothing decoded yet."""
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError:
        raise ValueError(_too_large(name, "far more")) from None
    except Exception as error:
        raise ValueError(_damaged(name, kind, error)) from None
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise ValueError(_too_large(name, f"{width} × {height}, {width * height / 1e6:.1f}"))
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # phones put a second view behind the picture and call it JPEG
        raise ValueError(
            f"{name} must be a single picture, got an animation of {frames} frames. Save one frame of it as PNG."
        )
    return image


def _too_large(name: str, got: str) -> str:
    return f"{name} must have at most {MOST_PIXELS / 1e6:.0f} megapixels, got {got}. Save it smaller."


def _damaged(name: str, kind: str, error: Exception) -> str:
    reason = "its header cannot be read" if isinstance(error, Image.UnidentifiedImageError) else str(error).rstrip(".")
    return f"{name} must be a whole {kind} file, got a damaged one ({reason}). Export or download it again."


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # of broken metadata; the picture itself is there
        return 1


def _values(image: Image.Image) -> tuple[np.ndarray, list[str]]:
    """(height, width, 1 or 3) of a loaded picture of any mode, and what there is to say of the way there."""
    if image.mode.startswith("I"):
        levels = np.asarray(image)
        values = (levels.astype(np.float32) / 65535).clip(0, 1)
        clear = image.info.get("transparency")  # the one level that is transparent
        return _over_white(values, levels, clear)
    if image.mode == "CMYK":
        return np.asarray(image.convert("RGB")), ["converted from CMYK without its colour profile"]
    grey = image.mode in ("1", "L", "LA")
    note = []
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        if np.asarray(layer)[..., 3].min() < 255:
            note.append("laid over white where transparent")
        image = Image.new("RGBA", layer.size, "white")
        image.alpha_composite(layer)
    pixels = np.asarray(image.convert("L" if grey else "RGB"))
    return (pixels[..., None] if grey else pixels), note


def _over_white(values: np.ndarray, levels: np.ndarray, clear: object) -> tuple[np.ndarray, list[str]]:
    holes = levels == clear if isinstance(clear, int) else np.zeros(1, bool)
    note = ["laid over white where transparent"] if holes.any() else []
    return np.where(holes, np.float32(1), values)[..., None], note
