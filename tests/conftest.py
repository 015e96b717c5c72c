"""What all tests share: torchvision beside a CPU-only torch, and the numbers that tests measure."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture(scope="session")
def torchvision_models() -> Iterator[Any]:
    """torchvision.models. A wheel built for CUDA imports beside a CPU-only torch once two of its ops are defined."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("peers extra is not installed")
    import torch

    library = None
    try:
        for compiled in Path(spec.submodule_search_locations[0]).glob("_C*"):
            torch.ops.load_library(compiled)
    except OSError:
        library = torch.library.Library("torchvision", "DEF")  # its definitions live as long as it does
        for op in ("nms", "qnms"):
            library.define(f"{op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision import models

    yield models
    del library
