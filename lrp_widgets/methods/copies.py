"""Altered copies of an input, as many in a batch as fit: how they are explained and scored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.engine.propagation.explainer import Explainer, check_scores
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.methods.question import Question, go_on

__all__ = ["CopyRelevance", "check_runs", "mean_of", "relevance_of", "runs_of", "score_of"]

# Of a batch, so that memory stays that of a batch however many copies there are, and however large they are.
ROWS = 64
NUMBERS = 8 * 3 * 224 * 224  # eight photographs: with 64 a small MobileNet took a gigabyte, VGG16 would take ten

MOST_RUNS = 1_000_000  # of the network for one explanation, by methods within methods
CopyRelevance = tuple[Tensor, Explanation]


def runs_of(method: Any) -> int:
    """How many runs of the network one explanation by a method takes: its `runs`, or 1."""
    return getattr(method, "runs", 1)


def check_runs(method: Any) -> None:
    """Raise ValueError where methods within a method multiply to more runs than anybody waits for."""
    if method.runs > MOST_RUNS:
        raise ValueError(
            f"{type(method).__name__} must take at most {MOST_RUNS} runs of the network, got {method.runs} with the "
            "methods within it. Take fewer samples, steps or shifts."
        )


def relevance_of(
    method: Any, explainer: Explainer, copies: Iterable[Tensor], question: Question, abandoned: Callable[[], bool]
) -> Iterator[CopyRelevance]:
    """The relevance of each copy, in order, and the explanation that it is a part of. At least single precision."""
    for batch in _batches(copies, question, abandoned):
        explanation = method.relevance(explainer, torch.cat(batch), question.times(len(batch)), abandoned)
        together: Tensor = explanation.relevance
        wide = torch.promote_types(together.dtype, torch.float32)  # to add up in
        for relevance in together.chunk(len(batch)):
            yield relevance.to(wide), explanation


def score_of(
    explainer: Explainer, copies: Iterable[Tensor], question: Question, abandoned: Callable[[], bool], of: int = 0
) -> Iterator[Tensor]:
    """f of each copy, in order: one number a row.

    of: which tensor of the input the copies are of; the others stay as they are.
    """
    inputs = question.inputs
    alone = any(len(tensor) != inputs.rows for tensor in inputs.tensors)
    for batch in _batches(copies, question, abandoned, alone):
        tensors = [torch.cat([tensor] * len(batch)) if len(batch) > 1 else tensor for tensor in inputs.tensors]
        tensors[of] = torch.cat(batch)
        scores = explainer.scores(inputs.like(tensors))
        check_scores(scores)
        yield from question.f(scores.detach()).chunk(len(batch))


def mean_of(method: Any, question: Question, parts: Iterable[CopyRelevance]) -> Explanation:
    """The mean over the copies, as one explanation; it names the steps that were approximated in any of them."""
    total, count, dtype = torch.zeros(()), 0, question.scores.dtype
    approximated: dict[str, None] = {}
    for relevance, explanation in parts:
        total, count, dtype = relevance + total.to(relevance), count + 1, explanation.relevance.dtype
        approximated |= dict.fromkeys(explanation.fallbacks)
    return question.explanation(method, (total / count).to(dtype), fallbacks=tuple(approximated))


def _batches(
    copies: Iterable[Tensor], question: Question, abandoned: Callable[[], bool], alone: bool = False
) -> Iterator[list[Tensor]]:
    left = iter(copies)
    go_on(abandoned)
    if (first := next(left, None)) is None:
        return
    fit = 1 if alone else max(1, min(ROWS // len(question.scores), NUMBERS // first.numel()))
    left = chain((first,), left)
    while batch := list(islice(left, fit)):
        yield batch
        go_on(abandoned)
