"""Prefetch: explain what is likely to be asked next, while nobody asks for anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from lrp_widgets.apps.explore.cache import Cache
from lrp_widgets.apps.explore.interpolation import AlphaPreviews, with_params
from lrp_widgets.apps.session.cores import cores_for
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.methods import LRP, Method
from lrp_widgets.params import Param, params_of

__all__ = ["Prefetch"]

CLASSES = 9  # those with the highest scores


class Prefetch:
    """Fills the cache with the neighbours of the present setting, the most likely ones first. Shows nothing."""

    def __init__(self, explainer: Explainer, cache: Cache, alpha_previews: AlphaPreviews) -> None:
        self._explainer, self._cache, self._alpha_previews = explainer, cache, alpha_previews
        self._method: Method | None = None  # the last that was asked for
        self._param = ""  # the name of the parameter that was moved last

    def notice(self, method: Method) -> None:
        """Take note of the method that is asked for: the neighbours of the parameter that was moved come first."""
        before, now = (getattr(each, "composite", None) for each in (self._method, method))
        if before is not None and type(before) is type(now):
            names = [param.name for param in params_of(now) if getattr(before, param.name) != getattr(now, param.name)]
            self._param = names[0] if names else self._param
        self._method = method

    def run(self, x: Tensor, method: Method, target: Any, superseded: Callable[[], bool]) -> None:
        """Explain likely settings until all are in the cache, or somebody asks for something."""
        if not isinstance(method, LRP) or self._cache.key(method, target) not in self._cache:
            return
        try:
            with cores_for(self._explainer.model, x):
                for likely, likely_target in self._likely(method, target):
                    if superseded():
                        return
                    key = self._cache.key(likely, likely_target)
                    if key is not None and key not in self._cache:
                        explanation = self._explainer.explain(x, likely_target, likely, superseded, aside=True)
                        self._cache.add(x, likely, likely_target, explanation)
                    self._alpha_previews.add(likely, likely_target)
        except Abandoned:
            pass

    def _likely(self, method: LRP, target: Any) -> Iterator[tuple[Method, Any]]:
        """One step on each slider, then along α, then other classes and choices, and last two steps on each slider."""
        composite = method.composite
        params = sorted(params_of(composite), key=lambda param: param.name != self._param)

        def beside(params: list[Param], steps: int) -> Iterator[tuple[Method, Any]]:
            for param in params:
                for value in param.beside(getattr(composite, param.name), steps):
                    yield with_params(method, **{param.name: value}), target

        numbers = [param for param in params if param.kind == "number"]
        yield from beside(numbers, 1)
        yield from ((node, target) for node in self._alpha_previews.nodes(method, target))
        if (key := self._cache.key(method, target)) is not None and key in self._cache:
            scores = self._cache[key].scores[0].flatten()
            yield from ((method, label) for label in scores.argsort(descending=True)[:CLASSES].tolist())
        yield from beside([param for param in params if param.kind == "choice" and not param.advanced], 1)
        yield from beside(numbers, 2)
