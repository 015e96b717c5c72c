"""A copy that reorders memory stays on the tape, whatever else is dropped: a view is taken of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.layers.canonize import canonize
from lrp_widgets.engine.trace.memo import Memo
from lrp_widgets.engine.trace.tape import record
from tests.engine.networks.wired import wrongly_replayed


class Turned(nn.Module):
    """A network over the transposed hidden values, which are copied in order before they are viewed."""

    def __init__(self, copied: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.copied = copied
        self.one, self.two = nn.Linear(6, 6), nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.one(x)).transpose(1, 2)  # (batch, 6, 4), lying as (batch, 4, 6)
        return self.two(self.copied(hidden).view(len(x), 24))


COPIES: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda hidden: hidden.contiguous(),
    "clone": lambda hidden: hidden.clone(memory_format=torch.contiguous_format),
}


@pytest.mark.parametrize("how", COPIES)
def test_it_stays_and_every_step_can_be_done_again(how: str) -> None:
    model, x = Turned(COPIES[how]).double().eval(), torch.rand(2, 4, 6).double()
    tape = canonize(record(model, x, lambda result: result), Memo())
    copies = [step for step in tape.steps if step.op in ("clone", "contiguous")]
    assert len(copies) == 1
    (entering,), leaving = copies[0].inputs, copies[0].outputs[0]
    assert tape.values[entering].stride() != tape.values[leaving].stride()
    assert wrongly_replayed(tape) == []


@pytest.mark.parametrize("how", COPIES)
def test_it_hands_relevance_on_as_it_came(how: str) -> None:
    model, x = Turned(COPIES[how]).double().eval(), torch.rand(2, 4, 6).double()
    plain = Turned(lambda hidden: hidden.reshape(len(hidden), 24)[:, None]).double().eval()
    for composite in (lw.epsilon(0.1), lw.alpha_beta(2.0)):
        got, wanted = (lw.Explainer(net).explain(x, 1, lw.LRP(composite)) for net in (model, plain))
        torch.testing.assert_close(got.relevance, wanted.relevance)
        assert all(line.closes for line in got.layers)


def test_a_copy_in_the_same_order_goes() -> None:
    model, x = Turned(lambda hidden: hidden.clone().reshape(len(hidden), 24)).eval(), torch.rand(2, 4, 6)
    tape = canonize(record(model, x, lambda result: result), Memo())
    # clone keeps the order of memory and goes; reshape makes one copy that changes it.
    assert [step.op for step in tape.steps].count("clone") == 1
