"""The page Report card: a line for each axiom with its number, its limit, its meaning and its source."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets

from lrp_widgets.apps.quality.page import QualityPage, Scene
from lrp_widgets.apps.quality.request import Request
from lrp_widgets.apps.session.formatting import number
from lrp_widgets.evaluation import Limits, Score, stream_axioms
from lrp_widgets.widgets import SettingEditor

__all__ = ["ReportCardPage", "card_html"]

MINUS = re.compile(r"(?<!\w)-(?=\d)|(?<=\de)-(?=\d)")  # a hyphen in front of a number or of its exponent
VERDICTS = {True: "passes", False: "fails", None: "not measured"}


class ReportCardPage(QualityPage):
    """`table`: the card as HTML."""

    name = "Report card"
    tooltip = "What an explanation should keep to, each with its number, its limit and who asks for it"

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

    def key(self, request: Request) -> Any:
        return request.settings, request.limits

    def run(self, scene: Scene, request: Request, superseded: Callable[[], bool]) -> Iterator[tuple[Score, ...]]:
        scores: list[Score] = []
        for score in stream_axioms(
            scene.explainer,
            scene.x,
            scene.explanation.method,
            scene.target,
            limits=request.limits,
            baseline=scene.samples.low,
            modality=scene.samples.modality,
        ):
            scores.append(score)
            yield tuple(scores)

    def show(self, result: tuple[Score, ...]) -> None:
        self.table.value = card_html(result, list(self._scores))
        if len(result) >= len(self._scores):
            self._scores = list(result)

    def fail(self) -> None:
        if self._scores:
            self.table.value = f'<div class="lrp-stale">{card_html(tuple(self._scores))}</div>'


def card_html(scores: tuple[Score, ...], previous: list[Score] | None = None) -> str:
    """Scores as an HTML table.  previous: the last card's; its lines stand greyed in place of those still to come."""
    rows = "".join(_row(score) for score in scores)
    rows += "".join(_row(score, waiting=True) for score in (previous or [])[len(scores) :])
    passes = sum(score.passes is True for score in scores)
    failures = sum(score.passes is False for score in scores)
    count = f"{passes} pass, {failures} fail, {len(scores) - passes - failures} not measured"
    head = "".join(f'<th scope="col">{name}</th>' for name in ("", "number", "limit", "verdict", "what it says"))
    return f'<table class="lrp-table lrp-report"><caption>{count}</caption><tr>{head}</tr>{rows}</table>'


def _row(score: Score, waiting: bool = False) -> str:
    verdict = {True: "pass", False: "fail", None: "none"}[score.passes]
    limit = f"{'≥' if score.above else '≤'} {number(score.threshold)}"
    note = f" <span>{html.escape(MINUS.sub('−', score.note))}.</span>" if score.note else ""
    cells = (
        f'<th scope="row">{html.escape(score.name)}</th>'
        f'<td class="lrp-number">{number(score.value) if score.measured else "–"}</td>'
        f'<td class="lrp-number">{limit}</td>'
        f'<td><b class="lrp-verdict lrp-{verdict}">{"…" if waiting else VERDICTS[score.passes]}</b></td>'
        f"<td>{html.escape(score.meaning)}.{note} <i>{html.escape(score.source)}</i></td>"
    )
    return f'<tr class="lrp-waiting">{cells}</tr>' if waiting else f"<tr>{cells}</tr>"
