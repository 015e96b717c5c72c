"""Ahead: answers that stand ready before somebody asks, and previews of those that do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from lrp_widgets.apps.explore.cache import Cache
from lrp_widgets.apps.explore.interpolation import AlphaPreviews
from lrp_widgets.apps.explore.prefetch import Prefetch
from lrp_widgets.apps.explore.preview import CoarsePreviews, Preview
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.methods import Method
from lrp_widgets.modalities import modality_of

__all__ = ["Ahead"]

LONG = 0.15  # s: an explanation that takes longer shows coarse previews
TOO_LONG = 1.0  # s: one that takes longer is abandoned for a newer request even if there is no preview of it


class Ahead:
    """The explainer behind a cache, a prefetch and previews, for one input at a time.

    An explanation from here is what the engine answered, to the last bit. Only a preview is not, and the engine's
    answer follows it. Called by one thread at a time.
    """

    def __init__(self, explainer: Explainer, closed: Callable[[], bool] = lambda: False) -> None:
        """closed: whether nobody waits for an explanation any more."""
        self.explainer, self._closed = explainer, closed
        self.cache = Cache(explainer)
        self._alpha_previews = AlphaPreviews(self.cache)
        self._prefetch = Prefetch(explainer, self.cache, self._alpha_previews)
        self._seconds = 0.0  # that the last explanation took

    def lookup(self, x: Tensor, method: Method, target: Any) -> Explanation | None:
        """The explanation, where the cache has it; another input or other weights empty the cache."""
        self._prefetch.notice(method)
        if not self.cache.is_valid(x):
            self.cache.clear(x)
            self._alpha_previews.clear()
            return None
        return self.cache.lookup(method, target)

    def preview(self, x: Tensor, method: Method, target: Any) -> Preview | None:
        """The map interpolated in α, where that is possible."""
        return self._alpha_previews.preview(x, method, target)

    def explain(
        self,
        x: Tensor,
        method: Method,
        target: Any,
        show: Callable[[Preview], None] | None,
        superseded: Callable[[], bool],
        previewed: bool,
    ) -> Explanation:
        """Ask the engine, and keep its answer; a long explanation of an image shows coarse previews on its way down.

        show: takes these; None for no previews.  previewed: whether a preview of this explanation stands already.
        Where there is a preview, or where it takes very long, it is abandoned for a newer request: Abandoned is raised.
        Else it goes on, since nothing new would be seen while a slider moves.
        """
        coarse = CoarsePreviews(x, show) if show and self._seconds > LONG and modality_of(x).planar else None

        def abandoned() -> bool:
            seen = previewed or self._seconds > TOO_LONG or (coarse is not None and coarse.resolution > 1)
            return self._closed() or (seen and superseded())

        explanation = self.explainer.explain(x, target, method, abandoned, show=coarse)
        self._seconds = explanation.seconds
        self.cache.add(x, method, target, explanation)
        return explanation

    def prefetch(self, x: Tensor, method: Method, target: Any, superseded: Callable[[], bool]) -> None:
        """Fill the cache with what is likely to be asked next, until somebody asks."""
        self._prefetch.run(x, method, target, superseded)
