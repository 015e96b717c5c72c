"""What the dashboard offers: the methods to choose from, and the samples as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.engine.composites.presets import PRESETS, by_depth
from lrp_widgets.methods import LRP, METHODS, Method
from lrp_widgets.samples import Samples

__all__ = ["OWN", "captions", "choices", "image_of", "own_composite", "thumbnails"]

OWN = by_depth.title


def choices(samples: Samples) -> list[tuple[str, Method]]:
    """Every preset as LRP, with the box of the samples, and every other method."""
    presets = [(preset.title, LRP(_boxed(preset, samples))) for preset in PRESETS]
    return presets + [(method.title, method()) for method in METHODS if method is not LRP]


def own_composite(samples: Samples) -> by_depth:
    """The composite that the user writes herself, as it begins."""
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
    if x.ndim != 3 or x.shape[0] not in (1, 3):
        return None
    low, high = (torch.as_tensor(bound, dtype=x.dtype).reshape(-1, 1, 1) for bound in (samples.low, samples.high))
    pixels = ((x.cpu() - low) / (high - low)).clamp(0, 1).nan_to_num().float().numpy()  # NaN: explaining it will say so
    return pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)


class _Pictures(Sequence[np.ndarray]):
    """The samples as pictures, each made when it is asked for: a thousand photographs take more than a second."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: Any) -> Any:
        return image_of(self._samples.inputs[index], self._samples)


def thumbnails(samples: Samples) -> Sequence[Any] | np.ndarray:
    """The samples for a Gallery; of features, strips of greys."""
    if image_of(samples.inputs[0], samples) is not None:
        return _Pictures(samples)
    flat = samples.inputs.flatten(1).float().cpu().nan_to_num(0, 0, 0).numpy()
    span = max(float(np.ptp(flat)), 1e-12)
    return ((flat - flat.min()) / span)[:, None, :].repeat(8, 1)


def captions(samples: Samples) -> list[str]:
    if samples.labels is None:
        return []
    return [samples.name(int(label)) for label in torch.as_tensor(samples.labels)]
