"""How many rows an input of several tensors has: what most of them begin with."""

from __future__ import annotations

import pytest
import torch

from lrp_widgets.engine.trace.inputs import inputs_of


@pytest.mark.parametrize(
    ("lengths", "rows"),
    [((3,), 3), ((3, 3), 3), ((3, 2, 3), 3), ((3, 5, 3), 3), ((1, 3, 3), 3), ((5, 3, 3), 3), ((4, 2), 4), ((2, 4), 2)],
)
def test_a_table_that_belongs_to_all_rows_does_not_count(lengths: tuple[int, ...], rows: int) -> None:
    assert inputs_of(tuple(torch.rand(length, 2) for length in lengths)).rows == rows
