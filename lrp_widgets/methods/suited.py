"""What a method leaves open, taken from the samples that it is for: what an input is, and the box that it lives in."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import torch

from lrp_widgets.engine.composites.composite import Composite
from lrp_widgets.engine.composites.presets import deep_taylor
from lrp_widgets.engine.propagation.lrp import LRP
from lrp_widgets.engine.propagation.method import Method
from lrp_widgets.modalities import modality_of
from lrp_widgets.samples import Samples

__all__ = ["boxed", "holds_zero", "suited"]

Setting = TypeVar("Setting")
ROUNDING = 1e-4  # of the width of the box: as far as a value may lie outside of it


def suited(setting: Setting, samples: Samples) -> Setting:
    """A method or a metric for these samples; what it says itself stays as it is.

    Deep Taylor without an input rule gets z^B in the samples' box (Montavon et al. 2017), also within a wrapper.
    """
    if not dataclasses.is_dataclass(setting) or isinstance(setting, type):
        return setting
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(setting):
        value = getattr(setting, field.name)
        if not field.init:
            continue
        if field.name == "modality" and value is None and samples.modality != modality_of(samples.inputs):
            changes["modality"] = samples.modality
        elif field.name == "method" and isinstance(value, Method):
            changes["method"] = suited(value, samples)
        elif field.name == "composite" and isinstance(setting, LRP) and isinstance(value, Composite):
            changes["composite"] = boxed(value, samples)
    changes = {name: value for name, value in changes.items() if value is not getattr(setting, name)}
    return dataclasses.replace(setting, **changes) if changes else setting


def boxed(composite: Composite, samples: Samples) -> Composite:
    """Deep Taylor without an input rule, with that of the samples' domain; any other composite as it is.

    That is z^B where the inputs lie in a box that holds zero. In another one z⁺ stays where no value is negative, and
    else it is w². Where inputs lie outside of their box, it is not their domain, and z⁺ stays.
    """
    if type(composite) is not deep_taylor or composite.input is not None or not _inside(samples):
        return composite
    if holds_zero(samples):
        return dataclasses.replace(composite, input="zB", low=samples.low, high=samples.high)
    return composite if min(_ends(samples.low)) >= 0 else dataclasses.replace(composite, input="w2")


def holds_zero(samples: Samples) -> bool:
    """Whether the box of the samples holds zero, as z^B asks."""
    return all(low <= 0 for low in _ends(samples.low)) and all(high >= 0 for high in _ends(samples.high))


def _ends(bound: Any) -> tuple[float, ...]:
    return bound if isinstance(bound, tuple) else (bound,)


def _inside(samples: Samples) -> bool:
    """Whether all inputs lie in the box of the samples."""
    x, axis = samples.inputs, samples.modality.channel_axis
    shape = [-1 if place == axis else 1 for place in range(len(x.shape))]
    low, high = (
        torch.tensor(_ends(bound), dtype=x.dtype, device=x.device).reshape(shape)
        for bound in (samples.low, samples.high)
    )
    margin = ROUNDING * (high - low)
    return not bool(((x < low - margin) | (x > high + margin)).any())
