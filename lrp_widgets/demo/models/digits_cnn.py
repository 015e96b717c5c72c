"""A convolutional digit classifier built as Montavon et al. (2018) advise, so that it explains well."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lrp_widgets.demo.weights import load_weights

__all__ = ["DigitsCNN", "SumPool2d", "load"]


class SumPool2d(nn.Module):
    """Sum over square windows that do not overlap: (n, c, h, w) to (n, c, h / size, w / size)."""

    def __init__(self, size: int = 2) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        # One ATen average pooling that divides by 1: a tape sees one linear step.
        return F.avg_pool2d(x, self.size, divisor_override=1)

    def extra_repr(self) -> str:
        return f"size={self.size}"


class DigitsCNN(nn.Module):
    """Three convolutions with ReLU and sum pooling, then one dense layer behind dropout; every bias is ≤ 0.

    x: (n, 1, 28, 28) in [0, 1]. Returns (n, 10) scores. Montavon, Samek and Müller (2018), section 6 on
    structuring the network: few dense layers, dropout, sum pooling, no positive bias.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 24, 5),
            nn.ReLU(),
            SumPool2d(),
            nn.Conv2d(24, 48, 5),
            nn.ReLU(),
            SumPool2d(),
            nn.Conv2d(48, 96, 3),
            nn.ReLU(),
            SumPool2d(),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(96, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


def load() -> DigitsCNN:
    """The digit CNN with its trained weights, in eval mode; the card beside the weights says how it was made."""
    return load_weights(DigitsCNN, "digits_cnn")
