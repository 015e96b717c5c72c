"""The command line, the page it serves, and what it does not serve."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sys
from pathlib import Path

import nbformat
import pytest
from apps.serving.stub import SERVE, SLIDER, wait_for, write_notebook
from serving import free_port, get, kernels, serving, stop

from lrp_widgets.__main__ import main
from lrp_widgets.apps.serving.serve import APPS, notebook

READ = {"paper_quality"}  # notebooks that are no apps
CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def error_line(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The last line that the command line writes before it ends with status 2."""
    with pytest.raises(SystemExit) as gave_up:
        main(arguments)
    assert gave_up.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_an_unknown_app_lists_the_known_ones(capsys):
    apps = ", ".join(sorted(path.stem for path in APPS.glob("*.ipynb") if path.stem not in READ))
    assert "explore" in apps
    assert error_line(capsys, "explor") == f"python -m lrp_widgets: error: APP must be one of {apps}, got explor."


@pytest.mark.parametrize(
    ("arguments", "app", "line"),
    [
        ([], "explore", ""),
        (["quality"], "quality", ""),
        (["evaluate"], "quality", "python -m lrp_widgets: the app evaluate is called quality now.\n"),
    ],
    ids=["no name", "a name", "a former name"],
)
def test_the_app_that_the_command_line_names_is_served(capsys, monkeypatch, arguments, app, line):
    served: list[tuple[Path, int, dict[str, object]]] = []
    monkeypatch.setattr("lrp_widgets.__main__.serve", lambda path, port, **more: served.append((path, port, more)))
    main([*arguments, "--port", "8901", "--no-browser", "--host", "class.example.org", "--visitors", "40", "--no-fork"])
    more = {"browser": False, "hosts": ["class.example.org"], "visitors": 40, "fork": False}
    assert served == [(APPS / f"{app}.ipynb", 8901, more)]
    assert capsys.readouterr().err == line


def test_a_taken_port_is_named(capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        line = error_line(capsys, "--port", str(port), "--no-browser")
    next_port = port + 1 if port < 65535 else 8866
    assert line == (
        f"python -m lrp_widgets: error: Port {port} of 127.0.0.1 is taken. "
        f"Choose another one, for instance --port {next_port}."
    )


@pytest.mark.parametrize("port", ["0", "65536"])
def test_a_port_out_of_range_is_named(capsys, port):
    assert (
        error_line(capsys, "--port", port)
        == f"python -m lrp_widgets: error: --port must lie in [1, 65535], got {port}."
    )


@pytest.mark.parametrize("host", ["http://class.example.org", "class.example.org:8866", "", "a b", "é.org", "-"])
def test_a_name_that_is_none_is_refused(capsys, host):
    assert error_line(capsys, "--host", host) == (
        "python -m lrp_widgets: error: --host must be a name such as class.example.org, without http:// and port, "
        f"got {host}."
    )


@pytest.mark.parametrize("visitors", ["0", "-1", "10001"])
def test_a_number_of_visitors_out_of_range_is_named(capsys, visitors):
    line = error_line(capsys, "--visitors", visitors)
    assert line == f"python -m lrp_widgets: error: --visitors must lie in [1, 10000], got {visitors}."


@pytest.mark.parametrize("path", sorted(APPS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_notebook_of_an_app_is_as_it_is_served(path):
    written = nbformat.read(path, as_version=4)
    nbformat.validate(written)
    assert written.metadata.kernelspec.name == "python3"
    assert written.metadata.title.startswith("lrp_widgets")
    assert not any(cell.get("outputs") for cell in written.cells)
    if path.stem in READ:
        with pytest.raises(ValueError, match=f"^APP must be one of .*explore.*, got {path.stem}\\.$"):
            notebook(path.stem)
        return
    assert notebook(path.stem) == path
    assert written.metadata.voila.template == "lrp"  # where Voila is a Jupyter extension, as on Binder


@pytest.mark.slow
def test_the_app_is_at_the_root(app):
    status, page = get(app.address)
    assert status == 200
    assert "<title>lrp_widgets</title>" in page
    assert "application/vnd.jupyter.widget-view+json" in page
    assert app.log.read_text().startswith(f"lrp_widgets: stub is at {app.address} (Ctrl-C stops it)\n")


@pytest.mark.slow
def test_neither_source_nor_traceback_reaches_the_page(app):
    _, page = get(app.address)
    assert "There was an error when executing cell" in page
    assert "the inside of a cell" not in page
    assert "ipywidgets.IntSlider" not in page
    assert "the inside of a cell" in app.log.read_text()  # but the one who serves it can read it


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["beside.png", "beside.txt", "beside.ipynb", "stub.ipynb", "../beside.txt", "%2e%2e/beside.txt"]
)
def test_no_file_is_served(app, name):
    for path in (name, f"voila/files/{name}", f"voila/render/{name}"):
        status, page = get(app.address + path)
        assert status == 403
        assert "beside the notebook" not in page


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", ["voila/tree", "voila/api/contents", "api/contents", "api/kernels", "api/sessions", "lab"]
)
def test_only_the_app_is_served(app, path):
    assert get(app.address + path)[0] == 403


@pytest.mark.slow
def test_a_visitor_chooses_neither_template_nor_markup(app):
    _, page = get(app.address + "?template=classic")
    assert 'class="lrp-wait' in page
    _, page = get(app.address + "?theme=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert(1)" not in page
    assert 'class="jp-Notebook theme-light"' in page


@pytest.mark.slow
def test_the_page_links_to_nothing_outside(app):
    _, page = get(app.address)
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//[^"'\s>]+""", page)
    config = re.search(r'<script id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert config and json.loads(config[1])["fullMathjaxUrl"] is None


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("kernels_are_up", [True, False], ids=["later", "at once"])
def test_ctrl_c_ends_the_server_and_its_kernels(tmp_path, kernels_are_up):
    path = write_notebook(tmp_path / "stopped.ipynb", SLIDER)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    port = free_port()
    command = [sys.executable, "-c", SERVE, path, str(port)]
    with serving(command, port, tmp_path / "log", env=os.environ | {"TMPDIR": str(temporary)}) as process:
        if kernels_are_up:
            wait_for(lambda: len(kernels(process)) == 2, "two kernels are kept ready")
        assert stop(process, signal.SIGINT) == set()
        assert process.returncode == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize(("query", "background"), [("", "rgb(255, 255, 255)"), ("?theme=dark", "rgb(17, 17, 17)")])
def test_the_page_in_a_browser_asks_only_its_own_server(app, playwright, query, background):
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("google-chrome-stable")
    browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(app.address + query)
    page.wait_for_selector(".widget-hslider", timeout=60_000)
    page.wait_for_selector(".lrp-wait >> visible=true", state="detached")
    slider = page.locator(".widget-hslider").bounding_box()
    assert slider and slider["x"] < 5 and slider["y"] < 5  # no margins of a notebook
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == background
    assert page.evaluate("getComputedStyle(document.querySelector('#rendered_cells')).backgroundColor") == background
    assert [url for url in asked if not url.startswith((app.address, "data:", "blob:"))] == []
    assert not any("jupyterlab-plotly" in url for url in asked)  # 5 MB that nothing here needs

    # A visitor who leaves takes the kernel along.
    running = kernels(app.process)
    page.goto("about:blank")
    wait_for(lambda: running - kernels(app.process), "the kernel of a closed tab ends")
    browser.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="nobody may write into /proc, not even root")
@pytest.mark.parametrize("name", ["HOME", "TMPDIR"])
def test_it_serves_where_a_folder_of_the_users_cannot_be_written_to(tmp_path, name):
    path = write_notebook(tmp_path / "stub.ipynb", SLIDER)
    port = free_port()
    env = os.environ | {name: "/proc/nowhere"}
    with serving([sys.executable, "-c", SERVE, path, str(port)], port, tmp_path / "log", env=env):
        status, page = get(f"http://127.0.0.1:{port}/")
    log = (tmp_path / "log").read_text()
    assert status == 200 and "a slider" in page
    assert "Traceback" not in log
    assert ("--status will find no server, for it cannot be noted down" in log) == (name == "HOME")
