"""Networks of which it is known what their channels are for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

COLOURS, UNREAD = 3, 3
PARENTS = {0: 2, 1: 0, 2: 1}  # class c reads channel c of the second layer, and that one channel PARENTS[c]


class Planted(nn.Module):
    """Class c is the mean of channel c of `high`, which is channel PARENTS[c] of `low`, which is colour PARENTS[c].

    Both layers have one channel more, which is strongly active and is read by nobody.
    """

    def __init__(self) -> None:
        super().__init__()
        self.low = nn.Conv2d(COLOURS, COLOURS + 1, 1, bias=False, dtype=torch.float64)
        self.high = nn.Conv2d(COLOURS + 1, COLOURS + 1, 1, bias=False, dtype=torch.float64)
        self.pool, self.head = nn.AvgPool2d(4), nn.Linear(COLOURS + 1, COLOURS, bias=False, dtype=torch.float64)
        with torch.no_grad():
            for layer in (self.low, self.high, self.head):
                layer.weight.zero_()
            for colour in range(COLOURS):
                self.low.weight[colour, colour] = 1
            self.low.weight[UNREAD] = 5
            for channel, parent in PARENTS.items():
                self.high.weight[channel, parent] = 1
                self.head.weight[channel, channel] = 1
            self.high.weight[UNREAD] = 5
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        x = self.high(self.low(x).relu()).relu()
        return self.head(self.pool(x).flatten(1))


def pictures(n: int = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Pictures of mostly one colour, and the class that reads it: class c reads colour PARENTS[c]."""
    generator = torch.Generator().manual_seed(seed)
    x = 0.2 * torch.rand(n, COLOURS, 4, 4, generator=generator, dtype=torch.float64)
    labels = torch.arange(n) % COLOURS
    for row, label in enumerate(labels.tolist()):
        x[row, PARENTS[label]] += 1 + 0.1 * row
    return x, labels
