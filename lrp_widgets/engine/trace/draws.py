"""Models that draw random numbers where they answer (dropout left on, sampling): the same draw each time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["note_of_draws", "same_draws"]


@contextmanager
def same_draws() -> Iterator[None]:
    """Inside, torch draws the same numbers each time; what it would have drawn outside is left as it was."""
    devices = (
        list(range(torch.cuda.device_count())) if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    )
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(0)
        yield


def note_of_draws(where: str) -> str:
    """The note on a model that draws in evaluation mode."""
    return (
        f"{where} draws random numbers in evaluation mode: one draw is explained, always the same. Another draw gives "
        "other scores, and another explanation."
    )
