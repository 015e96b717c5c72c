"""The imagine app in Voila: prototypes move under the hand, stand still, and go back."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from browser.dashboard_page import OPENING, PATIENCE, WINDOW, Watch, wait_until
from browser.layout import sticking_out
from playwright.sync_api import Browser, Page, expect
from serving import free_port, serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]

INK = """canvas => new Set(new Uint32Array(canvas.getContext("2d")
  .getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"""


@pytest.fixture
def page(browser: Browser, tmp_path) -> Iterator[Page]:
    port = free_port()
    command = [sys.executable, "-m", "lrp_widgets", "--port", str(port), "--no-browser", "imagine"]
    with serving(command, port, tmp_path / "log.txt"):
        address = f"http://127.0.0.1:{port}/"
        context = browser.new_context(viewport=WINDOW)  # type: ignore[arg-type]
        page = context.new_page()
        watch = Watch(page, address)
        page.goto(address, timeout=OPENING)
        yield page
        context.close()
        assert (watch.outside, watch.errors) == ([], [])


def test_prototypes_move_under_the_hand(page: Page) -> None:
    root = page.locator(".lrp-imagine")
    status, said = root.locator(".lrp-status-text"), root.locator(".lrp-imagine-said")
    cards = root.locator(".lrp-middle .lrp-prototypes").first.locator(".lrp-prototypes-card")
    steps = root.locator(".lrp-running > .widget-label")

    expect(status).to_contain_text("climbed at step 150", timeout=OPENING)
    expect(said).to_contain_text("class 0")
    expect(cards).to_have_count(4)
    for part in (".lrp-prototypes-picture", ".lrp-prototypes-map", ".lrp-prototypes-real"):
        assert cards.first.locator(part).first.evaluate(INK) > 10, part
    expect(cards.first.locator(".lrp-prototypes-verdict")).to_have_count(2)
    assert sticking_out(page) == []

    root.locator("select").nth(1).select_option("3")  # another class: new prototypes, the old ones are gone
    expect(said).to_contain_text("class 3", timeout=PATIENCE)
    expect(status).to_contain_text("climbed at step 150", timeout=PATIENCE)
    expect(cards.first.locator('.lrp-prototypes-verdict[data-agrees="yes"]')).to_have_count(2)

    strength = root.get_by_role("slider").first
    strength.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(steps).not_to_have_text("step 150", timeout=PATIENCE)  # they went on from where they were
    expect(status).to_contain_text("climbed at step", timeout=PATIENCE)

    root.get_by_role("button", name="step", exact=True).click()
    expect(status).to_contain_text("paused at step", timeout=PATIENCE)
    way = root.locator(".lrp-middle > .widget-slider .noUi-handle")
    way.focus()
    page.keyboard.press("Home")
    expect(steps).to_contain_text("step 1 of", timeout=PATIENCE)
    sequence = root.locator(".lrp-prototypes").first.get_attribute("data-sequence")
    root.get_by_role("button", name="pause", exact=True).click()
    expect(status).to_contain_text("climbed at step", timeout=PATIENCE)
    assert root.locator(".lrp-prototypes").first.get_attribute("data-sequence") != sequence

    root.get_by_role("button", name="Strength", exact=True).click()
    strip = root.locator(".lrp-imagine-strip .lrp-prototypes-card")
    expect(strip).to_have_count(7, timeout=PATIENCE)
    expect(strip.first.locator(".lrp-prototypes-title")).to_have_text("none")


def test_a_link_opens_what_was_shown_and_undo_goes_back(page: Page) -> None:
    root = page.locator(".lrp-imagine")
    expect(root.locator(".lrp-status-text")).to_contain_text("climbed at step", timeout=OPENING)
    picker = root.locator("select").nth(1)
    picker.select_option("7")
    expect(root.locator(".lrp-imagine-said")).to_contain_text("class 7", timeout=PATIENCE)
    bar = root.locator(".lrp-sharebar")
    wait_until(lambda: bool(bar.get_attribute("data-state")), page, "a link")
    state = bar.get_attribute("data-state")
    page.keyboard.press("Control+z")
    expect(picker).to_have_value("0", timeout=PATIENCE)
    page.goto(f"{page.url.partition('?')[0]}?state={state}", timeout=OPENING)
    expect(page.locator(".lrp-imagine-said")).to_contain_text("class 7", timeout=OPENING)
