"""What the tests of the memo share."""

from __future__ import annotations

import torch
from torch import nn


def straight() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 6, 2), nn.ReLU(), nn.Flatten(), nn.Linear(6, 3)
    ).eval()  # fmt: skip
