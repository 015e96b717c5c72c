"""How much memory an explainer may take beyond its model: what five times the activations leave of the limit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.engine.trace.memory_budget import MemoryBudget


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(MemoryBudget, "LIMIT", 10_000)
    return 10_000


def test_nothing_is_given_before_the_activations_are_known() -> None:
    budget = MemoryBudget()
    assert budget.left == 0 and not budget.take(1)
    assert budget.take(0)


def test_five_times_the_activations_are_left_free(small_limit: int) -> None:
    budget = MemoryBudget()
    budget.beside(1_200)
    assert budget.left == small_limit - 5 * 1_200
    assert not budget.take(4_001) and budget.taken == 0
    assert budget.take(3_000) and (budget.left, budget.taken) == (1_000, 3_000)
    assert not budget.take(1_001)
    assert budget.take(1_000) and (budget.left, budget.taken) == (0, 4_000)


def test_what_was_taken_counts_when_the_activations_change(small_limit: int) -> None:
    budget = MemoryBudget()
    budget.beside(0)
    assert budget.take(4_000)
    budget.beside(1_000)
    assert budget.left == small_limit - 5_000 - 4_000
    budget.beside(100)
    assert budget.left == small_limit - 500 - 4_000
    budget.beside(2_000)  # more than there is: nothing is given back, and nothing more is given
    assert budget.left == 0 and not budget.take(1)


def test_an_explainer_counts_the_answers_of_its_layers_and_nothing_else(small_limit: int) -> None:
    """3 rows: the convolution answers with 4 maps of 6 × 6, the dense layer with 2 numbers, in 8 bytes each."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)).double().eval()
    explainer = lw.Explainer(model)
    for rows, count in ((3, 3), (1, 1)):
        explainer.tape(torch.rand(rows, 1, 8, 8).double())
        budget = explainer._budget
        expected = max(0, small_limit - 5 * 8 * count * (4 * 6 * 6 + 2) - budget.taken)
        assert budget.left == expected
    assert budget.left > 0
