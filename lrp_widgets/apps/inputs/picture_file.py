"""A picture file as the model's input: cropped or padded, resized, its channels and range those of the samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lrp_widgets.apps.inputs.decoding import DecodedPicture, decoded
from lrp_widgets.params import Setting, choice
from lrp_widgets.samples import Samples

__all__ = ["Fit", "from_file", "in_domain", "resized", "to_input", "with_channels"]

LUMINANCE = np.array([0.299, 0.587, 0.114])  # of red, green and blue: ITU-R BT.601, as Pillow and OpenCV have it
DARK, BRIGHT = 0.1, 0.5  # the medians, in [0, 1], of samples with bright ink and of a picture with dark ink
LOOKED_AT = 64  # samples whose median is taken


@dataclass(frozen=True)
class Fit(Setting):
    """What becomes of a picture whose shape or paper is not that of the samples."""

    aspect: str = choice(
        "crop", ("crop", "pad"), help="Cut the sides off, or fill the picture up in its edge's colour."
    )
    invert: str = choice(
        "auto", ("auto", "never", "always"), help="Dark ink to bright; auto: on bright paper where samples are dark."
    )


def from_file(content: bytes, filename: str, samples: Samples, fit: Fit | None = None) -> tuple[Tensor, str]:
    """A file as the model's input, and what was done to it: `decoded`, then `to_input`. Raises what these raise."""
    return to_input(decoded(content, filename, samples), samples, fit)


def to_input(picture: DecodedPicture, samples: Samples, fit: Fit | None = None) -> tuple[Tensor, str]:
    """A picture as the model's input (1, c, h, w), dtype and device of the samples, and the way there in words.

    The words: "cat.jpg: 4032 × 3024, RGB → cropped to the square, resized to 28 × 28, made grey, [0, 1] → [-1, 1]".
    Raises ValueError where the model takes no pictures, or other channels than the picture has.
    """
    fit = fit or Fit()
    if not samples.modality.planar:
        raise ValueError(
            f"{picture.name} must go to a model of pictures (n, c, h, w), got one that takes inputs of shape "
            f"{tuple(samples.inputs.shape)}. Choose one of the samples."
        )
    channels, height, width = samples.inputs.shape[1:]
    pixels, done = _fitted(picture.pixels, height, width, fit.aspect)
    pixels, said = with_channels(pixels, channels, picture.name)
    done += said
    if fit.invert == "always" or (fit.invert == "auto" and _is_dark_on_bright(pixels, samples)):
        pixels = 1 - pixels
        done.append("inverted" if fit.invert == "always" else "inverted, for the samples are bright on dark")
    x, said = in_domain(pixels, samples)
    done += said
    return x, f"{picture.name}: {picture.said} → {', '.join(done) or 'taken as it is'}"


def in_domain(pixels: np.ndarray, samples: Samples) -> tuple[Tensor, list[str]]:
    """(h, w, c) in [0, 1] as (1, c, h, w) in the domain of the samples, their dtype and device; and what was done."""
    low, high = (np.asarray(bound, np.float64) for bound in (samples.low, samples.high))
    values = np.clip(low + pixels * (high - low), low, high)  # rounding may lead out of a box that z^B needs
    done = []
    if low.ndim or high.ndim:
        done.append("[0, 1] → [low, high] of each channel")
    elif (low, high) != (0, 1):
        done.append(f"[0, 1] → [{low:.4g}, {high:.4g}]")
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None].to(samples.inputs), done


def _fitted(pixels: np.ndarray, height: int, width: int, aspect: str) -> tuple[np.ndarray, list[str]]:
    """(height, width, c) float64 in [0, 1], and what was done for it: cropped or padded about its centre, resized."""
    tall, wide = pixels.shape[:2]
    shape = "the square" if height == width else f"{width} : {height}"
    done, rows, columns = [], height, width  # what the picture takes of the input
    if aspect == "crop":
        kept = min(tall, max(1, round(wide * height / width))), min(wide, max(1, round(tall * width / height)))
        if kept != (tall, wide):
            top, left = (tall - kept[0]) // 2, (wide - kept[1]) // 2
            pixels = pixels[top : top + kept[0], left : left + kept[1]]
            done.append(f"cropped to {shape}")
    else:
        rows, columns = min(height, max(1, round(width * tall / wide))), min(width, max(1, round(height * wide / tall)))
    if pixels.shape[:2] != (rows, columns):
        done.append(f"{'enlarged' if rows * columns > pixels[..., 0].size else 'reduced'} to {columns} × {rows}")
    small = resized(pixels, rows, columns)
    if (rows, columns) != (height, width):  # after resizing: padding a thin strip first could fill the memory
        edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        padded = np.tile(np.median(edge, axis=0) / _scale(pixels), (height, width, 1))
        top, left = (height - rows) // 2, (width - columns) // 2
        padded[top : top + rows, left : left + columns] = small
        small = padded
        done.append(f"padded to {width} × {height} in the colour of its edge")
    return small, done


def _scale(pixels: np.ndarray) -> int:
    """What is white: 255 in bytes, else 1."""
    return 255 if pixels.dtype == np.uint8 else 1


def resized(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """(height, width, c) float64 in [0, 1]: Lanczos over all that a new pixel covers, one channel after another."""
    if pixels.shape[:2] == (height, width):
        return pixels.astype(np.float64) / _scale(pixels)
    planes = [
        Image.fromarray(pixels[..., channel].astype(np.float32)).resize((width, height), Image.Resampling.LANCZOS)
        for channel in range(pixels.shape[2])
    ]
    return np.clip(np.stack([np.asarray(plane, np.float64) for plane in planes], axis=2) / _scale(pixels), 0, 1)


def with_channels(pixels: np.ndarray, channels: int, name: str) -> tuple[np.ndarray, list[str]]:
    """The pixels with so many channels, and what was done for it. Raises ValueError where that cannot be."""
    got = pixels.shape[2]
    if got == channels:
        return pixels, []
    if (got, channels) == (3, 1):
        return pixels @ LUMINANCE[:, None], ["made grey"]
    if (got, channels) == (1, 3):
        return np.repeat(pixels, 3, axis=2), ["grey in all 3 channels"]
    raise ValueError(
        f"{name} must have {channels} channels as the model's input has, got {got}. "
        f"Save it as an NPY file of shape ({channels}, h, w)."
    )


def _is_dark_on_bright(pixels: np.ndarray, samples: Samples) -> bool:
    """Whether a grey picture is ink on paper while the samples are light on black: colour pictures never are."""
    if pixels.shape[2] != 1 or np.median(pixels) <= BRIGHT:
        return False
    low, high = float(np.mean(samples.low)), float(np.mean(samples.high))
    middle = float(samples.inputs[:LOOKED_AT].float().median())
    return (middle - low) / (high - low) < DARK
