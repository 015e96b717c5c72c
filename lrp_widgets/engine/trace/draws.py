"""Models that draw random numbers where they answer (dropout left on, sampling): the same draw each time."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

__all__ = ["GENERATORS", "Generator", "kept_generators", "note_of_draws", "outside_state", "same_draws", "state_of"]

Generator = torch.Generator | np.random.Generator | np.random.RandomState | random.Random
GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)


@contextmanager
def same_draws(seed: int = 0, generators: Sequence[Generator] = ()) -> Iterator[None]:
    """Inside, torch, numpy and Python draw the same numbers each time; what they draw outside is left as it was.

    generators: of the model itself, which draw the same numbers too.
    """
    devices = (
        list(range(torch.cuda.device_count())) if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    )
    with torch.random.fork_rng(devices=devices), kept_generators(generators):
        torch.manual_seed(seed)
        for generator in generators:
            _begin(generator, seed)
        of_python, of_numpy = random.getstate(), np.random.get_state()
        random.seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)


@contextmanager
def kept_generators(generators: Sequence[Generator]) -> Iterator[None]:
    """Afterwards, generators stand where they stood."""
    states = [_saved(generator) for generator in generators]
    try:
        yield
    finally:
        for generator, state in zip(generators, states, strict=True):
            _bring_back(generator, state)


def _saved(generator: Generator) -> Any:
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.getstate() if isinstance(generator, random.Random) else generator.get_state()


def _bring_back(generator: Generator, state: Any) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    else:
        generator.set_state(state)


def _begin(generator: Generator, seed: int) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = type(generator.bit_generator)(seed).state  # type: ignore[call-arg]
    elif isinstance(generator, torch.Generator):
        generator.manual_seed(seed)
    else:
        generator.seed(seed)


def state_of(generator: Generator) -> Any:
    """Where a generator stands, to be compared with ==."""
    state = _saved(generator)
    return state.cpu().numpy().tobytes() if isinstance(state, torch.Tensor) else repr(state)


def outside_state(generators: Sequence[Generator] = ()) -> Any:
    """Where the random numbers of Python, numpy and the model's own generators stand: it moves where some are drawn."""
    name, numbers, *rest = np.random.get_state()
    own = tuple(map(state_of, generators))
    return random.getstate(), name, np.asarray(numbers).tobytes(), *rest, own


def note_of_draws(where: str) -> str:
    """The note on a model that draws in evaluation mode."""
    return (
        f"{where} draws random numbers in evaluation mode: one draw is explained, always the same. Another draw gives "
        "other scores, and another explanation."
    )
