"""The denominators of the rules: 1/z without division by zero, and ε with the sign of z."""

from __future__ import annotations

import torch
from torch import Tensor

from lrp_widgets.engine.trace.convolution import as_it_lies

__all__ = ["below_zero", "damped", "kept", "reciprocal", "reciprocal_and_zeros", "stabilized", "uncancelled"]


def reciprocal(z: Tensor) -> Tensor:
    """1/z, and 0 where z is 0: what has no denominator hands nothing on."""
    return reciprocal_and_zeros(z)[0]


def reciprocal_and_zeros(z: Tensor) -> tuple[Tensor, Tensor | None]:
    """1/z with 0 where z is 0, and where that is: None for nowhere."""
    one_over_z, tiny = z.reciprocal(), torch.finfo(z.dtype).tiny
    if z.numel():
        low, high = torch.aminmax(as_it_lies(one_over_z))  # one look, where a comparison of every element costs many
        if bool(-1 / tiny < low) and bool(high < 1 / tiny):
            return one_over_z, None
    # Comparisons and masks take torch five to twenty times as long as arithmetic.
    alive = torch.hardshrink(z, tiny)
    dead = alive.bool().logical_not_()
    return alive.reciprocal_().nan_to_num_(nan=torch.nan, posinf=0, neginf=0), (dead if bool(dead.any()) else None)


def damped(z: Tensor, epsilon: float | Tensor) -> Tensor:
    """1/(z + ε·sign z), and 0 where that is 0."""
    over = stabilized(z, epsilon)
    if isinstance(epsilon, float) and epsilon >= torch.finfo(z.dtype).tiny ** 0.5:
        return over.reciprocal_()  # ε keeps it from 0
    return reciprocal(over)


def kept(s: Tensor, constant: Tensor) -> Tensor:
    """s · constant, what a constant in a sum keeps; a mask of −∞ cut all off (s = 0) and keeps nothing."""
    return torch.where(s == 0, 0, s * constant)


def stabilized(z: Tensor, epsilon: float | Tensor) -> Tensor:
    """z + ε·sign z with sign 0 = +1 (a sum that cancels is +0, whatever its terms)."""
    return torch.copysign(torch.as_tensor(epsilon, dtype=z.dtype, device=z.device), z).add_(z)


def uncancelled(z: Tensor, size: Tensor) -> Tensor:
    """z, and 0 where its terms (Σ|terms| = size) cancel: only rounding is left to divide by there."""
    return torch.where(z.abs() <= 8 * torch.finfo(z.dtype).eps * size, 0, z)


def below_zero(s: Tensor, z: Tensor) -> Tensor | None:
    """s where z < 0, and 0 elsewhere; None where that is 0 everywhere."""
    # The derivative of a threshold takes a seventh of the time of torch.where.
    below = s - torch.ops.aten.threshold_backward(s, z, -torch.finfo(z.dtype).tiny)
    low, high = torch.aminmax(as_it_lies(below)) if below.numel() else (below.sum(), below.sum())
    return None if bool(low == 0) and bool(high == 0) else below
