"""A Gaussian of the digits, with the directions in which they vary most."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lrp_widgets.demo.weights import load_weights
from lrp_widgets.prototypes.experts import Gaussian

__all__ = ["DIRECTIONS", "Factors", "load"]

DIRECTIONS = 100  # kept of the covariance; what is left is one variance for all of them


class Factors(nn.Module):
    """Mean and covariance of the digits, Σ = W Wᵀ + σ² 1, as three buffers.

    mean: (784,).  factors: W, (784, 100).  deviation: σ.
    """

    mean: Tensor
    factors: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(784))
        self.register_buffer("factors", torch.zeros(784, DIRECTIONS))
        self.register_buffer("deviation", torch.ones(1))


def load(strength: float = 0.1) -> Gaussian:
    """The expert log p(x) = −s ½ (x − μ)ᵀ Σ⁻¹ (x − μ) of digits (1, 28, 28); the card says how it was made.

    strength: s. Raises ValueError where it is below 0.
    """
    kept = load_weights(Factors, "digits_gaussian")
    w = kept.factors.double()
    covariance = w @ w.T + kept.deviation.double().square() * torch.eye(len(w), dtype=torch.float64)
    precision = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
    return Gaussian((1, 28, 28), strength, {"mean": kept.mean.double(), "precision": precision})
