"""Object against context: how much of the relevance lies inside of masks or boxes (Lapuschkin et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.trace.step import flat_tensors
from lrp_widgets.evaluation import bootstrap
from lrp_widgets.modalities import checked_modality
from lrp_widgets.wording import brief

__all__ = ["ObjectShare", "object_share"]


@dataclass(frozen=True, eq=False)
class ObjectShare:
    """What of the relevance lies inside, one number a row, float64.

    shares: positive relevance inside of all positive relevance; NaN where there is none.
    inside, outside: ΣR of either sign.  areas: the share of places that lie inside, what an even map would have.
    mean, low, high: of the shares, with the 95 % bootstrap interval of the mean.
    """

    shares: Tensor
    inside: Tensor
    outside: Tensor
    areas: Tensor
    mean: float
    low: float
    high: float

    @property
    def ratio(self) -> float:
        """The mean share against the mean area: 1 where the object has no more than its area."""
        area = float(self.areas.mean())
        return self.mean / area if area else float("nan")


def object_share(explanation: Explanation, masks: Any, *, modality: Any = None, seed: int = 0) -> ObjectShare:
    """The share of relevance inside of an object, for each row of an explanation, and over all of them.

    masks: (n, height, width) or (height, width) for all rows, True or 1 inside; or boxes (n, 4) of left, top, right,
    bottom in pixels, right and bottom not included. For other kinds of data as their places lie, (n, time), ….
    modality: what the input is, guessed from its shape where None.
    Raises TypeError or ValueError where masks do not fit.
    """
    (relevance, *more) = flat_tensors(explanation.relevance)
    if more:
        raise TypeError("object_share is defined for one input tensor, got several.")
    maps = checked_modality(modality, relevance, "object_share").grid(relevance.double()).sum(1).cpu()
    inside = _masks(masks, tuple(maps.shape))
    positive = maps.clamp(min=0).flatten(1)
    within, flat = inside.flatten(1), maps.flatten(1)
    shares = (positive * within).sum(1) / positive.sum(1)
    counted = shares[torch.isfinite(shares)]
    if not len(counted):
        raise ValueError("No row has positive relevance: there is nothing to share. Explain another class.")
    mean, low, high = bootstrap(counted[:, None].numpy(), seed=seed)
    total = (flat * within).sum(1)
    ends = (float(mean[0]), float(low[0]), float(high[0]))
    return ObjectShare(shares, total, flat.sum(1) - total, within.mean(1), *ends)


def _masks(masks: Any, shape: tuple[int, ...]) -> Tensor:
    """(n, …) of 0 and 1, float64. Raises TypeError or ValueError."""
    try:
        given = torch.as_tensor(masks)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"masks must be a tensor of masks or boxes, got {brief(masks)}.") from None
    if tuple(given.shape) == (shape[0], 4) and len(shape) == 3:
        left, top, right, bottom = given.double()[:, :, None, None].unbind(1)
        rows, columns = torch.arange(shape[1])[:, None], torch.arange(shape[2])[None]
        if bool((left >= right).any()) or bool((top >= bottom).any()):
            raise ValueError("masks as boxes must have left < right and top < bottom.")
        return ((columns >= left) & (columns < right) & (rows >= top) & (rows < bottom)).double()
    if tuple(given.shape) == shape[1:]:
        given = given[None].expand(shape)
    if tuple(given.shape) != shape:
        raise ValueError(f"masks must have the shape {shape} or {shape[1:]}, got {tuple(given.shape)}.")
    if not bool(((given == 0) | (given == 1)).all()):
        raise ValueError("masks must be 0 outside and 1 inside of the object.")
    return given.double()
