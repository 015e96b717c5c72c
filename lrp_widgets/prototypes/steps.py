"""Two ways up: Adam, and steps in the units in which the expert bends."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["Adam", "Whitened"]


class Adam:
    """Adam with a rate that falls to zero as half a cosine."""

    def __init__(self, like: Tensor, rate: float, steps: int) -> None:
        self.rate, self.steps = rate, steps
        self.mean, self.square = torch.zeros_like(like), torch.zeros_like(like)

    def accepted(self, total: Tensor) -> Tensor:
        """Every step."""
        return torch.ones_like(total, dtype=torch.bool)

    def good(self, parameters: Tensor, kept: Tensor) -> Tensor:
        """Where it is."""
        return parameters

    def step(self, parameters: Tensor, gradient: Tensor, kept: Tensor, number: int) -> Tensor:
        """The next parameters."""
        self.mean.lerp_(gradient, 0.1)
        self.square.lerp_(gradient.square(), 0.001)
        mean = self.mean / (1 - 0.9 ** (number + 1))
        size = (self.square / (1 - 0.999 ** (number + 1))).sqrt()
        rate = self.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * number / self.steps)))
        return parameters + rate * mean / (size + 1e-12)


class Whitened:
    """Steps τ H⁻¹ ∇, each prototype with a τ of its own that grows while it leads up and is halved where it does not.

    exact: whether a step that leads down is taken back; where transformations are drawn, nobody can tell, and τ falls.
    """

    def __init__(self, like: Tensor, bend: Tensor, rate: float | None, exact: bool, steps: int) -> None:
        self.bend, self.exact, self.steps = bend, exact, steps
        # Once for all steps: to solve with a factor takes longer than the network does.
        factor = torch.linalg.cholesky(bend.double()) if bend.ndim == 2 else None
        self.inverse = None if factor is None else torch.cholesky_inverse(factor).to(like)
        self.first = 0.1 if rate is None else min(rate, 1.0)
        self.tau = like.new_full((len(like),), self.first)
        self.best = like.new_full((len(like),), -math.inf)
        self.at = like.clone()
        self.direction = torch.zeros_like(like)

    def accepted(self, total: Tensor) -> Tensor:
        """Which of the prototypes are higher than before (or as high, but for rounding)."""
        if not self.exact:
            return torch.ones_like(total, dtype=torch.bool)
        slack = 8 * torch.finfo(total.dtype).eps * self.best.nan_to_num(neginf=0.0).abs()
        kept = total >= self.best - slack
        self.best = torch.where(kept, total, self.best)
        return kept

    def good(self, parameters: Tensor, kept: Tensor) -> Tensor:
        """The highest parameters so far."""
        self.at = torch.where(self._along(kept, parameters), parameters, self.at)
        return self.at

    def step(self, parameters: Tensor, gradient: Tensor, kept: Tensor, number: int) -> Tensor:
        """The next parameters."""
        self.direction = torch.where(self._along(kept, gradient), self._solved(gradient), self.direction)
        if self.exact:
            self.tau = torch.where(kept, (self.tau * 1.3).clamp(max=1.0), self.tau * 0.5)
        else:
            fall = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * number / self.steps))
            self.tau = torch.full_like(self.tau, 2 * self.first * fall)
        return self.at + self._along(self.tau, parameters) * self.direction

    def _along(self, row: Tensor, like: Tensor) -> Tensor:
        return row.reshape(-1, *[1] * (like.ndim - 1))

    def _solved(self, gradient: Tensor) -> Tensor:
        flat = gradient.reshape(len(gradient), -1)
        if self.inverse is not None:
            return (flat @ self.inverse).reshape(gradient.shape)
        return (flat / self.bend).reshape(gradient.shape)
