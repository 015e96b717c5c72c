"""The page Data set: methods by metrics over many samples, with bootstrap intervals, while the numbers come in."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets

from lrp_widgets.apps.quality.page import QualityPage, Scene
from lrp_widgets.apps.quality.progress_row import ProgressRow
from lrp_widgets.apps.quality.request import EvaluationPlan, Request
from lrp_widgets.apps.session.formatting import number
from lrp_widgets.apps.session.settings import Settings
from lrp_widgets.evaluation import METRICS, Metric, Stopped, Table, evaluate
from lrp_widgets.methods import Method
from lrp_widgets.samples import Samples
from lrp_widgets.widgets.controls.control import guard

__all__ = ["DataSetPage"]

SLICE = 0.8  # s of measuring until the table is shown again
MAX_SAMPLES = 500
BATCH = 8  # explained at a time
CURRENT = "the method on the left"
FIRST = ("Selectivity", "Sparsity", "Completeness")  # metrics chosen at the start: the quick ones


class DataSetPage(QualityPage):
    """`methods`, `metrics`, `count`: what is measured.  `running`: start and cancel.  `table`: means and intervals."""

    name = "Data set"
    tooltip = "Methods by metrics over many samples: means with bootstrap intervals"
    long = True

    def __init__(
        self,
        samples: Samples,
        choices: list[tuple[str, Method]],
        current: Callable[[], Settings],
        change: Callable[..., None],
        tell: Callable[[str], None],
    ) -> None:
        self._current, self._change, self._tell = current, change, tell
        self._choices = dict(choices)
        most = min(MAX_SAMPLES, len(samples))
        style: Any = {"style": {"description_width": "76px"}, "layout": {"width": "auto"}}
        names = [CURRENT, *self._choices]
        self.methods = guard(
            ipywidgets.SelectMultiple(
                description="methods",
                options=names,
                value=[names[0], *names[2:4]],
                rows=6,
                tooltip="Which methods are compared.",
                **style,
            ),
            tell,
        )
        self.metrics = guard(
            ipywidgets.SelectMultiple(
                description="metrics",
                options=[(kind.title, kind.__name__) for kind in METRICS],
                value=FIRST,
                rows=6,
                tooltip="By which measures they are compared.",
                **style,
            ),
            tell,
        )
        self.count = guard(
            ipywidgets.IntSlider(
                min(20, most), min=1, max=max(2, most), description="samples", tooltip="On how many samples.", **style
            ),
            tell,
        )
        note = ipywidgets.HTML(
            f"The first of {len(samples)} samples; explained is "
            + ("each one's label." if _explains_labels(samples) else "the class with the highest score.")
            + " Ctrl or Shift chooses several in a list."
        )
        note.add_class("lrp-hint")
        self.running = ProgressRow("evaluate", self._act, tell)
        self.table = ipywidgets.HTML("")
        self.table.add_class("lrp-card")
        controls = ipywidgets.Box([self.methods, self.metrics, ipywidgets.VBox([self.count, note])])
        controls.add_class("lrp-three")
        self.view = ipywidgets.VBox([controls, self.running, self.table])
        self._number = 0
        self.measured: Table | None = None  # what stands in the table

    def start(self) -> None:
        """Start the evaluation that the controls describe."""
        self._act(True)

    def _act(self, go: bool) -> None:
        if not go:
            self._change(evaluation=None)
            return
        methods = tuple((name, self._choices.get(name, self._current().method)) for name in self.methods.value)
        metrics = tuple(self.metrics.value)
        if not methods or not metrics:
            self._tell("An evaluation needs at least one method and one metric. Choose some.")
            return
        self._number += 1
        self._change(evaluation=EvaluationPlan(self._number, min(self.count.value, MAX_SAMPLES), methods, metrics))

    def key(self, request: Request) -> Any:
        return request.evaluation

    def run(
        self, scene: Scene, request: Request, superseded: Callable[[], bool]
    ) -> Iterator[tuple[Table, int, int, Any]]:
        plan = request.evaluation
        assert plan is not None
        samples = _first(scene.samples, plan.samples)
        metrics = {name: _metric(name, scene) for name in plan.metrics}
        several = scene.explanation.scores[0].numel() > 1
        target = "label" if several and _explains_labels(samples) else "top"
        # evaluate() returns a table only when it ends: it is stopped after each slice and goes on from its file.
        with tempfile.TemporaryDirectory(prefix="lrp_widgets-") as folder:
            while True:
                slice_ = _Slice(superseded)
                try:
                    table = evaluate(
                        scene.explainer,
                        samples,
                        dict(plan.methods),
                        metrics,
                        target=target,
                        batch=BATCH,
                        store=Path(folder) / "numbers",
                        progress=slice_,
                    )
                except Stopped as stopped:
                    yield stopped.table, slice_.done, slice_.total, slice_.left
                else:
                    yield table, slice_.total, slice_.total, None
                    return

    def show(self, result: tuple[Table, int, int, Any]) -> None:
        table, done, total, left = result
        self.measured = table
        self.running.tell(done, total, left, "numbers")
        self.table.value = _summary(table)

    def stop(self) -> None:
        self.running.stopped()


class _Slice:
    """The progress callback of evaluate(): stops it after a slice of time, but never before there is a new number."""

    def __init__(self, superseded: Callable[[], bool]) -> None:
        self._superseded, self._until = superseded, time.monotonic() + SLICE
        self._done_before: int | None = None
        self.done, self.total, self.left = 0, 0, None

    def __call__(self, done: int, total: int, left: float | None) -> bool:
        self._done_before = done if self._done_before is None else self._done_before
        self.done, self.total, self.left = done, total, left
        return done == self._done_before or not (self._superseded() or time.monotonic() > self._until)


def _explains_labels(samples: Samples) -> bool:
    """Whether labels are numbers of outputs: of a single output they are not."""
    return samples.labels is not None and samples.task in (None, "classes")


def _first(samples: Samples, count: int) -> Samples:
    labels = None if samples.labels is None else samples.labels[:count]
    return dataclasses.replace(samples, inputs=samples.inputs[:count], labels=labels)


def _metric(name: str, scene: Scene) -> Metric:
    """A metric with options that suit the input's shape."""
    kind = next(kind for kind in METRICS if kind.__name__ == name)
    if name == "Selectivity":
        return kind(patch=scene.side)  # type: ignore[call-arg]
    if name == "Continuity":
        return kind(near=scene.samples.modality.neighbourhood)  # type: ignore[call-arg]
    return kind()


def _summary(table: Table) -> str:
    if not len(table):
        return ""
    summary = table.summary()
    clear = [
        f"<li>{escape(one.metric)}: {escape(one.method)} − {escape(one.other)} = {number(one.mean)} "
        f"[{number(one.low)}, {number(one.high)}]</li>"
        for one in summary.differences
        if one.samples > 1 and one.clear
    ]
    heading = '<div class="lrp-heading">Differences on the same samples whose interval leaves out zero</div>'
    differences = heading + f'<ul class="lrp-findings">{"".join(clear)}</ul>' if clear else ""
    return summary._repr_html_().replace("<table>", '<table class="lrp-table">', 1) + differences
