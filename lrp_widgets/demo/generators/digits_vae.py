"""A decoder of digits: twelve numbers in, a digit out. Its codes are drawn from N(0, 1)."""

from __future__ import annotations

from torch import Tensor, nn

from lrp_widgets.demo.weights import load_weights

__all__ = ["CODE", "DigitsDecoder", "load"]

CODE = 12  # numbers of a code


class DigitsDecoder(nn.Module):
    """The decoder of a variational autoencoder, 12-200-200-784, with a sigmoid at its end (Kingma & Welling 2014).

    z: (n, 12), drawn from N(0, 1). Returns (n, 1, 28, 28) in [0, 1], ink bright.
    """

    code_size = CODE

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(CODE, 200),
            nn.ReLU(),
            nn.Linear(200, 200),
            nn.ReLU(),
            nn.Linear(200, 784),
            nn.Sigmoid(),
            nn.Unflatten(1, (1, 28, 28)),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)


def load() -> DigitsDecoder:
    """The decoder with its trained weights, in eval mode; the card beside the weights says how it was made."""
    return load_weights(DigitsDecoder, "digits_vae")
