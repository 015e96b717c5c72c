"""The inputs near an input: ways to move it a little; NEIGHBOURHOODS at the bottom."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lrp_widgets.evaluation.checks import setting_of
from lrp_widgets.params import MOST_SEED, Setting, choice, param

__all__ = [
    "NEIGHBOURHOODS",
    "Between",
    "Brightness",
    "Neighbourhood",
    "Noise",
    "Rotation",
    "Translation",
    "neighbourhood_of",
    "shifted",
]


MOST_PLACES = 10_000  # of the inputs near one input: each of them is explained


@dataclass(frozen=True)
class Neighbourhood(Setting):
    """Inputs x(t) at places t: what t is, and whether each is compared with x or with the one before."""

    name: ClassVar[str] = ""  # what stands for it as `kind=`
    title: ClassVar[str] = ""
    unit: ClassVar[str] = ""
    around: ClassVar[bool] = False  # each is compared with x, which is the first; else with the one before it
    picture: ClassVar[bool] = False  # needs height and width

    def places(self) -> np.ndarray:
        """(n,) the places t, in the order in which they are visited."""
        raise NotImplementedError

    def inputs(self, x: Tensor, fill: Tensor, other: Tensor | None) -> Iterator[Tensor]:
        """x(t) at each place, of the shape of x. fill: what comes in from outside.  other: where a way ends."""
        raise NotImplementedError


@dataclass(frozen=True)
class Translation(Neighbourhood):
    """x(t)_i = x_{i−t}: the picture is moved by t pixels, from −reach to reach; broken pixels bilinearly."""

    name: ClassVar[str] = "translation"
    title: ClassVar[str] = "translation"
    unit: ClassVar[str] = "px"
    picture: ClassVar[bool] = True

    reach: float = param(4.0, low=0.1, high=1000, slider=(1, 14), step=0.5, unit="px", help="How far either way.")
    step: float = param(
        1.0, low=0.01, high=100, slider=(0.1, 2), step=0.1, unit="px", help="From one input to the next."
    )
    along: str = choice("horizontal", ("horizontal", "vertical", "diagonal"), help="Where the picture is moved to.")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_places(self, self.reach, self.step)

    def places(self) -> np.ndarray:
        return _either_way(self.reach, self.step)

    def inputs(self, x: Tensor, fill: Tensor, other: Tensor | None) -> Iterator[Tensor]:
        right, down = self.along != "vertical", self.along != "horizontal"
        for t in self.places():
            yield shifted(x, fill, right * t, down * t)


@dataclass(frozen=True)
class Rotation(Neighbourhood):
    """x(t): the picture turned about its centre by t degrees, from −reach to reach, counter-clockwise, bilinearly."""

    name: ClassVar[str] = "rotation"
    title: ClassVar[str] = "rotation"
    unit: ClassVar[str] = "°"
    picture: ClassVar[bool] = True

    reach: float = param(20.0, low=0.1, high=180, slider=(1, 90), step=1, unit="°", help="How far either way.")
    step: float = param(
        4.0, low=0.01, high=90, slider=(0.5, 10), step=0.5, unit="°", help="From one input to the next."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_places(self, self.reach, self.step)

    def places(self) -> np.ndarray:
        return _either_way(self.reach, self.step)

    def inputs(self, x: Tensor, fill: Tensor, other: Tensor | None) -> Iterator[Tensor]:
        tall = x.shape[2] / x.shape[3]
        for t in np.radians(self.places()):
            cos, sin = math.cos(t), math.sin(t)
            yield _sampled(x, fill, [[cos, -sin * tall, 0], [sin / tall, cos, 0]])


@dataclass(frozen=True)
class Brightness(Neighbourhood):
    """x(t) = x + t (max x − min x): every value by the same amount, from −reach to reach, not clipped."""

    name: ClassVar[str] = "brightness"
    title: ClassVar[str] = "brightness"
    unit: ClassVar[str] = "of the range"

    reach: float = param(
        0.2, low=0.001, high=10, slider=(0.01, 1), step=0.01, help="How far either way, of max x − min x."
    )
    step: float = param(0.04, low=0.0001, high=10, slider=(0.01, 0.2), step=0.01, help="From one input to the next.")

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_places(self, self.reach, self.step)

    def places(self) -> np.ndarray:
        return _either_way(self.reach, self.step)

    def inputs(self, x: Tensor, fill: Tensor, other: Tensor | None) -> Iterator[Tensor]:
        wide = x.amax() - x.amin()
        for t in self.places():
            yield x + float(t) * wide


@dataclass(frozen=True)
class Noise(Neighbourhood):
    """x(t) = x + σ (max x − min x) n_t, n_t ~ N(0, 1): each of them is compared with x itself."""

    name: ClassVar[str] = "noise"
    title: ClassVar[str] = "noise"
    unit: ClassVar[str] = "draw"
    around: ClassVar[bool] = True

    samples: int = param(16, low=1, most=MOST_PLACES, slider=(1, 64), symbol="n", help="How many noisy inputs.")
    noise: float = param(
        0.02, low=1e-6, high=10, slider=(0.001, 0.2), step=0.001, symbol="σ", help="A share of max x − min x."
    )
    seed: int = param(0, low=0, most=MOST_SEED, slider=(0, 99), help="Which noise.")

    def places(self) -> np.ndarray:
        return np.arange(self.samples + 1.0)

    def inputs(self, x: Tensor, fill: Tensor, other: Tensor | None) -> Iterator[Tensor]:
        draw, wide = torch.Generator().manual_seed(self.seed), x.amax() - x.amin()
        yield x
        for _ in range(self.samples):
            yield x + self.noise * wide * torch.randn(x.shape, generator=draw, dtype=torch.float64).to(x)


@dataclass(frozen=True)
class Between(Neighbourhood):
    """x(t) = (1 − t) x + t x', from an input to another."""

    name: ClassVar[str] = "between"
    title: ClassVar[str] = "between two inputs"
    unit: ClassVar[str] = "of the way"

    steps: int = param(16, low=1, most=MOST_PLACES, slider=(2, 64), help="How many steps the way is made in.")

    def places(self) -> np.ndarray:
        return np.linspace(0, 1, self.steps + 1)

    def inputs(self, x: Tensor, fill: Tensor, other: Tensor | None) -> Iterator[Tensor]:
        assert other is not None
        for t in self.places():
            yield (1 - float(t)) * x + float(t) * other


NEIGHBOURHOODS: tuple[type[Neighbourhood], ...] = (Translation, Noise, Rotation, Brightness, Between)


def neighbourhood_of(value: Any) -> Neighbourhood:
    """The neighbourhood that `value` stands for: a setting, or the name of one of NEIGHBOURHOODS for its defaults."""
    return setting_of("kind", value, Neighbourhood, NEIGHBOURHOODS, "neighbourhoods.Noise(8)")


def shifted(x: Tensor, fill: Tensor, right: float, down: float) -> Tensor:
    """x (n, channels, height, width) moved by so many pixels, or parts of one; `fill` comes in from outside."""
    height, width = x.shape[2:]
    return _sampled(x, fill, [[1, 0, -2 * right / width], [0, 1, -2 * down / height]])


def _check_places(neighbourhood: Neighbourhood, reach: float, step: float) -> None:
    if reach / step > MOST_PLACES / 2:
        name = type(neighbourhood).__name__
        raise ValueError(f"{name}.step must be at least {2 * reach / MOST_PLACES:.4g} for this reach, got {step}.")


def _either_way(reach: float, step: float) -> np.ndarray:
    """From −reach to reach with x itself in the middle; never beyond reach."""
    count = math.floor(reach / step + 1e-9)
    return np.arange(-count, count + 1) * step


def _sampled(x: Tensor, fill: Tensor, matrix: list[list[float]]) -> Tensor:
    """x read at places that `matrix` gives in coordinates from −1 to 1; outside it is `fill`."""
    grid = functional.affine_grid(torch.tensor([matrix], dtype=torch.float64), list(x.shape), align_corners=False)
    inside = (x - fill).detach().double().cpu()
    moved = functional.grid_sample(inside, grid, padding_mode="zeros", align_corners=False)
    return moved.to(x) + fill
