"""Other explainers to agree with. They import torchvision, whose wheel is built for CUDA."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torchvision_import import let_torchvision_import

LIBRARY = let_torchvision_import()  # its definitions live as long as it does


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """One thread inside each operation, as in tests/engine: these compute little and often."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
