"""What the apps offer to choose from: methods, and samples as pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.engine.composites.presets import PRESETS, by_depth
from lrp_widgets.methods import LRP, METHODS, Method
from lrp_widgets.methods.suited import boxed, holds_zero
from lrp_widgets.modalities import modality_of, named
from lrp_widgets.samples import Samples

__all__ = ["OWN", "as_samples", "captions", "choices", "image_of", "own_composite", "thumbnails"]

OWN = by_depth.title


def as_samples(samples: Samples | Tensor, app: str) -> Samples:
    """Samples, or a tensor of inputs as Samples. Raises TypeError for anything else, in the name of the app."""
    if isinstance(samples, Tensor):
        samples = Samples(samples)
    if not isinstance(samples, Samples):
        raise TypeError(f"{app}() needs lw.Samples or a tensor of inputs, got {type(samples).__name__}.")
    return samples


def choices(samples: Samples) -> list[tuple[str, Method]]:
    """Every preset as LRP, with the box of the samples, and every other method."""
    presets = [(preset.title, LRP(_boxed(preset, samples))) for preset in PRESETS]
    return presets + [(method.title, _suited(method(), samples)) for method in METHODS if method is not LRP]


def _suited(method: Method, samples: Samples) -> Method:
    """The method with the name of what an input is, where its shape does not tell and it matters."""
    kind = samples.modality.name
    told = kind == modality_of(samples.inputs).name or getattr(method, "modality", "") is not None
    return method if told or named(kind) != samples.modality else dataclasses.replace(method, modality=kind)


def own_composite(samples: Samples) -> by_depth:
    """What the user's own composite is at first."""
    return _boxed(by_depth, samples)


def _boxed(preset: Any, samples: Samples) -> Any:
    box: dict[str, Any] = {"low": samples.low, "high": samples.high}
    if not holds_zero(samples) and preset().input == "zB":
        box["input"] = "w2"  # z^B needs a box that holds zero, and refuses another one
    return boxed(preset(**box), samples)


def image_of(x: Tensor, samples: Samples) -> np.ndarray | None:
    """An input as a picture in [0, 1]: (h, w) or (h, w, 3); None where it is no picture."""
    return samples.modality.image(x, samples.low, samples.high)


def thumbnails(samples: Samples) -> Sequence[Any] | np.ndarray:
    """The samples for a Gallery; of features, strips of greys."""
    return samples.modality.thumbnails(samples.inputs, samples.low, samples.high)


def captions(samples: Samples) -> list[str]:
    if samples.labels is None:
        return []
    return [samples.name(int(label)) for label in torch.as_tensor(samples.labels)]
