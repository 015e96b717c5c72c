"""What all tests share: an environment to install into, the numbers that tests measure, how deep hypothesis looks.

`make test` runs them in two processes side by side (pytest-xdist), each of them a file at a time: what the fixtures of
a file start is started once.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from installing import WAITING, FreshEnvironment

if "PYTEST_XDIST_WORKER" in os.environ:
    # One core for each process and for the servers that it starts. Set before torch is imported, which reads it then.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples in every run; --hypothesis-profile=deep draws other ones each time, for minutes.
settings.register_profile("quick", max_examples=75, deadline=None, derandomize=True, database=None)
settings.register_profile("deep", max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("quick")

INSTALL = "install"
_MEASURED: dict[str, float] = {}
_ENVIRONMENT = pytest.StashKey[FreshEnvironment]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Side by side, the files that take longest come first, and last the one that waits for the environment."""
    if not hasattr(config, "workerinput"):
        return  # one process runs them as they stand
    marks = defaultdict[Path, set[str]](set)
    for item in items:
        marks[item.path] |= {mark.name for mark in item.iter_markers()}

    def rank(item: pytest.Item) -> int:
        names = marks[item.path]
        return 3 if INSTALL in names else 0 if "browser" in names else 1 if "slow" in names else 2

    items.sort(key=rank)


@pytest.fixture(scope="session")
def measured() -> Callable[[str, float], None]:
    """Note a measured number under a name; the worst of each name is printed after the run."""
    return _note


def _note(name: str, value: float) -> None:
    _MEASURED[name] = max(_MEASURED.get(name, 0.0), float(value))


@pytest.fixture(scope="session", autouse=True)
def fresh_environment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FreshEnvironment | None]:
    """What the tests marked `install` wait for, begun before all others; None where none of them is to run."""
    if not any(item.get_closest_marker(INSTALL) for item in request.session.items):
        yield None
    elif hasattr(request.config, "workerinput"):
        yield FreshEnvironment(Path(request.config.workerinput[INSTALL]))  # begun by the process that started this one
    else:
        environment = FreshEnvironment(tmp_path_factory.mktemp("fresh"))
        environment.begin()
        yield environment
        environment.end()


# Below: what is begun once and gathered once where several processes run the tests, in the one that started them.


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process that is about to start where the environment will be."""
    if _ENVIRONMENT not in node.config.stash:
        node.config.stash[_ENVIRONMENT] = FreshEnvironment(Path(tempfile.mkdtemp(prefix="lrp_widgets-fresh-")))
    node.workerinput[INSTALL] = str(node.config.stash[_ENVIRONMENT].folder)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    """Begin the environment where a test waits for it: of the tests, this process knows only the names."""
    environment = node.config.stash[_ENVIRONMENT]
    if any(name.endswith(f"::{WAITING}") for name in ids) and not environment.clone.exists():
        environment.begin()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take over what a process measured."""
    for name, value in getattr(node, "workeroutput", {}).get("measured", {}).items():
        _note(name, value)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["measured"] = _MEASURED
    if environment := session.config.stash.get(_ENVIRONMENT, None):
        environment.end()
        shutil.rmtree(environment.folder, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _MEASURED:
        terminalreporter.section("measured: the worst of each")
        for name, value in sorted(_MEASURED.items()):
            terminalreporter.write_line(f"{value:9.2e}  {name}")
