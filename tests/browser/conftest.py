"""Servers and pages for the browser tests: one Voila, one JupyterLab, and pages that many tests share.

The browser sees the fonts that fonts/ names, and no other: a machine's own do not decide whether a test passes.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser.dashboard_page import PATIENCE, DashboardPage, Opened
from playwright.sync_api import Browser, expect
from serving import free_port, serving

from lrp_widgets.apps.serving.serve import notebook

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# A computer on which whatever is given two seconds has not come to its end by then.
SLOW = """(() => {
  const { timeout } = AbortSignal;
  AbortSignal.timeout = (wait) => timeout.call(AbortSignal, wait === 2000 ? 1 : wait);
})()"""


# The file of fonts/ and the family that it leaves. The first one has the wider letters: it is every test's, and what a
# machine shows that has got nothing but Debian's chromium.
FONTS = {"dejavu": "DejaVu Sans", "liberation": "Liberation Sans"}

expect.set_options(timeout=PATIENCE)


def only(font: str) -> dict[str, str] | None:
    """The environment of a browser that finds no other font; None where it cannot be had."""
    fonts = Path(__file__).with_name("fonts") / f"{font}.conf"
    folders = re.findall("<dir>(.*)</dir>", fonts.read_text())
    name = f"{FONTS[font].replace(' ', '')}*.ttf"
    installed = any(path for folder in folders for path in Path(folder).rglob(name))
    return {**os.environ, "FONTCONFIG_FILE": str(fonts)} if installed and sys.platform == "linux" else None


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Chromium or Chrome where one is installed; Playwright's own otherwise. Where DejaVu is there, no other font."""
    installed = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "google-chrome-stable"))), None)
    executable = {"executable_path": installed} if installed else {}
    return {**browser_type_launch_args, "args": FLAGS, "env": only("dejavu") or dict(os.environ), **executable}


@pytest.fixture(scope="session")
def voila(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the app, served by Voila from the command line."""
    port = free_port()
    log = tmp_path_factory.mktemp("voila") / "log.txt"
    with serving([sys.executable, "-m", "lrp_widgets", "--port", str(port), "--no-browser", "explore"], port, log):
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab that knows nothing but the notebooks of the apps."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "root").mkdir()
    for app in ("explore", "quality"):
        shutil.copy(notebook(app), folder / "root")
    port = free_port()
    options = {
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": True,
        "ServerApp.root_dir": folder / "root",
        "IdentityProvider.token": "",
        "LabApp.expose_app_in_browser": True,
        "LabApp.workspaces_dir": folder / "workspaces",
        "LabApp.user_settings_dir": folder / "settings",
        "LabApp.news_url": "None",  # asks nobody for news
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
    }
    command = [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())]
    with serving(command, port, folder / "log.txt"):
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture(scope="module")
def in_voila(browser: Browser, voila: str) -> Iterator[Opened]:
    """The app in Voila, one page for all tests of a file."""
    opened = Opened(browser, voila)
    opened.page.add_init_script(SLOW)
    opened.page.goto(voila)
    opened.dashboard().opened().has_curve()
    yield opened
    opened.context.close()


@pytest.fixture
def app(in_voila: Opened) -> Iterator[DashboardPage]:
    """The shared dashboard, brought back to where it began; after the test its page is checked."""
    dashboard = in_voila.dashboard()
    in_voila.watch.errors.clear()
    dashboard.bring_back()
    yield dashboard
    in_voila.check()
