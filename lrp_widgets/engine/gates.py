"""The denominators of the rules: 1/z without division by zero, and ε with the sign of z."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["gate", "gates", "kept", "stabilized", "uncancelled"]


def gate(z: Tensor) -> Tensor:
    """1/z, and 0 where z is 0: what has no denominator hands nothing on."""
    return gates(z)[0]


def gates(z: Tensor) -> tuple[Tensor, Tensor | None]:
    """1/z with 0 where z is 0, and where that is: None for nowhere."""
    one_over_z, tiny = z.reciprocal(), torch.finfo(z.dtype).tiny
    if z.numel():
        low, high = torch.aminmax(one_over_z)  # one look, where a comparison of every element costs many
        if bool(-1 / tiny < low) and bool(high < 1 / tiny):
            return one_over_z, None
    dead = z.abs() <= tiny
    return one_over_z.masked_fill_(dead, 0), (dead if bool(dead.any()) else None)


def kept(s: Tensor, constant: Tensor) -> Tensor:
    """s · constant, what a constant in a sum keeps; a mask of −∞ cut all off (s = 0) and keeps nothing."""
    return torch.where(s == 0, 0, s * constant)


def stabilized(z: Tensor, epsilon: float | Tensor) -> Tensor:
    """z + ε·sign z with sign 0 = +1 (a sum that cancels is +0, whatever its terms)."""
    return z + torch.copysign(torch.as_tensor(epsilon, dtype=z.dtype, device=z.device), z)


def uncancelled(z: Tensor, size: Tensor) -> Tensor:
    """z, and 0 where its terms (Σ|terms| = size) cancel: only rounding is left to divide by there."""
    return torch.where(z.abs() <= 8 * torch.finfo(z.dtype).eps * size, 0, z)
