"""What a prototype should make large: a class, a neuron, a channel, a layer, a direction, or a sum of these.

An objective is a function of the model's scores and of the activations of the layers that it names. It has one value a
prototype. `a + 0.5 * b` and `a - b` are objectives too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

__all__ = [
    "Channel",
    "Contrast",
    "Direction",
    "Layer",
    "LogProbability",
    "Logit",
    "Neuron",
    "Objective",
    "Probability",
    "WeightedSum",
    "channel_axis",
]


class Objective:
    """The base of every objective.

    layers: the names of the modules whose activations it reads.
    """

    layers: tuple[str, ...] = ()
    equation: ClassVar[str] = ""

    def value(self, scores: Tensor, activations: Mapping[str, Tensor]) -> Tensor:
        """One number a prototype, (count,).

        scores: what the model returns, (count, …).  activations: of each of `layers`, (count, …).
        """
        raise NotImplementedError

    def __add__(self, other: Objective) -> WeightedSum:
        return WeightedSum(((1.0, self), (1.0, _checked(other))))

    def __sub__(self, other: Objective) -> WeightedSum:
        return WeightedSum(((1.0, self), (-1.0, _checked(other))))

    def __mul__(self, factor: float) -> WeightedSum:
        if isinstance(factor, bool) or not isinstance(factor, int | float):
            raise TypeError(f"An objective is multiplied by a number, got {factor!r}.")
        return WeightedSum(((float(factor), self),))

    __rmul__ = __mul__

    def __neg__(self) -> WeightedSum:
        return self * -1.0


def _checked(other: Any) -> Objective:
    if not isinstance(other, Objective):
        raise TypeError(f"Objectives are added to objectives, got {other!r}.")
    return other


@dataclass(frozen=True)
class WeightedSum(Objective):
    """Σ_i c_i f_i.

    terms: pairs of a factor and an objective.
    """

    equation: ClassVar[str] = "Σ_i c_i f_i"
    terms: tuple[tuple[float, Objective], ...]

    @property
    def layers(self) -> tuple[str, ...]:  # type: ignore[override]
        """The layers of all terms."""
        return tuple(dict.fromkeys(layer for _, term in self.terms for layer in term.layers))

    def value(self, scores: Tensor, activations: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of the terms."""
        return torch.stack([factor * term.value(scores, activations) for factor, term in self.terms]).sum(0)


def _flat(scores: Tensor, index: int) -> Tensor:
    flat = scores.reshape(len(scores), -1)
    if isinstance(index, bool) or not isinstance(index, int):
        raise TypeError(f"A class must be a whole number, got {index!r}.")
    if not 0 <= index < flat.shape[1]:
        raise IndexError(f"A class must lie in [0, {flat.shape[1] - 1}], the model's outputs, got {index}.")
    return flat


@dataclass(frozen=True)
class Logit(Objective):
    """f_c(x), the score of a class."""

    equation: ClassVar[str] = "f_c(x)"
    target: int

    def value(self, scores: Tensor, activations: Mapping[str, Tensor]) -> Tensor:
        """The score of the class."""
        return _flat(scores, self.target)[:, self.target]


@dataclass(frozen=True)
class Probability(Objective):
    """p(ω_c | x), the softmax of the scores at a class."""

    equation: ClassVar[str] = "p(ω_c | x) = exp f_c / Σ_k exp f_k"
    target: int

    def value(self, scores: Tensor, activations: Mapping[str, Tensor]) -> Tensor:
        """The probability of the class."""
        return _flat(scores, self.target).softmax(1)[:, self.target]


@dataclass(frozen=True)
class LogProbability(Objective):
    """log p(ω_c | x): what activation maximization has in the paper (section on activation maximization)."""

    equation: ClassVar[str] = "log p(ω_c | x) = f_c − log Σ_k exp f_k"
    target: int

    def value(self, scores: Tensor, activations: Mapping[str, Tensor]) -> Tensor:
        """The logarithm of the probability of the class."""
        return _flat(scores, self.target).log_softmax(1)[:, self.target]


@dataclass(frozen=True)
class Contrast(Objective):
    """f_a − f_b: one class (or objective) rather than another."""

    equation: ClassVar[str] = "f_a(x) − f_b(x)"
    a: int | Objective
    b: int | Objective

    @property
    def layers(self) -> tuple[str, ...]:  # type: ignore[override]
        """The layers of both sides."""
        return tuple(dict.fromkeys(layer for side in (self.a, self.b) for layer in getattr(side, "layers", ())))

    def value(self, scores: Tensor, activations: Mapping[str, Tensor]) -> Tensor:
        """The difference."""
        a, b = (side if isinstance(side, Objective) else Logit(side) for side in (self.a, self.b))
        return a.value(scores, activations) - b.value(scores, activations)


@dataclass(frozen=True)
class _OfLayer(Objective):
    """An objective that reads one layer."""

    layer: str

    @property
    def layers(self) -> tuple[str, ...]:  # type: ignore[override]
        """Its layer."""
        return (self.layer,)


@dataclass(frozen=True)
class Neuron(_OfLayer):
    """One number of a layer.

    at: its indices behind the batch, for instance (channel, row, column).
    """

    equation: ClassVar[str] = "a_j(x)"
    at: int | tuple[int, ...]

    def value(self, scores: Tensor, activations: Mapping[str, Tensor]) -> Tensor:
        """The activation of the neuron."""
        a, at = activations[self.layer], self.at if isinstance(self.at, tuple) else (self.at,)
        if len(at) != a.ndim - 1 or not all(-size <= i < size for i, size in zip(at, a.shape[1:], strict=True)):
            raise IndexError(f"A neuron of {self.layer!r} has {a.ndim - 1} indices in {tuple(a.shape[1:])}, got {at}.")
        return a[(slice(None), *at)]


def channel_axis(a: Tensor) -> int:
    """Tokens (count, tokens, channels) have their channels last; maps have them behind the batch."""
    return 2 if a.ndim == 3 else 1


@dataclass(frozen=True)
class Channel(_OfLayer):
    """The mean of one channel over all positions of a layer.

    axis: where the layer has its channels; by default behind the batch, and last for tokens (count, tokens, channels).
    """

    equation: ClassVar[str] = "1/n Σ_p a_kp(x)"
    channel: int
    axis: int | None = None

    def value(self, scores: Tensor, activations: Mapping[str, Tensor]) -> Tensor:
        """The mean activation of the channel."""
        a = activations[self.layer]
        axis = channel_axis(a) if self.axis is None else self.axis % a.ndim
        if isinstance(self.channel, bool) or not isinstance(self.channel, int) or not 0 <= self.channel < a.shape[axis]:
            raise IndexError(f"A channel of {self.layer!r} must lie in [0, {a.shape[axis] - 1}], got {self.channel!r}.")
        return a.select(axis, self.channel).reshape(len(a), -1).mean(1)


@dataclass(frozen=True)
class Layer(_OfLayer):
    """The mean square of a layer: whatever it answers strongly to (DeepDream)."""

    equation: ClassVar[str] = "1/n Σ_j a_j(x)²"

    def value(self, scores: Tensor, activations: Mapping[str, Tensor]) -> Tensor:
        """The mean square of the activations."""
        a = activations[self.layer]
        return a.reshape(len(a), -1).square().mean(1)


@dataclass(frozen=True, eq=False)
class Direction(_OfLayer):
    """The mean over positions of the product of a layer's channels with a vector, one number a channel."""

    equation: ClassVar[str] = "1/n Σ_p Σ_k v_k a_kp(x)"
    vector: Any
    axis: int | None = None

    def value(self, scores: Tensor, activations: Mapping[str, Tensor]) -> Tensor:
        """The mean product with the vector."""
        a = activations[self.layer]
        vector = torch.as_tensor(self.vector, dtype=a.dtype, device=a.device)
        if vector.shape == a.shape[1:]:  # a whole activation, "towards this sample"
            return (a * vector).reshape(len(a), -1).sum(1)
        axis = channel_axis(a) if self.axis is None else self.axis % a.ndim
        if vector.ndim != 1 or len(vector) != a.shape[axis]:
            raise ValueError(
                f"A direction in {self.layer!r} has {a.shape[axis]} numbers, one a channel, got shape "
                f"{tuple(vector.shape)}."
            )
        return (a.movedim(axis, -1) @ vector).reshape(len(a), -1).mean(1)
