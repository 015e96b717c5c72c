"""DataSet: methods by metrics over many samples, with intervals, as the numbers come in."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets

from lrp_widgets.apps.quality.asking import Asked, Plan
from lrp_widgets.apps.quality.scene import QualityPage, Running, Scene
from lrp_widgets.apps.session.settings import Settings
from lrp_widgets.evaluation import METRICS, Metric, Stopped, Table, evaluate
from lrp_widgets.methods import Method
from lrp_widgets.samples import Samples
from lrp_widgets.widgets.controls.control import guard

__all__ = ["DataSet"]

SLICE = 0.8  # s until the table is shown again
MOST = 500  # samples
BATCH = 8  # explained at a time
NOW = "the method on the left"
FIRST = ("Selectivity", "Sparsity", "Completeness")  # metrics chosen at the start: the quick ones


class DataSet(QualityPage):
    """`methods`, `metrics`, `count`: what is measured.  `running`: start and cancel.  `table`: means and intervals."""

    name = "Data set"
    said = "Methods by metrics over many samples: means with bootstrap intervals"
    long = True

    def __init__(
        self,
        samples: Samples,
        choices: list[tuple[str, Method]],
        now: Callable[[], Settings],
        change: Callable[..., None],
        tell: Callable[[str], None],
    ) -> None:
        self._now, self._change, self._tell = now, change, tell
        self._choices = dict(choices)
        most = min(MOST, len(samples))
        style: Any = {"style": {"description_width": "76px"}, "layout": {"width": "auto"}}
        names = [NOW, *self._choices]
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
            + ("each one's label." if samples.labels is not None else "the class with the highest score.")
            + " Ctrl or Shift chooses several in a list."
        )
        note.add_class("lrp-hint")
        self.running = Running("evaluate", self._act, tell)
        self.table = ipywidgets.HTML("")
        self.table.add_class("lrp-card")
        controls = ipywidgets.Box([self.methods, self.metrics, ipywidgets.VBox([self.count, note])])
        controls.add_class("lrp-three")
        self.view = ipywidgets.VBox([controls, self.running, self.table])
        self._starts = 0
        self.measured: Table | None = None  # what stands in the table

    def start(self) -> None:
        """Evaluate what is chosen."""
        self._act(True)

    def _act(self, go: bool) -> None:
        if not go:
            self._change(plan=None)
            return
        methods = tuple((name, self._choices.get(name, self._now().method)) for name in self.methods.value)
        metrics = tuple(self.metrics.value)
        if not methods or not metrics:
            self._tell("An evaluation needs at least one method and one metric. Choose some.")
            return
        self._starts += 1
        self._change(plan=Plan(self._starts, min(self.count.value, MOST), methods, metrics))

    def key(self, asked: Asked) -> Any:
        return asked.plan

    def run(self, scene: Scene, asked: Asked, waits: Callable[[], bool]) -> Iterator[tuple[Table, int, int, Any]]:
        plan = asked.plan
        assert plan is not None
        samples = _first(scene.samples, plan.samples)
        metrics = {name: _metric(name, scene) for name in plan.metrics}
        target = "label" if samples.labels is not None else "top"
        # In slices, each of which goes on from the file: evaluate() gives its table only when it ends.
        with tempfile.TemporaryDirectory(prefix="lrp_widgets-") as folder:
            while True:
                slice_ = _Slice(waits)
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
    """Tells evaluate() to stop when it is time to show something, but never before there is something new."""

    def __init__(self, waits: Callable[[], bool]) -> None:
        self._waits, self._until = waits, time.monotonic() + SLICE
        self._known: int | None = None
        self.done, self.total, self.left = 0, 0, None

    def __call__(self, done: int, total: int, left: float | None) -> bool:
        self._known = done if self._known is None else self._known
        self.done, self.total, self.left = done, total, left
        return done == self._known or not (self._waits() or time.monotonic() > self._until)


def _first(samples: Samples, count: int) -> Samples:
    labels = None if samples.labels is None else samples.labels[:count]
    return dataclasses.replace(samples, inputs=samples.inputs[:count], labels=labels)


def _metric(name: str, scene: Scene) -> Metric:
    """A metric with what suits these inputs."""
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
        f"<li>{escape(one.metric)}: {escape(one.method)} − {escape(one.other)} = {one.mean:.3g} "
        f"[{one.low:.3g}, {one.high:.3g}]</li>"
        for one in summary.differences
        if one.samples > 1 and one.clear
    ]
    heading = '<div class="lrp-heading">Differences on the same samples whose interval leaves out zero</div>'
    listed = heading + f'<ul class="lrp-findings">{"".join(clear)}</ul>' if clear else ""
    return summary._repr_html_().replace("<table>", '<table class="lrp-table">', 1) + listed
