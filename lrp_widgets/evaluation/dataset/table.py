"""Table: the numbers of an evaluation; Summary: their means and differences with what they depend on by chance."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from lrp_widgets.evaluation.dataset.bootstrap import bootstrap

__all__ = ["Difference", "MetricMean", "Row", "Summary", "Table"]

ARROWS = {"low": " ↓", "high": " ↑", "": ""}


class Row(NamedTuple):
    """One number: which sample, its label (None where not known), the class explained, and what took how long."""

    sample: int
    label: int | None
    target: int
    method: str
    metric: str
    value: float
    seconds: float


class MetricMean(NamedTuple):
    """Of one metric over the samples, and the bootstrap interval of it. samples: how many had a finite number."""

    method: str
    metric: str
    mean: float
    low: float
    high: float
    samples: int


class Difference(NamedTuple):
    """The mean of (method − other) on the same samples, and its bootstrap interval."""

    method: str
    other: str
    metric: str
    mean: float
    low: float
    high: float
    samples: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out zero: other samples would hardly turn the order round."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of an evaluation: by sample, then method, then metric, in the order they were given.

    methods, metrics: their names.  better: for each metric "low", "high" or "".  seed: of the intervals.
    Two tables are equal where all but the seconds are.
    """

    rows: tuple[Row, ...]
    methods: tuple[str, ...]
    metrics: tuple[str, ...]
    better: Mapping[str, str]
    seed: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        alike = [row[:5] for row in self.rows] == [row[:5] for row in other.rows]
        values = ([row.value for row in table.rows] for table in (self, other))
        return alike and np.array_equal(*(np.array(each, dtype=np.float64) for each in values), equal_nan=True)

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def values(self, method: str, metric: str) -> dict[int, float]:
        """The number of each sample. Raises KeyError that lists the names there are."""
        for kind, name, names in (("method", method, self.methods), ("metric", metric, self.metrics)):
            if name not in names:
                raise KeyError(f"{kind} must be one of {', '.join(map(repr, names))}, got {name!r}.")
        return {row.sample: row.value for row in self.rows if (row.method, row.metric) == (method, metric)}

    def summary(self, *, confidence: float = 0.95, draws: int = 1000) -> Summary:
        """Mean and bootstrap interval of each method and metric, and of the paired differences between methods.

        Numbers that are not finite are left out, in a difference with their partner. Efron & Tibshirani 1993.
        """
        values = {(method, metric): self.values(method, metric) for metric in self.metrics for method in self.methods}
        means, differences = [], []

        def of(values: list[float]) -> tuple[float, float, float, int]:
            finite = [value for value in values if np.isfinite(value)]
            if not finite:
                return float("nan"), float("nan"), float("nan"), 0
            mean, low, high = bootstrap(finite, confidence=confidence, draws=draws, seed=self.seed)
            return float(mean), float(low), float(high), len(finite)

        for metric in self.metrics:
            for method in self.methods:
                means.append(MetricMean(method, metric, *of(list(values[method, metric].values()))))
            for one, other in combinations(self.methods, 2):
                a, b = values[one, metric], values[other, metric]
                # Of two infinities there is no difference, and no warning either.
                apart = [a[i] - b[i] for i in a if i in b and np.isfinite(a[i]) and np.isfinite(b[i])]
                differences.append(Difference(one, other, metric, *of(apart)))
        return Summary(tuple(means), tuple(differences), dict(self.better), confidence)

    def to_pandas(self) -> Any:
        """The rows as a pandas.DataFrame. Raises ImportError that names the extra where pandas is not installed."""
        try:
            pandas = importlib.import_module("pandas")
        except ImportError:
            raise ImportError(
                "Table.to_pandas needs pandas, which is not installed. Install it with pip install lrp_widgets[pandas]."
            ) from None
        return pandas.DataFrame(list(self.rows), columns=list(Row._fields))

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        of = len({row.sample for row in self.rows})
        return f"Table({len(self)} rows: {of} samples, methods {self.methods}, metrics {self.metrics})"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


@dataclass(frozen=True)
class Summary:
    """Means of methods and metrics, differences between methods, each with its interval of this confidence."""

    means: tuple[MetricMean, ...]
    differences: tuple[Difference, ...]
    better: Mapping[str, str]
    confidence: float = 0.95

    def mean(self, method: str, metric: str) -> MetricMean:
        """Raises KeyError where there is none."""
        for one in self.means:
            if (one.method, one.metric) == (method, metric):
                return one
        raise KeyError(f"There is no mean of {method!r} and {metric!r}.")

    def difference(self, method: str, other: str, metric: str) -> Difference:
        """method − other, whichever of them was given first. Raises KeyError where there is none."""
        for one in self.differences:
            if (one.method, one.other, one.metric) == (method, other, metric):
                return one
            if (one.other, one.method, one.metric) == (method, other, metric):
                return Difference(method, other, metric, -one.mean, -one.high, -one.low, one.samples)
        raise KeyError(f"There is no difference of {method!r} and {other!r} in {metric!r}.")

    def ranking(self, metric: str) -> tuple[str, ...]:
        """The methods by their mean, the better first (the lower, where neither way is better)."""
        of = [mean for mean in self.means if mean.metric == metric and mean.samples]
        ordered = sorted(of, key=lambda mean: mean.mean, reverse=self.better.get(metric) == "high")
        return tuple(mean.method for mean in ordered)

    def __str__(self) -> str:
        """As a table in Markdown."""
        head, lines = self._cells()
        rows = [head, ["---"] * len(head), *lines]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)

    def _repr_html_(self) -> str:
        head, lines = self._cells()
        style = ' style="text-align: right"'
        top = "".join(f"<th{style if i else ''}>{escape(cell)}</th>" for i, cell in enumerate(head))
        body = "".join(
            f'<tr><th scope="row" style="text-align: left">{escape(line[0])}</th>'
            + "".join(f"<td{style}>{escape(cell)}</td>" for cell in line[1:])
            + "</tr>"
            for line in lines
        )
        return f"<table><caption>{escape(self._caption())}</caption><tr>{top}</tr>{body}</table>"

    def _caption(self) -> str:
        counts = sorted({mean.samples for mean in self.means})
        samples = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        return (
            f"Mean of {samples} samples, {100 * self.confidence:.4g} % bootstrap interval; ↓ low is better, ↑ high is."
        )

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        metrics = list(dict.fromkeys(mean.metric for mean in self.means))
        methods = dict.fromkeys(mean.method for mean in self.means)
        head = ["method", *(metric + ARROWS.get(self.better.get(metric, ""), "") for metric in metrics)]
        return head, [[method, *(_cell(self.mean(method, metric)) for metric in metrics)] for method in methods]


def _cell(one: MetricMean | Difference) -> str:
    if not one.samples:
        return "–"
    return f"{one.mean:.3g} [{one.low:.3g}, {one.high:.3g}]" if one.samples > 1 else f"{one.mean:.3g}"
