"""Recurrent layers that torch runs as one opaque op, spelled out in ops that can be recorded.

An LSTM's cell is c = f ⊙ c + i ⊙ g, h = o ⊙ tanh c: products of a gate and a signal, and the signal takes all
(Arras et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["SPELLED_OUT"]

_LSTM = 2  # the mode's number in torch


def _lstm_layer(
    x: Tensor,
    w_input: Tensor,
    w_hidden: Tensor,
    b_input: Tensor,
    b_hidden: Tensor,
    h: Tensor,
    c: Tensor,
    reverse: bool,
    batch_sizes: list[int],
    mode: int,
    hidden_size: int,
    num_layers: int,
    has_biases: bool,
    *_: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One direction of one layer: x is (time, batch, features), h and c are (batch, hidden)."""
    if mode != _LSTM or batch_sizes:
        raise NotImplementedError("Only an LSTM without packed sequences runs as this op.")
    biases = (b_input, b_hidden) if has_biases else (None, None)
    answers: list[Tensor] = []
    moments = x.unbind(0)
    for moment in reversed(moments) if reverse else moments:
        gates = functional.linear(moment, w_input, biases[0]) + functional.linear(h, w_hidden, biases[1])
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        answers.append(h)
    return torch.stack(answers[::-1] if reverse else answers), h, c, x.new_empty(0)


def _known(name: str, spelled: Callable[..., Any]) -> dict[Any, Callable[..., Any]]:
    packet = getattr(torch.ops.aten, name, None)  # a build without oneDNN has no such op
    return {} if packet is None else {packet.default: spelled}


SPELLED_OUT: dict[Any, Callable[..., Any]] = _known("mkldnn_rnn_layer", _lstm_layer)
