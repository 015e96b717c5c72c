"""Models that draw random numbers where they answer: the same draw each time, and a note."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import lrp_widgets as lw
from lrp_widgets.engine.trace.draws import state_of

X = torch.rand(2, 4, generator=torch.Generator().manual_seed(0))


class Model(nn.Module):
    def __init__(self, way: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 3)
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.way(x))


DRAWS: dict[str, Callable[[Tensor], Tensor]] = {
    "dropout left on": lambda x: functional.dropout(x, 0.5, True),
    "a sample": lambda x: x + torch.randn_like(x) * x,
    "a sample of its own": lambda x: x + torch.randn(x.shape),
    "numpy": lambda x: x * np.random.rand(),
    "Python": lambda x: x * random.random(),
    "a choice": lambda x: x * torch.bernoulli(torch.full_like(x, 0.5)),
    "attention with dropout": lambda x: functional.scaled_dot_product_attention(
        x[:, None, :, None], x[:, None, :, None], x[:, None, :, None], dropout_p=0.5
    )[:, 0, :, 0],
}


@pytest.mark.parametrize("how", DRAWS)
def test_one_draw_is_explained_again_and_again(how: str) -> None:
    explainer = lw.Explainer(Model(DRAWS[how]).eval())
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    explanation = explainer.explain(X, 0, lw.LRP(lw.epsilon()))
    (note,) = explanation.notes
    assert note.startswith("The model itself draws random numbers in evaluation mode: one draw is explained")
    torch.testing.assert_close(explainer.scores(X), explanation.scores)
    torch.testing.assert_close(explainer.scores(X), explanation.scores)
    again = lw.Explainer(explainer.model).explain(X, 0, lw.LRP(lw.epsilon()))
    torch.testing.assert_close(again.relevance, explanation.relevance)
    explainer.forget()
    explainer.explain(X, 0)
    state, of_python, of_numpy = torch.get_rng_state(), random.getstate(), np.random.get_state()[2]
    explainer.scores(X)
    assert random.getstate() == of_python and np.random.get_state()[2] == of_numpy
    assert torch.equal(state, torch.get_rng_state())  # what others draw is left as it was
    assert expected.shape == (3,)


@pytest.mark.parametrize(
    "way",
    [
        lambda x: functional.dropout(x, 0.5, False),
        lambda x: functional.dropout(x, 0.0, True),
        lambda x: functional.scaled_dot_product_attention(
            x[:, None, :, None], x[:, None, :, None], x[:, None, :, None], dropout_p=0.0
        )[:, 0, :, 0],
    ],
)
def test_what_could_draw_and_does_not_is_explained_without_a_word(way: Callable[[Tensor], Tensor]) -> None:
    for mode in (False, True):
        model = Model(way).train(mode)
        assert lw.Explainer(model).explain(X, 0, lw.LRP(lw.epsilon())).notes == ()


@pytest.mark.parametrize(
    "way",
    [
        lambda x: x + 0 * torch.rand(2, 4),
        lambda x: x * torch.rand(4, generator=torch.Generator().manual_seed(3)),
        lambda x: [torch.randperm(4), x][1],
    ],
)
def test_draws_that_change_no_answer_are_no_matter(way: Callable[[Tensor], Tensor]) -> None:
    explainer = lw.Explainer(Model(way).eval())
    assert explainer.explain(X, 0, lw.LRP(lw.epsilon())).notes == ()
    torch.testing.assert_close(explainer.scores(X), explainer.model(X).detach())


OWN: dict[str, tuple[Any, Callable[[Any, Tensor], Any]]] = {
    "torch": (torch.Generator(), lambda generator, x: torch.rand(x.shape, generator=generator)),
    "numpy": (np.random.default_rng(1), lambda generator, x: float(generator.normal())),
    "numpy, another kind": (np.random.Generator(np.random.MT19937(1)), lambda generator, x: float(generator.random())),
    "numpy, of old": (np.random.RandomState(1), lambda generator, x: float(generator.rand())),
    "Python": (random.Random(1), lambda generator, x: generator.random()),
}


class OwnGenerator(Model):
    """Draws from a random generator that it holds."""

    def __init__(self, how: str) -> None:
        own, draw = OWN[how]
        super().__init__(lambda x: x * draw(self.generator, x))
        self.generator = copy.deepcopy(own) if how != "torch" else torch.Generator().manual_seed(3)


@pytest.mark.parametrize("how", OWN)
def test_a_generator_of_the_models_own_stands_where_it_stood(how: str) -> None:
    model = OwnGenerator(how).eval()
    state = state_of(model.generator)
    explainer = lw.Explainer(model)
    explanation = explainer.explain(X, 0, lw.LRP(lw.epsilon()))
    assert state_of(model.generator) == state
    torch.testing.assert_close(explainer.scores(X), explanation.scores)
    again = lw.Explainer(model).explain(X, 0, lw.LRP(lw.epsilon()))
    torch.testing.assert_close(again.relevance, explanation.relevance)
    assert state_of(model.generator) == state
    assert "draws random numbers" in explanation.notes[0]
