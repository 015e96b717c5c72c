"""The referee where there is nobody to ask, or nothing to ask for."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).eval()


def test_without_the_peers(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(name)

    compare_with = lw.compare_with  # the package imports its names when they are first used
    monkeypatch.setattr(importlib, "import_module", absent)
    comparison = compare_with(model, torch.rand(1, 4), 1)
    assert comparison.ours.target == (1,)
    assert str(comparison) == "zennit: not installed. pip install zennit\ncaptum: not installed. pip install captum"
    assert all(verdict.relevance is None and verdict.number != verdict.number for verdict in comparison.verdicts)


def test_a_peer_that_cannot_be_imported(model: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        raise RuntimeError("operator torchvision::nms does not exist")

    compare_with = lw.compare_with
    monkeypatch.setattr(importlib, "import_module", broken)
    (verdict, _) = compare_with(model, torch.rand(1, 4), 1).verdicts
    assert verdict.message == "cannot be imported. RuntimeError: operator torchvision::nms does not exist"


def test_no_peer_is_imported_with_the_package() -> None:
    said = "import sys, lrp_widgets; print([name for name in ('zennit', 'captum') if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_rule_on_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.rand(3, 4))

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(x, self.w)

    monkeypatch.setattr(importlib, "import_module", lambda name: sys)
    for verdict in lw.compare_with(Functional().eval(), torch.rand(1, 4), 1).verdicts:
        assert verdict.message == "the step 'mm' is no module, and peers put their rules on modules"


def test_what_is_wrong_with_the_input_is_said_as_ever(model: nn.Module) -> None:
    with pytest.raises(TypeError, match=r"The input must be floating point, got torch\.int64\."):
        lw.compare_with(model, torch.ones(1, 4, dtype=torch.long))
    with pytest.raises(IndexError, match=r"target must lie in \[0, 2\]"):
        lw.compare_with(model, torch.rand(1, 4), 7)
