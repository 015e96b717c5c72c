"""A small face detector, built as Montavon et al. (2018) advise: for one window of 25×25 grey pixels."""

from __future__ import annotations

from torch import Tensor, nn

from lrp_widgets.demo.models.digits_cnn import SumPool2d
from lrp_widgets.demo.weights import load_weights

__all__ = ["FacesCNN", "load"]


class FacesCNN(nn.Module):
    """Three convolutions with ReLU and sum pooling, then one dense layer behind dropout; every bias is ≤ 0.

    x: (n, 1, 25, 25) in [0, 1]. Returns (n, 2) scores: no face, face. For larger pictures: sliding_window.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 4),
            nn.ReLU(),
            SumPool2d(),
            nn.Conv2d(16, 32, 4),
            nn.ReLU(),
            SumPool2d(),
            nn.Conv2d(32, 64, 3),
            nn.ReLU(),
            SumPool2d(),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(64, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


def load() -> FacesCNN:
    """The face detector with its trained weights, in eval mode; the card beside the weights says how it was made."""
    return load_weights(FacesCNN, "faces_cnn")
