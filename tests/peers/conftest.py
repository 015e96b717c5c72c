"""Other explainers to agree with. They import torchvision, whose wheel is built for CUDA."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


def let_torchvision_import() -> torch.library.Library | None:
    """Beside a CPU-only torch its compiled part cannot load: two of its ops must be defined before it is imported."""
    spec = importlib.util.find_spec("torchvision")
    for folder in spec.submodule_search_locations or () if spec is not None else ():
        try:
            for compiled in Path(folder).glob("_C*"):
                torch.ops.load_library(compiled)
        except OSError:
            library = torch.library.Library("torchvision", "DEF")
            for op in ("nms", "qnms"):
                library.define(f"{op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            return library
    return None


LIBRARY = let_torchvision_import()  # its definitions live as long as it does


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """One thread inside each operation, as in tests/engine: these compute little and often."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
