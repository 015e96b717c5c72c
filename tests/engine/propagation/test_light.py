"""What the engine leaves alone: torch's compiler, and the symbolic mathematics that autograd brings along."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

import lrp_widgets as lw


def test_a_first_explanation_imports_nothing_heavy() -> None:
    said = (
        "import sys, lrp_widgets as lw; x = lw.demo.data.digits().inputs[:1];"
        "lw.Explainer(lw.demo.models.digits_cnn()).explain(x, method=lw.LRP(lw.layered()));"
        "print([name for name in ('torch._dynamo', 'sympy') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_a_compiled_model_explains_the_same() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 4)).eval()
    x = torch.rand(2, 1, 8, 8)
    plain = lw.Explainer(model).explain(x, 1)
    compiled = torch.compile(model, backend="eager")
    for _ in range(2):  # not yet compiled, and compiled
        again = lw.Explainer(compiled).explain(x, 1)
        assert again.steps == plain.steps and torch.equal(again.relevance, plain.relevance)
        with torch.no_grad():
            compiled(x)
