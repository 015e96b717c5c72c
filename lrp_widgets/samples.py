"""Samples: the inputs that a dashboard offers, what they are, and the box they live in."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Samples"]

Bound = float | tuple[float, ...]
Listed = tuple[list[Path], list[int] | None, list[str] | None]  # files, their class, and the class names

IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs with their labels, class names and domain.

    inputs: (n, …) floating-point tensor, as the model takes them (images: (n, channels, height, width)).
    labels: n class indices, -1 where one is not known; or None where none is.
    classes: the class names in the order of the model's outputs, or None.
    low, high: the input domain, one float or one per channel; the z^B rule and the pictures use it.
    Raises ValueError or TypeError that names what is wrong.
    """

    inputs: Tensor
    labels: Tensor | Sequence[int] | None = None
    classes: Sequence[str] | None = None
    low: Bound = 0.0
    high: Bound = 1.0

    def __post_init__(self) -> None:
        said = "Samples.inputs must be a floating-point tensor"
        if not isinstance(self.inputs, Tensor):
            raise TypeError(f"{said}, got {type(self.inputs).__name__}. Make one with torch.as_tensor(…).")
        if not self.inputs.is_floating_point():
            remedy = "Take its real part." if self.inputs.is_complex() else "Convert it with .float()."
            raise TypeError(f"{said}, got {self.inputs.dtype}. {remedy}")
        if self.inputs.ndim < 2 or self.inputs.numel() == 0:
            raise ValueError(
                "Samples.inputs must have a batch dimension and at least one row, "
                f"got shape {tuple(self.inputs.shape)}."
            )
        if self.labels is not None:
            object.__setattr__(self, "labels", self._checked_labels())
        if self.classes is not None:
            if not isinstance(self.classes, Iterable):
                raise TypeError(
                    f"Samples.classes must be the class names in the order of the outputs, got {self.classes!r}."
                )
            object.__setattr__(self, "classes", tuple(str(name) for name in self.classes))
        for name in ("low", "high"):
            object.__setattr__(self, name, self._bound(name))
        if not all(low < high for low, high in zip(self._channels("low"), self._channels("high"), strict=True)):
            raise ValueError(f"Samples.low must be below Samples.high, got {self.low} and {self.high}.")

    def _checked_labels(self) -> Tensor:
        said = f"Samples.labels must hold one class index per input ({len(self.inputs)})"
        try:
            labels = torch.as_tensor(self.labels)
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(f"{said}, got {self.labels!r}.") from None
        if labels.shape != self.inputs.shape[:1]:
            raise ValueError(f"{said}, got {tuple(labels.shape)}.")
        if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
            raise TypeError(f"{said}, got {labels.dtype}. Convert them with .long().")
        if int(labels.min()) < -1:
            raise ValueError(f"{said}, or -1 where it is not known, got {int(labels.min())}.")
        return labels.long()

    def _bound(self, name: str) -> Bound:
        value = getattr(self, name)
        try:
            bound = torch.as_tensor(value, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(f"Samples.{name} must be a number or one number per channel, got {value!r}.") from None
        if not bool(torch.isfinite(bound).all()):
            raise ValueError(f"Samples.{name} must be finite, got {value!r}.")
        if bound.ndim == 0:
            return float(bound)
        if bound.numel() != self.inputs.shape[1]:
            raise ValueError(
                f"Samples.{name} must be one number or one per channel ({self.inputs.shape[1]}), got {bound.numel()}."
            )
        return tuple(bound.flatten().tolist())

    def _channels(self, name: str) -> tuple[float, ...]:
        value = getattr(self, name)
        return value if isinstance(value, tuple) else (value,) * self.inputs.shape[1]

    def __len__(self) -> int:
        return len(self.inputs)

    def name(self, index: int) -> str:
        """The class name of a model output: from `classes`, or the index itself; "unknown" for -1."""
        if index == -1:
            return "unknown"
        return self.classes[index] if self.classes is not None and index < len(self.classes) else str(index)

    @classmethod
    def from_folder(
        cls,
        path: str | Path,
        size: int | tuple[int, int] | None = None,
        low: Bound = 0.0,
        high: Bound = 1.0,
        limit: int | None = 200,
        *,
        channels: int = 3,
        classes: Sequence[str] | None = None,
    ) -> Samples:
        """The images in a folder, or in its folders, each named after a class.

        size: (height, width) or one side: images are scaled to cover it and cut around their middle; None leaves them.
        low, high: what black and white become, as the model takes them; one number or one per channel.
        limit: how many are read, as many of each class, with a warning where there are more; None reads all.
        channels: 3 (RGB) or 1 (grey). EXIF orientation is followed; what is transparent becomes white.
        classes: the names in the order of the model's outputs; in alphabetical order where None.
        Raises FileNotFoundError, NotADirectoryError, TypeError or ValueError that names what is wrong.
        """
        folder = Path(path).expanduser()
        sides = _sides(size, limit, channels)
        cls(torch.zeros(1, channels, 1, 1), low=low, high=high)  # what is wrong with these is said before the work
        files, labels, names = _listed(folder, classes)
        kept = _evenly(labels or [0] * len(files), limit)
        if len(kept) < len(files):
            share = "" if labels is None else ", as many of each class"
            warnings.warn(
                f"{folder} holds {len(files)} images, and {len(kept)} of them are read{share}: limit={limit}. "
                "Set limit higher, or None for all.",
                stacklevel=2,
            )
        pixels = _stacked([files[row] for row in kept], sides, channels)
        lows, highs = (torch.as_tensor(bound, dtype=torch.float32).reshape(-1, 1, 1) for bound in (low, high))
        inputs = lows + pixels * (highs - lows)
        return cls(inputs, None if labels is None else [labels[row] for row in kept], names, low, high)


def _sides(size: Any, limit: Any, channels: Any) -> tuple[int, int] | None:
    """(height, width), or None. Raises ValueError where size, limit or channels cannot be."""
    for name, value in (("limit", 1 if limit is None else limit), ("channels", channels)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number, at least 1, got {value!r}.")
    if channels not in (1, 3):
        raise ValueError(f"channels must be 3 (RGB) or 1 (grey), got {channels}.")
    sides = (size, size) if isinstance(size, int) else size
    if sides is None:
        return None
    fit = isinstance(sides, tuple | list) and len(sides) == 2
    if not fit or not all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in sides):
        raise ValueError(f"size must be one side or (height, width) in pixels, or None, got {size!r}.")
    return sides[0], sides[1]


def _listed(folder: Path, classes: Sequence[str] | None) -> Listed:
    """The image files in order. Raises an error where there are none, or where it is not clear what their class is."""
    if not folder.exists():
        raise FileNotFoundError(f"from_folder must be given a folder of images, got {folder}, which is not there.")
    if not folder.is_dir():
        raise NotADirectoryError(f"from_folder must be given a folder of images, got the file {folder}.")
    flat = _images(folder)
    named = sorted(inner for inner in folder.iterdir() if inner.is_dir() and not inner.name.startswith("."))
    found = [(file, inner.name) for inner in named for file in _images(inner)]
    if flat and found:
        raise ValueError(
            f"{folder} must hold either images or one folder of images for each class, got both "
            f"({flat[0].name} and {found[0][1]}/{found[0][0].name}). Move one of them away."
        )
    if not flat and not found:
        raise ValueError(
            f"{folder} must hold images ({' '.join(IMAGES)}) or one folder of them for each class, got none."
        )
    if flat:
        return flat, None, None if classes is None else list(classes)
    names = [inner.name for inner in named] if classes is None else list(classes)
    for inner in {name: None for _, name in found}:
        if inner not in names:
            raise ValueError(
                f"The folders in {folder} must be named after classes ({', '.join(names)}), got {inner}. "
                "Rename it, or leave classes out."
            )
    return [file for file, _ in found], [names.index(name) for _, name in found], names


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


def _stacked(files: Sequence[Path], sides: tuple[int, int] | None, channels: int) -> Tensor:
    """(n, channels, height, width) in [0, 1]. Raises ValueError that names the file that does not fit."""
    from PIL.Image import DecompressionBombError  # here, so that whoever reads no images need not wait for it

    rows: list[Tensor] = []
    for file in files:
        try:
            pixels = _pixels(file, sides, channels)
        except (OSError, ValueError, SyntaxError, DecompressionBombError) as fault:
            raise ValueError(
                f"{file} must be a whole image, got {type(fault).__name__}: {fault}. Replace it, or move it away."
            ) from fault
        if rows and pixels.shape != rows[0].shape:
            first, other = (f"{row.shape[1]}×{row.shape[2]}" for row in (rows[0], pixels))
            raise ValueError(
                f"The images must be of one size, got {first} ({files[0].name}) and {other} ({file.name}). "
                "Say which with size=…."
            )
        rows.append(pixels)
    return torch.stack(rows)


def _pixels(file: Path, sides: tuple[int, int] | None, channels: int) -> Tensor:
    """One image, upright, cut to size, in [0, 1]."""
    from PIL import Image, ImageOps

    with Image.open(file) as opened:
        if sides is not None:  # a JPEG is decoded at an eighth, a quarter or a half where that is enough
            opened.draft(opened.mode, (2 * max(sides), 2 * max(sides)))
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith(("I", "F")):  # 16 bits and more, which conversion would cut off at 255
            values = np.asarray(image, dtype=np.float64)
            top = 65535 if image.mode.startswith("I") and values.max(initial=0) > 255 else 255
            image = Image.fromarray((values * (255 / top)).clip(0, 255).round().astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        image = image.convert("RGB" if channels == 3 else "L")
        if sides is not None:
            image = ImageOps.fit(image, (sides[1], sides[0]), Image.Resampling.BICUBIC)
        pixels = np.asarray(image, dtype=np.float32) / 255
    return torch.from_numpy(pixels[..., None] if channels == 1 else pixels).permute(2, 0, 1).contiguous()
