"""Settings: everything that asks the engine for an answer, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.engine.arithmetic import Neuron
from lrp_widgets.engine.target import Contrast
from lrp_widgets.methods import Method
from lrp_widgets.samples import Samples

__all__ = ["Given", "Morph", "Pixel", "Sample", "Settings", "input_of"]

PAD = 28  # the side of what the drawing pad gives


@dataclass(frozen=True)
class Given:
    """An input from outside, as the model takes it.

    values: float32, little-endian.  shape: (channels, height, width).  said: where it comes from and what became of it.
    """

    values: bytes
    shape: tuple[int, ...]
    said: str = ""


@dataclass(frozen=True)
class Morph:
    """A sample on its way to another one: (1 − share) · start + share · stop."""

    start: int | bytes | Given
    stop: int
    share: float


Sample = int | bytes | Given | Morph  # the index of a sample, the bytes of a drawn picture, …


@dataclass(frozen=True)
class Pixel:
    """A place on the map of a layer, "" for the input: which neuron that is, the relevance there decides."""

    layer: str
    row: int
    column: int
    channel: int = -1  # −1 for the one with most relevance


@dataclass(frozen=True)
class Settings:
    """What is explained and how.

    sample: the index of a sample, the 784 bytes of a drawn picture, a file's picture, or one on its way to another.
    target: a class, None for the top one, or a contrast.  layer, channel: the map that is shown, "" for the input and
    −1 for the sum over channels.  trail: the neurons whose arithmetic was looked at, the present one last.
    pins: the settings of explanations to compare with, each without pins of its own.
    """

    sample: Sample
    method: Method
    target: int | Contrast | None = None
    layer: str = ""
    channel: int = -1
    trail: tuple[Neuron | Pixel, ...] = ()
    pins: tuple[Settings, ...] = ()


def input_of(sample: Sample, samples: Samples) -> Tensor:
    """The sample as the model takes it, a batch of one."""
    if isinstance(sample, int):
        return samples.inputs[sample : sample + 1]
    if isinstance(sample, bytes):
        return _drawn(sample, samples)
    if isinstance(sample, Given):
        values = np.frombuffer(sample.values, "<f4").reshape(1, *sample.shape)
        return torch.from_numpy(values.copy()).to(samples.inputs)
    start, stop = input_of(sample.start, samples), input_of(sample.stop, samples)
    return torch.lerp(start, stop, sample.share)


def _drawn(pixels: bytes, samples: Samples) -> Tensor:
    ink = np.frombuffer(pixels, np.uint8).reshape(1, 1, PAD, PAD).astype(np.float32) / 255
    low, high = (float(np.mean(bound)) for bound in (samples.low, samples.high))
    return torch.from_numpy(low + ink * (high - low)).to(samples.inputs)
