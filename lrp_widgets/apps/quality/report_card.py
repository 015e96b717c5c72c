"""ReportCard: what an explanation should keep to, line by line: number, limit, who asks for it, and what it means."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets

from lrp_widgets.apps.quality.asking import Asked
from lrp_widgets.apps.quality.scene import QualityPage, Scene
from lrp_widgets.apps.session.formatting import number
from lrp_widgets.evaluation import Limits, Score, stream_axioms
from lrp_widgets.widgets import SettingEditor

__all__ = ["ReportCard", "card"]

VERDICTS = {True: "passes", False: "fails", None: "not measured"}


class ReportCard(QualityPage):
    """`table`: the card as HTML."""

    name = "Report card"
    said = "What an explanation should keep to, each with its number, its limit and who asks for it"

    def __init__(self, change: Callable[..., None], tell: Callable[[str], None]) -> None:
        self.table = ipywidgets.HTML("")
        self.table.add_class("lrp-card")
        self.limits = SettingEditor(Limits())
        self.limits.add_class("lrp-three")
        folded = ipywidgets.Accordion([self.limits], titles=["What passes, and how it is measured"])
        folded.add_class("lrp-more")
        self.view = ipywidgets.VBox([self.table, folded])
        self._scores: list[Score] = []
        self.limits.observe(lambda event: change(limits=event["new"]), "value")
        self.limits.observe(lambda event: tell(event["new"]), "problem")

    def key(self, asked: Asked) -> Any:
        return asked.settings, asked.limits

    def run(self, scene: Scene, asked: Asked, waits: Callable[[], bool]) -> Iterator[tuple[Score, ...]]:
        scores: list[Score] = []
        for score in stream_axioms(
            scene.explainer,
            scene.x,
            scene.explanation.method,
            scene.target,
            limits=asked.limits,
            baseline=scene.samples.low,
        ):
            scores.append(score)
            yield tuple(scores)

    def show(self, result: tuple[Score, ...]) -> None:
        self.table.value = card(result, list(self._scores))
        if len(result) >= len(self._scores):
            self._scores = list(result)

    def fail(self) -> None:
        if self._scores:
            self.table.value = f'<div class="lrp-stale">{card(tuple(self._scores))}</div>'


def card(scores: tuple[Score, ...], before: list[Score] | None = None) -> str:
    """Scores as an HTML table; `before`: lines of the last card, greyed, in place of those still to come."""
    rows = "".join(_row(score) for score in scores)
    rows += "".join(_row(score, waiting=True) for score in (before or [])[len(scores) :])
    passed = sum(score.passes is True for score in scores)
    failed = sum(score.passes is False for score in scores)
    said = f"{passed} pass, {failed} fail, {len(scores) - passed - failed} not measured"
    head = "".join(f'<th scope="col">{name}</th>' for name in ("", "number", "limit", "verdict", "what it says"))
    return f'<table class="lrp-table lrp-report"><caption>{said}</caption><tr>{head}</tr>{rows}</table>'


def _row(score: Score, waiting: bool = False) -> str:
    verdict = {True: "pass", False: "fail", None: "none"}[score.passes]
    limit = f"{'≥' if score.above else '≤'} {number(score.threshold)}"
    note = f" <span>{html.escape(score.note)}.</span>" if score.note else ""
    cells = (
        f'<th scope="row">{html.escape(score.name)}</th>'
        f'<td class="lrp-number">{number(score.value) if score.measured else "–"}</td>'
        f'<td class="lrp-number">{limit}</td>'
        f'<td><b class="lrp-verdict lrp-{verdict}">{"…" if waiting else VERDICTS[score.passes]}</b></td>'
        f"<td>{html.escape(score.meaning)}.{note} <i>{html.escape(score.source)}</i></td>"
    )
    return f'<tr class="lrp-waiting">{cells}</tr>' if waiting else f"<tr>{cells}</tr>"
