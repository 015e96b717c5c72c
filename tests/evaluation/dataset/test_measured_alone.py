"""Random numbers and threads belong to the process: two threads that measure take turns."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import lrp_widgets as lw
from lrp_widgets.evaluation.dataset import measuring
from lrp_widgets.evaluation.dataset.measuring import Measuring, Number, Piece
from tests.evaluation.dataset.evaluate_cases import network, samples
from tests.waiting import Other, WatchedLock

WANTED = (("pair", (0,)),)
MODEL, INPUTS = network(), samples().inputs  # made once: to make them sets the seed of the process


class Pair:
    """Two numbers that are drawn one after the other; between them something may happen."""

    def __init__(self, between: Any) -> None:
        self.between = between

    def measure(self, explainer: Any, x: Any, target: Any, explanation: Any) -> float:
        first = float(torch.rand(()))
        self.between()
        return first + 10 * float(torch.rand(()))


class Drawing:
    """A method that draws, and between its draws something may happen."""

    def __init__(self, between: Any) -> None:
        self.between = between

    def relevance(self, explainer: Any, x: Any, target: Any, abandoned: Any) -> Any:
        noise = torch.rand_like(x)
        self.between()
        explanation = lw.Gradient().relevance(explainer, x, target, abandoned)
        return explanation.replace(relevance=noise + torch.rand_like(x))


class Sum:
    def measure(self, explainer: Any, x: Any, target: Any, explanation: Any) -> float:
        return float(explanation.relevance.double().sum())


def nothing() -> None:
    pass


def measured(between: Any = nothing, *, explaining: bool = False, sample: int = 0) -> float:
    """The one number of a piece, with something done in the middle of measuring, or of explaining."""
    method = Drawing(between) if explaining else lw.Gradient()
    metric = Sum() if explaining else Pair(between)
    piece = Piece(sample, INPUTS[sample : sample + 1], (0,), "it", WANTED)
    (number,) = Measuring(MODEL, None, {"it": method}, {"pair": metric}, 0).numbers(piece)
    assert isinstance(number, Number)
    return number.value


@pytest.mark.parametrize("explaining", [False, True], ids=["measuring", "explaining"])
def test_who_measures_in_the_middle_of_another_waits(explaining: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [measured(explaining=explaining, sample=sample) for sample in (0, 1)]
    assert alone[0] != alone[1]
    lock = WatchedLock()
    monkeypatch.setattr(measuring, "_ALONE", lock)
    other = Other(lambda: measured(explaining=explaining, sample=1), lock)
    waited: list[bool] = []
    both = [measured(lambda: waited.append(other.had_to_wait()), explaining=explaining), other.end()]
    assert waited == [True]
    assert both == alone


def test_what_is_drawn_meanwhile_by_others_is_put_back() -> None:
    torch.manual_seed(3)
    wanted = torch.rand(4)
    torch.manual_seed(3)
    first = torch.rand(2)
    measured()
    assert torch.equal(torch.cat([first, torch.rand(2)]), wanted)
