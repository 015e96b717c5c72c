"""Which layer an entry of a composite means: the ones that see the input, a depth; and the first entry that matches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw

FLAT, PLUS, ZERO = lw.rules.Flat(), lw.rules.ZPlus(), lw.rules.Zero()


def rules_of(model: nn.Module, x: Tensor, *entries: lw.Entry) -> dict[str, lw.rules.Rule]:
    layers = lw.Explainer(model.eval()).explain(x, 0, lw.LRP(lw.Composite(entries))).layers
    return {line.name: line.rule for line in layers if line.rule is not None}


class Beside(nn.Module):
    """Two layers see the input, a third one the input beside the answer of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Linear(3, 3), nn.Linear(3, 2), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.three(torch.cat([x, torch.relu(self.one(x))], 1)) + self.two(x)


def test_a_layer_that_also_sees_what_others_made_is_not_in_the_domain_of_the_input() -> None:
    got = rules_of(Beside(), torch.rand(2, 3), lw.Entry(FLAT, "input"), lw.Entry(PLUS))
    assert got == {"one": FLAT, "two": FLAT, "three": PLUS}


@pytest.mark.parametrize(
    ("start", "stop", "inside"),
    [(0.0, 0.5, "01"), (0.25, 0.75, "12"), (0.5, 1.0, "23"), (0.0, 0.1, ""), (0.0, 0.13, "0")],
)
def test_the_depth_of_a_layer_is_its_middle(start: float, stop: float, inside: str) -> None:
    """Four layers lie at 1/8, 3/8, 5/8 and 7/8."""
    model = nn.Sequential(*[nn.Linear(3, 3) for _ in range(4)])
    got = rules_of(model, torch.rand(1, 3), lw.Entry(FLAT, lw.Depth(start, stop)), lw.Entry(PLUS))
    assert got == {name: FLAT if name in inside else PLUS for name in "0123"}


def test_the_first_entry_that_matches_counts() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2))
    got = rules_of(model, torch.rand(1, 3), lw.Entry(ZERO, "2"), lw.Entry(FLAT, "dense"), lw.Entry(PLUS))
    assert got == {"0": FLAT, "2": ZERO}


def test_of_a_flattened_picture_each_bound_is_for_the_pixels_of_its_channel() -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(8, 3).double(), torch.rand(2, 2, 2, 2).double()

    def explained(low: tuple[float, ...], high: tuple[float, ...]) -> Tensor:
        composite = lw.Composite((lw.Entry(lw.rules.ZBox(low, high)),))
        return lw.Explainer(nn.Sequential(nn.Flatten(), layer).eval()).explain(x, 1, lw.LRP(composite)).relevance

    by_channel = explained((-1.0, -3.0), (1.0, 2.0))
    torch.testing.assert_close(by_channel, explained((-1.0,) * 4 + (-3.0,) * 4, (1.0,) * 4 + (2.0,) * 4))
    assert not torch.allclose(by_channel, explained((-1.0, -3.0) * 4, (1.0, 2.0) * 4))
