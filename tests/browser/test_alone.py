"""Each widget in a notebook of its own: the examples of docs/widgets, in one Voila page, seen, linked and checked."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser.dashboard_page import OPENING, PATIENCE, READ, Opened, wait_until
from browser.test_access import violations
from playwright.sync_api import Browser, expect
from serving import free_port, serving

from lrp_widgets.apps.serving.serve import notebook

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DOCS = Path(__file__).parents[2] / "docs" / "widgets"
# What is seen of each widget.
PARTS = {
    "arithmetic_view": ".lrp-arithmetic-row",
    "channels_view": ".lrp-channels-tile",
    "class_picker": ".lrp-classes-row",
    "compare_view": ".lrp-compare-tile",
    "composite_editor": ".lrp-composite .noUi-handle",
    "curve_view": ".lrp-curve .js-line",
    "drawing_pad": ".lrp-drawing-canvas",
    "folded": ".lrp-folded-button",
    "gallery": ".lrp-gallery-option",
    "layers_view": ".lrp-layers-row",
    "lines_view": ".lrp-lines svg path",
    "look_editor": ".lrp-look .noUi-handle",
    "maps_view": ".lrp-maps canvas",
    "method_picker": ".lrp-method .noUi-handle",
    "pages": ".lrp-pages .lrp-heatmap",
    "probe_pad": ".lrp-probe-hand",
    "prototypes_view": ".lrp-prototypes canvas",
    "setting_editor": ".lrp-editor .noUi-handle",
    "share_bar": ".lrp-sharebar button",
    "status_line": ".lrp-status-text",
    "toolbar": ".lrp-toolbar-button",
    "upload_pad": ".lrp-upload-picture",
    "heatmap_view": ".lrp-heatmap canvas",  # the last one is that of the linked views
}

OURS = ("widget", "composite", "curve", "editor", "look", "method", "pages")


@pytest.fixture(scope="module")
def alone(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    folder = tmp_path_factory.mktemp("alone")
    made = json.loads(notebook("explore").read_text())
    (cell,) = made["cells"]
    examples = [re.findall(r"^```python\n(.*?)^```$", _text(name), re.M | re.S)[-1] for name in PARTS]
    made["cells"] = [{**cell, "id": f"cell-{number}", "source": code} for number, code in enumerate(examples)]
    path = folder / "alone.ipynb"
    path.write_text(json.dumps(made))
    port = free_port()
    code = (
        "from pathlib import Path; from lrp_widgets.apps.serving.serve import serve; "
        f"serve(Path({str(path)!r}), {port})"
    )
    with serving([sys.executable, "-c", code], port, folder / "log.txt"):
        opened = Opened(browser, f"http://127.0.0.1:{port}/")
        opened.page.goto(opened.watch.server, timeout=OPENING)
        yield opened
        opened.context.close()


def _text(name: str) -> str:
    return (DOCS / f"{name}.md").read_text()


def test_each_is_drawn_without_an_app_around_it(alone: Opened):
    assert {path.stem for path in DOCS.glob("*.md")} == set(PARTS)
    for part in PARTS.values():
        alone.page.locator(part).first.wait_for(state="attached", timeout=OPENING)
    alone.check()


def test_it_has_no_grave_violation_either(alone: Opened):
    alone.page.locator(PARTS["curve_view"]).first.wait_for(state="attached", timeout=OPENING)
    # Ours alone: the slider that the linked example adds is a bare one of ipywidgets.
    assert violations(alone.dashboard(), {"include": [[f".lrp-{part}"] for part in OURS]}) == []


def test_a_slider_linked_in_the_page_moves_both_pictures(alone: Opened):
    views = alone.page.locator(".jp-Cell", has=alone.page.locator(".widget-slider")).last.locator(".lrp-heatmap")
    expect(views).to_have_count(2, timeout=PATIENCE)
    before = [views.nth(place).locator("canvas").evaluate_all(READ) for place in (0, 1)]
    handle = alone.page.locator(".noUi-handle").last
    handle.focus()
    for _ in range(4):
        alone.page.keyboard.press("PageDown")
    for place in (0, 1):
        wait_until(
            lambda place=place: views.nth(place).locator("canvas").evaluate_all(READ) != before[place],
            alone.page,
            f"picture {place} looks different",
        )
