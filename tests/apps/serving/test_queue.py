"""A full server: what the next one is told, and the person who started it."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from apps.serving.stub import App, full_app, status_of, visit
from serving import free_port

from lrp_widgets.apps.serving.status import describe


@pytest.fixture
def full(tmp_path: Path) -> Iterator[App]:
    """A stub app with one place."""
    with full_app(tmp_path) as app:
        yield app


@pytest.mark.slow
def test_a_full_server_says_so(full: App):
    visit(full.address)
    for place in (1, 2):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(full.address)
        with refused.value as answer:
            page = answer.read().decode()
            assert (answer.code, answer.headers["Retry-After"]) == (503, "3")
        assert "The only place is taken." in page and f"number <b>{place}</b> in the queue" in page
    assert re.search(r"^stub, running for \d+ min\nvisits   1 of 1, 1 .*\nqueue    2\nmemory   \d", status_of(full))


@pytest.mark.slow
def test_only_who_started_the_server_is_told(full: App):
    assert "visits   0 of 1" in status_of(full)
    for headers in ({}, {"Authorization": "token "}, {"Authorization": "token \u00e9"}):
        request = urllib.request.Request(full.address + "lrp_widgets/status", headers=headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        with refused.value as answer:
            assert answer.code == 403
            assert answer.read() == b"Only the person who started this server may ask: python -m lrp_widgets --status\n"


def test_where_no_server_runs_it_says_so():
    port = str(free_port())
    command = [sys.executable, "-m", "lrp_widgets", "--status", "--port", port]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == (
        f"python -m lrp_widgets: error: No server of yours listens on port {port}. Name its port: --status --port …"
    )


def test_the_figures_read_as_lines():
    visits = [{"minutes": 3, "connections": 1, "memory": 240e6}, {"minutes": 1, "connections": 0, "memory": 960e6}]
    memory = {"server": 190e6, "ready": 0, "free": 4.2e9}
    figures = {"app": "explore", "minutes": 12.4, "most": 40, "visits": visits, "queue": 3, "memory": memory}
    assert describe(figures) == (
        "explore, running for 12 min\nvisits   2 of 40, 1 of them without a connection\nqueue    3\n"
        "memory   1.2 GB in visits, the largest 960 MB; 190 MB in the server, 0 MB in kernels kept ready; 4.2 GB free"
    )
    assert "in visits; 190 MB" in describe({**figures, "visits": []})
    shared = describe({**figures, "memory": {**memory, "shared": 260e6}})
    assert "the largest 960 MB, 260 MB shared by them; 190 MB in the server" in shared
