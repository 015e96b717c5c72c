"""Attention in one op against its parts, with learned queries or values, and masks of −∞."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import lrp_widgets as lw
from tests.engine.networks.running import propagated, recorded

ROWS, LENGTH, WIDTH = 2, 4, 3


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


CAUSAL = torch.zeros(LENGTH, LENGTH).double().masked_fill(~torch.ones(LENGTH, LENGTH).tril().bool(), -torch.inf)
LEARNED = numbers(LENGTH, WIDTH, seed=9).expand(ROWS, 1, -1, -1)
MASKS = {"all": torch.zeros_like(CAUSAL), "causal": CAUSAL, "weighed": numbers(LENGTH, LENGTH, seed=5)}


def in_one(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, mask)


def in_parts(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return ((q @ k.mT) / WIDTH**0.5 + mask).softmax(-1) @ v


def network(attend: Callable[..., Tensor], mask: Tensor, learned: str) -> Callable[[Tensor], Tensor]:
    """Queries, keys and values made from x, but for those that are learned."""

    def run(x: Tensor) -> Tensor:
        made = (
            LEARNED if name in learned else F.linear(x, numbers(WIDTH, WIDTH, seed=i)) for i, name in enumerate("qkv")
        )
        return attend(*made, mask).flatten(1)

    return run


@pytest.mark.parametrize("option", ["AttnLRP", "held constant"])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("learned", ["", "q", "k", "v", "kv", "qk", "qv"])
def test_one_op_is_its_parts(learned: str, mask: str, option: str):
    x = numbers(ROWS, 1, LENGTH, WIDTH, seed=7)
    composite = lw.Composite(entries=(lw.Entry(lw.rules.Zero()),), attention=option)
    relevance = []
    for attend in (in_one, in_parts):
        tape = recorded(network(attend, MASKS[mask], learned), x)
        relevance.append(propagated(tape, composite, numbers(*tape.scores.shape, seed=8))[0])
    size = float(relevance[1].abs().max())
    assert size > 0
    torch.testing.assert_close(*relevance, rtol=0, atol=1e-6 * size)  # the softmax alone takes 1e-9 to its denominators


@pytest.mark.parametrize("rule", [lw.rules.Zero(), lw.rules.Epsilon(), lw.rules.AlphaBeta(), lw.rules.Gamma()], ids=str)
def test_what_a_mask_cuts_off_keeps_nothing(rule: lw.rules.Rule):
    attention = nn.MultiheadAttention(WIDTH, 1, batch_first=True).double().eval()
    cut = torch.tensor([0.0, -torch.inf, 0.0]).double()
    programs: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda x: attention(x, x, x, attn_mask=CAUSAL)[0].flatten(1),  # baddbmm with the mask as its summand
        network(in_parts, CAUSAL, "q"),
        lambda x: (F.linear(x, numbers(WIDTH, WIDTH)) + cut).softmax(-1).flatten(1),  # like the bias of a layer
    )
    for program in programs:
        x = numbers(ROWS, LENGTH, WIDTH) if program is not programs[1] else numbers(ROWS, 1, LENGTH, WIDTH)
        tape = recorded(program, x)
        relevance, passed = propagated(tape, rule, numbers(*tape.scores.shape))
        assert bool(torch.isfinite(relevance).all())
        assert all(line.closes for line in passed.ledger)
        assert all(bool(torch.isfinite(amount).all()) for line in passed.ledger for amount in line.absorbed.values())


def test_a_product_of_two_attentions_is_shared_where_attention_is_held_constant():
    def program(x: Tensor) -> Tensor:
        return (x.softmax(-1) @ x.mT.softmax(-1)).flatten(1)

    tape = recorded(program, numbers(ROWS, LENGTH, WIDTH))
    held, explained = (
        propagated(tape, lw.Composite(entries=(lw.Entry(lw.rules.Zero()),), attention=option), tape.scores)
        for option in ("held constant", "AttnLRP")
    )
    assert all(line.closes for line in held[1].ledger)
    torch.testing.assert_close(held[0], explained[0])
