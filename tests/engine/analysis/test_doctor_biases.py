"""Which biases the doctor lays to which layer: one that runs at each moment, and constants that no layer adds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import lrp_widgets as lw
from tests.engine.analysis.test_doctor import POSITIVE, X, sound


def test_a_recurrent_layer_counts_once():
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.layer, self.head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.layer(x)[0][:, -1])

    findings = {finding.message: finding for finding in lw.examine(Last().eval(), torch.rand(2, 5, 3))}
    assert POSITIVE.format(2) in findings  # the layer, which runs five times, and the head
    assert findings["The dense layers were not trained with dropout."].layer == "head"


def test_a_constant_that_is_added_is_no_bias_of_a_layer():
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.positions = nn.Parameter(torch.full((4,), 9.0))
            self.inner = sound()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x + self.positions)

    (finding,) = [f for f in lw.examine(Positions().eval(), X) if f.severity == "warning"]
    assert finding.message.startswith("What is added here absorbs ") and finding.layer == "add"
    assert finding.remedy == (
        "That part of the score is in no input: positions that are embedded, for instance, have no share in the map."
    )
