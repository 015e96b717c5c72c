"""A few layers, wired by a function, and their tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lrp_widgets.engine.trace.step import replay
from lrp_widgets.engine.trace.tape import Tape, record

Function = Callable[[nn.ModuleDict, Tensor], Tensor]


class Wired(nn.Module):
    """A few layers, wired by a function."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.l = nn.ModuleDict({"a": nn.Linear(6, 4), "b": nn.Linear(6, 4), "c": nn.Linear(4, 4), "d": nn.Linear(4, 3)})
        self.function = function
        self.eval()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.l, x)


def plain(result: Any) -> Any:
    return result


def tape_of(model: nn.Module, x: Tensor) -> Tape:
    return record(model, (x,), plain)


def wrongly_replayed(tape: Tape) -> list[str]:
    """The steps that, run again on their recorded inputs, do not give what was recorded.

    A convolution that ran channels last may round in another order than one that did not: on processors without
    AVX-512 it does.
    """
    wrong = []
    for step in tape.steps:
        with torch.no_grad():
            made = replay(step, [tape.values[value].clone() for value in step.inputs])
        for tensor, value in zip(made, step.outputs, strict=True):
            if value is None:
                continue
            recorded = tape.values[value]
            rounding = 8 * torch.finfo(recorded.dtype).eps * recorded.abs().max() if step.op == "convolution" else 0
            if tensor.shape != recorded.shape or ((tensor - recorded).abs() > rounding).any():
                wrong.append(step.name)
    return wrong
