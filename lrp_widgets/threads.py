"""How many threads an operation of torch may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from threadpoolctl import ThreadpoolController

__all__ = ["one_thread"]


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread in each operation that this thread starts inside: another number of threads rounds differently."""
    torch.get_num_threads()  # on a new thread, torch sets the number when it is first needed: let it be now
    # OpenMP keeps this number for each thread, so that nobody else's work is slowed down.
    with _pools().limit(limits=1, user_api="openmp"):
        yield


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()
