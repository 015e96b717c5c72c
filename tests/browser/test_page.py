"""The page around the app: its themes, its sizes, and that it asks nobody but its own server."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import nbformat
import pytest
from browser.dashboard_page import FORGE, Opened, wait_until
from browser.layout import scrolling, sticking_out
from playwright.sync_api import Browser, expect
from serving import free_port, serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SERVE = """
import sys
from pathlib import Path
from lrp_widgets.apps.serving.serve import serve
serve(Path(sys.argv[1]), int(sys.argv[2]))
"""
TWO = """
import lrp_widgets as lw
from IPython.display import display
model, digits = lw.demo.models.digits_cnn(), lw.demo.data.digits()
inputs = digits.inputs[:9].clone()
inputs[2, 0, 3, 3] = float("nan")
display(lw.explore(model, digits), lw.explore(model, lw.Samples(inputs, digits.labels[:9], digits.classes)))
"""


@pytest.fixture
def opened(browser: Browser, voila: str) -> Iterator[Opened]:
    """A page of its own."""
    opened = Opened(browser, voila)
    yield opened
    opened.context.close()


@pytest.fixture(scope="module")
def two(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """Two dashboards on one page; the third sample of the second one is broken."""
    folder = tmp_path_factory.mktemp("two")
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    written = nbformat.v4.new_notebook(metadata={"kernelspec": kernelspec})
    written.cells = [nbformat.v4.new_code_cell(TWO)]
    nbformat.write(written, folder / "two.ipynb")
    port = free_port()
    command = [sys.executable, "-c", SERVE, folder / "two.ipynb", str(port)]
    with serving(command, port, folder / "log.txt"):
        opened = Opened(browser, f"http://127.0.0.1:{port}/")
        opened.page.add_init_script(FORGE)
        opened.page.goto(opened.watch.server)
        for place in (0, 1):
            opened.dashboard(place).opened()
        yield opened
        opened.context.close()


def test_everything_is_in_sight_at_1280_by_800(in_voila: Opened):
    dashboard = in_voila.dashboard()
    for part in (dashboard.status, dashboard.heatmap, dashboard.root.locator(".lrp-curve"), dashboard.layers.last):
        expect(part).to_be_in_viewport(ratio=1)
    for name in ("α", "ε", "γ", "layer split"):
        expect(dashboard.slider(name)).to_be_in_viewport(ratio=1)
    expect(dashboard.select("input rule")).to_be_in_viewport(ratio=1)
    assert scrolling(in_voila.page, "Height") == scrolling(in_voila.page, "Width") == []
    assert sticking_out(in_voila.page) == []
    in_voila.check()


@pytest.mark.parametrize("width", [768, 420])
def test_nothing_sticks_out_of_a_narrow_window(in_voila: Opened, width):
    in_voila.page.set_viewport_size({"width": width, "height": 900})
    try:
        wait_until(lambda: sticking_out(in_voila.page) == [], in_voila.page, "everything fits")
        assert scrolling(in_voila.page, "Width") == []
    finally:
        in_voila.page.set_viewport_size({"width": 1280, "height": 800})
    in_voila.check()


def test_a_dark_page_is_dark_and_asks_its_own_server_only(opened: Opened, voila: str):
    opened.page.goto(f"{voila}?theme=dark")
    dashboard = opened.dashboard().opened().has_curve()
    look = (
        "element => { const { color, backgroundColor } = getComputedStyle(element); return [color, backgroundColor]; }"
    )
    text, _ = dashboard.heatmap.evaluate(look)
    _, ground = opened.page.locator("body").evaluate(look)
    assert brightness(text) > 150 > 60 > brightness(ground)
    with dashboard.explained():
        dashboard.press("α", "End")
    opened.check()
    assert len(opened.watch.asked) > 20  # it did watch


def brightness(colour: str) -> float:
    """The mean of red, green and blue in rgb(…)."""
    numbers = [float(part) for part in colour[colour.index("(") + 1 : -1].split(",")]
    return sum(numbers[:3]) / 3


def test_two_dashboards_on_one_page_do_not_touch_each_other(two: Opened):
    one, other = two.dashboard(0), two.dashboard(1)
    before, sequence, said = other.pixels(), other.sequence, other.said
    with one.explained():
        one.press("α", "End")
    with one.explained():
        one.classes.nth(9).click()
    one.source("Draw")
    with one.explained():
        one.draw((0.5, 0.15), (0.47, 0.85))
    one.at_rest()
    one.unfold("look")
    with one.repainted():
        one.select("colours").select_option("grey")
    assert (other.pixels(), other.sequence, other.said) == (before, sequence, said)
    one.explains(9)
    other.explains(4)
    with other.explained():
        other.press("γ", "End")
    assert one.slider("γ").get_attribute("aria-valuenow") == "0.3"  # 0.25, rounded
    two.check()


def test_an_error_is_told_and_the_next_move_clears_it(two: Opened):
    dashboard = two.dashboard(1)
    dashboard.thumbnails.nth(0).click()
    dashboard.at_rest()
    sequence, before = dashboard.sequence, dashboard.pixels()
    dashboard.thumbnails.nth(2).click()
    expect(dashboard.status).to_have_attribute("data-level", "error")
    assert dashboard.said == (
        "ValueError: The input must be finite, got 1 NaN or infinite values of 784. — "
        "The picture is the last one that worked; any move tries again."
    )
    expect(dashboard.heatmap).to_have_attribute("data-stale", "")
    expect(dashboard.heatmap.locator(".lrp-heatmap-badge")).to_have_text("out of date")
    expect(dashboard.heatmap.locator(".lrp-heatmap-badge")).to_be_visible()
    assert (dashboard.sequence, dashboard.pixels()) == (sequence, before)
    with dashboard.explained():
        dashboard.thumbnails.nth(3).click()
    expect(dashboard.heatmap.locator(".lrp-heatmap-badge")).to_be_hidden()
    two.check()


def test_a_forged_message_is_refused_and_the_slider_goes_back(two: Opened):
    dashboard = two.dashboard(0)
    dashboard.bring_back()
    before = dashboard.pixels()
    two.page.evaluate("""() => { window.forged = ['"value":1.05', '"value": NaN']; }""")
    dashboard.press("α", "ArrowRight")
    expect(dashboard.status).to_have_attribute("data-level", "error")
    assert dashboard.said.startswith("ValueError: layered.alpha must lie in [1.0, 10.0], got nan. — ")
    expect(dashboard.slider("α")).to_have_attribute("aria-valuenow", "1.0")
    dashboard.shows(before)
    with dashboard.explained():
        dashboard.press("α", "End")
    expect(dashboard.slider("α")).to_have_attribute("aria-valuenow", "3.0")
    two.check()
