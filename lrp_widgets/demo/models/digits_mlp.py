"""A fully connected digit classifier: the plain network that the CNN is compared with."""

from __future__ import annotations

from torch import Tensor, nn

from lrp_widgets.demo.weights import load_weights

__all__ = ["DigitsMLP", "load"]


class DigitsMLP(nn.Module):
    """Three dense layers with ReLU between them, 784-256-100-10; every bias is ≤ 0.

    x: (n, 1, 28, 28) in [0, 1]. Returns (n, 10) scores. Good enough as a classifier; its explanations are
    noisier than those of DigitsCNN, which is what it is here to show.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, 256),
            nn.ReLU(),
            nn.Linear(256, 100),
            nn.ReLU(),
            nn.Linear(100, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def load() -> DigitsMLP:
    """The digit MLP with its trained weights, in eval mode; the card beside the weights says how it was made."""
    return load_weights(DigitsMLP, "digits_mlp")
