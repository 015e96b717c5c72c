"""Rules of the input domain: w² for real numbers, z^B for a box such as that of pixels, and flat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from lrp_widgets.engine.layers.layer import Layer
from lrp_widgets.engine.rules.bounds import Bound, check_box, checked_bound
from lrp_widgets.engine.rules.rule import Contributions, Rule

__all__ = ["Flat", "WSquare", "ZBox"]


@dataclass(frozen=True)
class WSquare(Rule):
    """R_j = Σ_k w_jk² / Σ_j w_jk² · R_k (deep Taylor for real-valued input)."""

    equation: ClassVar[str] = "R_j = Σ_k w_jk² / Σ_j w_jk² · R_k"
    reference: ClassVar[str] = "Montavon et al. 2017; the paper, section on deep Taylor decomposition"

    def contributions(self, layer: Layer, a: Tensor) -> Contributions:
        return _weights_alone(layer, layer.w.square())


@dataclass(frozen=True)
class Flat(Rule):
    """R_j = Σ_k 1 / Σ_j 1 · R_k: shared evenly over all inputs of a neuron."""

    equation: ClassVar[str] = "R_j = Σ_k 1 / Σ_j 1 · R_k"
    reference: ClassVar[str] = "Lapuschkin et al. 2019; Kohlbrenner et al. 2020"

    def contributions(self, layer: Layer, a: Tensor) -> Contributions:
        if (geometry := layer.affine.geometry) is None or geometry[3] or not layer.affine.batched:
            return _weights_alone(layer, torch.ones_like(layer.w))
        # Every channel of a group of the convolution gets and gives the same, so one channel a group is enough.
        groups, w = geometry[-1], layer.w
        ones = w.new_ones(groups, 1, *w.shape[2:])
        count = layer.forward(torch.ones_like(a[:1, :groups]), ones) * w.shape[1]

        def hand_on(s: Tensor) -> Tensor:
            c = layer.affine.adjoint(s.unflatten(1, (groups, -1)).sum(2), ones, a[:, :groups])
            return c.repeat_interleave(w.shape[1], 1)

        return Contributions(count.repeat_interleave(len(w) // groups, 1) if groups > 1 else count, hand_on)


def _weights_alone(layer: Layer, w: Tensor) -> Contributions:
    """q_jk = w_jk ≥ 0, whatever the activations are."""
    return Contributions(layer.forward(torch.ones_like(layer.one_row), w), lambda s: layer.adjoint(s, w))


@dataclass(frozen=True)
class ZBox(Rule):
    """R_j = Σ_k (a_j w_jk − l_j w_jk⁺ − h_j w_jk⁻) / Σ_j (a_j w_jk − l_j w_jk⁺ − h_j w_jk⁻) · R_k for l ≤ a ≤ h (z^B).

    low, high: the box, one float or one per channel.
    """

    equation: ClassVar[str] = "R_j = Σ_k (a_j w_jk − l_j w_jk⁺ − h_j w_jk⁻) / Σ_j (…) · R_k"
    reference: ClassVar[str] = "Montavon et al. 2017; the paper, section on deep Taylor decomposition"

    low: Bound = 0.0
    high: Bound = 1.0

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            object.__setattr__(self, name, checked_bound(type(self).__name__, name, getattr(self, name)))
        check_box(type(self).__name__, self.low, self.high)

    def contributions(self, layer: Layer, a: Tensor) -> Contributions:
        low, high = self.bounds(layer)
        # With w = w⁺ + w⁻ it is (a_j − l_j) w_jk⁺ + (a_j − h_j) w_jk⁻, where nothing cancels.
        above, below = a - low, a - high

        def hand_on(s: Tensor) -> Tensor:
            by_plus, by_minus = layer.adjoint_signs(s)
            return above * by_plus + below * by_minus

        return Contributions(layer.forward_signs(above, below), hand_on)

    def bounds(self, layer: Layer) -> tuple[Tensor, Tensor]:
        """l and h as tensors that broadcast against a."""
        return self._bound("low", layer), self._bound("high", layer)

    def _bound(self, name: str, layer: Layer) -> Tensor:
        value, a = getattr(self, name), layer.one_row
        if isinstance(value, float):
            return torch.full_like(a, value)
        axis = layer.affine.channel_axis % a.ndim
        features, channels = a.shape[axis], len(value)
        if features % channels:
            raise ValueError(
                f"ZBox.{name} must be one number or one per channel; it has {channels} and the layer "
                f"{layer.name!r} sees {features} channels. Give {features} values, or one."
            )
        # A flattened image keeps its channels together: each bound covers its share of the features.
        bound = torch.tensor(value, dtype=a.dtype, device=a.device).repeat_interleave(features // channels)
        return bound.reshape([-1 if i == axis else 1 for i in range(a.ndim)]).expand_as(a)
