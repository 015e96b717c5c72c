"""Chance: the score, shared at random and the same way each time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import lrp_widgets as lw


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).double().eval()


def test_it_shares_the_score_evenly_at_random() -> None:
    x = torch.rand(2, 3, 4).double()
    explanation = lw.Explainer(network()).explain(x, [1, 2], lw.Chance(5))
    share = torch.rand(3, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    f = network()(x).detach()[range(2), [1, 2]]
    torch.testing.assert_close(explanation.relevance, share / share.sum() * f.reshape(2, 1, 1))
    torch.testing.assert_close(explanation.total, f)
    torch.testing.assert_close(
        lw.Explainer(network()).explain(x, lw.contrast(0, 1), lw.Chance()).total, network()(x).detach() @ ONE_AGAINST
    )


ONE_AGAINST = torch.tensor([1.0, -1.0, 0.0]).double()


def test_it_knows_nothing() -> None:
    """The same pattern whatever the input and the class, another one for another seed."""
    explainer = lw.Explainer(network())

    def pattern(x: Tensor, target: int, seed: int) -> Tensor:
        explanation = explainer.explain(x, target, lw.Chance(seed))
        return explanation.relevance[0] / explanation.explained[0]

    one = pattern(torch.rand(1, 3, 4).double(), 0, 0)
    torch.testing.assert_close(pattern(torch.rand(1, 3, 4).double(), 2, 0), one)
    assert not torch.allclose(pattern(torch.rand(1, 3, 4).double(), 0, 1), one)
    patterns = torch.stack([pattern(torch.ones(1, 3, 4).double(), 0, seed) for seed in range(300)])
    torch.testing.assert_close(patterns.mean(0), torch.full((3, 4), 1 / 12).double(), rtol=0.15, atol=0)


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(9, 3)

    def forward(self, ids: Tensor, shift: Tensor, place: Tensor) -> Tensor:
        return self.words(ids).sum(1) + shift + place.sum()


def test_tokens_and_several_tensors_share_the_score() -> None:
    ids, shift, place = torch.tensor([[1, 2], [3, 4]]), torch.rand(2, 3), torch.rand(5)
    model = Words().eval()
    explanation = lw.Explainer(model).explain({"ids": ids, "shift": shift, "place": place}, 1, lw.Chance())
    assert {name: tuple(part.shape) for name, part in explanation.relevance.items()} == {
        "ids": (2, 2),
        "shift": (2, 3),
        "place": (5,),
    }
    assert all(part.dtype == torch.float32 for part in explanation.relevance.values())
    total = sum(float(part.sum()) for part in explanation.relevance.values())
    torch.testing.assert_close(total, float(explanation.explained.sum()), rtol=1e-5, atol=0)
