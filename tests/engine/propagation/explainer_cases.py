"""What the tests of the explainer share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def without_biases(model: nn.Module) -> nn.Module:
    """The model with its biases at zero, in evaluation mode."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if name.endswith(("bias", "running_mean")):
            nn.init.zeros_(tensor)
    return model.eval()


class Block(nn.Module):
    """A residual block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(True))
        self.two = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.two(self.one(x)) + x)


def mlp() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 4)
    return without_biases(nn.Sequential(*layers))


def cnn() -> nn.Module:
    torch.manual_seed(0)
    features = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(6, 8, 2), nn.ReLU(inplace=True), nn.MaxPool2d(2)
    )  # fmt: skip
    return without_biases(nn.Sequential(features, nn.Flatten(), nn.Dropout(), nn.Linear(8, 4)))


def residual() -> nn.Module:
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU())
    return without_biases(
        nn.Sequential(stem, Block(6), nn.AvgPool2d(2), Block(6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    )


def dense_net() -> nn.Module:
    torch.manual_seed(0)

    class Concatenated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(5, 4, 3, padding=1)
            self.head = nn.Linear(9, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.cat([x, torch.relu(self.one(x))], 1)
            x = torch.cat([x, torch.relu(self.two(x))], 1)
            return self.head(x.mean((2, 3)))

    return without_biases(Concatenated())


BIAS_FREE = {"mlp": mlp, "cnn": cnn, "residual": residual, "concatenated": dense_net}


def picture(rows: int = 3) -> Tensor:
    return torch.rand(rows, 1, 8, 8, generator=torch.Generator().manual_seed(5)) + 0.05


def with_biases(make: Callable[[], nn.Module]) -> nn.Module:
    model = make()
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if name.endswith(("bias", "running_mean")):
            nn.init.normal_(tensor, std=0.3)
    return model
