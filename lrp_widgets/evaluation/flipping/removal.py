"""What a removed pixel becomes; REMOVALS at the bottom."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from lrp_widgets.engine.rules.bounds import Bound, checked_bound
from lrp_widgets.evaluation.checks import setting_of
from lrp_widgets.evaluation.flipping.imputation import imputed
from lrp_widgets.modalities import Modality
from lrp_widgets.params import MOST_SEED, Setting, param

__all__ = ["REMOVALS", "Baseline", "Blur", "Imputation", "Mean", "Removal", "UniformNoise", "removal_of"]


@dataclass(frozen=True)
class Removal(Setting):
    """How pixels are taken away.

    name: what stands for it as `removal=`.  title: for a control.  reference: its source.
    beside: whether it fills in what is missing from what is beside it.
    """

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    reference: ClassVar[str] = ""
    beside: ClassVar[bool] = False

    @property
    def caption(self) -> str:
        """The removal in a few words."""
        return self.title

    def check(self, picture: Tensor, modality: Modality | None = None) -> None:
        """Raise ValueError where this cannot be done to the picture, a grid of its modality."""
        if self.beside and modality is not None and not modality.adjacent:
            raise ValueError(
                f"removal {self.name!r} fills in what is missing from what is beside it, and {modality.elements} have "
                'no order. Take removal="mean" or a baseline.'
            )

    def replacement(self, picture: Tensor) -> Tensor:
        """What stands in place of each pixel, so that it broadcasts against the picture (1, channels, …)."""
        raise NotImplementedError

    def removed(self, picture: Tensor, gone: Tensor) -> Tensor:
        """(n, channels, …): the picture, a grid of a modality, without the pixels where `gone` (n, 1, …) is True."""
        return torch.where(gone, self.replacement(picture), picture)


@dataclass(frozen=True)
class Baseline(Removal):
    """x_i ← a number, one for all or one a channel: 0 is black."""

    name: ClassVar[str] = "baseline"
    title: ClassVar[str] = "set to a number"
    reference: ClassVar[str] = "the paper, section on explanation selectivity"

    value: Bound = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", checked_bound("pixel_flipping", "baseline", self.value))

    @property
    def caption(self) -> str:
        values = self.value if isinstance(self.value, tuple) else (self.value,)
        return f"set to {', '.join(f'{value:.4g}' for value in values)}"

    def check(self, picture: Tensor, modality: Modality | None = None) -> None:
        count = len(self.value) if isinstance(self.value, tuple) else 1
        if count not in (1, picture.shape[1]):
            raise ValueError(
                f"pixel_flipping.baseline must be one number or one per channel ({picture.shape[1]}), got {count}."
            )

    def replacement(self, picture: Tensor) -> Tensor:
        value = torch.tensor(self.value, dtype=picture.dtype, device=picture.device)
        return value.reshape(1, -1, *(1 for _ in _space(picture)))


@dataclass(frozen=True)
class Mean(Removal):
    """x_i ← the mean of its channel over the picture."""

    name: ClassVar[str] = "mean"
    title: ClassVar[str] = "set to the mean of the channel"
    reference: ClassVar[str] = "Hooker et al. 2019"

    def replacement(self, picture: Tensor) -> Tensor:
        return picture.mean(_space(picture), keepdim=True)


@dataclass(frozen=True)
class Blur(Removal):
    """x_i ← (G_σ * x)_i, a Gaussian blur of the whole picture; the border is repeated."""

    name: ClassVar[str] = "blur"
    title: ClassVar[str] = "blurred"
    reference: ClassVar[str] = "Fong & Vedaldi 2017"
    beside: ClassVar[bool] = True

    sigma: float = param(4.0, low=0.1, high=100, slider=(0.5, 20), symbol="σ", unit="px", help="Width of the blur.")

    @property
    def caption(self) -> str:
        return f"blurred, σ = {self.sigma:.4g} px"

    def replacement(self, picture: Tensor) -> Tensor:
        from scipy import ndimage

        values, radius = picture.detach().double().cpu().numpy(), math.ceil(3 * self.sigma)
        blurred = ndimage.gaussian_filter(values, self.sigma, axes=_space(picture), radius=radius, mode="nearest")
        return torch.from_numpy(blurred).to(picture)


@dataclass(frozen=True)
class UniformNoise(Removal):
    """x_i ← u_i, uniform between the lowest and the highest value of its channel."""

    name: ClassVar[str] = "noise"
    title: ClassVar[str] = "set to noise"
    reference: ClassVar[str] = "Samek et al. 2017"

    seed: int = param(0, low=0, most=MOST_SEED, slider=(0, 99), help="Which noise.")

    def replacement(self, picture: Tensor) -> Tensor:
        draw = torch.Generator().manual_seed(self.seed)
        share = torch.rand(picture.shape, generator=draw, dtype=torch.float64).to(picture)
        low, high = (end(_space(picture), keepdim=True) for end in (picture.amin, picture.amax))
        return low + share * (high - low)


@dataclass(frozen=True)
class Imputation(Removal):
    """x_i ← Σ_j w_ij u_j / Σ_j w_ij + σ n_i: the mean of its neighbours, solved for all that are gone, and noise.

    The shape of the missing region then does not tell the class (ROAD).
    """

    name: ClassVar[str] = "imputation"
    title: ClassVar[str] = "noisy linear imputation"
    reference: ClassVar[str] = "ROAD, Rong et al. 2022"
    beside: ClassVar[bool] = True

    noise: float = param(
        0.01, low=0, slider=(0, 0.1), step=0.005, symbol="σ", help="Of the noise, in units of the input."
    )
    seed: int = param(0, low=0, most=MOST_SEED, slider=(0, 99), help="Which noise.")

    @property
    def caption(self) -> str:
        return f"noisy linear imputation, σ = {self.noise:.4g}"

    def removed(self, picture: Tensor, gone: Tensor) -> Tensor:
        # One draw for the whole picture: a pixel gets the same noise however many go with it.
        draw = torch.Generator().manual_seed(self.seed)
        noise = self.noise * torch.randn(picture.shape, generator=draw, dtype=torch.float64)
        return torch.where(gone, (imputed(picture, gone) + noise).to(picture), picture)


def _space(picture: Tensor) -> tuple[int, ...]:
    """The axes behind batch and channels."""
    return tuple(range(2, len(picture.shape)))


REMOVALS: tuple[type[Removal], ...] = (Baseline, Mean, Blur, UniformNoise, Imputation)


def removal_of(value: Any, baseline: Any = 0.0) -> Removal:
    """The removal that `value` stands for: a setting, or the name of one of REMOVALS for its defaults.

    None and "baseline" set pixels to `baseline`. Raises ValueError that lists the names.
    """
    if value is None or value == Baseline.name:
        return Baseline(baseline)
    return setting_of("removal", value, Removal, REMOVALS, "removal.Blur(4.0)")
