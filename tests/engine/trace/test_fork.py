"""A fork of the memo, and an explanation aside: what is learned there, the first one does not hear of."""

from __future__ import annotations

from typing import Any

import torch

import lrp_widgets as lw
from lrp_widgets.engine.trace.memo import Memo
from tests.engine.trace.memo_cases import straight


def never(*_: Any) -> Any:
    raise AssertionError("This was known.")


def test_a_fork_knows_what_the_memo_knew_and_keeps_to_itself_what_it_learns() -> None:
    memo = Memo()
    memo("a", lambda x: x + 1, 1)
    fork = memo.fork()
    assert fork("a", never, 1) == 2 and fork.computed == 0
    assert fork("a", lambda x: 10 * x, 5) == 50
    assert fork("b", lambda: "new") == "new"
    assert memo("a", never, 1) == 2
    assert (len(memo), len(fork)) == (1, 2)
    memo.clear()
    assert fork("b", never) == "new"


def test_after_an_explanation_aside_the_next_one_begins_where_the_last_one_stood() -> None:
    explainer, x = lw.Explainer(straight()), torch.rand(1, 1, 6, 6)
    one, other = lw.LRP(lw.alpha_beta(2.0)), lw.LRP(lw.epsilon(0.1))
    first = explainer.explain(x, 1, one)
    aside = explainer.explain(x, 1, other, aside=True)
    assert aside.recomputed > 0
    again = explainer.explain(x, 1, one)
    assert again.recomputed == 0 and torch.equal(again.relevance, first.relevance)
    assert torch.equal(aside.relevance, lw.Explainer(explainer.model).explain(x, 1, other).relevance)
