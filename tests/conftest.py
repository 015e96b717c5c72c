"""What all tests share: the numbers that tests measure, and how deep hypothesis looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

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


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _MEASURED:
        terminalreporter.section("measured: the worst of each")
        for name, value in sorted(_MEASURED.items()):
            terminalreporter.write_line(f"{value:9.2e}  {name}")
