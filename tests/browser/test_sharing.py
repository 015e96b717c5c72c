"""A link opened in Voila, from a kernel that was started before anybody asked; undo, copies and a saved page."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from browser.dashboard_page import OPENING, PATIENCE
from playwright.sync_api import Browser, Page, expect
from serving import free_port, serving

import lrp_widgets as lw
from lrp_widgets.apps.explore.explore import Settings
from lrp_widgets.apps.sharing.link import to_query
from lrp_widgets.apps.sharing.sharing import look_of
from lrp_widgets.apps.sharing.state import from_state, to_state
from lrp_widgets.widgets import HeatmapView

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SAMPLES = lw.demo.data.digits()
APP = """
import os
from dataclasses import replace

import ipywidgets

import lrp_widgets as lw
from lrp_widgets.apps.session.settings import Settings
from lrp_widgets.apps.sharing.sharing import Sharing
from lrp_widgets.widgets import HeatmapView, ShareBar

model, samples = lw.demo.models.digits_mlp(), lw.demo.data.digits()
explainer, view, toolbar, said = lw.Explainer(model), HeatmapView(), ShareBar(), ipywidgets.HTML()
slider = ipywidgets.FloatSlider(2.0, min=1, max=3, step=0.05, description="alpha")
asked = ipywidgets.HTML(f"kernel {os.environ.get('QUERY_STRING', 'none')}")
box = ipywidgets.VBox([toolbar, slider, view, said, asked])
box.add_class("lrp-explore")
now = Settings(0, lw.LRP(lw.alpha_beta(alpha=2.0)))

def input_of(sample):
    return samples.inputs[sample : sample + 1]

def show(settings):
    global now
    now = settings
    explanation = explainer.explain(input_of(now.sample), now.target, now.method)
    view.show(explanation.heatmap(), stamp=f"sample {now.sample} alpha {now.method.composite.alpha:g}")
    sharing.changed(now)

def moved(change):
    show(replace(now, method=lw.LRP(lw.alpha_beta(alpha=change["new"]))))

def put(settings):
    slider.unobserve(moved, "value")
    slider.value = settings.method.composite.alpha
    slider.observe(moved, "value")
    show(settings)

def refuse(text):
    said.value = text

sharing = Sharing(toolbar, explainer, samples, view, now, put=put, refuse=refuse, input_of=input_of)
slider.observe(moved, "value")
show(now)
box
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A notebook with a toolbar, served as the apps are: kernels are started before they are asked for."""
    folder, port = tmp_path_factory.mktemp("shared"), free_port()
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(APP)])
    book.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "voila": {"template": "lrp"}}
    nbformat.write(book, folder / "shared.ipynb")
    code = (
        "from pathlib import Path; from lrp_widgets.apps.serving.serve import serve; "
        f"serve(Path('shared.ipynb'), {port})"
    )
    root = str(Path(lw.__file__).parents[1])
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
    with serving([sys.executable, "-c", code], port, folder / "log.txt", env=env, cwd=folder):
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"], accept_downloads=True)
    yield context.new_page()
    context.close()


def opened(page: Page, address: str) -> None:
    page.goto(address, timeout=OPENING)
    page.locator(".lrp-heatmap[data-sequence]").wait_for(timeout=OPENING)


def says(page: Page, text: str) -> None:
    expect(page.locator(".lrp-heatmap-stamp")).to_have_text(text, timeout=PATIENCE)


def button(page: Page, name: str):
    return page.get_by_role("button", name=name)


def test_a_link_opens_what_it_was_copied_from(page, address):
    look = {**look_of(HeatmapView()), "colormap": "grey"}
    settings = Settings(4, lw.LRP(lw.alpha_beta(alpha=2.65)), 7)
    for _ in range(6):  # the first visitors may come before there is a kernel that waits for them
        opened(page, f"{address}?state={to_query(to_state(settings, look))}")
        says(page, "sample 4 alpha 2.65")
        if waited := page.locator("text=kernel none").count() == 1:  # it was there already: it knows no query
            break
        page.wait_for_timeout(4000)
    assert waited
    button(page, "copy link").click()
    expect(page.locator(".lrp-sharebar-said")).to_have_text("copied the link")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(f"{address}?state=") and from_state(copied, Settings, SAMPLES) == (settings, look)


def test_a_broken_link_says_so(page, address):
    opened(page, f"{address}?state=abc")
    expect(page.locator("text=The state of this link cannot be read")).to_be_visible(timeout=PATIENCE)
    says(page, "sample 0 alpha 2")


def test_undo_by_button_and_key(page, address):
    opened(page, address)
    undo, redo, handle = button(page, "undo"), button(page, "redo"), page.locator(".noUi-handle")
    expect(undo).to_have_attribute("aria-disabled", "true")
    handle.press("ArrowRight")
    handle.press("ArrowRight")
    says(page, "sample 0 alpha 2.1")
    page.wait_for_timeout(900)  # longer than the pause that ends a drag
    handle.press("ArrowRight")
    says(page, "sample 0 alpha 2.15")
    undo.click()
    says(page, "sample 0 alpha 2.1")
    page.keyboard.press("Control+z")
    says(page, "sample 0 alpha 2")
    expect(undo).to_have_attribute("aria-disabled", "true")
    page.keyboard.press("Control+Shift+z")
    says(page, "sample 0 alpha 2.1")
    redo.press("Enter")
    says(page, "sample 0 alpha 2.15")
    expect(redo).to_have_attribute("aria-disabled", "true")
    readout = page.locator(".widget-readout")
    readout.click()
    page.keyboard.type("1")
    page.keyboard.press("Control+z")  # belongs to the text that is being written
    says(page, "sample 0 alpha 2.15")


def test_python_and_a_page(page, address, tmp_path):
    opened(page, address)
    button(page, "copy Python").click()
    expect(page.locator(".lrp-sharebar-said")).to_have_text("copied the Python")
    assert "method = lw.LRP(lw.alpha_beta())" in page.evaluate("navigator.clipboard.readText()")
    with page.expect_download(timeout=PATIENCE) as download:
        button(page, "save page").click()
    download.value.save_as(tmp_path / "page.html")
    assert download.value.suggested_filename == "explanation.html"
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    data = json.loads(text.partition('class="page-data">')[2].partition("</script>")[0])
    assert len(data["order"]) == 126
    expect(button(page, "save page")).to_be_visible(timeout=PATIENCE)
