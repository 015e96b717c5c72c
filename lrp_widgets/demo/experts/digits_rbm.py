"""A Gaussian restricted Boltzmann machine of the digits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lrp_widgets.demo.weights import load_weights
from lrp_widgets.prototypes.experts import RBM

__all__ = ["HIDDEN", "Machine", "load"]

HIDDEN = 128  # units


class Machine(nn.Module):
    """The machine's numbers, as four buffers.

    mean, spread: (784,), of the pixels.  weight: (128, 784).  bias: (128,).
    """

    mean: Tensor
    spread: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, shape in (("mean", (784,)), ("spread", (784,)), ("weight", (HIDDEN, 784)), ("bias", (HIDDEN,))):
            self.register_buffer(name, torch.zeros(shape))


def load(strength: float = 0.3) -> RBM:
    """The expert log p(x) = s (Σ_j log(1 + exp(w_jᵀx + b_j)) − ½ (x−μ)ᵀ Σ⁻¹ (x−μ)) of digits (1, 28, 28).

    strength: s. Raises ValueError where it is below 0. The card beside the weights says how it was made.
    """
    kept = load_weights(Machine, "digits_rbm")
    return RBM((1, 28, 28), strength, {name: tensor.double() for name, tensor in kept.named_buffers()})
