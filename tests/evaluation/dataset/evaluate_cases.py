"""What the tests of evaluate() measure, in a file that other processes can import."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.evaluation.continuity.neighbourhoods import Translation

COUNT = 7


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3)
    return nn.Sequential(*layers).eval()


def samples(count: int = COUNT, seed: int = 0) -> lw.Samples:
    inputs = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    return lw.Samples(inputs, [i % 3 for i in range(count)])


METHODS = {"sensitivity": lw.Sensitivity(), "smooth": lw.SmoothGrad(samples=3), "LRP": lw.LRP(lw.epsilon())}


@dataclass(frozen=True)
class Drawn:
    """A number that is drawn."""

    def measure(self, explainer: Any, x: Any, target: Any, explanation: Any) -> float:
        return float(torch.rand(()))


@dataclass(frozen=True)
class Largest:
    """max R of each row of a batch, after some seconds."""

    seconds: float = 0.0
    batched = True

    def measure(self, explainer: Any, x: Any, target: Any, explanation: Any) -> Any:
        time.sleep(self.seconds)
        return explanation.relevance.reshape(len(x), -1).amax(1)


@dataclass(frozen=True)
class Brittle:
    """Raises where the first pixel is above a limit."""

    limit: float

    def measure(self, explainer: Any, x: Any, target: Any, explanation: Any) -> float:
        if float(x.flatten()[0]) > self.limit:
            raise ArithmeticError("too bright")
        return 0.0


@dataclass(frozen=True)
class Deadly:
    """Ends the process that measures the sample of this target, if that is not `survivor` and `mark` is not there."""

    mark: str
    survivor: int
    always: bool = False

    def measure(self, explainer: Any, x: Any, target: Any, explanation: Any) -> float:
        if target == (2,) and os.getpid() != self.survivor and (self.always or not Path(self.mark).exists()):
            Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return float(explanation.relevance.sum())


METRICS = {
    "selectivity": lw.metrics.Selectivity(patch=2),
    "again": lw.metrics.Selectivity(patch=4, ranking="again"),
    "continuity": lw.metrics.Continuity(Translation(reach=1.0)),
    "sparsity": lw.metrics.Sparsity(),
    "drawn": Drawn(),
    "largest": Largest(),
}


def evaluate(metrics: Any = None, methods: Any = None, **more: Any) -> lw.Table:
    """The case, in batches of three."""
    how = {"batch": 3, "progress": False, "seed": 1} | more
    data = how.pop("samples", None) or samples()
    return lw.evaluate(how.pop("model", None) or network(), data, methods or METHODS, metrics or METRICS, **how)


@cache
def whole() -> lw.Table:
    """All of it, in one go."""
    return evaluate()


if __name__ == "__main__":  # slowly, to be killed
    evaluate({**METRICS, "slow": Largest(0.3)}, store=sys.argv[1])
