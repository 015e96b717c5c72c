"""Three students of one hub, each with the app as a page and as a notebook; nobody reaches another's server.

It runs where JupyterHub, its culler and its proxy (npm install -g configurable-http-proxy) are installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from apps.serving.stub import wait_for
from browser.dashboard_page import OPENING, DashboardPage
from playwright.sync_api import Browser, Page
from serving import free_port, get, serving

pytest.importorskip("jupyterhub")
pytest.importorskip("jupyterhub_idle_culler")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("configurable-http-proxy"), reason="JupyterHub's proxy is not installed"),
]

CONFIG = Path(__file__).parents[2] / "deploy" / "jupyterhub_config.py"
PASSWORD = "a class of forty"
STUDENTS = ("ada", "emmy", "sonja")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a hub whose students are processes."""
    folder = tmp_path_factory.mktemp("hub")
    port, inner, proxy = free_port(), free_port(), free_port()
    env = os.environ | {
        "LRP_CLASS_PASSWORD": PASSWORD,
        "LRP_HUB_SPAWNER": "simple",
        "LRP_HUB_PORT": str(port),
        "LRP_HUB_HOMES": str(folder / "{username}"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = [sys.executable, "-m", "jupyterhub", f"--config={CONFIG}", f"--JupyterHub.hub_port={inner}"]
    command += [f"--ConfigurableHTTPProxy.api_url=http://127.0.0.1:{proxy}"]
    with serving(command, port, folder / "log.txt", env=env, cwd=folder):
        address = f"http://127.0.0.1:{port}/"
        wait_for(lambda: get(f"{address}hub/login")[0] == 200, "the proxy leads to the hub", seconds=120)
        yield address


def enter(browser: Browser, hub: str, name: str) -> Page:
    """Sign in, and wait for the student's own server."""
    page = browser.new_context().new_page()
    page.goto(f"{hub}hub/login")
    page.fill("input[name=username]", name)
    page.fill("input[name=password]", PASSWORD)
    page.click("#login_submit")
    page.wait_for_url(f"**/user/{name}/**", timeout=OPENING)
    return page


def test_three_students_each_with_a_page_and_a_notebook(browser: Browser, hub: str):
    pages = {name: enter(browser, hub, name) for name in STUDENTS}
    for name, page in pages.items():
        page.goto(f"{hub}user/{name}/voila/render/explore.ipynb")
        DashboardPage(page).opened()
        page.goto(f"{hub}user/{name}/lab/tree/explore.ipynb")
        page.locator(".jp-NotebookPanel").wait_for(timeout=OPENING)
        other = STUDENTS[STUDENTS.index(name) - 1]
        for path in ("voila/render/explore.ipynb", "lab", "api/contents", "api/kernels"):
            answer = page.request.get(f"{hub}user/{other}/{path}", max_redirects=10)
            assert answer.status in (403, 404), f"{name} reaches {path} of {other}: {answer.status}"
    stranger = browser.new_context().new_page()
    for name in STUDENTS:
        answer = stranger.request.get(f"{hub}user/{name}/api/contents", max_redirects=0)
        assert answer.status in (302, 403)
    for page in [*pages.values(), stranger]:
        page.context.close()


def test_without_a_password_it_does_not_start(tmp_path: Path):
    env = {name: value for name, value in os.environ.items() if name != "LRP_CLASS_PASSWORD"}
    ended = subprocess.run(
        [sys.executable, "-m", "jupyterhub", f"--config={CONFIG}"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ended.returncode != 0
    assert "Set LRP_CLASS_PASSWORD to a password of at least 8 characters" in ended.stderr
