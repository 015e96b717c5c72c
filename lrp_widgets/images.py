"""Image files as pixels: found in a folder, read upright, laid over white, cut to size."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["IMAGES", "centred", "covering", "listed", "numbers", "stacked", "upright"]

Listed = tuple[list[Path], list[int] | None, list[str] | None]  # files, their class, and the class names
Fit = Callable[[Any], Any]  # a Pillow image to another one

IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
MOST_NAMES = 12  # of classes in a message


def listed(folder: Path, classes: Sequence[str] | None, limit: int | None) -> Listed:
    """The image files in order, at most `limit` of them, as many of each class; with a warning where there are more.

    Raises an error where there are none, or where it is not clear what their class is.
    """
    files, labels, names = _files_and_classes(folder, classes)
    rows = _evenly(labels or [0] * len(files), limit)
    if len(rows) < len(files):
        share = "" if labels is None else ", as many of each class"
        warnings.warn(
            f"{folder} holds {len(files)} images, and {len(rows)} of them are read{share}: limit={limit}. "
            "Set limit higher, or None for all.",
            stacklevel=3,
        )
    return [files[row] for row in rows], None if labels is None else [labels[row] for row in rows], names


def _files_and_classes(folder: Path, classes: Sequence[str] | None) -> Listed:
    if not folder.exists():
        raise FileNotFoundError(f"from_folder must be given a folder of images, got {folder}, which is not there.")
    if not folder.is_dir():
        raise NotADirectoryError(f"from_folder must be given a folder of images, got the file {folder}.")
    flat = _images(folder)
    folders = sorted(inner for inner in folder.iterdir() if inner.is_dir() and not inner.name.startswith("."))
    members = [(file, inner.name) for inner in folders for file in _images(inner)]
    if flat and members:
        raise ValueError(
            f"{folder} must hold either images or one folder of images for each class, got both "
            f"({flat[0].name} and {members[0][1]}/{members[0][0].name}). Move one of them away."
        )
    if not flat and not members:
        raise ValueError(
            f"{folder} must hold images ({' '.join(IMAGES)}) or one folder of them for each class, got none."
        )
    if flat:
        return flat, None, None if classes is None else list(classes)
    names = [inner.name for inner in folders] if classes is None else list(classes)
    for inner in {name: None for _, name in members}:
        if inner not in names:
            listing = [*names[:MOST_NAMES], *([f"… {len(names)} in all"] if len(names) > MOST_NAMES else [])]
            raise ValueError(
                f"The folders in {folder} must be named after classes ({', '.join(listing)}), got {inner}. "
                "Rename it, or leave classes out."
            )
    return [file for file, _ in members], [names.index(name) for _, name in members], names


def _images(folder: Path) -> list[Path]:
    files = (file for file in folder.iterdir() if file.suffix.lower() in IMAGES and not file.name.startswith("."))
    return sorted(file for file in files if file.is_file())


def _evenly(labels: Sequence[int], limit: int | None) -> list[int]:
    """Which rows to keep: the first of every class, then the second of every class, … up to the limit; in order."""
    if limit is None or len(labels) <= limit:
        return list(range(len(labels)))
    times: dict[int, int] = {}
    turn = []
    for row, label in enumerate(labels):
        times[label] = times.get(label, 0) + 1
        turn.append((times[label], row))
    return sorted(row for _, row in sorted(turn)[:limit])


def stacked(files: Sequence[Path], channels: int, fit: Fit | None = None, smallest: int | None = None) -> Tensor:
    """(n, channels, height, width) in [0, 1], each image passed through `fit`.

    smallest: a side in pixels; JPEGs may be decoded at less than their size, with sides at least twice as long.
    Raises ValueError that names the file that does not fit.
    """
    from PIL import Image  # here, so that whoever reads no images need not wait for it

    rows: list[Tensor] = []
    for file in files:
        try:
            with Image.open(file) as original:
                if smallest is not None:  # an eighth, a quarter or a half where that is enough
                    original.draft(original.mode, (2 * smallest, 2 * smallest))
                image = upright(original, channels)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as fault:
            raise ValueError(
                f"{file} must be a whole image, got {type(fault).__name__}: {fault}. Replace it, or move it away."
            ) from fault
        pixels = numbers(image if fit is None else fit(image))
        if rows and pixels.shape != rows[0].shape:
            first, other = (f"{row.shape[1]}×{row.shape[2]}" for row in (rows[0], pixels))
            raise ValueError(
                f"The images must be of one size, got {first} ({files[0].name}) and {other} ({file.name}). "
                "Say which with size=…."
            )
        rows.append(pixels)
    return torch.stack(rows)


def upright(image: Any, channels: int) -> Any:
    """A Pillow image of any mode as RGB (3 channels) or grey (1), turned as EXIF says, over white where transparent."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):  # 16 bits and more, which conversion would cut off at 255
        values = np.asarray(image, dtype=np.float64)
        top = 65535 if image.mode.startswith("I") and values.max(initial=0) > 255 else 255
        image = Image.fromarray((values * (255 / top)).clip(0, 255).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB" if channels == 3 else "L")


def covering(image: Any, sides: tuple[int, int]) -> Any:
    """Scaled to cover (height, width) and cut around its middle."""
    from PIL import Image, ImageOps

    return ImageOps.fit(image, (sides[1], sides[0]), Image.Resampling.BICUBIC)


def centred(image: Any, resize: int, size: int, interpolation: str) -> Any:
    """The shorter side resized, then a square cut out of the middle, to the pixel as torchvision does it.

    Where the square is larger than the picture, it is black around it.
    """
    from PIL import Image

    width, height = image.size
    short = min(width, height)
    if short != resize:
        # The longer side is cut off to whole pixels, not rounded: so it is in torchvision.
        sides = tuple(resize if side == short else int(resize * side / short) for side in (width, height))
        image = image.resize(sides, getattr(Image.Resampling, interpolation.upper()))
    wide, high = (max(0, size - side) for side in image.size)
    if wide or high:
        canvas = Image.new(image.mode, (image.size[0] + wide, image.size[1] + high))
        canvas.paste(image, (wide // 2, high // 2))
        image = canvas
    left, top = (round((side - size) / 2) for side in image.size)
    return image.crop((left, top, left + size, top + size))


def numbers(image: Any) -> Tensor:
    """(channels, height, width) in [0, 1] of a Pillow image."""
    pixels = torch.from_numpy(np.array(image, dtype=np.uint8))
    return (pixels[..., None] if pixels.ndim == 2 else pixels).permute(2, 0, 1).contiguous().float() / 255
