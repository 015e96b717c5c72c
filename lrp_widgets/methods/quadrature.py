"""Gauss-Legendre quadrature: where an integral is read, and with which weights."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

__all__ = ["gauss_legendre"]

TURNS = 10  # of Newton's method, which needs three or four


@lru_cache(maxsize=64)
def gauss_legendre(count: int) -> tuple[np.ndarray, np.ndarray]:
    """(count,) rising places on [−1, 1], and their weights, exact for polynomials up to degree 2 · count − 1.

    By Newton's method on the Legendre polynomial, as in Numerical Recipes, section 4.6. NumPy solves a full matrix for
    them instead, four seconds for 1,000, which nothing can stop; and importing SciPy's takes longer than all gradients.
    """
    t = -np.cos(np.pi * (np.arange(1, count + 1) - 0.25) / (count + 0.5))
    slope = np.ones_like(t)
    for _ in range(TURNS):
        before, value = np.ones_like(t), t
        for degree in range(2, count + 1):
            before, value = value, ((2 * degree - 1) * t * value - (degree - 1) * before) / degree
        slope = count * (t * value - before) / (t * t - 1)
        step = value / slope
        t = t - step
        if np.abs(step).max() < 1e-15:
            break
    weights = 2 / ((1 - t * t) * slope**2)
    t.flags.writeable = weights.flags.writeable = False  # they are handed out again
    return t, weights
