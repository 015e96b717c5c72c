"""A stub of an app, and how the tests serve it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from serving import PATIENCE, free_port, serving

SLIDER = "import ipywidgets\nipywidgets.IntSlider(description='a slider', value=3)"
SERVE = """
import sys
from pathlib import Path
from lrp_widgets.apps.serving.serve import serve
serve(Path(sys.argv[1]), int(sys.argv[2]))
"""
ONE_VISITOR = SERVE.replace("int(sys.argv[2])", "int(sys.argv[2]), visitors=1")


def write_notebook(path: Path, *cells: str) -> Path:
    """A notebook of these code cells."""
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    written = nbformat.v4.new_notebook(metadata={"title": "lrp_widgets", "kernelspec": kernelspec})
    written.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(written, path)
    return path


class App(NamedTuple):
    """A served stub."""

    address: str
    log: Path
    process: subprocess.Popen[bytes]


@contextmanager
def full_app(folder: Path) -> Iterator[App]:
    """Serve a stub app with one place."""
    path = write_notebook(folder / "stub.ipynb", SLIDER)
    port = free_port()
    log = folder / "log.txt"
    with serving([sys.executable, "-c", ONE_VISITOR, path, str(port)], port, log) as process:
        yield App(f"http://127.0.0.1:{port}/", log, process)


def status_of(app: App) -> str:
    """What --status says."""
    port = app.address.split(":")[2].strip("/")
    command = [sys.executable, "-m", "lrp_widgets", "--status", "--port", port]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout


class Guest(NamedTuple):
    """One who has got a page, and what a browser then knows."""

    page: str
    kernel: str
    cookie: str


def visit(address: str, **headers: str) -> Guest:
    """Ask for a page, as a browser without any cookie does.  headers: of the request."""
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=300) as answer:
        page = answer.read().decode()
        cookies = [cookie.split(";")[0] for cookie in answer.headers.get_all("Set-Cookie", [])]
    kernel = re.search(r'"kernelId": ?"([^"]+)"', page)
    assert kernel
    return Guest(page, kernel[1], "; ".join(cookies))


def wait_for(happened: Any, what: str, seconds: float = 30) -> None:
    """Ask again and again until something has happened."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Not seen within {seconds} s: {what}.")
        time.sleep(0.2)
