"""What a climb moves: pixels, the spectrum of a picture, its phases, or the code of a generator.

A parameterization says how many numbers there are, where they start, and which input they stand for. The domain of the
inputs is kept: pixels are clamped, the others pass a sigmoid (squashed) into it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lrp_widgets.samples import Samples

__all__ = ["Code", "Domain", "Fourier", "Parameterization", "PhaseOnly", "Pixels"]

MOST_DRAWS = 100_000
# Colours of photographs are correlated: the square root of their covariance in ImageNet (Olah et al. 2017).
COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))


@dataclass(frozen=True, eq=False)
class Domain:
    """What inputs are: their shape without the batch, and their lowest and highest numbers where they have any."""

    shape: tuple[int, ...]
    low: Tensor | None = None
    high: Tensor | None = None

    def clamp(self, x: Tensor) -> Tensor:
        """x with its numbers moved to the nearest bound."""
        return x if self.low is None else x.maximum(self.low.to(x)).minimum(self.high.to(x))  # type: ignore[union-attr]

    def squash(self, x: Tensor) -> Tensor:
        """x through a sigmoid that ends at the bounds."""
        if self.low is None or self.high is None:
            return x
        low, high = self.low.to(x), self.high.to(x)
        return low + (high - low) * torch.sigmoid(4 * x)

    @property
    def width(self) -> float:
        """The width of the domain; 1 where it has no bounds."""
        return 1.0 if self.low is None or self.high is None else float((self.high - self.low).max())


class Parameterization:
    """The base of every parameterization.

    of_codes: whether experts that stay near a point are for the parameters (a code), not for the input.
    climbs_by_curvature: whether the parameters are the input, so that the curvature of experts applies to them.
    """

    equation: ClassVar[str] = ""
    of_codes: ClassVar[bool] = False
    climbs_by_curvature: ClassVar[bool] = False
    rate: ClassVar[float] = 0.05
    draws: int = 1  # of how many starts each prototype takes the best

    def size(self, domain: Domain) -> tuple[int, ...]:
        """The shape of the parameters of one input. Raises ValueError where the inputs do not suit."""
        raise NotImplementedError

    def start(self, domain: Domain, noise: Tensor, near: Tensor | None) -> Tensor:
        """The parameters to begin with; near: an input to begin at, where that can be."""
        return 0.01 * noise

    def image(self, parameters: Tensor, domain: Domain) -> Tensor:
        """The inputs (count, …) that the parameters stand for."""
        raise NotImplementedError

    def keep(self, parameters: Tensor, domain: Domain) -> Tensor:
        """The parameters after a step, moved back into what is allowed."""
        return parameters

    def along(self, parameters: Tensor, gradient: Tensor) -> Tensor:
        """The part of a gradient that leads along what is allowed."""
        return gradient


@dataclass(frozen=True)
class Pixels(Parameterization):
    """x itself, clamped to its domain.

    bound: "clamp" moves numbers that leave the domain back to its ends; "squash" lets a sigmoid end there.
    """

    equation: ClassVar[str] = "x = θ"
    bound: str = "clamp"

    def __post_init__(self) -> None:
        if self.bound not in ("clamp", "squash"):
            raise ValueError(f"Pixels.bound must be 'clamp' or 'squash', got {self.bound!r}.")

    @property
    def climbs_by_curvature(self) -> bool:  # type: ignore[override]
        """Clamped pixels are the input itself."""
        return self.bound == "clamp"

    def size(self, domain: Domain) -> tuple[int, ...]:
        """That of the input."""
        return domain.shape

    def start(self, domain: Domain, noise: Tensor, near: Tensor | None) -> Tensor:
        """The point to begin at, or the middle of the domain, and a little noise."""
        noise = 0.01 * domain.width * noise
        if self.bound == "squash":
            return noise
        if near is None and domain.low is not None and domain.high is not None:
            near = ((domain.low + domain.high) / 2).expand(domain.shape)
        return self.keep(noise if near is None else near.to(noise) + noise, domain)

    def image(self, parameters: Tensor, domain: Domain) -> Tensor:
        """The parameters, clamped or squashed."""
        return domain.squash(parameters) if self.bound == "squash" else parameters

    def keep(self, parameters: Tensor, domain: Domain) -> Tensor:
        """The parameters inside of the domain."""
        return domain.clamp(parameters) if self.bound == "clamp" else parameters


def _spatial(owner: str, domain: Domain) -> tuple[int, ...]:
    if len(domain.shape) < 2 or min(domain.shape[1:]) < 2:
        raise ValueError(
            f"{owner} needs inputs with positions, (channels, …), got shape {domain.shape}. Use Pixels for features."
        )
    return domain.shape[1:]


def _frequencies(sizes: tuple[int, ...]) -> Tensor:
    axes = [torch.fft.fftfreq(size) for size in sizes[:-1]] + [torch.fft.rfftfreq(sizes[-1])]
    return torch.stack([axis.square() for axis in torch.meshgrid(*axes, indexing="ij")]).sum(0).sqrt()


@dataclass(frozen=True)
class Fourier(Parameterization):
    """The spectrum of a picture, each frequency in a unit of its own: x = F⁻¹(θ / |frequency|^decay).

    Steps along the axes of this space are alike in strength at all scales, as natural pictures are. Three channels are
    taken for colours and decorrelated too; other numbers of channels are left as they are.
    """

    equation: ClassVar[str] = "x = F⁻¹(θ / |f|^decay)"
    decay: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.decay, bool) or not isinstance(self.decay, int | float) or not 0 <= self.decay <= 4:
            raise ValueError(f"Fourier.decay must lie in [0, 4], got {self.decay!r}.")

    def size(self, domain: Domain) -> tuple[int, ...]:
        """(channels, …, half of the last axis, 2)."""
        sizes = _spatial("Fourier", domain)
        return (domain.shape[0], *sizes[:-1], sizes[-1] // 2 + 1, 2)

    def image(self, parameters: Tensor, domain: Domain) -> Tensor:
        """The pictures of the spectra."""
        sizes = _spatial("Fourier", domain)
        lowest = 1.0 / max(sizes)
        scale = _frequencies(sizes).clamp(min=lowest).pow(-self.decay) * math.sqrt(math.prod(sizes)) * lowest
        spectrum = torch.view_as_complex(parameters.contiguous()) * scale.to(parameters)
        picture = torch.fft.irfftn(spectrum, s=sizes, dim=tuple(range(2, 2 + len(sizes))))
        return domain.squash(_coloured(picture * math.sqrt(math.prod(sizes)) / 4))


def _coloured(picture: Tensor) -> Tensor:
    if picture.shape[1] != 3 or picture.ndim != 4:
        return picture
    colours = torch.tensor(COLOURS, dtype=picture.dtype, device=picture.device)
    colours = colours / colours.norm(dim=0).max()
    return torch.einsum("ij,njhw->nihw", colours, picture)


@dataclass(frozen=True, eq=False)
class PhaseOnly(Parameterization):
    """A picture whose spectrum has the magnitudes of the user's own samples: only phases move.

    samples: lw.Samples or a tensor (n, channels, …).
    """

    equation: ClassVar[str] = "x = F⁻¹(|F samples| · exp(i θ))"
    samples: Any

    def _inputs(self) -> Tensor:
        return self.samples.inputs if isinstance(self.samples, Samples) else torch.as_tensor(self.samples)

    def size(self, domain: Domain) -> tuple[int, ...]:
        """(channels, …, half of the last axis)."""
        sizes = _spatial("PhaseOnly", domain)
        if tuple(self._inputs().shape[1:]) != domain.shape:
            raise ValueError(
                f"PhaseOnly.samples must be of shape {domain.shape}, got {tuple(self._inputs().shape[1:])}."
            )
        return (domain.shape[0], *sizes[:-1], sizes[-1] // 2 + 1)

    def start(self, domain: Domain, noise: Tensor, near: Tensor | None) -> Tensor:
        """Random phases."""
        return math.pi * noise

    def image(self, parameters: Tensor, domain: Domain) -> Tensor:
        """The pictures with these phases."""
        sizes = _spatial("PhaseOnly", domain)
        axes = tuple(range(2, 2 + len(sizes)))
        inputs = self._inputs().to(parameters)
        mean = inputs.mean((0, *axes), keepdim=True)
        magnitude = torch.fft.rfftn(inputs - mean, dim=axes).abs().mean(0, keepdim=True)
        picture = torch.fft.irfftn(torch.polar(magnitude.expand_as(parameters), parameters), s=sizes, dim=axes)
        return domain.clamp(picture + mean)


@dataclass(frozen=True, eq=False)
class Code(Parameterization):
    """The code of a generator: x = g(z), max_z f(g(z)) − λ‖z‖² with lw.experts.L2(λ) (paper, section on code space).

    generator: a Module that makes inputs (count, …) of codes (count, size).
    size: how many numbers a code has; asked of the generator (`code_size`, `latent_dim`, its first linear layer).
    draws: each prototype begins at the best of so many codes drawn from N(0, 1).
    shell: whether codes stay as long as draws from N(0, 1) are, ‖z‖ = √size: where a generator was trained.
    """

    equation: ClassVar[str] = "x = g(z)"
    of_codes: ClassVar[bool] = True
    climbs_by_curvature: ClassVar[bool] = True
    generator: nn.Module
    length: int | None = None
    draws: int = 1
    shell: bool = False

    def __init__(self, generator: nn.Module, size: int | None = None, draws: int = 1, shell: bool = False) -> None:
        if not isinstance(generator, nn.Module):
            raise TypeError(f"Code.generator must be a torch.nn.Module, got {type(generator).__name__}.")
        if isinstance(draws, bool) or not isinstance(draws, int) or not 1 <= draws <= MOST_DRAWS:
            raise ValueError(f"Code.draws must be a whole number from 1 to {MOST_DRAWS}, got {draws!r}.")
        if not isinstance(shell, bool):
            raise TypeError(f"Code.shell must be True or False, got {shell!r}.")
        object.__setattr__(self, "draws", draws)
        object.__setattr__(self, "shell", shell)
        object.__setattr__(self, "generator", generator)
        object.__setattr__(self, "length", _code_size(generator) if size is None else size)

    def size(self, domain: Domain) -> tuple[int, ...]:
        """(size of the code,). Raises ValueError where the generator makes other inputs."""
        assert self.length is not None
        weight = next(self.generator.parameters(), torch.zeros(()))
        with torch.no_grad():
            made = self.generator(weight.new_zeros(1, self.length))
        if tuple(made.shape[1:]) != domain.shape:
            raise ValueError(
                f"The generator makes inputs of shape {tuple(made.shape[1:])}, the model takes {domain.shape}. "
                "Hand over a generator of its inputs."
            )
        return (self.length,)

    def start(self, domain: Domain, noise: Tensor, near: Tensor | None) -> Tensor:
        """Codes drawn from the prior, N(0, 1), or the codes (count, size) that are handed over."""
        if near is None:
            return self.keep(noise, domain)
        if near.shape != noise.shape:
            raise ValueError(f"start must be codes of shape {tuple(noise.shape)}, got {tuple(near.shape)}.")
        return near.to(noise)

    def keep(self, parameters: Tensor, domain: Domain) -> Tensor:
        """The codes, brought back to their length where they stay on the shell."""
        if not self.shell:
            return parameters
        return parameters * (parameters.shape[1] ** 0.5 / parameters.norm(dim=1, keepdim=True).clamp(min=1e-12))

    def along(self, parameters: Tensor, gradient: Tensor) -> Tensor:
        """On the shell, what is left of a gradient without its part that leads off it: 0 at the best code."""
        if not self.shell:
            return gradient
        outwards = parameters / parameters.norm(dim=1, keepdim=True).clamp(min=1e-12)
        return gradient - (gradient * outwards).sum(1, keepdim=True) * outwards

    def image(self, parameters: Tensor, domain: Domain) -> Tensor:
        """What the generator makes of the codes."""
        return domain.clamp(self.generator(parameters))


def _code_size(generator: nn.Module) -> int:
    for name in ("code_size", "latent_dim", "latent_size", "z_dim"):
        if isinstance(size := getattr(generator, name, None), int):
            return size
    first = next((module for module in generator.modules() if isinstance(module, nn.Linear)), None)
    if first is None:
        raise ValueError("The generator does not say how long a code is: Code(generator, size=…).")
    return first.in_features
