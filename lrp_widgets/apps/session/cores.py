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
    """Whether a run of the model takes a few milliseconds only, judged by the size of model and input."""
    positions = math.prod(x.shape[2:])
    return positions * sum(parameter.numel() for parameter in model.parameters()) <= SMALL


@contextmanager
def cores_for(model: nn.Module, x: Tensor) -> Iterator[None]:
    """Inside, operations of this thread use one core if model and input are small, and all cores otherwise.

    The threads of an operation wait for each other many times in a millisecond. If another process needs a core, each
    of these waits lasts until that process has had its turn: 70 ms instead of 4 ms were measured. The size decides and
    not a measured time, because another number of threads rounds differently, and results should not depend on that.
    """
    if not is_small(model, x):
        yield
        return
    with one_thread():
        yield
