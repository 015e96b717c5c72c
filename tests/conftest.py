"""What all tests share: an environment to install into, the numbers that tests measure, how deep hypothesis looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from installing import FreshEnvironment

# The same examples in every run; --hypothesis-profile=deep draws other ones each time, for minutes.
settings.register_profile("quick", max_examples=75, deadline=None, derandomize=True, database=None)
settings.register_profile("deep", max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile("quick")

_MEASURED: dict[str, float] = {}


@pytest.fixture(scope="session")
def measured() -> Callable[[str, float], None]:
    """Note a measured number under a name; the worst of each name is printed after the run."""

    def note(name: str, value: float) -> None:
        _MEASURED[name] = max(_MEASURED.get(name, 0.0), float(value))

    return note


@pytest.fixture(scope="session", autouse=True)
def fresh_environment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FreshEnvironment | None]:
    """What the tests marked `install` wait for, begun before all others; None where none of them is to run."""
    if not any(item.get_closest_marker("install") for item in request.session.items):
        yield None
        return
    environment = FreshEnvironment(tmp_path_factory.mktemp("fresh"))
    yield environment
    environment.end()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _MEASURED:
        terminalreporter.section("measured: the worst of each")
        for name, value in sorted(_MEASURED.items()):
            terminalreporter.write_line(f"{value:9.2e}  {name}")
