"""Sparsity: on how few pixels a map puts its relevance."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

__all__ = ["gini"]


def gini(relevance: Any) -> float:
    """1 − 2 Σ_k |R|_(k) / Σ|R| · (n − k + ½) / n, with |R| sorted upwards, k = 1 … n.

    relevance: an array or a tensor of any shape.  Returns a number from 0 (all alike) to 1 − 1/n (all in one place);
    NaN where there is no relevance at all. Hurley & Rickard 2009; Chalasani et al. 2020.
    """
    array = relevance.detach().cpu().double().numpy() if isinstance(relevance, Tensor) else np.asarray(relevance)
    sizes = np.sort(np.abs(array.astype(np.float64)).reshape(-1))
    total, n = float(sizes.sum()), len(sizes)
    if not total > 0:
        return float("nan")
    return float(1 - 2 * np.sum(sizes / total * (n - np.arange(1, n + 1) + 0.5) / n))
