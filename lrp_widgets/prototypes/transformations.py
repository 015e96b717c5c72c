"""Small changes that a prototype must bear: it is moved, turned and scaled a little at every step.

What looks like noise to us rarely does; what is a shape does (transformation robustness, Olah et al. 2017). Each works
on pictures (count, channels, height, width), one for the whole batch, drawn anew at every step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Jitter", "Pad", "Rotate", "Scale", "Transformation", "standard"]


class Transformation:
    """The base of every transformation."""

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The changed pictures, of the same shape."""
        raise NotImplementedError


def _drawn(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _check(owner: str, name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{owner}.{name} must lie in [{low:g}, {high:g}], got {value!r}.")


@dataclass(frozen=True)
class Jitter(Transformation):
    """Move by up to `pixels` in each direction, round the edge."""

    pixels: int = 8

    def __post_init__(self) -> None:
        _check("Jitter", "pixels", self.pixels, 0, 512)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The moved pictures."""
        moves = torch.randint(-self.pixels, self.pixels + 1, (x.ndim - 2,), generator=generator).tolist()
        return x.roll(moves, tuple(range(2, x.ndim)))


@dataclass(frozen=True)
class Rotate(Transformation):
    """Turn by up to `degrees` either way."""

    degrees: float = 10.0

    def __post_init__(self) -> None:
        _check("Rotate", "degrees", self.degrees, 0, 180)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The turned pictures."""
        angle = math.radians(_drawn(-self.degrees, self.degrees, generator))
        return _warped(x, math.cos(angle), math.sin(angle))


@dataclass(frozen=True)
class Scale(Transformation):
    """Scale by a factor between low and high."""

    low: float = 0.9
    high: float = 1.1

    def __post_init__(self) -> None:
        _check("Scale", "low", self.low, 0.1, 10)
        _check("Scale", "high", self.high, self.low, 10)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The scaled pictures."""
        return _warped(x, 1 / _drawn(self.low, self.high, generator), 0.0)


@dataclass(frozen=True)
class Pad(Transformation):
    """Put a frame of `pixels` around, and take a part of the old size out of it."""

    pixels: int = 12
    value: float | None = None

    def __post_init__(self) -> None:
        _check("Pad", "pixels", self.pixels, 0, 512)

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The pictures in a frame, cut to their size again."""
        value = float(x.detach().mean()) if self.value is None else self.value
        framed = functional.pad(x, [self.pixels] * 2 * (x.ndim - 2), value=value)
        corner = torch.randint(0, 2 * self.pixels + 1, (x.ndim - 2,), generator=generator).tolist()
        for axis, (at, size) in enumerate(zip(corner, x.shape[2:], strict=True), start=2):
            framed = framed.narrow(axis, at, size)
        return framed


def _warped(x: Tensor, cosine: float, sine: float) -> Tensor:
    if x.ndim != 4:
        raise ValueError(
            f"Turning and scaling are for pictures (count, channels, height, width), got {tuple(x.shape)}."
        )
    height, width = x.shape[2:]
    theta = x.new_tensor([[cosine, -sine * height / width, 0], [sine * width / height, cosine, 0]])
    grid = functional.affine_grid(theta.expand(len(x), 2, 3), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def standard(size: int) -> tuple[Transformation, ...]:
    """The usual ones, for pictures of `size` pixels: pad, move, scale, turn, move again, less for smaller pictures."""
    share = min(1.0, size / 224)
    return (
        Pad(round(12 * share)), Jitter(round(8 * share)), Scale(0.9, 1.1), Rotate(10.0), Jitter(round(4 * share)),
    )  # fmt: skip
