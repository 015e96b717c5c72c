"""What the apps offer to choose from: methods, and samples as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.engine.composites.presets import PRESETS, by_depth
from lrp_widgets.methods import LRP, METHODS, Method
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
    return presets + [(method.title, method()) for method in METHODS if method is not LRP]


def own_composite(samples: Samples) -> by_depth:
    """What the user's own composite is at first."""
    return _boxed(by_depth, samples)


def _boxed(preset: Any, samples: Samples) -> Any:
    box: dict[str, Any] = {"low": samples.low, "high": samples.high}
    if not _holds_zero(samples) and preset().input == "zB":
        box["input"] = "w2"  # z^B needs a box that holds zero, and refuses another one
    return preset(**box)


def _holds_zero(samples: Samples) -> bool:
    lows, highs = (bound if isinstance(bound, tuple) else (bound,) for bound in (samples.low, samples.high))
    return all(low <= 0 for low in lows) and all(high >= 0 for high in highs)


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
