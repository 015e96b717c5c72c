"""The pixel-flipping curve of an explanation, and the band of random orders that it is compared with, as they grow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from lrp_widgets.apps.session.cores import is_small
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.trace.memo import Memo
from lrp_widgets.evaluation import Curve, pixel_flipping, random_flipping, stream_flipping
from lrp_widgets.evaluation.flipping.flipping import band_of
from lrp_widgets.modalities import Modality, checked_modality

__all__ = ["Curves"]

ROWS = 2  # inputs at once of a large network: a newer request waits until they are through
SEEDS = 3  # random orders for a large network


class Curves:
    """Makes both curves: at once for a small network, row by row and open to a newer request for a large one.

    The band depends on input, class and scores alone. It is kept, and so are the finished orders of an unfinished one.
    """

    def __init__(
        self, explainer: Explainer, baseline: float | tuple[float, ...], modality: Modality | None = None
    ) -> None:
        self.explainer, self.baseline, self.modality = explainer, baseline, modality
        self._memo = Memo()

    def of(
        self, x: Tensor, explanation: Explanation, superseded: Callable[[], bool]
    ) -> Iterator[tuple[Curve, Curve | None]]:
        """The curves so far; the last yield has them whole, unless a newer request waits."""
        target = explanation.target[0] if isinstance(explanation.target, tuple) else explanation.target
        what = checked_modality(self.modality, x, "Curves")
        subject = (x, target, tuple(explanation.scores.flatten().tolist()))  # other weights give other scores
        options: dict[str, Any] = {"patch": what.side(x), "baseline": self.baseline, "modality": what}
        options["output"] = self.explainer.output
        model, relevance = self.explainer.model, explanation.relevance
        if is_small(model, x):
            random = self._memo("random", lambda x, target, _: random_flipping(model, x, target, **options), *subject)
            yield pixel_flipping(model, x, relevance, target, **options), random
            return
        orders: list[Curve] = self._memo("orders", lambda *_: [], *subject)
        curve = None
        for curve in stream_flipping(model, x, relevance, target, batch=ROWS, **options):
            yield curve, band_of(orders) if orders else None
            if superseded():
                return
        while curve is not None and len(orders) < SEEDS:
            order = curve
            for longer in stream_flipping(
                model, x, relevance, target, batch=ROWS, order="random", seed=len(orders), **options
            ):
                if superseded():
                    return
                order = longer
            orders.append(order)
            yield curve, band_of(orders)
