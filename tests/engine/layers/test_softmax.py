"""A softmax is explained alike however it is spelled, and what only looks like one is not taken for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import lrp_widgets as lw


def over_an_index(logits: Tensor) -> Tensor:
    """As networks of graphs take it over the edges that end in one node."""
    batch, n, _ = logits.shape
    index = torch.arange(batch * n).repeat_interleave(n)
    source = logits.reshape(-1)
    largest = torch.full((batch * n,), -1e30, dtype=source.dtype).scatter_reduce(0, index, source.detach(), "amax")
    weights = (source - largest[index]).exp()
    sums = torch.zeros(batch * n, dtype=source.dtype).scatter_add(0, index, weights) + 1e-16
    return (weights / sums.index_select(0, index)).reshape(logits.shape)


def exp_and_sum(logits: Tensor) -> Tensor:
    weights = logits.exp()
    return weights / weights.sum(-1, keepdim=True)


SPELLINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "exp and sum": exp_and_sum,
    "exp twice": lambda a: a.exp() / a.exp().sum(-1, keepdim=True),
    "less the largest": lambda a: exp_and_sum(a - a.amax(-1, keepdim=True)),
    "less the largest, detached": lambda a: exp_and_sum(a - a.max(-1, keepdim=True)[0].detach()),
    "a product with 1 over the sum": lambda a: a.exp() * a.exp().sum(-1, keepdim=True).reciprocal(),
    "an expanded sum": lambda a: a.exp() / a.exp().sum(-1)[..., None].expand_as(a),
    "exp of log_softmax": lambda a: a.log_softmax(-1).exp(),
    "less logsumexp": lambda a: (a - a.logsumexp(-1, keepdim=True)).exp(),
    "over an index": over_an_index,
    "a mask that hides nothing, renormalized": lambda a: (
        (p := a.softmax(-1) * torch.ones(3, 3, dtype=a.dtype)) / p.sum(-1, keepdim=True)
    ),
}


class Attention(nn.Module):
    def __init__(self, weights: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.q, self.k, self.v = (nn.Linear(4, 4, bias=False) for _ in range(3))
        self.weights = weights
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return (self.weights(self.q(x) @ self.k(x).mT) @ self.v(x)).sum(1)


X = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
PLAIN = lw.LRP(lw.epsilon(epsilon=0))


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("attention", ["AttnLRP", "held constant"])
def test_every_spelling_is_explained_alike(spelling: str, attention: str) -> None:
    method = lw.LRP(lw.epsilon(epsilon=0, attention=attention))
    expected = lw.Explainer(Attention(lambda a: a.softmax(-1))).explain(X, 0, method)
    got = lw.Explainer(Attention(SPELLINGS[spelling])).explain(X, 0, method)
    torch.testing.assert_close(got.scores, expected.scores)
    torch.testing.assert_close(got.relevance, expected.relevance, rtol=1e-5, atol=1e-8)
    assert all(line.closes for line in got.layers) and got.fallbacks == ()


@pytest.mark.parametrize(
    "spelling",
    [
        lambda a: a.log_softmax(-1),
        lambda a: a - a.logsumexp(-1, keepdim=True),
        lambda a: a - a.exp().sum(-1, keepdim=True).log(),
        lambda a: exp_and_sum(a).log(),
        lambda a: a.softmax(-1).log(),
    ],
)
def test_log_softmax_too(spelling: Callable[[Tensor], Tensor]) -> None:
    x = X.reshape(2, 12)
    expected = lw.Explainer(Map(lambda a: a.log_softmax(-1))).explain(x, 1, PLAIN)
    got = lw.Explainer(Map(spelling)).explain(x, 1, PLAIN)
    torch.testing.assert_close(got.relevance, expected.relevance)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_too(dtype: torch.dtype) -> None:
    steps = lw.Explainer(Attention(SPELLINGS["less the largest"]).to(dtype)).tape(X.to(dtype)).steps
    assert [step.op for step in steps].count("_softmax") == 1


@pytest.mark.parametrize("attention", ["AttnLRP", "held constant"])
def test_a_mean_that_is_divided_at_its_end_is_explained_alike(attention: str) -> None:
    class Late(Attention):
        def forward(self, x: Tensor) -> Tensor:
            logits = self.q(x) @ self.k(x).mT
            weights = (logits - logits.amax(-1, keepdim=True)).exp()
            return ((weights @ self.v(x)) / weights.sum(-1, keepdim=True)).sum(1)

    method = lw.LRP(lw.epsilon(epsilon=0, attention=attention))
    expected = lw.Explainer(Attention(lambda a: a.softmax(-1))).explain(X, 0, method)
    got = lw.Explainer(Late(lambda a: a)).explain(X, 0, method)
    torch.testing.assert_close(got.relevance, expected.relevance, rtol=1e-5, atol=1e-8)
    assert all(line.closes for line in got.layers) and got.fallbacks == ()


@pytest.mark.parametrize("product", ["signal", "half"])
def test_pooling_that_is_divided_at_its_end_too(product: str) -> None:
    class Pool(nn.Module):
        def __init__(self, late: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.logit, self.late = nn.Linear(4, 1, dtype=torch.float64), late

        def forward(self, x: Tensor) -> Tensor:
            logits = self.logit(x)
            return (logits.exp() * x).sum(1) / logits.exp().sum(1) if self.late else (logits.softmax(1) * x).sum(1)

    method = lw.LRP(lw.epsilon(epsilon=0, product=product))
    early, late = (lw.Explainer(Pool(late)).explain(X, 0, method) for late in (False, True))
    torch.testing.assert_close(late.relevance, early.relevance, rtol=1e-5, atol=1e-8)
    assert all(line.closes for line in late.layers)


class Map(nn.Module):
    def __init__(self, way: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(12, 12, dtype=torch.float64)
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        return self.way(self.layer(x))


@pytest.mark.parametrize(
    "way",
    [
        lambda a: a.exp() / (1 + a.exp().sum(-1, keepdim=True)),  # one more logit, which is 0
        lambda a: a.exp() / a.exp().sum(-1, keepdim=True).sqrt(),
        lambda a: a.relu() / (a.relu().sum(-1, keepdim=True) + 1),
        lambda a: a.exp() / a.sum(-1, keepdim=True),
        lambda a: a - a.mean(-1, keepdim=True),
    ],
)
def test_what_only_looks_like_one_is_not_taken_for_it(way: Callable[[Tensor], Tensor]) -> None:
    tape = lw.Explainer(Map(way)).tape(X.reshape(2, 12))
    assert not {step.op for step in tape.steps} & {"_softmax", "_log_softmax"}


def test_the_sum_that_somebody_else_reads_stays() -> None:
    def both(a: Tensor) -> Tensor:
        sums = a.exp().sum(-1, keepdim=True)
        return a.exp() / sums + sums

    explanation = lw.Explainer(Map(both)).explain(X.reshape(2, 12), 0, PLAIN)
    torch.testing.assert_close(explanation.scores, Map(both)(X.reshape(2, 12)).detach())
    assert all(line.closes for line in explanation.layers)


def test_gates_of_a_mixture_of_experts_take_nothing() -> None:
    """The strongest two of a softmax, renormalized, weigh the experts: all relevance goes through these."""

    class Mixture(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.gate = nn.Linear(4, 5, dtype=torch.float64)
            self.experts = nn.ModuleList(nn.Linear(4, 3, bias=False, dtype=torch.float64) for _ in range(5))

        def weights(self, x: Tensor) -> Tensor:
            strongest, at = self.gate(x).softmax(-1).topk(2, -1)
            strongest = strongest / strongest.sum(-1, keepdim=True)
            return torch.zeros(len(x), 5, dtype=x.dtype).scatter(1, at, strongest)

        def forward(self, x: Tensor) -> Tensor:
            answers = torch.stack([expert(x) for expert in self.experts], 1)
            return (answers * self.weights(x)[..., None]).sum(1)

    model, x = Mixture(), X[:, 0]
    explanation = lw.Explainer(model).explain(x, 0, PLAIN)
    weights = model.weights(x).detach()
    rows = torch.stack([expert.weight[0] for expert in model.experts]).detach()
    torch.testing.assert_close(explanation.relevance, x * (weights @ rows))


def test_padded_rows_have_no_part_in_it() -> None:
    logits = torch.randn(2, 3, 4, dtype=torch.float64)
    for low in (-1e4, -1e9, torch.finfo(torch.float64).min):
        mask = torch.zeros(3, 3, dtype=torch.float64)
        mask[1] = low  # a query that sees nothing
        mask[2, 0] = low
        explanation = lw.Explainer(Attention(lambda a, mask=mask: functional.softmax(a + mask, -1))).explain(
            logits, 0, PLAIN
        )
        assert bool(explanation.relevance.isfinite().all())
        assert float(explanation.relevance.abs().max()) < 1e3
        torch.testing.assert_close(explanation.total + sum(explanation.absorbed.values()), explanation.explained)


class Blockwise(nn.Module):
    """Attention over two blocks of keys, one after the other, with the sum kept up to date."""

    def forward(self, x: Tensor) -> Tensor:
        largest, total = torch.full((*x.shape[:2], 1), -1e9, dtype=x.dtype), torch.zeros(*x.shape[:2], 1, dtype=x.dtype)
        weighted = torch.zeros_like(x)
        for block in x.split(2, 1):
            logits = x @ block.transpose(1, 2)
            new = torch.maximum(largest, logits.amax(-1, keepdim=True))
            weights, before = (logits - new).exp(), (largest - new).exp()
            total = total * before + weights.sum(-1, keepdim=True)
            weighted, largest = weighted * before + weights @ block, new
        return (weighted / total).mean(1)


class Way(nn.Module):
    def __init__(self, way: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        return self.way(x)


def softly_pooled(x: Tensor) -> Tensor:
    weights = x.exp()
    return functional.avg_pool1d(x * weights, 2) / functional.avg_pool1d(weights, 2)


def by_its_reciprocal(x: Tensor) -> Tensor:
    weights = x.exp()
    return (x * weights).cumsum(-1) * weights.cumsum(-1).reciprocal()


@pytest.mark.parametrize(
    "model", [Blockwise(), Way(lambda x: softly_pooled(x).flatten(1)), Way(lambda x: by_its_reciprocal(x).flatten(1))]
)
def test_one_that_is_not_recognized_is_named(model: nn.Module) -> None:
    x = torch.randn(2, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    explanation = lw.Explainer(model.eval()).explain(x, 0, lw.LRP(lw.epsilon()))
    (note,) = explanation.notes
    assert note.startswith("The model itself divides exponentials by their sum, as a softmax does, but in steps that")


@pytest.mark.parametrize(
    "way",
    [
        lambda x: x.softmax(-1) @ x.transpose(1, 2),  # recognized
        lambda x: x / (1 + x.square().sum(-1, keepdim=True).sqrt()),  # a norm
        lambda x: x.exp() / (1 + x.abs().sum(-1, keepdim=True)),  # exponentials above alone
        lambda x: (lambda y: (y - y.mean(-1, keepdim=True)) / y.std(-1, keepdim=True))(
            x.exp().relu()
        ),  # a norm of them
    ],
)
def test_other_quotients_are_no_softmax(way: Callable[[Tensor], Tensor]) -> None:
    x = torch.randn(2, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    model = Way(lambda x: way(x).flatten(1)).eval()
    assert lw.Explainer(model).explain(x, 0, lw.LRP(lw.epsilon())).notes == ()
