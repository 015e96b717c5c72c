"""How many cores an explanation gets: one where the network is small, all of them otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from lrp_widgets.threads import one_thread

__all__ = ["SMALL", "cores_for", "is_small"]

SMALL = 1e9  # weights × positions of the input: some 10 ms on one core at most


def is_small(model: nn.Module, x: Tensor) -> bool:
    """Whether a run takes some milliseconds, by the size of model and input."""
    positions = math.prod(x.shape[2:])
    return positions * sum(parameter.numel() for parameter in model.parameters()) <= SMALL


@contextmanager
def cores_for(model: nn.Module, x: Tensor) -> Iterator[None]:
    """One core for what this thread does inside if model and input are small.

    The threads of an operation wait for each other many times in a millisecond. Where the browser, or another visitor's
    kernel, wants a core too, each of these waits lasts until it has had its turn: 70 ms instead of 4 ms were measured.
    By size and not by the clock, because another number of threads rounds differently: what is shown stays the same.
    """
    if not is_small(model, x):
        yield
        return
    with one_thread():
        yield
