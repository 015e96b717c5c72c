"""Flipping: how pixel flipping is done, as one value that checks itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lrp_widgets.engine.propagation.explainer import Output
from lrp_widgets.evaluation.checks import at_least, one_of
from lrp_widgets.evaluation.flipping.curve import ORDERS
from lrp_widgets.evaluation.flipping.removal import Removal, removal_of
from lrp_widgets.modalities import Modality, named

__all__ = ["Explain", "Flipping"]

UNITS = ("logit", "probability")
POOLINGS = ("sum", "mean")
Explain = Callable[[Any], Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Flipping:
    """How pixel flipping is done.

    patch: side of the square patches in pixels (of cubes in voxels; of signals, features and tokens how many in a row);
    the last ones may be smaller, and none reaches over the end of a channel.
    baseline: what a removed pixel becomes where `removal` is None, one number or one per channel.
    order: "most" relevant first, "least" first, or "random" (by `seed`).
    unit: "logit", or "probability": after a softmax over the classes, or of a single output its sigmoid.
    steps: how many scores to record after the first; all patches one by one where None.
    batch: how many inputs are scored at a time.  seed: of the random order.
    output: which output to score where the model returns several, as in lw.Explainer.
    regions: instead of patches, a label map (height, width), as `superpixels` makes one; shares are then of pixels.
    pooling: rank by the "sum" or by the "mean" of the relevance in each.
    removal: None sets pixels to the baseline; "mean", "blur", "noise", "imputation", or a setting of one of them.
    explain: makes a heatmap of what is left, to rank again after each recorded score; ranked once where None.
    modality: what the input is, one of modalities.MODALITIES by name or value; guessed from its shape where None.
    token: what a removed token becomes, that of padding or of a mask; the baseline where None.
    Raises ValueError or TypeError that names what is wrong.
    """

    patch: int = 4
    baseline: float | tuple[float, ...] = 0.0
    order: str = "most"
    unit: str = "logit"
    steps: int | None = None
    batch: int = 64
    seed: int = 0
    output: Output = None
    regions: Any = None
    pooling: str = "sum"
    removal: Removal | str | None = None
    explain: Explain | None = None
    modality: Modality | str | None = None
    token: int | None = None

    def __post_init__(self) -> None:
        one_of("order", self.order, tuple(ORDERS))
        one_of("unit", self.unit, UNITS)
        one_of("pooling", self.pooling, POOLINGS)
        at_least(1, "patch", self.patch)
        at_least(1, "batch", self.batch)
        at_least(0, "seed", self.seed)
        if self.steps is not None:
            at_least(1, "steps", self.steps)
        if self.explain is not None and (self.order == "random" or not callable(self.explain)):
            raise ValueError(
                "explain must be a function that makes a heatmap of an input, and needs an order to rank by, "
                f"got {type(self.explain).__name__} with order={self.order!r}. Leave it out to rank once."
            )
        if self.modality is not None:
            object.__setattr__(self, "modality", named(self.modality))
        if self.token is not None:
            at_least(0, "token", self.token)
        removal_of(self.removal, self.baseline)

    @property
    def replacement(self) -> Removal:
        """The removal that `removal` and `baseline` stand for."""
        return removal_of(self.removal, self.baseline)

    @property
    def ranking(self) -> str:
        """When the regions are ranked, in words."""
        if self.order == "random":
            return "in random order"
        return "ranked once" if self.explain is None else "ranked again each time"
