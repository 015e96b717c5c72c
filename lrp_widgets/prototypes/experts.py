"""What keeps a prototype plausible: an expert says how likely an input is, log p(x), but for a constant.

The paper's experts (section on activation maximization) are L2, a Gaussian and a Gaussian restricted Boltzmann machine;
total variation and nearness to a reference point stand beside them. Two experts add. Those that are fitted are fitted
once, on samples, and kept in a safetensors file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from lrp_widgets.samples import Samples

__all__ = ["L2", "RBM", "Expert", "ExpertSum", "Gaussian", "Near", "NoExpert", "TotalVariation", "checked_strength"]

LARGEST = 4096  # numbers of an input up to which a covariance of all pairs is kept


class Expert:
    """The base of every expert."""

    equation: ClassVar[str] = ""

    def log_density(self, x: Tensor) -> Tensor:
        """log p(x) of each input, (count,), but for a constant."""
        raise NotImplementedError

    def curvature(self, x: Tensor) -> Tensor | None:
        """A bound on −∇² log p: a number, one for each of the input (d,), or a matrix (d, d). None without one."""
        return None

    def start(self, shape: tuple[int, ...]) -> Tensor | None:
        """Where a climb may begin: the most likely input, where that is known."""
        return None

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError where the expert is of inputs of another shape."""

    def __add__(self, other: Expert) -> ExpertSum:
        if not isinstance(other, Expert):
            raise TypeError(f"Experts are added to experts, got {other!r}.")
        return ExpertSum((self, other))


def checked_strength(owner: str, value: Any) -> float:
    """A strength as a float. Raises ValueError that names its owner."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{owner}.strength must be a finite number of at least 0, got {value!r}.")
    return float(value)


def _rows(x: Tensor) -> Tensor:
    return x.reshape(len(x), -1)


@dataclass(frozen=True)
class ExpertSum(Expert):
    """log p(x) = Σ_i log p_i(x)."""

    equation: ClassVar[str] = "log p(x) = Σ_i log p_i(x)"
    parts: tuple[Expert, ...]

    def log_density(self, x: Tensor) -> Tensor:
        """The sum of the parts."""
        return torch.stack([part.log_density(x) for part in self.parts]).sum(0)

    def curvature(self, x: Tensor) -> Tensor | None:
        """The sum of the parts' curvatures; None where one has none."""
        total: Tensor | None = None
        for part in self.parts:
            own = part.curvature(x)
            if own is None:
                return None
            if total is None:
                total = own
            elif total.ndim == 2 or own.ndim == 2:
                d = x[0].numel()
                total = _as_matrix(total, d) + _as_matrix(own, d)
            else:
                total = total + own
        return total

    def start(self, shape: tuple[int, ...]) -> Tensor | None:
        """Where the first part that knows begins."""
        return next((start for part in self.parts if (start := part.start(shape)) is not None), None)

    def check(self, shape: tuple[int, ...]) -> None:
        """Check every part."""
        for part in self.parts:
            part.check(shape)


def _as_matrix(curvature: Tensor, d: int) -> Tensor:
    return curvature if curvature.ndim == 2 else torch.diag(curvature.expand(d))


@dataclass(frozen=True)
class NoExpert(Expert):
    """Every input is as likely as every other."""

    equation: ClassVar[str] = "log p(x) = 0"

    def log_density(self, x: Tensor) -> Tensor:
        """Zero."""
        return x.new_zeros(len(x))


@dataclass(frozen=True, eq=False)
class L2(Expert):
    """log p(x) = −λ ‖x − x̄‖².

    strength: λ.  around: x̄, the mean of samples for instance; 0 where it is None.
    """

    equation: ClassVar[str] = "log p(x) = −λ ‖x − x̄‖²"
    strength: float
    around: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "strength", checked_strength(type(self).__name__, self.strength))

    def _centre(self, x: Tensor) -> Tensor:
        if self.around is None:
            return x.new_zeros(())
        around = torch.as_tensor(self.around, dtype=x.dtype, device=x.device)
        return around.reshape(x.shape[1:])

    def log_density(self, x: Tensor) -> Tensor:
        """−λ times the squared distance."""
        return -self.strength * _rows(x - self._centre(x)).square().sum(1)

    def curvature(self, x: Tensor) -> Tensor | None:
        """2 λ."""
        return x.new_tensor(2 * self.strength) if self.strength > 0 else None

    def start(self, shape: tuple[int, ...]) -> Tensor | None:
        """x̄."""
        return None if self.around is None else torch.as_tensor(self.around, dtype=torch.float32).reshape(shape)

    def check(self, shape: tuple[int, ...]) -> None:
        """Check the shape of x̄."""
        if self.around is not None and torch.as_tensor(self.around).numel() != math.prod(shape):
            raise ValueError(f"L2.around must be of shape {shape}, got {tuple(torch.as_tensor(self.around).shape)}.")


class Near(L2):
    """log p(x) = −η ‖x − x₀‖²: from global to local, a prototype that stays near a reference point.

    x0: the reference point, of the shape of one input.  strength: η.
    """

    equation: ClassVar[str] = "log p(x) = −η ‖x − x₀‖²"

    def __init__(self, x0: Any, strength: float) -> None:
        x0 = torch.as_tensor(x0)
        super().__init__(strength, x0[0] if x0.ndim > 1 and len(x0) == 1 else x0)


@dataclass(frozen=True)
class TotalVariation(Expert):
    """log p(x) = −s Σ |x_p − x_q| over neighbours p, q: patches of even colour.

    strength: s.
    """

    equation: ClassVar[str] = "log p(x) = −s Σ_{p ~ q} |x_p − x_q|"
    strength: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "strength", checked_strength(type(self).__name__, self.strength))

    def log_density(self, x: Tensor) -> Tensor:
        """Minus the strength times the sum of differences along every axis behind the channels."""
        axes = range(2, x.ndim) if x.ndim > 2 else range(1, x.ndim)
        return -self.strength * torch.stack([_rows(x.diff(dim=axis)).abs().sum(1) for axis in axes]).sum(0)


@dataclass(frozen=True, eq=False)
class _Fitted(Expert):
    shape: tuple[int, ...]
    strength: float = 1.0
    tensors: dict[str, Tensor] = field(default_factory=dict)
    _cast: dict[Any, Tensor] = field(default_factory=dict, init=False, repr=False)  # as the inputs are, kept

    def __post_init__(self) -> None:
        object.__setattr__(self, "strength", checked_strength(type(self).__name__, self.strength))

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError where it was fitted on inputs of another shape."""
        if tuple(shape) != tuple(self.shape):
            raise ValueError(
                f"{type(self).__name__} was fitted on inputs of shape {self.shape}, these have {tuple(shape)}. "
                "Fit it on samples of that shape."
            )

    def _like(self, name: str, x: Tensor) -> Tensor:
        """A tensor in the dtype of the inputs, and where they are: a precision takes as long to convert as a step."""
        key = name, x.dtype, x.device
        if key not in self._cast:
            self._cast[key] = self.tensors[name].to(x)
        return self._cast[key]

    def start(self, shape: tuple[int, ...]) -> Tensor | None:
        """The mean of the samples."""
        return self.tensors["mean"].reshape(shape).float()

    def save(self, path: str | Path) -> None:
        """Write it to a safetensors file."""
        from safetensors.torch import save_file  # where it is used: it is not needed for anything else

        data = {name: tensor.contiguous() for name, tensor in self.tensors.items()}
        about = {"expert": type(self).__name__, "shape": ",".join(map(str, self.shape)), "strength": str(self.strength)}
        save_file(data, str(path), metadata=about)

    @classmethod
    def load(cls, path: str | Path, strength: float | None = None) -> Any:
        """Read it from a safetensors file. Raises ValueError where the file holds another expert."""
        from safetensors import safe_open

        with safe_open(str(path), framework="pt") as file:
            about = file.metadata() or {}
            names: list[str] = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
        if about.get("expert") != cls.__name__:
            raise ValueError(f"{path} holds {about.get('expert', 'no expert')}, not {cls.__name__}.")
        shape = tuple(int(size) for size in about["shape"].split(","))
        return cls(shape, float(about["strength"]) if strength is None else strength, tensors)


def _inputs(owner: str, samples: Any, least: int = 2) -> Tensor:
    inputs = samples.inputs if isinstance(samples, Samples) else samples
    if not isinstance(inputs, Tensor) or not inputs.is_floating_point() or inputs.ndim < 2 or len(inputs) < least:
        raise ValueError(f"{owner}.fit needs lw.Samples or a floating-point tensor of at least {least} inputs.")
    if not bool(inputs.isfinite().all()):
        raise ValueError(f"{owner}.fit needs finite inputs, got NaN or infinity.")
    if inputs[0].numel() > LARGEST:
        raise ValueError(
            f"{owner}.fit looks at pairs of the {inputs[0].numel()} numbers of an input, which is too many (at most "
            f"{LARGEST}). Shrink the inputs, or take lw.experts.TotalVariation and lw.parameterizations.Fourier."
        )
    return inputs.detach().double().cpu()


class Gaussian(_Fitted):
    """log p(x) = −s ½ (x − μ)ᵀ Σ⁻¹ (x − μ), with a shrunk covariance Σ.

    Gaussian.fit(samples, strength=1.0, shrinkage=None) makes one.
    """

    equation: ClassVar[str] = "log p(x) = −s ½ (x − μ)ᵀ Σ⁻¹ (x − μ)"

    @classmethod
    def fit(cls, samples: Any, strength: float = 1.0, shrinkage: float | None = None) -> Gaussian:
        """Fit mean and covariance.

        samples: lw.Samples, or a tensor (n, …).  strength: s.
        shrinkage: the share of the covariance that is replaced by the mean variance times 1; by Ledoit and Wolf (2004)
        where it is None. Raises ValueError that names what is wrong.
        """
        from sklearn.covariance import empirical_covariance, ledoit_wolf, shrunk_covariance

        inputs = _inputs(cls.__name__, samples)
        rows = inputs.reshape(len(inputs), -1).numpy()
        if shrinkage is None:
            covariance, _ = ledoit_wolf(rows)
        else:
            if isinstance(shrinkage, bool) or not isinstance(shrinkage, int | float) or not 0 <= shrinkage <= 1:
                raise ValueError(f"Gaussian.shrinkage must be None or lie in [0, 1], got {shrinkage!r}.")
            covariance = shrunk_covariance(empirical_covariance(rows), shrinkage)
        sigma = torch.as_tensor(covariance, dtype=torch.float64)
        sigma += 1e-9 * sigma.diagonal().mean().clamp(min=1e-12) * torch.eye(len(sigma), dtype=torch.float64)
        precision = torch.cholesky_inverse(torch.linalg.cholesky(sigma))
        tensors = {"mean": torch.as_tensor(rows.mean(0)), "precision": precision}
        return cls(tuple(inputs.shape[1:]), strength, tensors)

    def log_density(self, x: Tensor) -> Tensor:
        """−s ½ of the squared Mahalanobis distance."""
        away = _rows(x) - self._like("mean", x)
        return -0.5 * self.strength * ((away @ self._like("precision", x)) * away).sum(1)

    def curvature(self, x: Tensor) -> Tensor | None:
        """s Σ⁻¹."""
        return self.strength * self._like("precision", x) if self.strength > 0 else None


class RBM(_Fitted):
    """A Gaussian restricted Boltzmann machine: log p(x) = s (Σ_j log(1 + exp(w_jᵀ x + b_j)) − ½ (x−μ)ᵀ Σ⁻¹ (x−μ)).

    Σ is diagonal here. RBM.fit(samples, hidden=128, …) trains one by persistent contrastive divergence.
    """

    equation: ClassVar[str] = "log p(x) = s (Σ_j log(1 + exp(w_jᵀx + b_j)) − ½ (x − μ)ᵀ Σ⁻¹ (x − μ))"

    @classmethod
    def fit(
        cls, samples: Any, strength: float = 1.0, hidden: int = 128, epochs: int = 30, rate: float = 0.01, seed: int = 0
    ) -> RBM:
        """Train the machine.

        samples: lw.Samples, or a tensor (n, …).  strength: s.  hidden: how many units.  epochs, rate: of its training.
        """
        for name, value, largest in (("hidden", hidden, 4096), ("epochs", epochs, 10_000)):
            if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= largest:
                raise ValueError(f"RBM.{name} must be a whole number from 1 to {largest}, got {value!r}.")
        inputs = _inputs(cls.__name__, samples)
        rows = inputs.reshape(len(inputs), -1)
        mean = rows.mean(0)
        spread = rows.std(0).clamp(min=0.1 * float(rows.std()) + 1e-6)
        w, b = _trained((rows - mean) / spread, hidden, epochs, rate, torch.Generator().manual_seed(seed))
        return cls(tuple(inputs.shape[1:]), strength, {"mean": mean, "spread": spread, "weight": w, "bias": b})

    def log_density(self, x: Tensor) -> Tensor:
        """log p of each input."""
        away = (_rows(x) - self._like("mean", x)) / self._like("spread", x)
        units = functional.softplus(away @ self._like("weight", x).T + self._like("bias", x)).sum(1)
        return self.strength * (units - 0.5 * away.square().sum(1))

    def curvature(self, x: Tensor) -> Tensor | None:
        """s Σ⁻¹; the units only bend the other way."""
        return self.strength / self._like("spread", x).square() if self.strength > 0 else None


def _trained(v: Tensor, hidden: int, epochs: int, rate: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Weights (hidden, visible) and biases of a machine with visible units of unit variance (Tieleman 2008)."""
    n, visible = v.shape

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    w, b = 0.01 * normal(hidden, visible), torch.full((hidden,), -1.0, dtype=torch.float64)
    size = min(100, n)
    chain = v[torch.randint(n, (size,), generator=generator)].clone()
    for epoch in range(epochs):
        step = rate * (1 - epoch / epochs)
        for batch in torch.randperm(n, generator=generator).split(size):
            data = v[batch]
            on = torch.sigmoid(data @ w.T + b)
            drawn = torch.bernoulli(torch.sigmoid(chain @ w.T + b), generator=generator)
            chain = drawn @ w + normal(*chain.shape)
            own = torch.sigmoid(chain @ w.T + b)
            w += step * (on.T @ data / len(data) - own.T @ chain / len(chain) - 1e-3 * w)
            b += step * (on.mean(0) - own.mean(0))
    return w, b
