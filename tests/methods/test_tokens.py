"""Gradients, integrated gradients, SmoothGrad, occlusion and flipping on tokens, however they are looked up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.methods.gradient import LOST
from tests.methods.reading import VOCABULARY, WIDTH, Reader, ids_of


def shifted(model: Reader, ids: Tensor) -> Tensor:
    late = ids.new_zeros(ids.shape)
    late[:, 1:] = ids[:, :-1]
    return model.words(late)


def by_code(model: Reader, ids: Tensor) -> Tensor:
    return F.one_hot(ids, VOCABULARY + 5).double() @ model.table


# How tokens are looked up, and the same as what is found for each of them: (…, places) of the source tokens, −1: none.
WAYS: dict[str, tuple[Callable[[Reader, Tensor], Tensor], Callable[[Reader, Tensor], Tensor], list[int]]] = {
    "plain": (lambda m, ids: m.words(ids), lambda m, ids: m.words(ids), [0, 1, 2, 3]),
    "a copy": (lambda m, ids: m.words(ids.clone().contiguous()), lambda m, ids: m.words(ids), [0, 1, 2, 3]),
    "another dtype": (lambda m, ids: m.words(ids.int().long()), lambda m, ids: m.words(ids), [0, 1, 2, 3]),
    "turned": (lambda m, ids: m.words(ids.t()).transpose(0, 1), lambda m, ids: m.words(ids), [0, 1, 2, 3]),
    "flat": (
        lambda m, ids: m.words(ids.reshape(-1)).reshape(*ids.shape, WIDTH),
        lambda m, ids: m.words(ids),
        [0, 1, 2, 3],
    ),
    "a slice": (lambda m, ids: m.words(ids[:, 1:3]), lambda m, ids: m.words(ids)[:, 1:3], [1, 2]),
    "shifted": (shifted, lambda m, ids: m.words(F.pad(ids[:, :-1], (1, 0))), [-1, 0, 1, 2]),
    "with a first one": (
        lambda m, ids: m.words(torch.cat([ids.new_full((len(ids), 1), 7), ids], 1)),
        lambda m, ids: m.words(F.pad(ids, (1, 0), value=7)),
        [-1, 0, 1, 2, 3],
    ),
    "an offset": (lambda m, ids: m.words(ids + 3), lambda m, ids: m.words(ids + 3), [0, 1, 2, 3]),
    "backwards": (lambda m, ids: m.words(ids.flip(1)), lambda m, ids: m.words(ids.flip(1)), [3, 2, 1, 0]),
    "a table": (lambda m, ids: m.table[ids], lambda m, ids: m.table[ids], [0, 1, 2, 3]),
}


def spread(parts: Tensor, places: list[int]) -> Tensor:
    """Sums of what was found to the tokens it was found for."""
    relevance = torch.zeros(len(parts), 4).double()
    for column, place in enumerate(places):
        if place >= 0:
            relevance[:, place] += parts[:, column]
    return relevance


@pytest.mark.parametrize("way", WAYS)
def test_gradients_are_those_of_what_is_found_however_it_is_looked_up(way: str) -> None:
    look, found_of, places = WAYS[way]
    model, ids = Reader(look), ids_of()
    found = found_of(model, ids).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model.above(found)[:, 1].sum(), found)
    explainer = lw.Explainer(model)
    for method, parts in (
        (lw.Gradient(), gradient),
        (lw.SimpleTaylor(), gradient * found),
        (lw.Sensitivity(), gradient**2),
    ):
        got = explainer.explain(ids, 1, method)
        torch.testing.assert_close(got.relevance, spread(parts.sum(-1).detach(), places))
        assert got.notes == ()


@pytest.mark.parametrize("token", [None, 0, 7])
@pytest.mark.parametrize("way", WAYS)
def test_integrated_gradients_are_complete(way: str, token: int | None) -> None:
    look, found_of, places = WAYS[way]
    model, ids = Reader(look), ids_of()
    explanation = lw.Explainer(model).explain(ids, 1, lw.IntegratedGradients(token=token))
    assert explanation.convergence is not None
    assert float(explanation.convergence.abs().max()) < 1e-6
    # By hand, a midpoint sum along the way from the baseline; what comes from no token stays where it is.
    found = found_of(model, ids).detach()
    moving = torch.tensor([float(place >= 0) for place in places]).double()[:, None]
    base = torch.zeros_like(found)
    if token is not None:
        base = (model.table if way == "a table" else model.words.weight)[token].detach().expand_as(found)
    total = torch.zeros_like(found)
    for step in range(400):
        at = (found + moving * ((step + 0.5) / 400 - 1) * (found - base)).requires_grad_()
        total += torch.autograd.grad(model.above(at)[:, 1].sum(), at)[0] / 400
    torch.testing.assert_close(
        explanation.relevance, spread((total * (found - base)).sum(-1), places), rtol=1e-4, atol=1e-5
    )
    begun = "an embedding of 0" if token is None else f"the embedding of token {token}"
    assert f"the way of each token begins at {begun}" in explanation.notes


def test_one_hot_codes_and_bags() -> None:
    """The gradient of a token is the sum over its code, as over an embedding; from zeros it is all at its place."""
    model, ids = Reader(by_code, linear=True), ids_of()
    explainer = lw.Explainer(model)
    integrated = explainer.explain(ids, 2, lw.IntegratedGradients())
    effect = model.table @ (model.out.weight[2] @ model.mix.weight)
    weights = torch.linspace(1, 2, 4).double()
    torch.testing.assert_close(integrated.relevance, (effect[ids] * weights).detach())
    torch.testing.assert_close(
        explainer.explain(ids, 2, lw.Gradient()).relevance, (effect.sum() * weights).expand(2, 4).detach()
    )

    class Bag(nn.Module):
        def __init__(self, mode: str) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.bag, self.out = nn.EmbeddingBag(9, 4, mode=mode), nn.Linear(4, 2)
            self.double().eval()

        def forward(self, ids: Tensor) -> Tensor:
            return self.out(self.bag(ids))

    for mode, share in (("sum", 1.0), ("mean", 0.25)):
        bag = Bag(mode)
        ids = torch.tensor([[1, 4, 2, 8]])
        got = lw.Explainer(bag).explain(ids, 0, lw.SimpleTaylor())
        expected = share * (bag.bag.weight[ids] * bag.out.weight[0]).sum(-1)
        torch.testing.assert_close(got.relevance, expected.detach())
        occluded = lw.Explainer(bag).explain(ids, 0, lw.Occlusion(token=5))
        gone = share * (bag.bag.weight[torch.full_like(ids, 5)] * bag.out.weight[0]).sum(-1)
        torch.testing.assert_close(occluded.relevance, (expected - gone).detach())


def test_what_is_looked_up_by_other_numbers_is_named() -> None:
    """Sums of neighbours are looked up beside the tokens: these have a gradient, the sums are named."""
    model = Reader(lambda m, ids: m.words(ids) + m.words(ids.cumsum(1) % VOCABULARY))
    explanation = lw.Explainer(model).explain(ids_of(), 1, lw.Gradient())
    assert explanation.notes == (LOST,)
    assert bool((explanation.relevance != 0).all())


def test_smoothgrad_of_tokens() -> None:
    """Where the score is linear in the embeddings, noise changes nothing; else it is the mean over noisy embeddings."""
    explainer = lw.Explainer(Reader(WAYS["plain"][0], linear=True))
    plain = explainer.explain(ids_of(), 1, lw.Gradient())
    smooth = explainer.explain(ids_of(), 1, lw.SmoothGrad(samples=5))
    torch.testing.assert_close(smooth.relevance, plain.relevance)
    assert smooth.notes == ("the embeddings of tokens got the noise",)
    explainer = lw.Explainer(Reader(WAYS["plain"][0]))
    few, none = (explainer.explain(ids_of(), 1, lw.SmoothGrad(4, noise)) for noise in (0.3, 0.0))
    torch.testing.assert_close(none.relevance, explainer.explain(ids_of(), 1, lw.Gradient()).relevance)
    assert not torch.allclose(few.relevance, none.relevance)
    assert torch.equal(few.relevance, explainer.explain(ids_of(), 1, lw.SmoothGrad(4, 0.3)).relevance)
    # A row does not depend on its batch, and more samples keep the first ones.
    alone = explainer.explain(ids_of()[1:], 1, lw.SmoothGrad(4, 0.3))
    torch.testing.assert_close(alone.relevance, few.relevance[1:])
    more = explainer.explain(ids_of(), 1, lw.SmoothGrad(200, 0.3)).relevance
    many = explainer.explain(ids_of(), 1, lw.SmoothGrad(200, 0.3, 1)).relevance
    torch.testing.assert_close(more, many, rtol=0.3, atol=0.05)
    taylor = explainer.explain(ids_of(), 1, lw.Smoothed(lw.SimpleTaylor(), noise=0.0))
    torch.testing.assert_close(taylor.relevance, explainer.explain(ids_of(), 1, lw.SimpleTaylor()).relevance)


@pytest.mark.parametrize("way", ["plain", "shifted", "an offset", "a table"])
@pytest.mark.parametrize(
    ("method", "token"), [(lw.Occlusion(), 0), (lw.Occlusion(value=7), 7), (lw.Occlusion(token=3), 3)]
)
def test_occlusion_covers_a_token_by_another(way: str, method: Any, token: int) -> None:
    model, ids = Reader(WAYS[way][0]), ids_of()
    explanation = lw.Explainer(model).explain(ids, 1, method)
    for place in range(4):
        covered = ids.clone()
        covered[:, place] = token
        lost = (model(ids) - model(covered))[:, 1]
        torch.testing.assert_close(explanation.relevance[:, place], lost.detach())
    assert explanation.notes == (f"tokens are covered by token {token}",)


def test_flipping_replaces_tokens() -> None:
    model, ids = Reader(WAYS["plain"][0]), ids_of(1)
    relevance = lw.Explainer(model).explain(ids, 1, lw.Occlusion(token=7)).relevance
    curve = lw.pixel_flipping(model, ids, relevance, 1, patch=1, token=7)
    expected, left = [float(model(ids)[0, 1].detach())], ids.clone()
    for place in relevance[0].argsort(descending=True).tolist():
        left[0, place] = 7
        expected.append(float(model(left)[0, 1].detach()))
    assert curve.values.tolist() == pytest.approx(expected)
    assert curve.removal == "set to the token 7" and curve.of == "patches"
    assert lw.pixel_flipping(model, ids, relevance, 1, patch=1, baseline=7).values.tolist() == pytest.approx(expected)
    again = lw.pixel_flipping(
        model,
        ids,
        relevance,
        1,
        patch=1,
        token=7,
        explain=lambda now: lw.Explainer(model).explain(now, 1, lw.Gradient()).relevance,
    )
    assert again.values[[0, -1]].tolist() == pytest.approx([expected[0], expected[-1]])
