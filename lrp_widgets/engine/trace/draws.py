"""Models that draw random numbers where they answer (dropout left on, sampling): the same draw each time."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

__all__ = ["kept_generators", "note_of_draws", "outside_state", "same_draws"]


@contextmanager
def same_draws(seed: int = 0, generators: Sequence[torch.Generator] = ()) -> Iterator[None]:
    """Inside, torch, numpy and Python draw the same numbers each time; what they draw outside is left as it was.

    generators: of the model itself, which draw the same numbers too.
    """
    devices = (
        list(range(torch.cuda.device_count())) if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    )
    with torch.random.fork_rng(devices=devices), kept_generators(generators):
        torch.manual_seed(seed)
        for generator in generators:
            generator.manual_seed(seed)
        of_python, of_numpy = random.getstate(), np.random.get_state()
        random.seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)


@contextmanager
def kept_generators(generators: Sequence[torch.Generator]) -> Iterator[None]:
    """Afterwards, generators stand where they stood."""
    states = [generator.get_state() for generator in generators]
    try:
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


def outside_state() -> Any:
    """Where the random numbers of Python and numpy stand: another state tells that some were drawn."""
    name, numbers, *rest = np.random.get_state()
    return random.getstate(), name, np.asarray(numbers).tobytes(), *rest


def note_of_draws(where: str) -> str:
    """The note on a model that draws in evaluation mode."""
    return (
        f"{where} draws random numbers in evaluation mode: one draw is explained, always the same. Another draw gives "
        "other scores, and another explanation."
    )
