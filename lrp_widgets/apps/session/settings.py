"""Settings: everything that asks the engine for an answer, as one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.engine.analysis.neuron import Neuron
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.target import Contrast
from lrp_widgets.methods import Method
from lrp_widgets.samples import Samples
from lrp_widgets.widgets.views.compare import MOST_PINS

__all__ = ["PARTS", "Given", "Morph", "Pixel", "Sample", "Settings", "existing", "input_of"]

PAD = 28  # pixels along a side of a drawing
MOST = {"trail": 64, "pins": MOST_PINS}  # entries


@dataclass(frozen=True)
class Given:
    """An input from outside, as the model takes it.

    values: numbers of numpy's `dtype`, little-endian.  shape: that of a batch of one.
    said: where it comes from, and how it was converted.
    """

    values: bytes
    shape: tuple[int, ...]
    dtype: str = "float32"
    said: str = ""

    def __post_init__(self) -> None:
        if self.dtype != "float32" or not isinstance(self.values, bytes) or not isinstance(self.said, str):
            raise TypeError(f"Given.values must be the bytes of float32 numbers, got {self.dtype!r}.")
        whole = isinstance(self.shape, tuple) and all(type(n) is int and n > 0 for n in self.shape)
        if not whole or self.shape[:1] != (1,) or 4 * int(np.prod(self.shape)) != len(self.values):
            raise ValueError(
                f"Given.shape must be that of {len(self.values) // 4} numbers in one row, got {self.shape}."
            )


@dataclass(frozen=True)
class Morph:
    """An input between two others: (1 − share) · start + share · stop."""

    start: int | bytes | Given
    stop: int
    share: float

    def __post_init__(self) -> None:
        if not isinstance(self.start, int | bytes | Given) or type(self.stop) is not int:
            raise TypeError(f"Morph must lead from an input to the number of a sample, got {self.stop!r}.")
        if not isinstance(self.share, int | float) or not 0 <= self.share <= 1:
            raise ValueError(f"Morph.share must lie in [0, 1], got {self.share!r}.")


Sample = (
    int | bytes | Given | Morph
)  # the index of a sample, the bytes of a drawing, an input from outside, or one between two others


@dataclass(frozen=True)
class Pixel:
    """A pixel of the map of a layer, "" for the input.

    channel: −1 for the one with most relevance at this pixel; so the relevance decides which neuron it is.
    """

    layer: str
    row: int
    column: int
    channel: int = -1


@dataclass(frozen=True)
class Settings:
    """What is explained and how.

    sample: the index of a sample, the 784 bytes of a drawing, an input from a file, or one between two others.
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

    def __post_init__(self) -> None:
        if not hasattr(self.method, "relevance"):
            raise TypeError(f"Settings.method must be a method such as LRP, got {self.method!r}.")
        if not isinstance(self.layer, str) or type(self.channel) is not int:
            raise TypeError(f"Settings.layer and .channel must be a name and a number, got {self.layer!r}.")
        for name, kinds in (("trail", (Neuron, Pixel)), ("pins", (Settings,))):
            if not isinstance(parts := getattr(self, name), tuple) or not all(isinstance(p, kinds) for p in parts):
                raise TypeError(f"Settings.{name} must be a tuple of {kinds[-1].__name__}, got {parts!r}.")
            if len(parts) > MOST[name]:
                raise ValueError(f"Settings.{name} may have {MOST[name]} entries, got {len(parts)}.")
        if any(pin.pins for pin in self.pins):
            raise ValueError("Settings.pins must be without pins of their own.")


PARTS: tuple[type, ...] = (Settings, Given, Morph, Pixel, Neuron)  # what a state may name beside methods and rules


def existing(settings: Settings, explanation: Explanation) -> Settings:
    """The settings with the map that an explanation has: that of the input where it lacks the layer, the sum over
    channels where the map has fewer of them."""
    layer = settings.layer if any(each.name == settings.layer for each in explanation.layers) else ""
    channel = settings.channel if layer == settings.layer else -1
    if channel >= 0:
        relevance = explanation.layer(layer) if layer else explanation.relevance
        channel = channel if channel < (*relevance.shape[1:], 1)[0] else -1
    return replace(settings, layer=layer, channel=channel)


def input_of(sample: Sample, samples: Samples) -> Tensor:
    """The sample as the model takes it, a batch of one."""
    if isinstance(sample, int):
        return samples.inputs[sample : sample + 1]
    if isinstance(sample, bytes):
        return _drawn(sample, samples)
    if isinstance(sample, Given):
        if sample.shape[1:] != tuple(samples.inputs.shape[1:]):
            raise ValueError(
                f"The input must have the shape {tuple(samples.inputs.shape[1:])}, got {sample.shape[1:]}."
            )
        values = np.frombuffer(sample.values, "<f4").reshape(sample.shape)
        return torch.from_numpy(values.copy()).to(samples.inputs)
    start, stop = input_of(sample.start, samples), input_of(sample.stop, samples)
    return torch.lerp(start, stop, sample.share)


def _drawn(pixels: bytes, samples: Samples) -> Tensor:
    ink = np.frombuffer(pixels, np.uint8).reshape(1, 1, PAD, PAD).astype(np.float32) / 255
    low, high = (float(np.mean(bound)) for bound in (samples.low, samples.high))
    return torch.from_numpy(low + ink * (high - low)).to(samples.inputs)
