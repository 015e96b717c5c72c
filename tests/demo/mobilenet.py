"""MobileNet v1 at a quarter of its width: a real ImageNet classifier, small enough for a test. No weights here."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)  # of the depthwise convolutions
WIDTHS = (8, 16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256)  # of the stem and of each block


class Unit(nn.Module):
    """Convolution, BatchNorm, ReLU6. With stride 2 it pads on the right and below alone, as TensorFlow does."""

    def __init__(self, channels: int, width: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, stride, kernel // 2 * (stride == 1), groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=1e-3)
        self.relu = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(F.pad(x, (0, 1, 0, 1)) if self.conv.stride[0] == 2 else x)))


class Block(nn.Module):
    """A depthwise convolution, then a pointwise one."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.depthwise = Unit(channels, channels, 3, stride, groups=channels)
        self.pointwise = Unit(channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


class MobileNet(nn.Module):
    """Howard et al. (2017). x: (n, 3, 224, 224) in [-1, 1], RGB. Returns (n, 1000) scores."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Unit(3, WIDTHS[0], 3, stride=2)
        self.blocks = nn.Sequential(*map(Block, WIDTHS, WIDTHS[1:], STRIDES))
        self.classifier = nn.Linear(WIDTHS[-1], 1000)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.blocks(self.stem(x)).mean((2, 3)))


def load(path: Path) -> MobileNet:
    """The network with the weights of a safetensors file, in eval mode."""
    with torch.random.fork_rng(devices=[]):
        model = MobileNet()
    missing, unknown = model.load_state_dict(load_file(path), strict=False)
    assert not unknown and all(name.endswith("num_batches_tracked") for name in missing)
    return model.eval()
