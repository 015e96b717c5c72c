"""One served stub for the tests of a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from apps.serving.stub import SERVE, SLIDER, App, write_notebook
from serving import free_port, serving


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A stub app: a slider, then a cell that fails; files beside its notebook that are nobody's business."""
    folder = tmp_path_factory.mktemp("stub")
    path = write_notebook(folder / "stub.ipynb", SLIDER, "raise ValueError('the inside of a cell')")
    for name in ("beside.png", "beside.txt", "beside.ipynb"):
        (folder / name).write_text("beside the notebook")
    port = free_port()
    log = folder / "log.txt"
    with serving([sys.executable, "-c", SERVE, path, str(port)], port, log) as process:
        yield App(f"http://127.0.0.1:{port}/", log, process)
