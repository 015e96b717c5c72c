"""The page says when its kernel, its server or the way to them is gone, and finds back by itself where it can."""

from __future__ import annotations

import os
import signal
import sys
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from apps.serving.stub import SERVE, SLIDER, App, write_notebook
from browser.dashboard_page import OPENING, PATIENCE
from browser.network import Way
from jupyter_core.paths import jupyter_path
from playwright.sync_api import Browser, Page, expect
from serving import free_port, kernel_process, serving

from lrp_widgets.apps.serving import serve

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="needs SIGSTOP")]

SILENT = "No connection to the server. What is shown may be old. Trying again…"
STOPPED = "The kernel is stopped. What is shown may be old, and nothing moves until it goes on."
ENDED = "The kernel of this page has ended. What is shown is old."


@pytest.fixture(scope="module", autouse=True)
def _installed_template() -> None:
    """The page comes from the template that is installed, which an editable installation does not follow."""
    ours = Path(serve.__file__).with_name("voila_template")
    folders = (Path(folder) / "voila" / "templates" / "lrp" for folder in jupyter_path())
    installed = next(folder for folder in folders if folder.is_dir())
    for path in ours.iterdir():
        same = (installed / path.name).is_file() and (installed / path.name).read_text() == path.read_text()
        assert same, (
            f"The installed {path.name} is another one than that of the package. Install it again: pip install -e ."
        )


@contextmanager
def started(folder: Path, port: int) -> Iterator[App]:
    path = write_notebook(folder / "stub.ipynb", SLIDER)
    log = folder / "log.txt"
    with serving([sys.executable, "-c", SERVE, path, str(port)], port, log) as process:
        yield App(f"http://127.0.0.1:{port}/", log, process)


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A stub app of its own for each test: it is killed."""
    with started(tmp_path, free_port()) as app:
        yield app


@pytest.fixture
def page(app: App, browser: Browser) -> Iterator[Page]:
    """A page of the app that stands, and says nothing yet."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(app.address)
    page.wait_for_selector(".widget-hslider", timeout=OPENING)
    at_rest(page)
    yield page
    context.close()


def at_rest(page: Page) -> None:
    """The page has heard from the server, and has no reason to say anything."""
    expect(page.locator(".lrp-connection")).to_have_attribute("data-state", "alive", timeout=OPENING)
    expect(page.locator(".lrp-connection")).to_be_hidden()
    expect(page.locator("body.lrp-stale")).to_have_count(0)


def says(page: Page, text: str, button: bool) -> None:
    expect(page.locator(".lrp-connection[role=alert] span")).to_have_text(text, timeout=PATIENCE)
    expect(page.locator(".lrp-connection")).to_be_visible()
    expect(page.locator(".lrp-connection button")).to_be_visible(visible=button)
    expect(page.locator("body.lrp-stale")).to_have_count(1)


def kernel_of(app: App, page: Page) -> psutil.Process:
    name = page.evaluate("JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId")
    process = kernel_process(name, below=app.process.pid)
    assert process is not None
    return process


def test_a_killed_kernel_is_told_and_the_page_can_be_loaded_again(app: App, page: Page):
    kernel_of(app, page).kill()
    says(page, ENDED, button=True)
    page.locator(".lrp-connection button").click()
    page.wait_for_selector(".widget-hslider", timeout=OPENING)
    at_rest(page)
    assert kernel_of(app, page).is_running()


def test_a_stopped_kernel_is_told_until_it_goes_on(app: App, page: Page):
    kernel = kernel_of(app, page)
    kernel.suspend()
    says(page, STOPPED, button=False)
    kernel.resume()
    at_rest(page)


def test_a_stopped_server_is_told_until_it_goes_on(app: App, page: Page):
    app.process.send_signal(signal.SIGSTOP)
    try:
        says(page, SILENT, button=False)
    finally:
        app.process.send_signal(signal.SIGCONT)
    at_rest(page)


def test_a_killed_server_is_told_and_another_one_knows_no_such_kernel(app: App, page: Page, tmp_path: Path):
    children = psutil.Process(app.process.pid).children(recursive=True)
    app.process.kill()
    app.process.wait()
    for child in children:
        child.kill()
    says(page, SILENT, button=False)
    (tmp_path / "again").mkdir()
    with started(tmp_path / "again", int(app.address.split(":")[2].strip("/"))) as again:
        says(page, ENDED, button=True)
        page.locator(".lrp-connection button").click()
        page.wait_for_selector(".widget-hslider", timeout=OPENING)
        at_rest(page)
        assert kernel_of(again, page).is_running()


def test_a_lost_network_is_told_and_the_page_finds_back_by_itself(app: App, browser: Browser):
    context = browser.new_context()
    page = context.new_page()
    with Way.leading_to(int(app.address.split(":")[2].strip("/"))) as way:
        page.goto(f"http://127.0.0.1:{way.port}/")
        page.wait_for_selector(".widget-hslider", timeout=OPENING)
        at_rest(page)
        kernel = kernel_of(app, page)
        way.cut()
        says(page, SILENT, button=False)
        way.mend()
        at_rest(page)  # the same kernel, with a connection of its own again
        assert kernel == kernel_of(app, page)
        context.close()


def test_the_settings_are_kept_where_the_page_is_loaded_again(voila: str, browser: Browser):
    context = browser.new_context()
    page = context.new_page()
    page.goto(voila)
    name = page.locator("select").filter(has=page.locator("option", has_text="Simple Taylor")).first
    expect(name).to_be_visible(timeout=OPENING)
    at_rest(page)
    before = page.locator(".lrp-sharebar").get_attribute("data-state")
    name.select_option("Simple Taylor")
    expect(page.locator(".lrp-sharebar")).not_to_have_attribute("data-state", before or "", timeout=PATIENCE)
    state = page.locator(".lrp-sharebar").get_attribute("data-state")
    kernel = page.evaluate("JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId")
    process = kernel_process(kernel)
    assert process is not None
    process.kill()
    says(page, ENDED, button=True)
    page.locator(".lrp-connection button").click()
    page.wait_for_url("**/?state=*", timeout=OPENING)
    assert urllib.parse.parse_qs(urllib.parse.urlsplit(page.url).query) == {"state": [state]}
    at_rest(page)
    expect(page.locator(".lrp-sharebar")).to_have_attribute("data-state", state or "", timeout=OPENING)
    context.close()
