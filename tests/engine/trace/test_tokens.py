"""Tokens keep their relevance while they are moved, shifted and written, whatever looks something up by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import lrp_widgets as lw
from lrp_widgets.engine.trace.recording_error import RecordingError

TABLE = torch.randn(20, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
IDS = torch.tensor([[3, 4, 5, 6], [7, 3, 3, 2]])
OF = TABLE.sum(1)  # the score of a token: the table's row, added up


class Model(nn.Module):
    def __init__(self, look_up: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.table = nn.Parameter(TABLE.clone(), requires_grad=False)
        self.look_up = look_up

    def forward(self, ids: Tensor) -> Tensor:
        return self.look_up(self, ids).sum(-1, keepdim=True)


def explained(look_up: Callable[[Any, Tensor], Tensor], ids: Tensor = IDS) -> lw.Explanation:
    model = Model(look_up).eval()
    explanation = lw.Explainer(model).explain(ids, 0, lw.LRP(lw.epsilon(epsilon=0)))
    torch.testing.assert_close(explanation.scores, model(ids))
    assert all(line.closes for line in explanation.layers)
    absorbed = sum(explanation.absorbed.values(), torch.zeros(len(ids), dtype=torch.float64))
    torch.testing.assert_close(explanation.total + absorbed, explanation.explained)
    assert explanation.fallbacks == () and explanation.notes == ()
    return explanation


def one_hot_by_hand(m: Any, ids: Tensor) -> Tensor:
    code = torch.zeros(*ids.shape, 20, dtype=m.table.dtype).scatter_(2, ids[..., None], 1.0)
    return (code @ m.table).sum(1)


def shifted(m: Any, ids: Tensor) -> Tensor:
    """As T5 and BART make the input of their decoder."""
    other = ids.new_zeros(ids.shape)
    other[:, 1:] = ids[:, :-1].clone()
    other[:, 0] = 1
    return functional.embedding(other, m.table).sum(1)


LOOKUPS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "an embedding": lambda m, ids: functional.embedding(ids, m.table).sum(1),
    "a table": lambda m, ids: m.table[ids].sum(1),
    "index_select": lambda m, ids: m.table.index_select(0, ids.reshape(-1)).reshape(*ids.shape, 4).sum(1),
    "gather": lambda m, ids: m.table.sum(1).expand(len(ids), 20).gather(1, ids),
    "take": lambda m, ids: m.table.sum(1).take(ids),
    "take_along_dim": lambda m, ids: m.table.sum(1)[None].take_along_dim(ids, 1),
    "one_hot": lambda m, ids: (functional.one_hot(ids, 20).to(m.table.dtype) @ m.table).sum(1),
    "one_hot without a number of classes": lambda m, ids: (
        functional.one_hot(ids).to(m.table.dtype) @ m.table[: int(ids.max()) + 1]
    ).sum(1),
    "a code by hand": one_hot_by_hand,
    "a code by comparison": lambda m, ids: ((ids[..., None] == torch.arange(20)).to(m.table.dtype) @ m.table).sum(1),
    "numbers compared with a code": lambda m, ids: ((torch.arange(20) == ids[..., None]).double() @ m.table).sum(1),
    "a row of the identity": lambda m, ids: (torch.eye(20, dtype=m.table.dtype)[ids] @ m.table).sum(1),
    "a bag": lambda m, ids: functional.embedding_bag(ids, m.table, mode="sum"),
    "a weighted bag": lambda m, ids: functional.embedding_bag(
        ids, m.table, mode="sum", per_sample_weights=torch.ones_like(ids, dtype=m.table.dtype)
    ),
    "an offset and back": lambda m, ids: functional.embedding((ids + 3) - 3, m.table).sum(1),
    "an offset in place": lambda m, ids: functional.embedding(ids.clone().add_(2).sub_(2), m.table).sum(1),
    "a clamp": lambda m, ids: functional.embedding(ids.clamp(0, 19), m.table).sum(1),
    "another dtype": lambda m, ids: functional.embedding(ids.int().long(), m.table).sum(1),
    "a remainder": lambda m, ids: functional.embedding((ids + 20) % 20, m.table).sum(1),
    "a mask that hides nothing": lambda m, ids: functional.embedding(ids.masked_fill(ids < 0, 0), m.table).sum(1),
    "two halves": lambda m, ids: functional.embedding(torch.cat([ids[:, 2:], ids[:, :2]], 1), m.table).sum(1),
}


@pytest.mark.parametrize("how", LOOKUPS)
def test_a_token_has_the_relevance_of_what_it_looks_up(how: str) -> None:
    torch.testing.assert_close(explained(LOOKUPS[how]).relevance, OF[IDS])


def test_a_mean_of_a_bag_shares() -> None:
    got = explained(lambda m, ids: functional.embedding_bag(ids, m.table, mode="mean"))
    torch.testing.assert_close(got.relevance, OF[IDS] / 4)


def test_the_largest_of_a_bag_takes_all() -> None:
    got = explained(lambda m, ids: functional.embedding_bag(ids, m.table, mode="max")).relevance
    rows = TABLE[IDS]
    winners = rows == rows.amax(1, keepdim=True)
    torch.testing.assert_close(got, (rows * winners / winners.sum(1, keepdim=True)).sum(2))


def test_bags_of_unlike_length_with_padding() -> None:
    ids, offsets = torch.tensor([3, 4, 5, 0, 7]), torch.tensor([0, 2])

    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bag = nn.EmbeddingBag.from_pretrained(TABLE, mode="mean", padding_idx=0)

        def forward(self, ids: Tensor, offsets: Tensor) -> Tensor:
            return self.bag(ids, offsets).sum(1, keepdim=True)

    of_ids, of_offsets = lw.Explainer(Bag().eval()).explain((ids, offsets), 0, lw.LRP(lw.epsilon(epsilon=0))).relevance
    torch.testing.assert_close(of_ids, OF[ids] / 2 * torch.tensor([1, 1, 1, 0, 1]))
    assert not of_offsets.any()


def test_a_shift_into_a_buffer() -> None:
    expected = OF[IDS].clone()
    expected[:, -1] = 0
    torch.testing.assert_close(explained(shifted).relevance, expected)


@pytest.mark.parametrize(
    "hide",
    [
        lambda ids: ids.masked_fill(ids == 3, 0),
        lambda ids: torch.where(ids == 3, 0, ids),
        lambda ids: torch.where(ids != 3, ids, torch.zeros_like(ids)),
        lambda ids: ids.index_put(((ids == 3).nonzero(as_tuple=True)), torch.tensor(0)),
        lambda ids: ids.clone().masked_fill_(ids == 3, 0),
    ],
)
def test_a_token_that_is_replaced_has_none(hide: Callable[[Tensor], Tensor]) -> None:
    got = explained(lambda m, ids: functional.embedding(hide(ids), m.table).sum(1))
    torch.testing.assert_close(got.relevance, OF[IDS] * (IDS != 3))
    assert set(got.absorbed) == {"constant"}


def test_tokens_that_are_looked_up_before_they_are_overwritten() -> None:
    """What was read before a write in place is kept: the first bag is of the tokens as they came."""

    def twice(m: Any, ids: Tensor) -> Tensor:
        own = ids.clone()
        first = functional.embedding_bag(own, m.table, mode="sum")
        own.add_(1)
        return first + functional.embedding_bag(own, m.table, mode="sum")

    torch.testing.assert_close(explained(twice).relevance, OF[IDS] + OF[IDS + 1])


def test_two_tokens_that_name_one_entry_share_it() -> None:
    got = explained(lambda m, ids: functional.embedding((ids[:, 1:] * 3 + ids[:, :-1]) % 20, m.table).sum(1))
    pairs = OF[(IDS[:, 1:] * 3 + IDS[:, :-1]) % 20] / 2
    torch.testing.assert_close(got.relevance, functional.pad(pairs, (0, 1)) + functional.pad(pairs, (1, 0)))


def test_a_table_of_two_axes() -> None:
    got = explained(lambda m, ids: m.table[ids[:, :2], ids[:, 2:] % 4])
    looked_up = TABLE[IDS[:, :2], IDS[:, 2:] % 4] / 2
    torch.testing.assert_close(got.relevance, torch.cat([looked_up, looked_up], 1))


ROWS = torch.arange(2)[:, None]
COUNTS: dict[str, Callable[[Tensor], Tensor]] = {
    "scatter_add": lambda ids: torch.zeros(2, 20).double().scatter_add(1, ids, torch.ones(2, 4).double()),
    "index_put": lambda ids: torch.zeros(2, 20).double().index_put((ROWS, ids), torch.tensor(1.0).double(), True),
    "index_add": lambda ids: torch.stack(
        [torch.zeros(20).double().index_add(0, row, torch.full((4,), 0.5).double(), alpha=2) for row in ids]
    ),
    "bincount": lambda ids: torch.stack([row.bincount(minlength=20) for row in ids]).double(),
    "bincount with weights": lambda ids: torch.stack([row.bincount(torch.ones(4).double(), 20) for row in ids]),
}


@pytest.mark.parametrize("how", COUNTS)
def test_counts_of_words(how: str) -> None:
    """A bag of words: a token that stands there twice has its share twice."""
    torch.testing.assert_close(explained(lambda m, ids: COUNTS[how](ids) @ m.table).relevance, OF[IDS])


def test_places_that_are_set_are_shared_by_those_who_name_them() -> None:
    def present(m: Any, ids: Tensor) -> Tensor:
        words = torch.zeros(2, 20, dtype=m.table.dtype)
        words[ROWS, ids] = 1
        return words @ m.table

    times = torch.tensor([[1, 1, 1, 1], [1, 2, 2, 1]])
    torch.testing.assert_close(explained(present).relevance, OF[IDS] / times)


def test_the_weights_of_a_bag_share_with_its_tokens() -> None:
    class Bag(nn.Module):
        def forward(self, ids: Tensor, weights: Tensor) -> Tensor:
            bag = functional.embedding_bag(ids, TABLE, mode="sum", per_sample_weights=weights)
            return bag.sum(1, keepdim=True)

    weights = torch.rand(2, 4, dtype=torch.float64)
    of_ids, of_weights = lw.Explainer(Bag()).explain((IDS, weights), 0, lw.LRP(lw.epsilon(epsilon=0))).relevance
    torch.testing.assert_close(of_ids, OF[IDS] * weights / 2)
    torch.testing.assert_close(of_weights, OF[IDS] * weights / 2)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_a_bag_of_rows_made_from_the_input(mode: Any) -> None:
    class Bag(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return functional.embedding_bag(torch.tensor([[0, 1], [1, 1], [2, 0]]), x, mode=mode).sum(1, keepdim=True)

    x = torch.rand(3, 4, dtype=torch.float64, requires_grad=True)
    explanation = lw.Explainer(Bag()).explain(x.detach(), 0, lw.LRP(lw.epsilon(epsilon=0)))
    torch.testing.assert_close(explanation.relevance, x.detach() * torch.autograd.grad(Bag()(x).sum(), x)[0])
    assert explanation.fallbacks == () and all(line.closes for line in explanation.layers)


def test_a_mask_among_the_inputs_is_no_token() -> None:
    """Whole numbers that say where to look, as an attention mask does, carry nothing."""

    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.e = nn.Embedding.from_pretrained(TABLE)

        def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
            hidden = self.e(ids).masked_fill(mask[..., None] == 0, 0.0)
            hidden = torch.where(mask.bool()[..., None], hidden, 0.0)
            return (hidden * mask[..., None].to(hidden.dtype)).sum((1, 2))[:, None]

    mask = torch.tensor([[1, 1, 0, 1], [0, 1, 1, 1]])
    explanation = lw.Explainer(Masked().eval()).explain((IDS, mask), 0, lw.LRP(lw.epsilon(epsilon=0)))
    torch.testing.assert_close(explanation.relevance[0], OF[IDS] * mask)
    assert not explanation.relevance[1].any()


def test_a_table_made_from_the_input_takes_the_relevance_itself() -> None:
    class Points(nn.Module):
        def forward(self, x: Tensor, at: Tensor) -> Tensor:
            return x[torch.arange(len(x)), at].sum(1, keepdim=True)

    x = torch.rand(2, 5, 3, dtype=torch.float64)
    of_x, of_at = lw.Explainer(Points()).explain((x, torch.tensor([1, 4])), 0, lw.LRP(lw.epsilon(epsilon=0))).relevance
    assert not of_at.any()
    torch.testing.assert_close(of_x.sum((1, 2)), x[torch.arange(2), torch.tensor([1, 4])].sum(1))


def test_tokens_that_are_sorted_keep_their_relevance() -> None:
    by_sort = explained(lambda m, ids: functional.embedding(ids.sort(1).values, m.table).sum(1))
    torch.testing.assert_close(by_sort.relevance, OF[IDS])
    largest = explained(lambda m, ids: functional.embedding(ids.topk(2, 1).values, m.table).sum(1), IDS[:1])
    torch.testing.assert_close(largest.relevance, OF[IDS[:1]] * torch.tensor([[0, 0, 1, 1]]))


@pytest.mark.parametrize(
    ("way", "op"),
    [
        (lambda ids: (ids.double() + 0.5).long(), "_to_copy"),
        (lambda ids: torch.unique(ids)[None], "_unique2"),
        (lambda ids: (ids / 2).round().long(), "div"),
        (lambda ids: ids.cumsum(1) % 20, "cumsum"),
    ],
)
def test_tokens_that_become_other_numbers_are_refused_by_name(way: Callable[[Tensor], Tensor], op: str) -> None:
    with pytest.raises(RecordingError, match=rf"^The model itself makes other numbers of the tokens \({op}\)"):
        lw.Explainer(Model(lambda m, ids: functional.embedding(way(ids), m.table).sum(1)).eval()).explain(IDS, 0)


@pytest.mark.parametrize(
    "numbers", [lambda ids: ids.double(), lambda ids: ids * torch.ones(4, dtype=torch.float64), lambda ids: ids / 2]
)
def test_numbers_of_tokens_beside_an_embedding_are_named(numbers: Callable[[Tensor], Tensor]) -> None:
    model = Model(lambda m, ids: functional.embedding(ids, m.table).sum(1) + numbers(ids).mean(1, keepdim=True)).eval()
    explanation = lw.Explainer(model).explain(IDS, 0, lw.LRP(lw.epsilon(epsilon=0)))
    torch.testing.assert_close(explanation.scores, model(IDS))
    (note,) = explanation.notes
    assert note.startswith("The model itself computes with the numbers of the tokens as such (")


def test_a_mask_of_padding_is_not_named() -> None:
    def masked(m: Any, ids: Tensor) -> Tensor:
        keep = (ids != 3).double()
        return (functional.embedding(ids, m.table) * keep[..., None]).sum(1) / keep.sum(1, keepdim=True)

    assert lw.Explainer(Model(masked).eval()).explain(IDS, 0, lw.LRP(lw.epsilon(epsilon=0))).notes == ()
