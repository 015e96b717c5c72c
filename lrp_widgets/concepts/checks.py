"""What the arguments of concepts and of validation must be, with one message for each."""

from __future__ import annotations

from typing import Any

from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.evaluation.checks import fresh_explainer
from lrp_widgets.params import MOST_SEED
from lrp_widgets.samples import Samples
from lrp_widgets.wording import brief

__all__ = ["checked_channel", "checked_count", "checked_samples", "checked_seed", "own_explainer"]


def checked_channel(channel: Any, count: int, layer: str) -> int:
    """A channel of a layer that has `count` of them. Raises TypeError or ValueError."""
    if isinstance(channel, bool) or not isinstance(channel, int):
        raise TypeError(f"channel must be a whole number, got {brief(channel)}.")
    if not 0 <= channel < count:
        raise ValueError(f"channel must lie in [0, {count - 1}], the channels of {layer!r}, got {channel}.")
    return channel


def checked_count(name: str, value: Any, most: int, of: str) -> int:
    """A number of things of which there are at most `most`. Raises TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, got {brief(value)}.")
    if not 1 <= value <= most:
        raise ValueError(f"{name} must lie in [1, {most}], {of}, got {value}.")
    return value


def own_explainer(explainer: Any) -> Explainer:
    """Another explainer of the same model and output: what the first one remembers is left alone."""
    if not isinstance(explainer, Explainer):
        raise TypeError(f"explainer must be an lw.Explainer, got {brief(explainer)}. Make one: lw.Explainer(model).")
    return fresh_explainer("explainer", explainer)


def checked_seed(seed: Any) -> None:
    """Raise ValueError where this is no seed."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MOST_SEED:
        raise ValueError(f"seed must be a whole number in [0, {MOST_SEED}], got {brief(seed)}.")


def checked_samples(samples: Any) -> Samples:
    """Raise TypeError where these are not samples."""
    if not isinstance(samples, Samples):
        raise TypeError(f"samples must be lw.Samples, got {brief(samples)}. Make them: lw.Samples(inputs, labels=…).")
    return samples
