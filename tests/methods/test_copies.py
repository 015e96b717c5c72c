"""What methods that take many passes share: they can be stopped, they batch, and refuse what they cannot alter."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.methods import METHODS, WRAPPERS, Method, copies

EVERYONE = [kind() for kind in (*METHODS, *WRAPPERS)]
AT_ONCE = (lw.Gradient, lw.Chance)  # one pass, and nothing between to stop at
IN_PARTS = [method for method in EVERYONE if not isinstance(method, AT_ONCE)]
ALTERING = [lw.SmoothGrad(), lw.IntegratedGradients(), lw.Occlusion(), lw.Smoothed(lw.LRP()), lw.Translated()]


def named(methods: list[Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("method", methods, ids=lambda method: type(method).__name__)


def network() -> nn.Module:
    torch.manual_seed(3)
    layers = nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)
    return nn.Sequential(*layers).double().eval()


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(4)
    return torch.rand(2, 1, 8, 8).double()


class Counting(nn.Module):
    """Counts the rows of every batch that a network sees."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.seen = network(), []
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(len(x))
        return self.inner(x)


@named(IN_PARTS)
@pytest.mark.parametrize("times", [0, 1])
def test_what_is_abandoned_ends_and_leaves_all_right(method: Method, times: int, x: Tensor) -> None:
    explainer, asked = lw.Explainer(network()), []

    def later() -> bool:
        asked.append(1)
        return len(asked) > times

    with pytest.raises(Abandoned):
        explainer.explain(x, 1, method, abandoned=later)
    expected = lw.Explainer(network()).explain(x, 1, method).relevance
    assert torch.equal(explainer.explain(x, 1, method).relevance, expected)


@named(ALTERING)
def test_nothing_is_computed_after_it_was_abandoned(method: Method, x: Tensor, monkeypatch: Any) -> None:
    monkeypatch.setattr(copies, "ROWS", 4)
    model, asked = Counting(), []
    with pytest.raises(Abandoned):
        lw.Explainer(model).explain(x, 1, method, abandoned=lambda: asked.append(1) or len(asked) > 3)
    assert len(model.seen) <= 1 + 4  # the question, and a batch for each time that it was told to go on


@named(ALTERING)
@pytest.mark.parametrize("rows", [1, 6, 1000])
def test_how_many_copies_a_batch_takes_changes_nothing(method: Method, rows: int, x: Tensor, monkeypatch: Any) -> None:
    expected = lw.Explainer(network()).explain(x, None, method).relevance
    monkeypatch.setattr(copies, "ROWS", rows)
    model = Counting()
    got = lw.Explainer(model).explain(x, None, method).relevance
    assert torch.allclose(got, expected, rtol=1e-12, atol=1e-14)
    assert max(model.seen) <= max(rows, len(x))  # one batch of the caller's is the least


@named(ALTERING)
def test_large_inputs_go_in_small_batches(method: Method, x: Tensor, monkeypatch: Any) -> None:
    expected = lw.Explainer(network()).explain(x, None, method).relevance
    monkeypatch.setattr(copies, "NUMBERS", 5 * x[0].numel())
    model = Counting()
    got = lw.Explainer(model).explain(x, None, method).relevance
    assert torch.allclose(got, expected, rtol=1e-12, atol=1e-14)
    assert max(model.seen) == 4  # two copies of two rows


@named(ALTERING)
def test_the_class_is_that_of_the_input_and_not_of_its_copies(method: Method) -> None:
    """Class 1 wins at the input alone: zeros, noise and shifts are class 0's."""

    class Brittle(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            same = (x - FIRST).abs().flatten(1).sum(1, keepdim=True)
            return torch.cat([same, 1e-9 - same], 1)

    explainer = lw.Explainer(Brittle())
    explanation = explainer.explain(FIRST.clone(), None, method)
    assert explanation.target == (1,) and bool(explanation.relevance.any())
    assert torch.equal(explanation.relevance, explainer.explain(FIRST.clone(), 1, method).relevance)
    assert not torch.equal(explanation.relevance, explainer.explain(FIRST.clone(), 0, method).relevance)


FIRST = torch.linspace(0, 1, 16).double().reshape(1, 1, 4, 4)


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.out = nn.Embedding(9, 4), nn.Linear(4, 2)

    def forward(self, ids: Tensor, scale: Tensor | None = None) -> Tensor:
        words = self.words(ids) if scale is None else self.words(ids) * scale[..., None]
        return self.out(words.relu().mean(1))


@named([lw.Translated(), lw.Smoothed(lw.LRP()), lw.GradCAM(), lw.GuidedGradCAM()])
def test_what_cannot_be_altered_is_refused(method: Method) -> None:
    ids, said = torch.tensor([[1, 2, 3]]), f"The input of {type(method).__name__} must be one floating-point tensor"
    instead = r"Explain it with lw\.LRP\(…\), lw\.Gradient\(\) or lw\.GuidedBackprop\(\)\.$"
    for given, got in (
        (ids, r"whole numbers \(torch\.int64\)"),
        ((ids, torch.ones(1, 3)), "a tuple"),
        ({"ids": ids, "scale": torch.ones(1, 3)}, "a dict"),
    ):
        with pytest.raises(TypeError, match=rf"^{said}, which it alters, got {got}\. {instead}"):
            lw.Explainer(Words().eval()).explain(given, 0, method)
