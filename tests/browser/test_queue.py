"""A full server, and the place that a closed tab frees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from apps.serving.stub import App, full_app, status_of, wait_for
from playwright.sync_api import Browser
from serving import PATIENCE, kernels

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def full(tmp_path: Path) -> Iterator[App]:
    """A stub app with one place."""
    with full_app(tmp_path) as app:
        yield app


def test_the_next_one_waits_in_a_queue_until_a_tab_is_closed(full: App, browser: Browser):
    first, second = browser.new_context(), browser.new_context()
    page = first.new_page()
    page.goto(full.address)
    page.wait_for_selector(".widget-hslider", timeout=PATIENCE * 1000)
    waiting = second.new_page()
    answer = waiting.goto(full.address + "?state=kept")
    assert answer and answer.status == 503 and answer.headers["retry-after"] == "3"
    said = waiting.inner_text("main")
    assert said.startswith("The only place is taken.\n\nYou are number 1 in the queue.")
    assert "visits   1 of 1\nqueue    1\n" in status_of(full)
    page.close()
    waiting.wait_for_selector(".widget-hslider", timeout=PATIENCE * 1000)  # it asked again by itself
    assert waiting.url == full.address + "?state=kept"
    second.close()
    wait_for(lambda: "visits   0 of 1" in status_of(full), "a closed window frees its place")
    wait_for(lambda: len(kernels(full.process)) <= 1, "no kernel is left but the one that is kept ready")
    first.close()
