"""The notebook of the app in JupyterLab: the same core flows."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from browser.dashboard_page import PATIENCE, DashboardPage, Opened, run_in_lab, wait_until
from browser.layout import sticking_out
from PIL import Image
from playwright.sync_api import Browser, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Writes a cell below the last one, and runs it.
NEW_CELL = """async (code) => {
  const { commands, shell } = window.jupyterapp;
  const notebook = shell.currentWidget.content;
  notebook.activeCellIndex = notebook.widgets.length - 1;
  await commands.execute("notebook:insert-cell-below");
  notebook.activeCell.model.sharedModel.setSource(code);
  void commands.execute("notebook:run-cell");
}"""


@pytest.fixture(scope="module")
def in_lab(browser: Browser, lab: str) -> Iterator[Opened]:
    """The notebook, opened and run."""
    opened = Opened(browser, lab)
    run_in_lab(opened.page, lab, "explore")
    opened.dashboard().opened()
    yield opened
    opened.context.close()


@pytest.fixture
def app(in_lab: Opened) -> Iterator[DashboardPage]:
    """The dashboard in the notebook; after the test its page is checked."""
    yield in_lab.dashboard()
    in_lab.check()


def test_the_notebook_shows_a_digit_explained(app: DashboardPage):
    ((_, colours),) = app.pixels()
    assert colours > 100  # shades, not a blank
    app.explains(4)
    app.has_curve()


@pytest.mark.parametrize(("method", "name"), [(0, "α"), (0, "γ"), ("LRP-ε", "ε")])
def test_a_slider_moves_the_picture(app: DashboardPage, method, name):
    app.select("method").select_option(**({"index": 0} if method == 0 else {"label": method}))
    app.at_rest()
    before = app.pixels()
    with app.explained():
        app.press(name, "End")
    app.shows_not(before)


def test_another_class_input_rule_and_layer(app: DashboardPage):
    for act in (
        lambda: app.classes.nth(9).click(),
        lambda: app.select("input rule").select_option("flat"),
        lambda: app.root.locator('.lrp-layers-row[data-name="features.3"]').click(),
    ):
        before = app.pixels()
        with app.explained():
            act()
        app.shows_not(before)
    with app.explained():
        app.root.locator('.lrp-layers-row[data-name=""]').click()


def test_a_drawn_one_is_seen_as_a_one(app: DashboardPage):
    app.root.locator(".lrp-classes-auto input").check()
    app.source("Draw")
    with app.explained():
        app.draw((0.5, 0.15), (0.47, 0.85))
    app.explains(1)


def test_one_flow_through_all_parts(app: DashboardPage):
    """Draw, upload, the own composite, a channel, a neuron, a pin, undo, the look, the state to take along."""
    root = app.root
    root.locator(".lrp-classes-auto input").check()
    app.source("Draw")
    with app.explained():
        app.draw((0.25, 0.2), (0.75, 0.2), (0.45, 0.85))
    picture = np.zeros((28, 28), np.uint8)
    picture[4:24, 13:16] = 255
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    app.turn_to("Upload")
    with app.explained():
        root.locator(".lrp-upload input[type=file]").set_input_files(
            {"name": "one.png", "mimeType": "image/png", "buffer": file.getvalue()}
        )
    app.explains(1)
    with app.explained():
        app.select("method").select_option("Your own, by layer")
    app.at_rest()
    with app.explained():
        app.select("lower").select_option("flat")
    with app.explained():
        root.locator('.lrp-layers-row[data-name="features.3"]').click()
    app.turn_to("Channels")
    with app.explained():
        root.locator(".lrp-channels button", has_text="keep only").nth(1).click()
    expect(root.locator(".lrp-heatmap-stamp")).to_contain_text("filter", timeout=PATIENCE)
    with app.explained():
        root.get_by_role("button", name="clear filter").click()
    root.locator(".lrp-heatmap-pictures").click(position={"x": 150, "y": 150})
    expect(root.locator(".lrp-arithmetic-neuron")).to_contain_text("features.", timeout=PATIENCE)
    app.at_rest()
    before = app.pixels()
    root.locator(".lrp-toolbar-button", has_text="pin").focus()
    app.page.keyboard.press("p")
    wait_until(lambda: root.locator(".lrp-compare-differs").count() == 1, app.page, app.told)
    app.turn_to("Composite")
    with app.explained():
        app.select("lower").select_option("w²")
    with app.explained():
        app.page.keyboard.press("Control+z")
    app.shows(before)
    app.unfold("look")
    with app.repainted():
        app.select("colours").select_option("vik")
    expect(root.get_by_role("button", name="copy state")).to_have_attribute("aria-disabled", "false")
    root.locator(".lrp-compare-tile .lrp-compare-remove").click()
    with app.explained():
        root.locator('.lrp-layers-row[data-name=""]').click()
    app.select("method").select_option(index=0)
    app.at_rest()


def test_the_state_the_python_and_the_page_go_along(app: DashboardPage, in_lab: Opened, tmp_path):
    page, root = app.page, app.root
    in_lab.context.grant_permissions(["clipboard-read", "clipboard-write"])

    def copied(button: str, what: str) -> str:
        root.get_by_role("button", name=button).click()
        expect(root.locator(".lrp-sharebar-said")).to_contain_text(f"copied the {what}", timeout=PATIENCE)
        return page.evaluate("navigator.clipboard.readText()")

    app.bring_back()
    with app.explained():
        app.classes.nth(9).click()
    with app.explained():
        app.press("γ", "End")
    app.at_rest()
    before, state, python = app.pixels(), copied("copy state", "state"), copied("copy Python", "Python")
    assert "gamma=1.0" in python and "explain(" in python
    with page.expect_download(timeout=PATIENCE) as download:
        root.get_by_role("button", name="save page").click()
    download.value.save_as(tmp_path / "page.html")
    assert "page-data" in (tmp_path / "page.html").read_text(encoding="utf-8")
    page.evaluate(NEW_CELL, f"lw.explore(lw.demo.models.digits_cnn(), lw.demo.data.digits(), state={state!r})")
    again = in_lab.dashboard(1).opened()
    again.shows(before)
    again.explains(9)
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:delete-cell')")
    again.root.wait_for(state="detached", timeout=PATIENCE)


def test_keys_in_the_dashboard_are_no_commands_of_the_notebook(app: DashboardPage, in_lab: Opened):
    app.source("Samples")
    app.thumbnails.first.click()
    before = in_lab.page.locator(".jp-Notebook .jp-Cell").count()
    for key in "dd":
        app.page.keyboard.press(key)
    app.page.keyboard.press("ArrowRight")
    wait_until(lambda: app.thumbnails.nth(1).get_attribute("aria-selected") == "true", app.page, "the next sample")
    app.at_rest()
    assert in_lab.page.locator(".jp-Notebook .jp-Cell").count() == before


def test_it_fits_into_the_notebook(app: DashboardPage):
    app.has_curve()
    assert sticking_out(app.page) == []
