"""The app for people who do not see it well, or use no mouse: axe-core's rules in every state that it is met in."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser.dashboard_page import PATIENCE, DashboardPage, Opened
from playwright.sync_api import Browser, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

GRAVE = ("serious", "critical")
APP = {"include": [[".lrp-explore"]]}
# Of the page around the app: what its template can see to.
PAGE = {"runOnly": ["document-title", "html-has-lang", "html-lang-valid", "landmark-one-main", "meta-viewport"]}
PICTURE = base64.b64decode(  # 1 × 1, white
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg=="
)

STOP = """() => {
  const at = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(at);
  const columns = [".lrp-head", ".lrp-left", ".lrp-middle", ".lrp-right"];
  return {
    tag: at.tagName, role: at.getAttribute("role"), name: at.getAttribute("aria-label") ?? at.textContent.trim(),
    outline: outlineStyle === "none" ? 0 : parseFloat(outlineWidth),
    column: columns.findIndex((column) => at.closest(column)),
  };
}"""


def violations(app: DashboardPage, context: Any = APP, impacts: tuple[str, ...] = GRAVE, **options: Any) -> list[str]:
    """What axe-core holds against the page as it is now, one line an element."""
    app.page.mouse.move(0, 0)  # nothing is hovered
    app.page.wait_for_timeout(300)  # and no colour is on its way
    response = Axe().run(app.page, context, {"resultTypes": ["violations"], **options}).response
    return [
        f"{rule['id']} ({rule['impact']}): {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for rule in response["violations"]
        if rule["impact"] in impacts
        for node in rule["nodes"]
    ]


def page_of(app: DashboardPage, name: str) -> None:
    """Turn to a page under the picture or under the layers."""
    app.root.locator(".lrp-pages-buttons").get_by_role("button", name=name, exact=True).click()


def draw(app: DashboardPage) -> None:
    app.source("Draw")
    with app.explained():
        app.draw((0.5, 0.15), (0.47, 0.85))


def upload(app: DashboardPage) -> None:
    app.source("Upload")
    file = {"name": "white.png", "mimeType": "image/png", "buffer": PICTURE}
    with app.explained():
        app.root.locator(".lrp-upload input[type=file]").set_input_files([file])  # type: ignore[list-item]


def refused(app: DashboardPage) -> None:
    file = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    app.root.locator(".lrp-upload input[type=file]").set_input_files([file])  # type: ignore[list-item]
    expect(app.status).to_have_attribute("data-level", "error", timeout=PATIENCE)


def composite(app: DashboardPage) -> None:
    app.source("Samples")
    page_of(app, "Composite")
    app.root.locator(".lrp-composite .widget-select select").select_option(index=1)
    expect(app.select("this layer")).to_be_visible(timeout=PATIENCE)


def channels(app: DashboardPage) -> None:
    page_of(app, "Channels")
    with app.explained():
        app.root.locator('.lrp-layers-row[data-name="features.3"]').click()
    expect(app.root.locator(".lrp-channels-tile").nth(3)).to_be_visible(timeout=PATIENCE)


def arithmetic(app: DashboardPage) -> None:
    page_of(app, "Doctor")
    with app.explained():
        app.root.locator('.lrp-layers-row[data-name=""]').click()
    app.heatmap.locator(".lrp-heatmap-pictures").click()
    expect(app.root.locator(".lrp-arithmetic-body .lrp-arithmetic-row").first).to_be_visible(timeout=PATIENCE)


def compare(app: DashboardPage) -> None:
    app.root.get_by_role("button", name="pin", exact=True).click()
    expect(app.root.locator(".lrp-compare-tile[data-key]").first).to_be_visible(timeout=PATIENCE)
    with app.explained():
        app.press("α", "ArrowRight", 5)


def look(app: DashboardPage) -> None:
    page_of(app, "Curve")
    app.root.get_by_role("button", name="▸ look", exact=True).press("Enter")
    expect(app.root.locator(".lrp-look")).to_be_visible(timeout=PATIENCE)


STATES: tuple[Callable[[DashboardPage], None], ...] = (
    draw, upload, refused, composite, channels, arithmetic, compare, look,
)  # fmt: skip


@pytest.fixture(scope="module", params=["light", "dark"])
def themed(request: pytest.FixtureRequest, browser: Browser, voila: str) -> Iterator[DashboardPage]:
    """The app, newly opened in a theme."""
    opened = Opened(browser, voila)
    opened.page.goto(f"{voila}?theme={request.param}")
    yield opened.dashboard().opened().has_curve()
    opened.context.close()


def test_tab_reaches_every_control_and_shows_where_it_is(themed: DashboardPage):
    stops = []
    while len(stops) < 60 and (not stops or stops[-1]["tag"] != "BODY"):
        themed.page.keyboard.press("Tab")
        stops.append(themed.page.evaluate(STOP))
    assert stops.pop()["tag"] == "BODY"  # past the last one
    assert [stop for stop in stops if stop["outline"] < 1] == []
    assert [stop for stop in stops if stop["tag"] == "DIV" and not stop["role"]] == []
    reached = [stop["name"] for stop in stops]
    for name in (
        "α",
        "layer split, start",
        "layer split, end",
        "α, as a number",
        "▸ where the literature differs",
        "▸ look",
    ):
        assert name in reached
    # Columns from left to right, each from the top down.
    assert [stop["column"] for stop in stops] == sorted(stop["column"] for stop in stops)


def test_no_grave_violation_in_any_state(themed: DashboardPage):
    found = {"start": violations(themed)}
    for state in STATES:
        state(themed)
        found[state.__name__] = violations(themed)
    assert {state: lines for state, lines in found.items() if lines} == {}


def test_the_page_around_the_app_says_what_it_is(themed: DashboardPage):
    assert violations(themed, None, ("moderate", *GRAVE), **PAGE) == []
