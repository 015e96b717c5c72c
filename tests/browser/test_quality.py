"""The quality app in Voila: every page is moved once, as a person would."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from browser.dashboard_page import OPENING, PATIENCE, WINDOW, Watch, wait_until
from browser.layout import sticking_out
from playwright.sync_api import Browser, Locator, Page, expect
from serving import free_port, serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]

INK = """canvas => new Set(new Uint32Array(canvas.getContext("2d")
  .getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"""


@pytest.fixture
def page(browser: Browser, tmp_path) -> Iterator[Page]:
    port = free_port()
    command = [sys.executable, "-m", "lrp_widgets", "--port", str(port), "--no-browser", "quality"]
    with serving(command, port, tmp_path / "log.txt"):
        address = f"http://127.0.0.1:{port}/"
        context = browser.new_context(viewport=WINDOW)  # type: ignore[arg-type]
        page = context.new_page()
        watch = Watch(page, address)
        page.goto(address, timeout=OPENING)
        yield page
        context.close()
        assert (watch.outside, watch.errors) == ([], [])


def test_every_page_is_moved_once(page: Page):
    root = page.locator(".lrp-quality")
    status = root.locator(".lrp-status")
    curve = root.locator(".lrp-page:visible .lrp-lines").first
    said = status.locator(".lrp-status-text")

    def turn(name: str) -> Locator:
        root.locator(".lrp-quality-pages .widget-toggle-button", has_text=name).first.click()
        return root.locator(".lrp-quality-pages > .lrp-page:visible")

    expect(said).to_contain_text("Selectivity: done in", timeout=OPENING)
    expect(curve.locator("path.lrp-lines-line")).to_have_count(3)
    before, place = (
        curve.locator("path").first.get_attribute("d"),
        curve.locator(".lrp-lines-position").get_attribute("x1"),
    )
    assert "step 0:" in root.locator(".lrp-heatmap-stamp:visible").inner_text()
    handle = root.locator(".lrp-page:visible .lrp-pair .noUi-handle")
    handle.focus()
    page.keyboard.press("PageUp")
    expect(root.locator(".lrp-heatmap-stamp:visible")).not_to_contain_text("step 0:", timeout=PATIENCE)
    expect(curve.locator(".lrp-lines-position")).not_to_have_attribute("x1", place or "", timeout=PATIENCE)
    root.locator(".lrp-gallery-option").nth(5).click()
    wait_until(lambda: curve.locator("path").first.get_attribute("d") != before, page, "another curve")

    turn("Continuity")
    expect(said).to_contain_text("Continuity: done in", timeout=PATIENCE)
    tiles = root.locator(".lrp-maps:visible .lrp-maps-tile")
    expect(tiles).to_have_count(9, timeout=PATIENCE)
    tiles.nth(3).click()
    expect(tiles.nth(3)).to_have_attribute("aria-pressed", "true", timeout=PATIENCE)
    assert sticking_out(page) == []

    page.get_by_role("button", name="By hand").click()
    pad, numbers = root.locator(".lrp-probe-pad"), root.locator(".lrp-quotients b")
    expect(pad).to_have_attribute("aria-valuetext", "where it was", timeout=PATIENCE)
    box = pad.bounding_box()
    assert box
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 3.1 * box["width"] / 28, middle[1] - 2 * box["height"] / 28, steps=8)
    page.mouse.up()
    expect(pad).to_have_attribute("aria-valuetext", "3 px right, 2 px up")
    expect(root.locator(".lrp-quotients")).to_contain_text("3 px right, 2 px up", timeout=PATIENCE)
    before = numbers.all_inner_texts()
    pad.press("ArrowLeft")
    expect(root.locator(".lrp-quotients")).to_contain_text("2 px right, 2 px up", timeout=PATIENCE)
    assert numbers.all_inner_texts()[0] != before[0]
    expect(root.locator(".lrp-probe-largest")).to_have_count(1)
    assert sticking_out(page) == []

    card = turn("Report card").locator("table")
    expect(card.locator("tr")).to_have_count(10, timeout=PATIENCE)
    expect(said).to_contain_text("Report card: done in", timeout=PATIENCE)
    assert card.locator(".lrp-verdict").all_inner_texts().count("…") == 0
    assert sticking_out(page) == []

    surface = turn("Response surface")
    surface.locator("select").nth(1).select_option(label="γ")
    surface.get_by_role("button", name="sweep").click()
    expect(said).to_contain_text("Response surface: done in", timeout=PATIENCE)
    tiles = surface.locator(".lrp-maps-tile")
    expect(tiles).to_have_count(25)
    assert tiles.nth(24).locator("canvas").evaluate(INK) > 20
    assert surface.locator(".lrp-maps-mark:visible").count() > 0
    tiles.nth(10).click()  # α 2 with the least γ
    expect(tiles.nth(10)).to_have_attribute("aria-pressed", "true", timeout=PATIENCE)
    alpha = root.locator(".lrp-left .lrp-method .lrp-control .widget-readout").first
    expect(alpha).to_have_text("2.00", timeout=PATIENCE)
    assert sticking_out(page) == []

    data = turn("Data set")
    data.get_by_role("button", name="evaluate").click()
    expect(data.locator(".lrp-table tr")).to_have_count(4, timeout=PATIENCE)
    expect(said).to_contain_text("Data set: done in", timeout=PATIENCE)
    expect(data.locator(".lrp-running")).to_contain_text("180 of 180 numbers")
    assert sticking_out(page) == []
    expect(status).to_have_attribute("data-level", "ok")
