"""A constant that is added to a layer's answer is its bias, beside the one it has; one that is taken off is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw


class After(nn.Module):
    """A dense layer f = 2x − 3y + 0.5, and what is done to its answer with c = 4."""

    def __init__(self, then: Callable[[Tensor, Tensor], Tensor], bias: bool) -> None:
        super().__init__()
        self.layer, self.then = nn.Linear(2, 1, bias).double(), then
        self.c = nn.Parameter(torch.tensor([4.0]).double())
        with torch.no_grad():
            self.layer.weight.copy_(torch.tensor([[2.0, -3.0]]))
            if bias:
                self.layer.bias.fill_(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.then(self.layer(x), self.c)


# What is done, the sign of the layer's answer in it, and what of c is in it.
THEN: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], float, float]] = {
    "z + c": (lambda z, c: z + c, 1, 1),
    "c + z": (lambda z, c: c + z, 1, 1),
    "z + 2c": (lambda z, c: torch.add(z, c, alpha=2), 1, 2),
    "z − c": (lambda z, c: z - c, 1, -1),
    "c − z": (lambda z, c: c - z, -1, 1),
    "z + c + c": (lambda z, c: z + c + c, 1, 2),
}


@pytest.mark.parametrize("bias", [True, False], ids=["with a bias", "without"])
@pytest.mark.parametrize("name", THEN)
@pytest.mark.parametrize("composite", [lw.epsilon(0.0), lw.epsilon(1e-9)], ids=["0", "ε"])
def test_it_keeps_its_part_by_hand(composite: lw.Composite, name: str, bias: bool) -> None:
    then, sign, times = THEN[name]
    got = lw.Explainer(After(then, bias).eval()).explain(torch.tensor([[5.0, 1.0]]).double(), 0, lw.LRP(composite))
    own = 0.5 if bias else 0.0
    assert float(got.explained) == pytest.approx(sign * (7 + own) + times * 4)
    assert got.relevance[0].tolist() == pytest.approx([sign * 10, sign * -3], rel=1e-6)
    assert float(got.absorbed["bias"]) == pytest.approx(sign * own + times * 4, rel=1e-6)
    assert all(line.closes for line in got.layers)
