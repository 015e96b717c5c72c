"""A small residual network for colour photographs: ten classes of things, 32×32 pixels."""

from __future__ import annotations

from torch import Tensor, nn

from lrp_widgets.demo.weights import load_weights

__all__ = ["PhotosCNN", "ResidualBlock", "load"]


class ResidualBlock(nn.Module):
    """One convolution that widens and halves the picture, then one more that is added to its own input."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        # The factors of the norm stay 1, so the order of norm and pooling changes no value: while training, pooling
        # comes first (a quarter to normalize); in use, the norm stands where it folds into the convolution.
        x = self.relu(self.norm1(self.pool(x) if self.training else x))
        x = x if self.training else self.pool(x)
        return self.relu(x + self.norm2(self.conv2(x)))


class PhotosCNN(nn.Module):
    """A whitening convolution, three residual blocks with BatchNorm, global average pooling, one dense layer.

    x: (n, 3, 32, 32) in [0, 1], RGB. Returns (n, 10) scores. Any larger picture runs too: the pooling is global.
    He et al. (2016) for the blocks.
    """

    def __init__(self, widths: tuple[int, int, int] = (32, 128, 192)) -> None:
        super().__init__()
        first, second, third = widths
        # 2×2×3 = 12 directions of a patch, each with both signs: after ReLU nothing is lost.
        self.whiten = nn.Conv2d(3, 24, 2)
        self.relu = nn.ReLU()
        self.blocks = nn.Sequential(
            ResidualBlock(24, first), ResidualBlock(first, second), ResidualBlock(second, third)
        )
        self.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(third, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.blocks(self.relu(self.whiten(x))))


def load() -> PhotosCNN:
    """The photograph CNN with its trained weights, in eval mode; the card beside the weights says how it was made."""
    return load_weights(PhotosCNN, "photos_cnn")
