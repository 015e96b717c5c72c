"""Ledger rows where the first axis is not the batch, or where a step carries relevance from one row to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import lrp_widgets as lw
from lrp_widgets.engine.propagation.ledger import LedgerEntry, Sums, lines_of
from lrp_widgets.engine.trace.step import Step


class Graph(nn.Module):
    """Each node sums its neighbours: with a dense, a COO or a CSR matrix."""

    def __init__(self, layout: str, pooled: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        near = (torch.rand(6, 6, dtype=torch.float64) > 0.5).double() + torch.eye(6, dtype=torch.float64)
        self.near = {"dense": near, "coo": near.to_sparse(), "csr": near.to_sparse_csr()}[layout]
        self.layer, self.head = nn.Linear(3, 4, dtype=torch.float64), nn.Linear(4, 2, dtype=torch.float64)
        self.pooled = pooled

    def forward(self, x: Tensor) -> Tensor:
        hidden = (self.near @ self.layer(x)).relu()
        hidden = torch.sparse.mm(self.near, hidden) if self.near.layout != torch.strided else self.near @ hidden
        return self.head(hidden.mean(0, keepdim=True) if self.pooled else hidden)


NODES = torch.rand(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta:UserWarning")
@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("layout", ["dense", "coo", "csr"])
def test_a_graph_closes_and_sparse_is_as_dense(layout: str, pooled: bool) -> None:
    method = lw.LRP(lw.epsilon(epsilon=0))
    explanation = lw.Explainer(Graph(layout, pooled)).explain(NODES, 0, method)
    assert all(line.closes for line in explanation.layers) and explanation.fallbacks == ()
    dense = lw.Explainer(Graph("dense", pooled)).explain(NODES, 0, method)
    torch.testing.assert_close(explanation.relevance, dense.relevance)
    kept = sum(amount.sum() for amount in explanation.absorbed.values())
    torch.testing.assert_close(explanation.relevance.sum() + kept, explanation.start.sum())


def by_hand(model: Any, x: Tensor) -> Tensor:
    return torch.stack([functional.linear(row, model.weight, model.bias_of(row)) for row in x])


def across(model: Any, x: Tensor) -> Tensor:
    q = model.bias_of(x)[None, None]
    return functional.scaled_dot_product_attention(q, q, q)[0, 0] @ model.weight.T[:2]


@pytest.mark.parametrize("way", [by_hand, across])
@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_rows_taken_apart_or_mixed(way: Callable[[Any, Tensor], Tensor], rows: int) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.weight = nn.Parameter(torch.randn(2, 4, dtype=torch.float64), requires_grad=False)
            self.bias_of = nn.Linear(4, 2, dtype=torch.float64)

        def forward(self, x: Tensor) -> Tensor:
            return way(self, x)

    x = torch.randn(rows, 4, dtype=torch.float64)
    explanation = lw.Explainer(Model()).explain(x, 0, lw.LRP(lw.epsilon(epsilon=0)))
    assert all(line.closes for line in explanation.layers)
    kept = sum(explanation.absorbed.values(), torch.zeros(rows, dtype=torch.float64))
    if way is by_hand:  # each row by itself
        torch.testing.assert_close(explanation.total + kept, explanation.explained)
    torch.testing.assert_close((explanation.total + kept).sum(), explanation.explained.sum())


def entry(arriving: list[float], handed_on: list[float], absorbed: list[float] | str = "") -> LedgerEntry:
    def sums(numbers: list[float]) -> Sums:
        return Sums(torch.tensor(numbers), torch.tensor(numbers).abs())

    amounts = absorbed if isinstance(absorbed, str) else {"bias": torch.tensor(absorbed)}
    step = Step("step", "op", None, (), {}, (), (), "")  # type: ignore[arg-type]
    return LedgerEntry(step, None, (sums(arriving),), (sums(handed_on),), amounts, 1.2e-7, 1.2e-7)


def test_a_line_that_closes_in_all_and_in_no_row_says_the_mean() -> None:
    (line,) = lines_of([entry([1.0, 3.0], [3.0, 0.5], [0.0, 0.5])], 2)
    assert line.closes and line.relevance_out.tolist() == [2, 2] and line.relevance_in.tolist() == [1.75, 1.75]
    assert line.absorbed["bias"].tolist() == [0.25, 0.25]


def test_a_line_that_closes_in_no_way_stays_open() -> None:
    (line,) = lines_of([entry([1.0, 3.0], [3.0, 2.0], [0.0, 0.0])], 2)
    assert not line.closes and line.relevance_out.tolist() == [1, 3]


def test_a_line_that_closes_by_row_stays_by_row() -> None:
    (line,) = lines_of([entry([1.0, 3.0], [1.0, 2.5], [0.0, 0.5])], 2)
    assert line.closes and line.relevance_in.tolist() == [1, 2.5]


def test_a_cause_that_stands_for_the_rest_is_not_made_by_mixing() -> None:
    (line,) = lines_of([entry([1.0, 3.0], [3.0, 1.0], "constant")], 2)
    assert line.closes and not line.absorbed


def test_a_layer_that_no_row_comes_to() -> None:
    """An expert of a mixture that no row chose runs on nothing."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.expert = nn.Linear(3, 3, dtype=torch.float64)

        def forward(self, x: Tensor) -> Tensor:
            chosen = torch.where(x[:, 0] > 100)[0]
            return x.index_add(0, chosen, self.expert(x[chosen]).relu())

    x = torch.rand(4, 3, dtype=torch.float64)
    explanation = lw.Explainer(Model()).explain(x, 1, lw.LRP(lw.epsilon()))
    assert all(line.closes for line in explanation.layers)
    torch.testing.assert_close(explanation.total, x[:, 1])
