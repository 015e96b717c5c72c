"""The pages about the widgets: one for each, every example runs, and no trait is named that does not exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import pytest

import lrp_widgets as lw
from lrp_widgets.widgets.browser import BrowserWidget

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted((DOCS / "widgets").glob("*.md"))
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \|", re.MULTILINE)


def kind_of(path: Path) -> type[ipywidgets.Widget]:
    """The widget that a page is about: the one in its title."""
    return getattr(lw.widgets, path.read_text().splitlines()[0].removeprefix("# "))


def examples() -> Iterator[Any]:
    for page in (DOCS / "widgets.md", *PAGES):
        for number, found in enumerate(EXAMPLE.finditer(page.read_text())):
            yield pytest.param(page, found[1], id=f"{page.stem}-{number}")


def within(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from within(child)


def test_every_widget_has_its_page():
    snake = {kind: re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower() for kind in lw.widgets.WIDGETS}
    assert {page.stem: kind_of(page) for page in PAGES} == {name: kind for kind, name in snake.items()}
    linked = set(re.findall(r"\]\(widgets/(\w+)\.md\)", (DOCS / "widgets.md").read_text()))
    assert linked == set(snake.values())


@pytest.mark.parametrize(("path", "code"), [*examples()])
def test_an_example_ends_on_its_widget(path: Path, code: str):
    *lines, last = ast.parse(code).body
    assert isinstance(last, ast.Expr)
    names: dict[str, Any] = {}
    exec(compile(ast.Module(lines, []), str(path), "exec"), names)
    shown = eval(compile(ast.Expression(last.value), str(path), "eval"), names)
    wanted = lw.widgets.HeatmapView if path.stem == "widgets" else kind_of(path)
    try:
        assert any(isinstance(widget, wanted) for widget in within(shown))
        assert not [widget for widget in within(shown) if getattr(widget, "problem", "")]
    finally:
        for name in names.values():
            if isinstance(name, ipywidgets.Widget):
                name.close()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_traits_of_a_page_are_those_of_its_widget(path: Path):
    kind = kind_of(path)
    traits, said = kind.class_traits(), dict(ROW.findall(path.read_text()))
    assert said.keys() <= traits.keys()
    assert (said.get("problem") is not None) == ("problem" in traits)
    from_browser = {name for name, trait in traits.items() if trait.metadata.get("from_browser")}
    assert {name for name, who in said.items() if who == "page and Python"} == from_browser
    if not issubclass(kind, BrowserWidget):  # whatever it adds to the box that it is
        assert said.keys() == kind.class_own_traits().keys()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_says_what_the_keyboard_does(path: Path):
    _, keyboard = path.read_text().split("## Keyboard\n")
    assert keyboard.strip().startswith("- ")
