"""Interpolation: a preview at every position of the α slider, from exact maps at a few of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from lrp_widgets.apps.explore.cache import Cache, Key
from lrp_widgets.apps.explore.preview import Preview
from lrp_widgets.engine.analysis.alpha_interpolation import AlphaInterpolation, chebyshev
from lrp_widgets.engine.propagation.explanation import pooled
from lrp_widgets.methods import LRP, Method
from lrp_widgets.params import Param, params_of

__all__ = ["AlphaPreviews", "with_params"]

NODES = 7, 13  # of a polynomial in α; the first are among the second, which a network of fifty layers needs
MOST = 16  # polynomials, and settings whose maps wait for one; of a photograph each holds 13 maps of 600 KB
CLOSE = 1e-5  # of max |R|: how far a polynomial may be off at an exact map that it was not made from


class AlphaPreviews:
    """Polynomials in α through exact maps of the cache, one for each setting apart from its α.

    A polynomial is used only where it agrees with exact maps that it was not made from.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._maps: dict[Key, dict[float, Tensor]] = {}  # exact maps by α, until a polynomial is made of them
        self._polynomials: dict[Key, AlphaInterpolation | None] = {}  # None where none is close enough

    def clear(self) -> None:
        """Begin anew, as for another input."""
        self._maps.clear()
        self._polynomials.clear()

    def preview(self, x: Tensor, method: Method, target: Any) -> Preview | None:
        """The map at the method's α, interpolated; None where there is no polynomial, or α lies outside of it."""
        family, alpha = self._family(method, target)
        polynomial = self._polynomials.get(family) if family else None
        if polynomial is None or not polynomial.points[0] <= alpha <= polynomial.points[-1]:
            return None
        return Preview(pooled(polynomial.at(alpha)[0]), f"α = {alpha:.4g}, interpolated", x)

    def nodes(self, method: LRP, target: Any) -> Iterator[LRP]:
        """The method at each α that a polynomial needs: a few, and then more unless these were enough."""
        if (alpha := _alpha(method)) is None:
            return
        family, _ = self._family(method, target)
        for count in NODES:
            if family not in self._polynomials:
                for value in chebyshev(count, *alpha.shown):
                    yield with_params(method, alpha=value)

    def add(self, method: Method, target: Any) -> None:
        """Take an exact map from the cache; once all nodes are there, make the polynomial and test it at the others."""
        family, alpha = self._family(method, target)
        key = self._cache.key(method, target)
        if family is None or key is None or key not in self._cache or family in self._polynomials:
            return
        maps = self._maps.setdefault(family, {})
        maps[alpha] = self._cache[key].relevance
        _drop_oldest(self._maps)
        close = None
        for count in NODES:
            points = chebyshev(count, *_alpha(method).shown)  # type: ignore[union-attr]
            others = [position for position in maps if position not in points]
            if not others or any(point not in maps for point in points):
                return
            polynomial = AlphaInterpolation(points, [maps[point] for point in points])
            if max(_error(polynomial, at, maps[at]) for at in others) <= CLOSE:
                close = polynomial
                break
        self._polynomials[family] = close
        _drop_oldest(self._polynomials)
        del self._maps[family]

    def _family(self, method: Method, target: Any) -> tuple[Key | None, float]:
        """The key of the setting at the lowest α, which all its α share, and the α; None where it has none."""
        if not isinstance(method, LRP) or (alpha := _alpha(method)) is None:
            return None, 0.0
        return self._cache.key(with_params(method, alpha=alpha.shown[0]), target), method.composite.alpha  # type: ignore[attr-defined]


def _drop_oldest(kept: dict[Key, Any]) -> None:
    """Forget what was added first: a slider beside α leaves another setting with every move."""
    while len(kept) > MOST:
        del kept[next(iter(kept))]


def with_params(method: LRP, **params: Any) -> LRP:
    """The method with other parameters of its composite."""
    return dataclasses.replace(method, composite=dataclasses.replace(method.composite, **params))


def _alpha(method: Any) -> Param | None:
    """The description of the α slider; None where there is none."""
    return next(
        (param for param in params_of(method.composite) if param.name == "alpha" and param.kind == "number"), None
    )


def _error(polynomial: AlphaInterpolation, alpha: float, exact: Tensor) -> float:
    """The largest difference from an exact map, as a part of max |R|."""
    return float((polynomial.at(alpha) - exact).abs().max() / exact.abs().max().clamp(min=1e-30))
