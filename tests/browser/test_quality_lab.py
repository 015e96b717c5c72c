"""The notebook of the quality app in JupyterLab: it opens, a control is moved, and the numbers follow."""

from __future__ import annotations

import pytest
from browser.dashboard_page import OPENING, PATIENCE, Opened, run_in_lab
from browser.layout import sticking_out
from browser.test_access import violations
from playwright.sync_api import Browser, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_what_is_moved_in_the_notebook_is_measured(browser: Browser, lab: str):
    opened = Opened(browser, lab)
    page = opened.page
    run_in_lab(page, lab, "quality")
    root = page.locator(".lrp-quality")
    said = root.locator(".lrp-status-text")
    expect(said).to_contain_text("Selectivity: done in", timeout=OPENING)
    line = root.locator(".lrp-page:visible .lrp-lines path").first
    before = line.get_attribute("d") or ""
    root.locator(".lrp-gallery-option").nth(5).click()
    expect(line).not_to_have_attribute("d", before, timeout=PATIENCE)
    expect(said).to_contain_text("Selectivity: done in", timeout=PATIENCE)

    root.locator(".lrp-quality-pages > .lrp-pages-buttons").get_by_role("button", name="Continuity").click()
    root.get_by_role("button", name="By hand").click()
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    for _ in range(3):
        root.locator(".lrp-probe-pad").press("ArrowRight")
    expect(root.locator(".lrp-quotients")).to_contain_text("3 px right", timeout=PATIENCE)
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    assert violations(opened.dashboard(), {"include": [[".lrp-quality"]]}) == []
    assert sticking_out(page) == []
    opened.check()
    opened.context.close()
