"""Which samples show what a channel is for: those where it carries most relevance, or is most active."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.concepts.checks import checked_channel, checked_count, checked_samples, own_explainer
from lrp_widgets.concepts.layer_maps import activations_at, batches, relevance_at, totals
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.lrp import LRP
from lrp_widgets.engine.propagation.method import never
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.samples import Samples
from lrp_widgets.wording import brief

__all__ = ["RelevantSamples", "relevant_samples"]

BY = ("relevance", "activation")


@dataclass(frozen=True, eq=False)
class RelevantSamples:
    """Samples of one channel, the best one first.

    indices: places among the samples, (count,).  values: their relevance or activation, (count,), float64.
    """

    layer: str
    channel: int
    by: str
    indices: Tensor
    values: Tensor


def relevant_samples(
    explainer: Explainer,
    samples: Samples,
    layer: str,
    channel: int,
    by: str = "relevance",
    target: Any = None,
    count: int = 8,
    *,
    method: LRP | None = None,
    batch: int = 32,
    abandoned: Callable[[], bool] = never,
) -> RelevantSamples:
    """The samples for which a channel of a layer matters most.

    by: "relevance" is the relevance of the channel for `target`, added up over its positions; "activation" the largest
    activation of the channel at any position. A channel that nothing reads is active and has no relevance.
    target: a class or lw.contrast(a, b); each sample's own top class where it is None.
    count: how many samples, fewer where there are fewer.  method: an lw.LRP; deep Taylor by default.
    Achtibat et al. 2023 (relevance maximization). What the explainer remembers is left alone.
    Raises KeyError with the known names, TypeError, ValueError or Abandoned.
    """
    if by not in BY:
        raise ValueError(f"by must be one of {', '.join(map(repr, BY))}, got {brief(by)}.")
    checked_samples(samples)
    checked_count("count", count, 10**6, "the samples that are shown")
    checked_count("batch", batch, 10**6, "the inputs at once")
    own, method = own_explainer(explainer), LRP() if method is None else method
    values: list[Tensor] = []
    for rows in batches(len(samples), batch):
        if abandoned():
            raise Abandoned
        x = samples.inputs[rows]
        if by == "relevance":
            maps = relevance_at(own.explain(x, target, method, abandoned), layer)
        else:
            maps = activations_at(own, x, layer)
        checked_channel(channel, maps.shape[1], layer)
        of_channel = maps[:, channel : channel + 1]
        largest = of_channel.double().flatten(1).amax(1).cpu()
        values.append(totals(of_channel)[:, 0] if by == "relevance" else largest)
    of_all = torch.cat(values)
    best = of_all.sort(descending=True, stable=True)
    return RelevantSamples(layer, channel, by, best.indices[:count], best.values[:count])
