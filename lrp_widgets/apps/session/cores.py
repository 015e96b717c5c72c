"""How many cores an explanation gets: one where the network is small, all of them otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from threadpoolctl import ThreadpoolController
from torch import Tensor, nn

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
    torch.get_num_threads()  # torch sets the number for a new thread when it is first needed: here, before the limit
    # OpenMP keeps this number for each thread, so that other threads keep all cores.
    with _pools().limit(limits=1, user_api="openmp"):
        yield


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()
