"""The scan app in Voila: the face is found, the photo is enlarged, and what is drawn on it stays where it belongs."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import pytest
from browser.dashboard_page import OPENING, PATIENCE, READ, Opened, wait_until
from browser.layout import scrolling, sticking_out
from playwright.sync_api import Browser, Locator, expect
from serving import free_port, serving

BOX = ".lrp-heatmap-frame:not([hidden]) .lrp-heatmap-box"
pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def opened(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    port = free_port()
    command = [sys.executable, "-m", "lrp_widgets", "--port", str(port), "--no-browser", "scan"]
    with serving(command, port, tmp_path_factory.mktemp("scan") / "log.txt"):
        opened = Opened(browser, f"http://127.0.0.1:{port}/")
        opened.page.goto(opened.watch.server)
        expect(said(opened)).to_contain_text("windows in", timeout=OPENING)
        yield opened
        opened.context.close()


def said(opened: Opened) -> Locator:
    return opened.page.locator(".lrp-scan .lrp-status-text")


def large(opened: Opened) -> Locator:
    return opened.page.locator(".lrp-middle .lrp-heatmap")


def test_it_stands_on_one_screen_and_a_window_is_looked_into(opened: Opened):
    page, picture = opened.page, large(opened)
    expect(said(opened)).to_contain_text(re.compile(r"^3 maps, [\d,]+ windows in"), timeout=OPENING)
    expect(picture.locator(".lrp-heatmap-stamp")).to_contain_text("face against no face")
    expect(picture.locator(BOX)).to_have_count(5)
    assert scrolling(page, "Height") == scrolling(page, "Width") == []
    assert sticking_out(page) == []
    looked = page.locator(".lrp-scan-right .lrp-heatmap-stamp").last
    expect(looked).to_contain_text("1: ")
    page.locator(".lrp-scan-right .lrp-gallery-option").nth(1).click()
    expect(looked).to_contain_text("2: ", timeout=PATIENCE)
    box = picture.locator(BOX).first.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(looked).to_contain_text("1: ", timeout=PATIENCE)
    opened.check()


def test_zoom_by_wheel_keys_buttons_and_drag(opened: Opened):
    page, picture = opened.page, large(opened)
    canvas = picture.locator(".lrp-heatmap-frame:not([hidden]) canvas")
    readout = picture.locator(".lrp-heatmap-readout")
    frame = canvas.bounding_box()
    assert frame
    x, y = frame["x"] + frame["width"] * 0.25, frame["y"] + frame["height"] * 0.5

    def pixel() -> tuple[int, int]:
        row, column = re.findall(r"(?:row|column)\D+(\d+)", readout.inner_text())
        return int(row), int(column)

    whole = canvas.evaluate_all(READ)
    factor = picture.get_by_role("button", name="Show the whole picture")
    page.mouse.move(x, y)
    assert pixel() == (256, 128)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -400)
    page.keyboard.up("Control")
    expect(factor).to_have_text("2×")
    other = page.locator(".lrp-scan-right .lrp-heatmap").first.get_by_role("button", name="Show the whole picture")
    expect(other).to_have_text("2×")  # the scores show the same part
    page.mouse.move(x + 1, y)
    assert abs(pixel()[0] - 256) <= 1 and abs(pixel()[1] - 128) <= 1  # what was under the pointer
    page.mouse.move(x + 100, y)
    assert abs(pixel()[1] - 128 - 100 / 2 * 512 / frame["width"]) <= 1

    spots = picture.locator(".lrp-heatmap-spot:visible").count()
    page.mouse.down()  # a drag takes the picture along, and picks nothing
    page.mouse.move(x + 60, y, steps=3)
    page.mouse.move(x, y, steps=3)
    page.mouse.up()
    page.mouse.move(x + 1, y)
    assert abs(pixel()[1] - 128 - 100 / 2 * 512 / frame["width"]) <= 1
    assert picture.locator(".lrp-heatmap-spot:visible").count() == spots

    picture.locator("[data-tool=rectangle]").click()
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 105.5, y + 105.5, steps=4)
    page.mouse.up()
    side = 105.5 / 2 * 512 / frame["width"]  # in pixels of the map, at twice the size
    share = picture.locator(".lrp-heatmap-share")
    expect(share).to_contain_text("of the area")
    percent = re.search(r"([\d.]+)\s%\sof the area", share.inner_text())
    assert percent and abs(float(percent[1]) - 100 * side**2 / 512**2) < 0.06
    page.keyboard.press("Escape")
    picture.locator("[data-tool=pointer]").click()

    pictures = picture.locator(".lrp-heatmap-pictures")
    pictures.focus()
    page.keyboard.press("+")
    expect(factor).to_have_text("3×")
    page.keyboard.press("0")
    expect(factor).to_have_text("1×")
    wait_until(lambda: canvas.evaluate_all(READ) == whole, page, "the whole is shown again")
    picture.get_by_role("button", name="Zoom in").click()
    expect(factor).to_have_text("1.5×")
    factor.click()
    opened.check()


def test_a_narrow_window_and_the_other_example(opened: Opened):
    page = opened.page
    page.locator(".lrp-grid > :first-child > .widget-dropdown select").select_option(index=1)
    expect(large(opened).locator(".lrp-heatmap-stamp")).to_contain_text(re.compile("^cat · f = "), timeout=PATIENCE)
    page.set_viewport_size({"width": 768, "height": 900})
    try:
        wait_until(lambda: sticking_out(page) == [], page, "everything fits")
        assert scrolling(page, "Width") == []
    finally:
        page.set_viewport_size({"width": 1280, "height": 800})
    opened.check()
