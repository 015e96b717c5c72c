"""An NPY file from a visitor as pixels; the note tells how its axes and its range were read."""

from __future__ import annotations

import io
import math

import numpy as np
from numpy.lib import format as npy

from lrp_widgets.samples import Samples

__all__ = ["array_pixels"]

NEAR = 1e-3  # how far floats may lie outside their range: what resizing and rounding leave there
BRIGHT = 16.0  # floats whose largest is below this are no levels of 0 to 255: the picture would be black


def array_pixels(content: bytes, name: str, samples: Samples | None = None) -> tuple[np.ndarray, str]:
    """The (h, w, c) pixels of an NPY file, float32 in [0, 1], and what was read.

    Shapes: (h, w), (h, w, c), (c, h, w), or the latter two in a batch of one; c is 1, 3, 4 (with alpha) or the
    channels of `samples`. Values: bool, unsigned levels, whole numbers or floats in [0, 255], floats in [0, 1] or in
    the domain of `samples`. Raises ValueError that names the file.
    """
    array = _read(content, name)
    shape = " × ".join(map(str, array.shape))
    array, layout = _channels_last(array, name, samples)
    values, range_read = _in_unit_range(array, name, samples)
    notes = [f"{array.shape[1]} × {array.shape[0]}", f"{array.dtype.name} array {shape}{layout}", range_read]
    if values.shape[2] == 4 and _channels(samples) != 4:
        alpha = values[..., 3:]
        if alpha.min() < 1:
            notes.append("laid over white where transparent")
        values = values[..., :3] * alpha + (1 - alpha)
    return values.astype(np.float32).clip(0, 1), ", ".join(filter(None, notes))


def _read(content: bytes, name: str) -> np.ndarray:
    """The array; its header is checked before anything is made of it, and no object is ever unpickled."""
    file = io.BytesIO(content)
    try:
        version = npy.read_magic(file)
        read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, fortran, dtype = read_header(file)
    except Exception:  # a header is Python text: a broken one fails in many ways
        raise ValueError(
            f"{name} must begin with an NPY header, got a broken one. Save it again with np.save."
        ) from None
    if dtype.kind not in "buif":
        got = "pickled objects" if dtype.hasobject else f"{dtype}"[:40]
        raise ValueError(f"{name} must hold real numbers, got {got}. Save it with np.save(file, x.astype('float32')).")
    if not 2 <= len(shape) <= 4 or not all(1 <= size < 10**9 for size in shape):
        raise _wrong_shape(name, shape, "1, 3 or 4")
    expected, size = math.prod(shape) * dtype.itemsize, len(content) - file.tell()
    if expected != size:
        raise ValueError(
            f"{name} must hold {expected} bytes for its shape {shape}, got {size}. Save it again with np.save."
        )
    array = np.frombuffer(content, dtype, offset=file.tell())
    return array.reshape(shape, order="F" if fortran else "C")


def _wrong_shape(name: str, shape: tuple[int, ...], counts: str) -> ValueError:
    got = f"{shape}" if len(f"{shape}") <= 60 else f"{len(shape)} dimensions, {f'{shape}'[:40]}…"
    return ValueError(
        f"{name} must have shape (h, w), (h, w, c) or (c, h, w) with c {counts}, got {got}. "
        "Take one picture of it, or reorder its axes with np.moveaxis."
    )


def _channels(samples: Samples | None) -> int | None:
    return None if samples is None else samples.inputs.shape[1]


def _channels_last(array: np.ndarray, name: str, samples: Samples | None) -> tuple[np.ndarray, str]:
    """The array as (h, w, c), and how its axes were read, where two readings are possible."""
    shape, own = array.shape, _channels(samples)
    if array.ndim == 4 and shape[0] == 1:
        array = array[0]
    if array.ndim == 2:
        return array[..., None], ""
    if array.ndim == 3:
        last, first = (size in (1, 3, 4, own) for size in (array.shape[2], array.shape[0]))
        if last and first:  # a very narrow or a very low picture: as the model has it, else as pictures are stored
            last = array.shape[2] == own or array.shape[0] != own
            first = not last
            layout = " read as h × w × c" if last else " read as c × h × w"
        else:
            layout = ""
        if last:
            return array, layout
        if first:
            return array.transpose(1, 2, 0), layout
    raise _wrong_shape(name, shape, "1, 3 or 4" if own in (None, 1, 3, 4) else f"1, 3, 4 or {own}")


def _in_unit_range(array: np.ndarray, name: str, samples: Samples | None) -> tuple[np.ndarray, str]:
    """The values in [0, 1], and a note on how they were scaled."""
    with np.errstate(over="ignore"):  # of numbers longer than float64
        values = array.astype(np.float64)
    not_finite = int((~np.isfinite(values)).sum())
    if not_finite:
        raise ValueError(
            f"{name} must be finite, got {not_finite} NaN or infinite values of {values.size}. "
            "Replace them with np.nan_to_num."
        )
    if array.dtype.kind == "b":
        return values, ""
    if array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        most = 256**array.dtype.itemsize - 1
        return values / most, f"divided by {most}"
    low, high = float(values.min()), float(values.max())
    whole = array.dtype.kind in "ui"
    if not whole or high <= 1:
        if low >= -NEAR and high <= 1 + NEAR:
            return values, ""
        if samples is not None and array.shape[2] == samples.inputs.shape[1]:
            bottom, top = (np.asarray(bound, np.float64) for bound in (samples.low, samples.high))
            unit = (values - bottom) / (top - bottom)
            if unit.min() >= -NEAR and unit.max() <= 1 + NEAR:
                return unit, "taken to be in the model's own domain"
    if low >= -NEAR and high <= 255 + NEAR and (whole or high >= BRIGHT):
        return values / 255, "divided by 255"
    domain = ", or the model's own domain" if samples is not None else ""
    raise ValueError(
        f"{name} must have values in [0, 1] or [0, 255]{domain}, got [{low:.4g}, {high:.4g}]. Rescale it to [0, 1]."
    )
