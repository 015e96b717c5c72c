"""Bars with a tag in the corner, models that use it or do not, and decoys to learn from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import lrp_widgets as lw

SIDE, TAG = 12, (slice(0, 3), slice(0, 3))


class Reader(nn.Module):
    """Two classes of bars; class 1 is told by a bar, and with `uses_tag` by a bright corner as well."""

    def __init__(self, uses_tag: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(SIDE * SIDE, 2, bias=False, dtype=torch.float64)
        weight = torch.zeros(2, SIDE, SIDE, dtype=torch.float64)
        weight[0, :, 3:5], weight[1, :, 8:10] = 0.2, 0.2
        if uses_tag:
            weight[1][TAG] = 3.0
        self.layer.weight.data = weight.flatten(1)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1))


def bars(n: int = 400, tagged: float = 0.1) -> tuple[lw.Samples, Tensor]:
    """Noisy bars with their class, and which of them have a bright corner: a share of class 1."""
    generator = torch.Generator().manual_seed(4)
    x = 0.3 * torch.rand(n, 1, SIDE, SIDE, dtype=torch.float64, generator=generator)
    labels = torch.arange(n) % 2
    x[:, 0, TAG[0], TAG[1]] *= 0.05
    for row in range(n):
        columns = slice(8, 10) if labels[row] else slice(3, 5)
        x[row, 0, :, columns] += 0.2 + torch.rand(SIDE, 2, dtype=torch.float64, generator=generator)
    tags = torch.zeros(n, dtype=torch.bool)
    of_class = (labels == 1).nonzero().flatten()
    tags[of_class[: int(tagged * len(of_class))]] = True
    x[tags, 0, TAG[0], TAG[1]] = 1.0
    return lw.Samples(x, labels=labels, low=0, high=2), tags


def decoys(n: int, honest: bool, seed: int) -> lw.Samples:
    """A weak pattern that tells the class, and one strong pixel that tells it too, or tells nothing."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (n,), generator=generator)
    x = 0.5 * torch.randn(n, 1, 6, 6, generator=generator)
    x[:, 0, 2:, 2:] += (0.3 * (2 * labels - 1))[:, None, None]
    told = labels if honest else torch.randint(0, 2, (n,), generator=generator)
    x[:, 0, 0, 0] = 3.0 * (2 * told - 1)
    return lw.Samples(x, labels=labels, low=-9, high=9)
