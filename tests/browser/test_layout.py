"""No width hangs on a font: each app in two of them, in windows from wide to narrow, each of its pages."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest
from browser.conftest import FONTS, only
from browser.dashboard_page import OPENING, DashboardPage, Opened
from browser.layout import FRAMES, below_the_fold, faint, misfits, scrolling, without_edge
from PIL import Image
from playwright.sync_api import Browser, BrowserType, Locator, Page, expect
from serving import free_port, serving

from lrp_widgets.widgets.browser import style

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WINDOWS = ((1920, 1080), (1280, 800), (1024, 768), (768, 1000), (420, 900))
LEAST_CONTRAST = 3.0  # of WCAG 2 for large words and for the parts of controls
READY = {
    "explore": "every layer closes to",
    "quality": "Selectivity: done in",
    "scan": "windows in",
    "imagine": "climbed at step",
}


@pytest.fixture(scope="module", params=FONTS)
def font(request: pytest.FixtureRequest) -> str:
    """One of the fonts, which is installed."""
    if only(request.param) is None:
        pytest.skip(
            f"The browser cannot be kept to {FONTS[request.param]}: that needs Linux, and the font. "
            "On Debian: apt install fonts-dejavu-core fonts-liberation"
        )
    return request.param


@pytest.fixture(scope="module")
def lettered(font: str, browser_type: BrowserType, browser_type_launch_args: dict[str, Any]) -> Iterator[Browser]:
    """A browser that has got one font."""
    browser = browser_type.launch(**{**browser_type_launch_args, "env": only(font)})
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Serves an app when it is first asked for. Returns its address."""
    with ExitStack() as stack:

        @cache
        def serve(app: str) -> str:
            port, log = free_port(), tmp_path_factory.mktemp(app) / "log.txt"
            command = [sys.executable, "-m", "lrp_widgets", "--port", str(port), "--no-browser", app]
            stack.enter_context(serving(command, port, log))
            return f"http://127.0.0.1:{port}/"

        yield serve


@pytest.fixture
def opened(lettered: Browser, address: Callable[[str], str]) -> Iterator[Callable[[str], Opened]]:
    """Opens an app in that browser, and checks in the end that nothing went wrong in it."""
    pages: list[Opened] = []

    def page_of(app: str) -> Opened:
        pages.append(Opened(lettered, address(app)))
        page = pages[-1].page
        page.goto(address(app))
        expect(page.locator(".lrp-status-text")).to_contain_text(READY[app], timeout=OPENING)
        return pages[-1]

    yield page_of
    for each in pages:
        each.check()
        each.context.close()


def families(page: Page, selector: str) -> set[str]:
    """The fonts in which the words of an element are drawn."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("DOM.enable")
    devtools.send("CSS.enable")
    root = devtools.send("DOM.getDocument")["root"]["nodeId"]
    node = devtools.send("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
    drawn = devtools.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
    devtools.detach()
    return {each["familyName"] for each in drawn}


def on_one_screen(page: Page, selector: str) -> list[str]:
    """What is cut at the fold of a screen of 1280 × 800 pixels, and what scrolls there."""
    page.evaluate(FRAMES)
    scrolls = [f"{each} scrolls" for each in scrolling(page, "Height")]
    return [*scrolls, *below_the_fold(page, selector)]


def test_everything_of_explore_fits(opened: Callable[[str], Opened], font: str) -> None:
    page = opened("explore").page
    app = DashboardPage(page).opened().has_curve()
    assert families(page, ".lrp-reset") == {FONTS[font]}
    found = {"start": misfits(page, WINDOWS)}

    def look(name: str) -> None:
        app.at_rest()
        found[name] = misfits(page, WINDOWS)

    app.turn_to("Composite")
    app.root.locator(".lrp-composite .widget-select select").select_option(index=1)
    expect(app.select("this layer")).to_be_visible()
    look("composite")
    app.root.get_by_role("button", name="pin", exact=True).click()
    with app.explained():
        app.press("α", "ArrowRight", 5)
    app.turn_to("Compare")
    expect(app.root.locator(".lrp-compare-differs")).to_contain_text("α 1")
    found["compare"] = on_one_screen(page, ".lrp-compare *")
    with app.explained():
        app.thumbnails.nth(3).click()
    expect(app.root.locator("[data-kind=difference] .lrp-compare-stamp")).to_contain_text("of different inputs")
    app.at_rest()
    found["compare two inputs"] = on_one_screen(page, ".lrp-compare *")
    app.unfold("look")
    look("look, compare")
    with app.explained():
        app.root.locator('.lrp-layers-row[data-name="features.3"]').click()
    app.turn_to("Channels")
    expect(app.root.locator(".lrp-channels-tile").nth(3)).to_be_visible()
    with app.explained():
        app.root.locator(".lrp-channels-pick").nth(1).click()
    app.turn_to("Patches")
    expect(app.root.locator(".lrp-patches .lrp-maps-tile")).to_have_count(9)
    look("channels, patches")
    app.turn_to("Doctor")
    with app.explained():
        app.root.locator('.lrp-layers-row[data-name=""]').click()
    app.heatmap.locator(".lrp-heatmap-pictures").click()
    app.turn_to("Arithmetic")
    expect(app.root.locator(".lrp-arithmetic-body .lrp-arithmetic-row").first).to_be_visible()
    app.source("Draw")
    look("doctor, arithmetic, draw")
    app.source("Upload")
    app.select("method").select_option("Your own, by layer")
    look("upload, own composite")
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_everything_of_quality_fits(opened: Callable[[str], Opened], font: str) -> None:
    page = opened("quality").page
    root = page.locator(".lrp-quality")
    status = root.locator(".lrp-status-text")
    assert families(page, ".lrp-reset") == {FONTS[font]}
    found = {"Selectivity": misfits(page, WINDOWS)}

    def turn(name: str) -> Locator:
        root.locator(".lrp-quality-pages > .lrp-pages-buttons").get_by_role("button", name=name).click()
        return root.locator(".lrp-quality-pages > .lrp-page:visible")

    for name in ("Continuity", "Report card"):
        turn(name)
        expect(status).to_contain_text(f"{name}: done in")
        found[name] = misfits(page, WINDOWS)
    turn("Continuity")
    for name in ("By hand", "Averaged"):
        page.get_by_role("button", name=name).click()
        expect(status).to_contain_text(f"{name}: done in")
        found[name] = misfits(page, WINDOWS)
    for name in ("Response surface", "Data set"):
        turn(name)
        found[name] = misfits(page, WINDOWS)
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_everything_of_scan_fits(opened: Callable[[str], Opened], font: str) -> None:
    page = opened("scan").page
    assert families(page, ".lrp-reset") == {FONTS[font]}
    found = {"start": misfits(page, WINDOWS)}
    page.locator(".lrp-scan .lrp-folded-button", has_text="▸ look").first.click()
    page.locator(".lrp-scan .lrp-source .widget-toggle-button", has_text="Upload").click()
    found["look, upload"] = misfits(page, WINDOWS)
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_everything_of_imagine_fits(opened: Callable[[str], Opened], font: str) -> None:
    page = opened("imagine").page
    root = page.locator(".lrp-imagine")
    status = root.locator(".lrp-status-text")
    found = {"start": misfits(page, WINDOWS)}
    root.locator(".lrp-folded-button", has_text="more").click()
    root.locator(".lrp-imagine-pages .widget-toggle-button", has_text="Strength").click()
    expect(root.locator(".lrp-imagine-strip .lrp-prototypes-card")).to_have_count(7)
    found["more, strength"] = misfits(page, WINDOWS)
    for kind, marker in (("a channel of a layer", "channel"), ("a sample", "sample")):
        root.locator("select").first.select_option(index=3 if marker == "channel" else 4)
        expect(root.locator(".lrp-imagine-said")).to_contain_text(marker)
        expect(status).to_contain_text("climbed at step")
        found[kind] = misfits(page, WINDOWS)
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_two_views_side_by_side_do_not_touch(lettered: Browser) -> None:
    page = lettered.new_page()
    view = '<div class="side"><div class="lrp-widget lrp-heatmap">R</div></div>'
    row = f'<div class="widget-hbox" style="display: flex">{view}{view}</div>'
    page.set_content(f"<style>{style('heatmap')}</style>{row}")
    boxes = [part.bounding_box() for part in page.locator(".side").all()]
    assert boxes[1]["x"] - boxes[0]["x"] - boxes[0]["width"] >= 8  # type: ignore[index]
    page.close()


@pytest.mark.parametrize("app", READY)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_stand_out_from_their_ground(browser: Browser, address: Callable[[str], str], app: str, theme: str):
    opened = Opened(browser, address(app))
    page = opened.page
    page.goto(f"{address(app)}?theme={theme}")
    expect(page.locator(".lrp-status-text")).to_contain_text(READY[app], timeout=OPENING)
    assert page.locator("body").get_attribute("data-jp-theme-light") == str(theme == "light").lower()
    assert faint(page, LEAST_CONTRAST) == []
    assert without_edge(page) == []
    opened.check()
    opened.context.close()


def test_a_long_name_of_a_file_is_cut_where_it_is_shown_and_whole_in_the_tooltip(opened: Callable[[str], Opened]):
    page = opened("explore").page
    app = DashboardPage(page).opened().has_curve()
    stream = io.BytesIO()
    Image.radial_gradient("L").resize((28, 28)).save(stream, "PNG")
    upload, name = page.locator(".lrp-upload input[type=file]").first, f"{'holiday-in-the-alps-' * 8}final.png"
    app.source("Draw")
    expect(app.pad).to_be_visible()
    found = {"draw": on_one_screen(page, ".lrp-status")}
    app.source("Upload")
    with app.explained():
        upload.set_input_files(files=[{"name": name, "mimeType": "image/png", "buffer": stream.getvalue()}])
    title = page.locator(".lrp-upload-name")
    assert name.startswith((title.get_attribute("title") or "").partition("…")[0])
    found["upload"] = on_one_screen(page, ".lrp-status") + misfits(page, WINDOWS)
    app.root.get_by_role("button", name="pin", exact=True).click()
    with app.explained():
        app.source("Samples")
    app.turn_to("Compare")
    lines = app.root.locator(".lrp-compare-differs", has_text="holiday")
    expect(lines).to_have_text(re.compile("^sample holiday.*….*final.png$"))
    expect(lines).to_have_attribute("title", re.compile("^sample (holiday-in-the-alps-)+.*final.png$"))
    note = app.root.locator("[data-kind=difference] .lrp-compare-stamp")
    expect(note).to_contain_text(re.compile(r"of different inputs: there sample h\S*….*\.png$"))
    expect(note).to_have_attribute("title", re.compile("holiday.*final.png$"))
    app.at_rest()
    found["compare"] = on_one_screen(page, ".lrp-compare *") + misfits(page, WINDOWS)
    app.source("Upload")
    upload.set_input_files(files=[{"name": name, "mimeType": "image/png", "buffer": b""}])
    expect(page.locator(".lrp-upload-refused")).to_contain_text(
        re.compile(r"^holiday\S*…\S*final.png must hold a picture")
    )
    found["refused"] = misfits(page, WINDOWS)
    assert {state: faults for state, faults in found.items() if faults} == {}


def test_several_pins_are_reached_by_scrolling_their_page_alone(opened: Callable[[str], Opened]):
    page = opened("explore").page
    app = DashboardPage(page).opened().has_curve()
    for _ in range(3):
        app.root.get_by_role("button", name="pin", exact=True).click()
        with app.explained():
            app.press("α", "ArrowRight", 2)
    app.turn_to("Compare")
    expect(app.root.locator(".lrp-compare-differs")).to_have_count(3)
    assert scrolling(page, "Height") == []
    app.root.locator(".lrp-compare-asks").last.scroll_into_view_if_needed()
    assert below_the_fold(page, "[data-kind=pin]:last-child .lrp-compare-asks") == []
