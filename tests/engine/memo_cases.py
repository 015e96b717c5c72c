"""What the tests of the memo share."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn


def straight() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 6, 2), nn.ReLU(), nn.Flatten(), nn.Linear(6, 3)
    ).eval()  # fmt: skip


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(1)
    return torch.rand(2, 1, 6, 6)
