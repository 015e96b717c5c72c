"""Attention takes many ways through torch: each is explained as its parts are, padded, held constant, in bfloat16."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

import lrp_widgets as lw

Way = Callable[[Tensor, Tensor, Tensor], Tensor]
X = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
CAUSAL = torch.ones(3, 3).tril().bool()


class Attention(nn.Module):
    """One head over three positions; `held` weights stand in for its own where they are handed in."""

    def __init__(self, way: Way) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.q, self.k, self.v = (nn.Linear(4, 4, bias=False, dtype=torch.float64) for _ in range(3))
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        return self.way(self.q(x), self.k(x), self.v(x)).sum(1)


def spelled(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT / 2).softmax(-1) @ v


def by_hand(weights: Callable[[Tensor], Tensor]) -> Way:
    return lambda q, k, v: weights(q @ k.mT / 2) @ v


def math_backend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    with sdpa_kernel(SDPBackend.MATH):
        return functional.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]


def strongest_two(logits: Tensor) -> Tensor:
    weights = logits.softmax(-1)
    strongest, at = weights.topk(2, -1)
    kept = torch.zeros_like(weights).scatter(-1, at, strongest)
    return kept / kept.sum(-1, keepdim=True)


def renormalized(logits: Tensor) -> Tensor:
    weights = logits.softmax(-1) * CAUSAL
    return weights / weights.sum(-1, keepdim=True)


WAYS: dict[str, Way] = {
    "spelled": spelled,
    "fused, four axes": lambda q, k, v: functional.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[
        :, 0
    ],
    "fused, three axes": functional.scaled_dot_product_attention,
    "the math backend": math_backend,
    "values of another width": lambda q, k, v: functional.scaled_dot_product_attention(
        q[:, None], k[:, None], v[:, None, :, :3]
    )[:, 0],
    "masked by hand": by_hand(lambda a: a.masked_fill(~CAUSAL, -torch.inf).softmax(-1)),
    "masked by a number": by_hand(lambda a: a.masked_fill(~CAUSAL, -1e9).softmax(-1)),
    "the strongest two": by_hand(strongest_two),
    "masked afterwards, renormalized": by_hand(renormalized),
    "exp and sum": by_hand(lambda a: a.exp() / a.exp().sum(-1, keepdim=True)),
    "with dropout that is off": by_hand(lambda a: functional.dropout(a.softmax(-1), 0.5, False)),
}


@pytest.mark.parametrize("name", WAYS)
def test_weights_held_constant_leave_all_to_the_values(name: str) -> None:
    """The same as a network in which the weights of this input are constants."""
    model = Attention(WAYS[name])
    explanation = lw.Explainer(model).explain(X, 0, lw.LRP(lw.epsilon(epsilon=0, attention="held constant")))
    q, k = model.q(X).detach(), model.k(X).detach()
    held = Attention(lambda _q, _k, v: WAYS[name](q, k, v))
    expected = lw.Explainer(held).explain(X, 0, lw.LRP(lw.epsilon(epsilon=0)))
    torch.testing.assert_close(explanation.relevance, expected.relevance)
    torch.testing.assert_close(explanation.total, explanation.explained)


@pytest.mark.parametrize("name", ["fused, four axes", "fused, three axes", "the math backend"])
def test_every_way_is_explained_as_its_parts(name: str) -> None:
    method = lw.LRP(lw.epsilon(epsilon=0))
    expected = lw.Explainer(Attention(spelled)).explain(X, 0, method)
    got = lw.Explainer(Attention(WAYS[name])).explain(X, 0, method)
    torch.testing.assert_close(got.relevance, expected.relevance)


@pytest.mark.parametrize("kind", ["bool", "−∞", "the lowest number"])
def test_a_row_that_is_masked_as_a_whole(kind: str) -> None:
    """Left padding: the first query of the second row sees nothing. Its weights are 0 (or even), and nothing is NaN."""
    seen = torch.tensor([[[True, True, True]] * 3, [[False, False, True]] * 3])
    seen[1, 0] = False
    low = -torch.inf if kind == "−∞" else torch.finfo(torch.float64).min
    mask = seen if kind == "bool" else torch.zeros(2, 3, 3, dtype=torch.float64).masked_fill(~seen, low)

    def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = functional.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None], attn_mask=mask[:, None])[:, 0]
        return out.nan_to_num()

    explanation = lw.Explainer(Attention(fused)).explain(X, 0, lw.LRP(lw.epsilon(epsilon=0)))
    assert bool(explanation.relevance.isfinite().all()) and explanation.notes == ()
    kept = sum(explanation.absorbed.values(), torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(explanation.total + kept, explanation.explained)
    assert all(line.closes for line in explanation.layers)


def test_bfloat16_closes() -> None:
    """Its softmax keeps more than the rounding of eight bits, and less than sixteen times of that."""
    for seed in range(5):
        torch.manual_seed(seed)
        model = Attention(functional.scaled_dot_product_attention).bfloat16()
        explanation = lw.Explainer(model).explain(torch.randn(2, 6, 4).bfloat16(), 0, lw.LRP(lw.epsilon(epsilon=0)))
        assert all(line.closes for line in explanation.layers)
