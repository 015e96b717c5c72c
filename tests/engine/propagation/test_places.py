"""Targets in answers of several axes: a place in a map, a token at a position."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.engine.propagation.target import Target


def start(target: Target, rows: int = 2) -> torch.Tensor:
    torch.manual_seed(0)
    model = nn.Conv2d(1, 3, 3, padding=1)
    return lw.Explainer(model).explain(torch.rand(rows, 1, 4, 5), target, lw.LRP(lw.epsilon())).start


@pytest.mark.parametrize(
    ("target", "places"),
    [
        ((1, 2, 3), [(1, 2, 3), (1, 2, 3)]),
        ((1, -1, 0), [(1, 3, 0), (1, 3, 0)]),
        ([(1, 2, 3), (0, 1, 4)], [(1, 2, 3), (0, 1, 4)]),
        (torch.tensor([[1, 2, 3], [0, 1, 4]]), [(1, 2, 3), (0, 1, 4)]),
        (33, [(1, 2, 3), (1, 2, 3)]),
    ],
)
def test_a_place_in_a_map(target: Any, places: list[tuple[int, int, int]]) -> None:
    got = start(target)
    assert got.count_nonzero() == 2 and all(bool(got[row][place] != 0) for row, place in enumerate(places))


def test_one_place_against_another() -> None:
    got = start(lw.contrast((1, 2, 3), (0, 2, 3)), rows=1)[0]
    assert got.nonzero().tolist() == [[0, 2, 3], [1, 2, 3]]


def test_a_token_at_a_position() -> None:
    model = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 7)).eval()
    ids = torch.tensor([[1, 2, 3]])
    explanation = lw.Explainer(model).explain(ids, (-1, 5), lw.LRP(lw.epsilon()))
    assert explanation.start[0].nonzero().tolist() == [[2, 5]]
    assert not explanation.relevance[0, :2].any() and bool(explanation.relevance[0, 2] != 0)


def test_what_may_be_either_is_refused() -> None:
    with pytest.raises(ValueError, match=r"may be one place of \(3, 4, 5\), or one class for each of the 3 rows"):
        start((1, 2, 3), rows=3)
    assert start([1, 2, 3], rows=3).count_nonzero() == 3
    assert start([(1, 2, 3)] * 3, rows=3).count_nonzero() == 3


@pytest.mark.parametrize("target", [(3, 0, 0), (0, 4, 0), (0, 0, -6), (0, 0, True), (0, 0, 1.5)])
def test_a_place_outside_is_refused(target: Any) -> None:
    with pytest.raises(IndexError, match=r"must lie in the answer's \(3, 4, 5\)"):
        start(target)
