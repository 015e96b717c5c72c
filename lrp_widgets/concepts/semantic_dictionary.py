"""Semantic dictionary: the channels that speak at a place of the picture, by activation and by relevance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lrp_widgets.concepts.layer_maps import activations_at, relevance_at
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.lrp import LRP
from lrp_widgets.engine.propagation.method import never
from lrp_widgets.wording import brief

__all__ = ["ChannelEntry", "SemanticDictionary", "semantic_dictionary"]

ORDERS = ("relevance", "activation")


@dataclass(frozen=True)
class ChannelEntry:
    """One channel: how active it is, its relevance for the score, and the share of the layer's relevance."""

    channel: int
    activation: float
    relevance: float
    share: float


@dataclass(frozen=True)
class SemanticDictionary:
    """The channels of a layer at one position, or of all positions together, the most relevant one first.

    at: the position, () where it is all of them.  total: the relevance of the whole layer.
    """

    layer: str
    at: tuple[int, ...]
    entries: tuple[ChannelEntry, ...]
    total: float

    def by(self, order: str) -> tuple[ChannelEntry, ...]:
        """The entries by "relevance" or by "activation", the largest first."""
        if order not in ORDERS:
            raise ValueError(f"The order must be one of {', '.join(map(repr, ORDERS))}, got {brief(order)}.")
        return tuple(sorted(self.entries, key=lambda entry: -getattr(entry, order)))


def semantic_dictionary(
    explainer: Explainer,
    x: Any,
    layer: str,
    at: Sequence[int] | None = None,
    target: Any = None,
    *,
    method: LRP | None = None,
    abandoned: Callable[[], bool] = never,
) -> SemanticDictionary:
    """Every channel of a layer with its activation, its relevance for `target`, and its share of the layer's relevance.

    x: one input with its batch dimension.  layer: a module or a step, as in Explanation.layer.
    at: a position of the layer: (row, column), (token,), …; None adds all positions up, and takes the mean activation.
    target: as in Explainer.explain.  method: an lw.LRP; deep Taylor by default.
    Activation and relevance disagree: what is strongly active may say nothing of this class. Olah et al. 2018 show the
    first; the second is what the score is made of.
    Raises KeyError with the known names, TypeError or ValueError.
    """
    explanation = explainer.explain(x, target, _checked(method), abandoned)
    relevance, activation = relevance_at(explanation, layer)[0].double(), activations_at(explainer, x, layer)
    if len(activation) != 1:
        raise ValueError(f"semantic_dictionary takes one input with its batch dimension, got {len(activation)} rows.")
    activation, space, total = activation[0].double(), tuple(relevance.shape[1:]), float(relevance.sum())
    if at is None:
        place: tuple[int, ...] = ()
        relevance, activation = relevance.flatten(1).sum(1), activation.flatten(1).mean(1)
    else:
        place = _place(at, space, layer)
        relevance, activation = relevance[(slice(None), *place)], activation[(slice(None), *place)]
    rows = zip(activation.tolist(), relevance.tolist(), (relevance / total if total else relevance * 0).tolist(),
               strict=True)  # fmt: skip
    entries = [ChannelEntry(channel, *numbers) for channel, numbers in enumerate(rows)]
    return SemanticDictionary(layer, place, tuple(sorted(entries, key=lambda entry: -entry.relevance)), total)


def _checked(method: Any) -> LRP:
    method = LRP() if method is None else method
    if not isinstance(method, LRP):
        raise TypeError(f"method must be an lw.LRP, which has relevance at layers, got {brief(method)}.")
    return method


def _place(at: Any, space: tuple[int, ...], layer: str) -> tuple[int, ...]:
    try:
        place = tuple(int(i) for i in torch.as_tensor(at).flatten().tolist())
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"at must be a position such as (row, column), got {brief(at)}.") from None
    if not space:
        raise ValueError(f"The layer {layer!r} has no positions: leave at out.")
    if len(place) != len(space) or not all(0 <= i < n for i, n in zip(place, space, strict=True)):
        raise ValueError(f"at must lie in {space}, the positions of {layer!r}, got {place}.")
    return place
