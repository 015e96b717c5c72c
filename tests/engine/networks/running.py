"""Run functions through the engine with any relevance at their output."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.layers.canonize import canonize
from lrp_widgets.engine.propagation.propagate import Propagation, propagate
from lrp_widgets.engine.rules import Rule
from lrp_widgets.engine.trace.memo import Memo
from lrp_widgets.engine.trace.tape import Tape, record
from tests.engine.networks.dense import Array


class Function(nn.Module):
    """A function as a model."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def recorded(function: Callable[[Tensor], Tensor], x: Tensor) -> Tape:
    """The canonical tape of a function at x."""
    return canonize(record(Function(function).eval(), (x,), lambda result: result), Memo())


def propagated(tape: Tape, how: Rule | lw.Composite, start: Tensor) -> tuple[Tensor, Propagation]:
    """What the engine hands to the input of the relevance `start` on the answer."""
    composite = how if isinstance(how, lw.Composite) else lw.Composite((lw.Entry(how),))
    with torch.no_grad():
        passed = propagate(tape, composite, start, Memo())
    return passed.relevance[tape.inputs[0]], passed


def error_of(got: Tensor, expected: Array) -> float:
    """The largest difference as a part of max|R|."""
    answer = got.detach().double().numpy().reshape(expected.shape)
    return float(np.abs(answer - expected).max() / max(np.abs(expected).max(), 1e-30))
