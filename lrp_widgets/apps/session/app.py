"""What the pages of all apps have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipywidgets

__all__ = ["STYLE", "against"]

STYLE = Path(__file__).parent / "app.css"


def against(classes: int, name: Any) -> ipywidgets.Dropdown:
    """Which other class the chosen one is contrasted with."""
    options = [("nothing", -1), *((name(index), index) for index in range(classes))]
    return ipywidgets.Dropdown(
        options=options,
        value=-1,
        description="against",
        tooltip="Explain the chosen class rather than another one: f(x) = f_a(x) − f_b(x).",
        style={"description_width": "76px"},
        layout={"width": "auto"},
    )
