"""Curve: how the score falls while the input is taken away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["ORDERS", "Curve", "area_between"]

# How a curve says what went first.
ORDERS = {"most": "most relevant first", "least": "least relevant first", "random": "random"}


@dataclass(frozen=True, eq=False)
class Curve:
    """A score against the share of the input removed.

    removed: (n,) share removed, from 0 to 1.  values: (n,) the score there; for several orders their mean.
    low, high: (n,) the band, None where there is none.  band: what it is, in words.
    order: what was removed first.  ranking: whether it was ranked once or again after each removal.
    removal: what became of removed pixels.  unit: what the values are.  of: what `removed` is a share of.
    """

    removed: np.ndarray
    values: np.ndarray
    order: str
    unit: str = "f(x)"
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    ranking: str = "ranked once"
    removal: str = ""
    of: str = "patches"
    band: str = ""

    @property
    def area(self) -> float:
        """Area under the curve by the trapezoidal rule: for most relevant first, low is selective."""
        return float(np.trapezoid(self.values, self.removed))

    def auc(self, *, normalized: bool) -> float:
        """∫ f d(removed), in units of the score; normalized: over f of the whole input, so that 1 is "nothing happens".

        Raises ValueError where that first score is not positive: a share of it would say nothing.
        """
        return self.area / self._first() if normalized else self.area

    def normalized(self) -> Curve:
        """The same curve as shares of its first score."""
        first = self._first()
        low, high = (None if edge is None else edge / first for edge in (self.low, self.high))
        return Curve(
            self.removed,
            self.values / first,
            self.order,
            f"{self.unit} / {self.unit} of the whole input",
            low,
            high,
            self.ranking,
            self.removal,
            self.of,
            self.band,
        )

    def _first(self) -> float:
        first = float(self.values[0])
        if not first > 0:
            raise ValueError(
                f"The first score must be positive to normalize by it, got {first:.3g}. "
                "Leave it as it is with normalized=False."
            )
        return first


def area_between(most: Curve, least: Curve, *, normalized: bool = False) -> float:
    """∫ (f least relevant first − f most relevant first) d(removed): high is selective, 0 is chance.

    normalized: of both curves as shares of their first score. Where they were recorded at different shares, both are
    interpolated. Raises ValueError where the two are not of a kind.
    """
    for curve, order, name in ((most, ORDERS["most"], "most"), (least, ORDERS["least"], "least")):
        if curve.order != order:
            raise ValueError(
                f"area_between.{name} must be a curve with the {order}, got {curve.order!r}. "
                f'Make it with pixel_flipping(…, order="{name}").'
            )
    check_alike("area_between", [most, least])
    if normalized:
        most, least = most.normalized(), least.normalized()
    removed = np.union1d(most.removed, least.removed)
    gap = np.interp(removed, least.removed, least.values) - np.interp(removed, most.removed, most.values)
    return float(np.trapezoid(gap, removed))


def check_alike(owner: str, curves: list[Curve], *names: str) -> None:
    """Raise ValueError where curves differ in what they measure: unit, ranking, removal, share, and `names`."""
    for name in ("unit", "ranking", "removal", "of", *names):
        values = list(dict.fromkeys(getattr(curve, name) for curve in curves))
        if len(values) > 1:
            raise ValueError(
                f"{owner} takes curves with one {name}, got {values[0]!r} and {values[1]!r}. Make them all alike."
            )
    for curve in curves:
        if not curve.removed[-1] >= 1:
            raise ValueError(
                f"{owner} takes whole curves, got one that ends at {curve.removed[-1]:.0%} removed. "
                "Wait for the last one of the stream."
            )
