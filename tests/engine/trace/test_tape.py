"""The tape holds what the run did: in-place ops, views, buffers, branches; and recording leaves the model as it was."""

from __future__ import annotations

import pytest
import torch

from tests.engine.networks.wired import Wired, tape_of, wrongly_replayed
from tests.engine.trace.tape_cases import IN_PLACE


@pytest.mark.parametrize("case", IN_PLACE)
def test_in_place_is_recorded_as_what_it_computes(case: str) -> None:
    in_place, out_of_place = (Wired(function).double() for function in IN_PLACE[case])
    x = torch.randn(3, 6).double()
    before = x.clone()
    tape = tape_of(in_place, x)
    assert torch.equal(tape.scores, in_place(x.clone()))
    assert torch.allclose(tape.scores, out_of_place(x.clone()), atol=1e-14)
    assert wrongly_replayed(tape) == []
    assert torch.equal(x, before)
