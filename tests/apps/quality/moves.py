"""The quality app as its tests open and move it."""

from __future__ import annotations

from typing import Any

from lrp_widgets.apps.quality.quality import Quality

PATIENCE = 120.0  # s: far longer than anything here takes
PAGES = ["Selectivity", "Continuity", "Report card", "Response surface", "Data set"]


def moved(app: Quality, part: Any, **state: Any) -> None:
    """Move one control the way a browser does, and wait for the answer."""
    part.set_state(state)
    assert app.settled(PATIENCE)
    assert app.status.level == "ok", app.status.text


def chosen(app: Quality, part: Any, value: Any) -> None:
    """Choose a value in a drop-down."""
    values = [option[1] if isinstance(option, tuple) else option for option in part.options]
    moved(app, part, index=values.index(value))


def turned(app: Quality, page: str) -> None:
    moved(app, app.pages.buttons, index=PAGES.index(page))


def pressed(app: Quality, button: Any) -> None:
    button.click()
    assert app.settled(PATIENCE)


def lines(view: Any) -> dict[str, list[float]]:
    return {line["name"]: line["y"] for line in view.lines}


def opened_at(app: Quality, part: str) -> Quality:
    """Turn to a part of the page Continuity."""
    turned(app, "Continuity")
    names = list(app.continuity.choice.pages)
    moved(app, app.continuity.choice.buttons, index=names.index(part))
    return app
