"""Every rule once more: slow, dense, float64, one neuron after the other, straight from its equation.

Nothing here is shared with the package. A layer is a function of one input row; its weights are read off as a Jacobian.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


@dataclass
class Dense:
    """One affine layer at one input row: a (J,), w (K, J), b (K,)."""

    a: Array
    w: Array
    b: Array

    @property
    def z(self) -> Array:
        return np.einsum("kj,j->k", self.w, self.a) + self.b


def layer_at(function: Callable[[Tensor], Tensor], row: Tensor) -> Dense:
    """The layer `function` at `row` (1, …) as a matrix, whatever operation it is made of."""
    row = row.double()
    jacobian = torch.autograd.functional.jacobian(function, row)
    assert isinstance(jacobian, Tensor)
    with torch.no_grad():
        b = function(torch.zeros_like(row)).flatten()
    return Dense(row.flatten().numpy(), jacobian.reshape(-1, row.numel()).numpy(), b.numpy())


def epsilon(layer: Dense, r: Array, eps: float, relative: bool = False) -> Array:
    """R_j = Σ_k a_j w_jk / (z_k + ε·sign z_k) · R_k, with sign 0 = +1; relative: ε times the root mean square of z."""
    if relative:
        eps = eps * np.sqrt(np.mean(layer.z**2))
    answer = np.zeros_like(layer.a)
    for k, z in enumerate(layer.z):
        denominator = z + (-eps if z < 0 else eps)
        if denominator != 0:
            answer += layer.a * layer.w[k] / denominator * r[k]
    return answer


def zero(layer: Dense, r: Array) -> Array:
    """R_j = Σ_k a_j w_jk / z_k · R_k."""
    return epsilon(layer, r, 0.0)


def gamma(layer: Dense, r: Array, g: float) -> Array:
    """R_j = Σ_k p_jk / Σ_j p_jk · R_k: above zero the positive products count 1 + γ times, below zero the negative."""
    answer = np.zeros_like(layer.a)
    for k, z in enumerate(layer.z):
        side = 1.0 if z >= 0 else -1.0
        products = layer.a * layer.w[k]
        weighted = np.where(side * products > 0, products * (1 + g), products)
        bias = layer.b[k] * (1 + g) if side * layer.b[k] > 0 else layer.b[k]
        denominator = weighted.sum() + bias
        if denominator != 0:
            answer += weighted / denominator * r[k]
    return answer


def alpha_beta(layer: Dense, r: Array, alpha: float) -> Array:
    """R_j = Σ_k ( α (a_j w_jk)⁺ / z⁺ − β (a_j w_jk)⁻ / z⁻ ) R_k; the bias belongs to the sum of its sign."""
    beta = alpha - 1
    answer = np.zeros_like(layer.a)
    for k, b in enumerate(layer.b):
        products = layer.a * layer.w[k]
        above = np.where(products > 0, products, 0.0)
        below = np.where(products < 0, products, 0.0)
        z_plus = above.sum() + max(b, 0.0)
        z_minus = below.sum() + min(b, 0.0)
        if z_plus != 0:
            answer += alpha * above / z_plus * r[k]
        if z_minus != 0:
            answer -= beta * below / z_minus * r[k]
    return answer


def z_plus(layer: Dense, r: Array) -> Array:
    """R_j = Σ_k (a_j w_jk)⁺ / z⁺ · R_k."""
    return alpha_beta(layer, r, 1.0)


def w_square(layer: Dense, r: Array) -> Array:
    """R_j = Σ_k w_jk² / Σ_j w_jk² · R_k."""
    answer = np.zeros_like(layer.a)
    for k, w in enumerate(layer.w):
        if np.sum(w**2) != 0:
            answer += w**2 / np.sum(w**2) * r[k]
    return answer


def flat(layer: Dense, r: Array) -> Array:
    """R_j = Σ_k 1 / Σ_j 1 · R_k over the inputs that neuron k is connected to."""
    answer = np.zeros_like(layer.a)
    for k, w in enumerate(layer.w):
        connected = np.where(w != 0, 1.0, 0.0)
        if connected.sum() != 0:
            answer += connected / connected.sum() * r[k]
    return answer


def z_box(layer: Dense, r: Array, low: Array, high: Array) -> Array:
    """R_j = Σ_k (a_j w_jk − l_j w⁺_jk − h_j w⁻_jk) / Σ_j (…) · R_k; low and high hold one number per input."""
    answer = np.zeros_like(layer.a)
    for k, w in enumerate(layer.w):
        terms = layer.a * w - low * np.maximum(w, 0.0) - high * np.minimum(w, 0.0)
        if terms.sum() != 0:
            answer += terms / terms.sum() * r[k]
    return answer
