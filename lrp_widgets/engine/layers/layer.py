"""Layer: an affine map at the activations of one run, which is what a rule works on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from lrp_widgets.engine.layers.affine import Affine
from lrp_widgets.engine.layers.kernels import ALL, MINUS, PLUS, Part
from lrp_widgets.engine.layers.reciprocal import reciprocal_and_zeros
from lrp_widgets.engine.trace.convolution import as_it_lies

__all__ = ["ALL", "MINUS", "PLUS", "Layer", "Part"]

SMALLEST = 1 / 16  # |z⁻| / z⁺ from which z − z⁺ is precise enough: 16 times the rounding of z⁺


class Layer:
    """An affine map at the activations of one run: what a rule works on.

    affine: the map.  a: what enters.  z: what it answers, bias included.
    row_mean: the mean over each row of the batch, in a shape that broadcasts; along the first axis where not given.
    Quantities that several rules or parameter values share are made once and kept here.
    """

    def __init__(
        self, affine: Affine, a: Tensor, z: Tensor, name: str = "", row_mean: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        self.affine, self.a, self.z, self.name = affine, a, z, name
        self.row_mean = row_mean or (lambda t: t.flatten(1).mean(1).reshape(-1, *[1] * (t.ndim - 1)))

    @property
    def w(self) -> Tensor:
        """The weights w_jk."""
        return self.affine.weight

    @property
    def b(self) -> Tensor | None:
        """The biases b_k, or None."""
        return self.affine.bias

    @cached_property
    def rms(self) -> Tensor:
        """The root mean square of z over each row of the batch."""
        return self.row_mean(self.z.square()).sqrt()

    def forward(self, a: Tensor, w: Tensor | Part) -> Tensor:
        """Σ_j a_j w_jk, with weights of the same shape or a part of the layer's own (PLUS is w⁺)."""
        return self.affine.kernel.forward(a, w) if isinstance(w, Part) else self.affine.forward(a, w)

    def adjoint(self, s: Tensor, w: Tensor | Part) -> Tensor:
        """Σ_k w_jk s_k."""
        if isinstance(w, Part):
            return self.affine.kernel.adjoint(s, w, self.a)
        return self.affine.adjoint(s, w, self.a)

    def forward_signs(self, x: Tensor, y: Tensor) -> Tensor:
        """Σ_j x_j w⁺_jk + y_j w⁻_jk; in one convolution where there are few channels."""
        if (both := self.affine.both_signs) is None:
            return self.forward(x, PLUS).add_(self.forward(y, MINUS))
        return both.kernel.forward(torch.cat([x, y], 1), ALL)

    def adjoint_signs(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """Σ_k w⁺_jk s_k and Σ_k w⁻_jk s_k; in one convolution where there are few channels."""
        if (both := self.affine.both_signs) is None:
            return self.adjoint(s, PLUS), self.adjoint(s, MINUS)
        plus, minus = both.kernel.adjoint(s, ALL, self.a.repeat(1, 2, *[1] * (self.a.ndim - 2))).chunk(2, 1)
        return plus, minus

    @property
    def one_row(self) -> Tensor:
        """A piece of a that is enough where what enters is the same for every row of the batch."""
        return self.a[:1] if self.affine.batched else self.a

    @cached_property
    def signed(self) -> bool:
        """Whether any a_j is below zero; where none is, half of the sign split falls away."""
        return bool(as_it_lies(self.a).amin() < 0) if self.a.numel() else False

    @cached_property
    def a_parts(self) -> tuple[Tensor, Tensor]:
        """a⁺ and a⁻."""
        return self.a.clamp(min=0), self.a.clamp(max=0)

    def z_positive(self) -> Tensor:
        """z⁺ = Σ_j (a_j w_jk)⁺ + b_k⁺: the split is of the product, so a⁻w⁻ counts too."""
        return self._sum_of_sign(PLUS, MINUS, 0, None)

    @cached_property
    def z_favoured(self) -> Tensor:
        """z⁺ where z_k > 0, and z⁻ = z − z⁺ below, where it has no digits to lose."""
        return torch.copysign(self.z_positive(), self.z).add_(self.z.clamp(max=0))

    @cached_property
    def reciprocal_positive(self) -> tuple[Tensor, Tensor | None]:
        """1 / z⁺, and where there is none."""
        return reciprocal_and_zeros(self.z_positive())

    @cached_property
    def reciprocal_negative(self) -> tuple[Tensor, Tensor | None] | None:
        """1 / z⁻ with z⁻ = Σ_j (a_j w_jk)⁻ + b_k⁻, and where there is none; None where z − z⁺ says it as well.

        z⁻ = z − z⁺ is free, but where it is small only its rounding is left: then by a convolution of its own.
        """
        one_over_plus, no_plus = self.reciprocal_positive
        # Relative error of z − z⁺: that of z⁺ times z⁺ / |z⁻|.
        if self.z.dtype == torch.float32 and self.z.numel() and no_plus is None:
            largest = float(as_it_lies(self.z * one_over_plus).amax())
            if largest <= 1 - SMALLEST:
                return None
        return reciprocal_and_zeros(self._sum_of_sign(MINUS, PLUS, None, 0))

    def shares(self, relevance: Tensor) -> tuple[Tensor, Tensor]:
        """R / z⁺ and R / z⁻, with 0 where there is no such sum."""
        one_over_plus, _ = self.reciprocal_positive
        plus = relevance * one_over_plus
        if self.reciprocal_negative is not None:
            return plus, relevance * self.reciprocal_negative[0]
        # z⁻ = z⁺ (z / z⁺ − 1): three ways through the memory each time, and a third less of it taken.
        return plus, plus / (self.z * one_over_plus).sub_(1)

    def _sum_of_sign(self, w_plus: Part, w_minus: Part, low: float | None, high: float | None) -> Tensor:
        """Σ_j a⁺_j w⁺_jk + a⁻_j w⁻_jk + the bias within its bounds, the weights being those of one sign."""
        if self.signed:
            a_plus, a_minus = self.a_parts
            z = self.forward_signs(*((a_plus, a_minus) if w_plus == PLUS else (a_minus, a_plus)))
        else:
            z = self.forward(self.a, w_plus)
        return z if self.b is None else z.add_(self.b.clamp(min=low, max=high))
