"""evaluate(): every method by every metric over a data set, resumable, on as many cores and machines as there are."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any

from torch import Tensor, nn

from lrp_widgets.engine.propagation.explainer import Explainer, Output
from lrp_widgets.engine.propagation.method import check_method
from lrp_widgets.evaluation.checks import at_least, fresh_explainer
from lrp_widgets.evaluation.dataset.measuring import Failure, Measuring, Number, Piece, printed
from lrp_widgets.evaluation.dataset.progress import Progress, report_of
from lrp_widgets.evaluation.dataset.store import Store, fingerprint_of
from lrp_widgets.evaluation.dataset.table import Row, Table
from lrp_widgets.evaluation.dataset.workers import here, in_processes, on_cluster
from lrp_widgets.methods.suited import suited
from lrp_widgets.modalities import modality_of
from lrp_widgets.samples import Samples

__all__ = ["EvaluationError", "Stopped", "evaluate"]

NumberKey = tuple[int, str, str]


class EvaluationError(RuntimeError):
    """A sample could not be evaluated. sample: its number.  table: what was done before."""

    def __init__(self, message: str, sample: int, table: Table) -> None:
        super().__init__(message)
        self.sample, self.table = sample, table


class Stopped(Exception):
    """progress() said False. table: what was done before."""

    def __init__(self, message: str, table: Table) -> None:
        super().__init__(message)
        self.table = table


def evaluate(
    model: nn.Module | Explainer,
    samples: Samples,
    methods: Any,
    metrics: Any,
    *,
    target: int | str | None = "label",
    seed: int = 0,
    batch: int = 16,
    store: str | os.PathLike[str] | None = None,
    jobs: int | None = 1,
    client: Any = None,
    progress: Any = True,
    output: Output = None,
) -> Table:
    """Every metric of every method's explanation of every sample, as a Table of tidy rows.

    methods, metrics: {name: setting}, or settings that are then named by their printed form. METRICS of
    lw.evaluation has what there is; one of your own has `measure(explainer, x, target, explanation)`. What they leave
    open is taken from the samples: their modality, and their box for lw.deep_taylor() without an input rule.
    target: "label", "top" or None (the class with the highest score), or one class for all samples.
    seed: of torch's random numbers in methods and metrics, and of the intervals.
    batch: how many samples are explained at a time; another number may round differently.
    store: a file that keeps every number as it is measured. The next call goes on from there, also with more methods
    or metrics; it refuses another model, data or seed.
    jobs: processes on this machine, None for one a core.  client: a dask.distributed.Client instead.  The table is the
    same for any of them, but for its seconds: every measurement runs on one thread.
    progress: True shows a bar; or a function(done, total, seconds_left) that may return False to stop.
    Raises TypeError or ValueError that names what is wrong, EvaluationError that names a sample that failed, Stopped.
    """
    explainer = fresh_explainer("evaluate", model, output)
    if not isinstance(samples, Samples):
        raise TypeError(f"evaluate.samples must be lw.Samples(inputs, labels), got {type(samples).__name__}.")
    named = {name: suited(_checked_method(name, one), samples) for name, one in _named("methods", methods).items()}
    measures = {name: suited(_checked_metric(name, one), samples) for name, one in _named("metrics", metrics).items()}
    classes = _classes(samples, target)
    at_least(0, "seed", seed)
    at_least(1, "batch", batch)
    if jobs is not None:
        at_least(1, "jobs", jobs)
    if client is not None and jobs != 1:
        raise ValueError(f"evaluate takes jobs or a client, got both (jobs={jobs}). Leave one out.")
    report = report_of(progress)
    measuring = Measuring(explainer.model, explainer.output, named, measures, seed)
    labels = None if samples.labels is None else [int(label) for label in samples.labels]
    results: dict[NumberKey, Number] = {}

    def table() -> Table:
        keys = [(i, a, b) for i in range(len(samples)) for a in named for b in measures if (i, a, b) in results]
        rows = [
            Row(n.sample, labels[n.sample] if labels else None, n.target, n.method, n.metric, n.value, n.seconds)
            for n in map(results.__getitem__, keys)
        ]
        better = {name: getattr(one, "better", "") for name, one in measures.items()}
        return Table(tuple(rows), tuple(named), tuple(measures), better, seed)

    with ExitStack() as stack:
        file = None
        if store is not None:
            question = _question(explainer, samples, target, seed, batch)
            prints = [{name: repr(one) for name, one in family.items()} for family in (named, measures)]
            file = stack.enter_context(Store(store, question, *prints))
            results = {(n.sample, n.method, n.metric): n for n in file.numbers}
        pieces = list(_pieces(samples.inputs.detach(), classes, named, measures, results, batch))
        total = len(samples) * len(named) * len(measures)
        counter = Progress(report, total - sum(len(rows) for p in pieces for _, rows in p.missing), total)
        go_on = counter.tell()
        numbers: Iterator[Number] = iter(())
        if client is not None:
            numbers = on_cluster(measuring, pieces, client)
        elif (count := min(_cores() if jobs is None else jobs, len(pieces))) > 1:
            numbers = in_processes(measuring, pieces, count)
        else:
            numbers = here(measuring, pieces)
        stack.enter_context(closing(numbers))  # pyright: ignore[reportArgumentType] - they are generators
        where = f"kept in {os.fspath(store)!r}" if store is not None else "in the .table of this error"
        try:
            while go_on and (number := next(numbers, None)) is not None:
                key = (number.sample, number.method, number.metric)
                if key in results:  # a worker that died had sent it already
                    continue
                results[key] = number
                if file is not None:
                    file.add(number)
                go_on = counter.step()
        except Failure as failure:
            message = f"{_failed(failure)} {counter.done} of {total} numbers are done and {where}."
            error = EvaluationError(message, failure.samples[0], table())
            if failure.trace:
                error.add_note(failure.trace)
            raise error from failure.__cause__
    if not go_on and counter.done < total:
        raise Stopped(
            f"evaluate was stopped by progress. {counter.done} of {total} numbers are done and {where}.", table()
        )
    return table()


def _pieces(
    inputs: Tensor,
    classes: Sequence[int] | None,
    methods: Iterable[str],
    metrics: Iterable[str],
    results: Mapping[NumberKey, Number],
    batch: int,
) -> Iterator[Piece]:
    """What is left to do. Batches begin at the same samples however many numbers there are already."""
    for start in range(0, len(inputs), batch):
        x = inputs[start : start + batch]
        target = None if classes is None else tuple(classes[start : start + batch])
        for method in methods:
            missing = ((m, tuple(r for r in range(len(x)) if (start + r, method, m) not in results)) for m in metrics)
            if open_rows := tuple((metric, rows) for metric, rows in missing if rows):
                yield Piece(start, x, target, method, open_rows)


def _question(explainer: Explainer, samples: Samples, target: Any, seed: int, batch: int) -> dict[str, Any]:
    output = explainer.output
    name = getattr(output, "__qualname__", "function") if callable(output) else output
    what = {} if samples.modality == modality_of(samples.inputs) else {"modality": samples.modality.name}
    return {
        **what,
        "model": fingerprint_of(explainer.model, name),
        "samples": fingerprint_of(samples.inputs, samples.labels),
        "target": "top" if target is None else target,
        "seed": seed,
        "batch": batch,
    }


def _named(family: str, settings: Any) -> dict[str, Any]:
    """Settings by name. Raises TypeError or ValueError where there are none, or two of one name."""
    if isinstance(settings, Mapping):
        by_name = {str(name): one for name, one in settings.items()}
    elif isinstance(settings, Iterable) and not isinstance(settings, str):
        settings = list(settings)
        by_name = {printed(one): one for one in settings}
        if len(by_name) < len(settings):
            raise ValueError(f"evaluate.{family} holds one of {', '.join(by_name)} twice. Give each once.")
    else:
        raise TypeError(f"evaluate.{family} must be a dict from name to setting, or a list of them, got {settings!r}.")
    if not by_name:
        raise ValueError(f"evaluate.{family} must hold at least one, got none.")
    return by_name


def _checked_method(name: str, method: Any) -> Any:
    check_method(f"evaluate.methods[{name!r}]", method)
    return method


def _checked_metric(name: str, metric: Any) -> Any:
    if isinstance(metric, type) or not callable(getattr(metric, "measure", None)):
        raise TypeError(
            f"evaluate.metrics[{name!r}] must be a metric such as lw.metrics.Selectivity(), or have "
            f"measure(explainer, x, target, explanation), got {metric!r}."
        )
    return metric


def _classes(samples: Samples, target: Any) -> list[int] | None:
    word = target if isinstance(target, str) else ""  # an array compares in its own way
    if target is None or word == "top":
        return None
    if word == "label":
        if samples.labels is None:
            raise ValueError('target="label" needs Samples.labels, got None. Give them, or take target="top".')
        return [int(label) for label in samples.labels]
    if isinstance(target, bool | str) or not hasattr(target, "__index__"):
        raise ValueError(f'target must be "label", "top", None or a class, got {target!r}.')
    return [operator.index(target)] * len(samples)


def _failed(failure: Failure) -> str:
    first, last = failure.samples[0], failure.samples[-1]
    which = f"Sample {first}" if first == last else f"Samples {first} to {last} (not one alone)"
    by = f" and metric {failure.metric!r}" if failure.metric is not None else ""
    return f"{which} could not be evaluated by method {failure.method!r}{by}: {failure.cause.rstrip('.')}."


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
