"""One piece of an evaluation: a batch of samples, a method, and the numbers that are asked of its explanations.

The same piece gives the same numbers to the last bit wherever and whenever it is done: batches are always cut in the
same places, each measurement has a fresh Explainer (one that remembers may round differently), one thread, and random
numbers of its own.
"""

from __future__ import annotations

import dataclasses
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lrp_widgets.engine.propagation.explainer import Explainer, Output
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.method import Method
from lrp_widgets.threads import one_thread
from lrp_widgets.wording import in_words

__all__ = ["Failure", "Measuring", "Number", "Piece", "printed", "row_of"]

_ALONE = threading.RLock()  # torch's random numbers belong to the process


class Number(NamedTuple):
    """One measured number."""

    sample: int
    target: int
    method: str
    metric: str
    value: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Piece:
    """What is to be done at a time.

    start: the number of the first sample.  inputs: (n, …) the batch.  target: one class a row, or None for the top one.
    missing: for each metric, the rows whose number is missing.
    """

    start: int
    inputs: Tensor
    target: tuple[int, ...] | None
    method: str
    missing: tuple[tuple[str, tuple[int, ...]], ...]


class Failure(Exception):
    """What went wrong, where.

    samples: one, or those of a batch that fails only together.  metric: None while explaining.
    cause, trace: text, for it travels between processes.
    """

    def __init__(self, samples: tuple[int, ...], method: str, metric: str | None, cause: str, trace: str = "") -> None:
        super().__init__(samples, method, metric, cause, trace)
        self.samples, self.method, self.metric, self.cause, self.trace = samples, method, metric, cause, trace


@dataclass(frozen=True, eq=False)
class Measuring:
    """The model, the methods and metrics by name, and the seed: what everyone who does a piece must have."""

    model: nn.Module
    output: Output
    methods: Mapping[str, Method]
    metrics: Mapping[str, Any]
    seed: int

    def numbers(self, piece: Piece) -> Iterator[Number]:
        """The numbers of a piece as they are measured. Raises Failure that names the sample."""
        method, x, n = self.methods[piece.method], piece.inputs, len(piece.inputs)

        def explained(rows: slice) -> Explanation:
            target = None if piece.target is None else piece.target[rows]
            return self._explainer().explain(x[rows], target, method).replace(method=method)

        with self._named_failure(piece, None, explained), self._alone(piece.start, piece.method):
            began = time.perf_counter()
            explanation = explained(slice(0, n))
            share = (time.perf_counter() - began) / n
        target: tuple[int, ...] = explanation.target
        for name, rows in piece.missing:
            metric = self.metrics[name]

            def measured(of: slice, metric: Any = metric) -> Any:
                one = explanation if of == slice(0, n) else row_of(explanation, of)
                return metric.measure(self._explainer(), x[of], target[of], one)

            together = getattr(metric, "batched", False)
            for of in (slice(0, n),) if together else (slice(row, row + 1) for row in rows):
                with (
                    self._named_failure(piece, name, measured, None if together else of),
                    self._alone(piece.start + of.start, piece.method, name),
                ):
                    began = time.perf_counter()
                    values = _values(name, measured(of), of.stop - of.start)
                    seconds = share + (time.perf_counter() - began) / len(values)
                for row in rows if together else (of.start,):
                    value = values[row - of.start]
                    yield Number(piece.start + row, target[row], piece.method, name, value, seconds)

    def _explainer(self) -> Explainer:
        return Explainer(self.model, self.output)

    @contextmanager
    def _alone(self, *what: Any) -> Iterator[None]:
        """One thread, and torch's random numbers by seed and by what is measured."""
        with _ALONE, torch.random.fork_rng(devices=[]), one_thread():
            torch.default_generator.manual_seed(zlib.crc32(repr((self.seed, *what)).encode()))
            yield

    @contextmanager
    def _named_failure(
        self, piece: Piece, metric: str | None, again: Callable[[slice], Any], rows: slice | None = None
    ) -> Iterator[None]:
        """Turn an exception into a Failure; of a batch, look for the row that raises it by itself."""
        try:
            yield
        except Exception as error:
            place, cause = rows, error
            for row in range(len(piece.inputs)) if rows is None else ():
                try:
                    again(slice(row, row + 1))
                except Exception as alone:
                    place, cause = slice(row, row + 1), alone
                    break
            at = range(piece.start, piece.start + len(piece.inputs))[place or slice(None)]
            raise Failure(tuple(at), piece.method, metric, f"{type(cause).__name__}: {in_words(cause)}") from error


def row_of(explanation: Explanation, rows: slice) -> Explanation:
    """The explanation of some rows of a batch, as if these had been explained without the others."""

    def cut(value: Any) -> Any:
        return value[rows] if value is not None else None

    layers = tuple(
        dataclasses.replace(
            layer,
            **{name: getattr(layer, name)[rows] for name in ("relevance_out", "relevance_in", "positive", "negative")},
            absorbed={cause: amount[rows] for cause, amount in layer.absorbed.items()},
        )
        for layer in explanation.layers
    )
    at_layer = explanation._at_layer
    changes = {name: cut(getattr(explanation, name)) for name in ("relevance", "scores", "inputs", "target", "start")}
    return explanation.replace(
        **changes,
        layers=layers,
        convergence=cut(explanation.convergence),
        _at_layer=None if at_layer is None else lambda name: at_layer(name)[rows],
    )


def printed(setting: Any) -> str:
    """A setting as it is written, without what is left at its default: Selectivity(patch=2)."""
    if not dataclasses.is_dataclass(setting) or isinstance(setting, type):
        return repr(setting)
    parts = []
    for field in dataclasses.fields(setting):
        factory = field.default_factory
        default = field.default if factory is dataclasses.MISSING else factory()
        value = getattr(setting, field.name)
        if field.repr and value != default:
            parts.append(f"{field.name}={printed(value)}")
    return f"{type(setting).__name__}({', '.join(parts)})"


def _values(name: str, result: Any, count: int) -> list[float]:
    """What a metric returned, as floats. Raises TypeError or ValueError where it is not one number a row."""
    if isinstance(result, bool) or result is None or isinstance(result, str):
        raise TypeError(f"{name}.measure must return a number a row ({count}), got {result!r}.")
    try:
        values = torch.as_tensor(result).detach().double().reshape(-1).tolist()
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name}.measure must return a number a row ({count}), got {type(result).__name__}.") from None
    if len(values) != count:
        raise ValueError(f"{name}.measure must return a number a row ({count}), got {len(values)}.")
    return values
