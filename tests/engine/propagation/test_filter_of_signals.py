"""Filters on layers of signals (batch, channels, time): a channel is the axis behind the batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw

X = torch.rand(2, 2, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Signals(nn.Module):
    """Convolutions over time, then attention-like layers over the same numbers as tokens."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.norm, self.two = nn.Conv1d(2, 7, 3), nn.BatchNorm1d(7), nn.Conv1d(7, 7, 1)
        self.pool, self.mix, self.head = nn.AvgPool1d(2, 1), nn.Linear(7, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = self.pool(torch.relu(self.two(torch.relu(self.norm(self.one(x))))))
        tokens = torch.relu(self.mix(z.transpose(1, 2)))  # (batch, time, features)
        return self.head(tokens.mean(1))


@pytest.mark.parametrize(("layer", "axis", "count"), [("one", 1, 7), ("two", 1, 7), ("pool", 1, 7), ("mix", 2, 5)])
def test_a_channel_is_what_the_layer_says(layer: str, axis: int, count: int) -> None:
    explainer = lw.Explainer(Signals().double().eval())
    plain = explainer.explain(X, 0, lw.LRP(lw.epsilon())).layer(layer).movedim(axis, 0)
    strongest = int(plain.flatten(1).abs().sum(1).argmax())
    only = lw.Filter(layer, channels=(strongest,))
    explanation = explainer.explain(X, 0, lw.LRP(lw.epsilon(), (only,)))
    kept = explanation.layer(layer)
    assert kept.shape[axis] == count
    torch.testing.assert_close(kept.movedim(axis, 0)[strongest], plain[strongest])
    assert int((kept.movedim(axis, 0).flatten(1).abs().sum(1) > 0).sum()) == 1
    assert all(line.closes for line in explanation.layers)


def test_all_channels_alone_add_up() -> None:
    explainer = lw.Explainer(Signals().double().eval())
    whole = explainer.explain(X, 0, lw.LRP(lw.epsilon())).relevance
    parts = [
        explainer.explain(X, 0, lw.LRP(lw.epsilon(), (lw.Filter("two", channels=(c,)),))).relevance for c in range(7)
    ]
    torch.testing.assert_close(sum(parts), whole)
