"""Gradients at changed copies of an input that holds tokens or several tensors: where they are taken, and in batches.

A token cannot be changed a little; what is found for it, its embedding, can.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.engine.propagation.explainer import Explainer, check_scores, telling_of_tokens
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.trace.inputs import Inputs, floating
from lrp_widgets.engine.trace.step import flat_tensors
from lrp_widgets.engine.trace.tape import telling
from lrp_widgets.methods.copies import NUMBERS, ROWS
from lrp_widgets.methods.gradient import Gradient
from lrp_widgets.methods.lookups import Lookups
from lrp_widgets.methods.question import Question, go_on

__all__ = ["Noisy", "Straight", "at_once", "gradients", "score_at"]

WIDE = 768  # numbers that an embedding may have: how many copies fit into memory is reckoned with it


class Copies:
    """Several copies of an input in one batch, one whole after the other; `shares` says where each of them is.

    tensors, found: what a method gets in place of a tensor and of what tokens look up, see Gradient.changed.
    """

    def __init__(self, inputs: Inputs, shares: Sequence[Any]) -> None:
        self.single, self.shares = inputs, shares
        tensors = inputs.tensors
        if len(shares) > 1:
            tensors = tuple(tensor.repeat(len(shares), *(1 for _ in tensor.shape[1:])) for tensor in tensors)
        self.inputs = Inputs(inputs.like(tensors), tensors, inputs._template)

    def tensors(self, number: int, x: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def found(self, found: Tensor, tensor: Tensor, position: Tensor, other: Any) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def copy_and_row(self, tensor: Tensor, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of each number that was looked up: its copy, its row in the batch, and its place within the row."""
        numels = torch.tensor([t.numel() for t in self.single.tensors])
        lengths = torch.tensor([max(1, len(t)) if len(t) == self.single.rows else 1 for t in self.single.tensors])
        numel = numels[tensor.clamp(min=0)]
        width = numel // lengths[tensor.clamp(min=0)]
        position = position.clamp(min=0)
        return position // numel, position // width, position % width


class Straight(Copies):
    """Copies on the straight way from a baseline to the input, at shares t of it.

    baseline: a number in place of each number of the input and of each embedding.  token: whose embedding the way of
    tokens begins at, None for one that is all `baseline`.
    """

    def __init__(self, inputs: Inputs, shares: Sequence[float], baseline: float, token: int | None) -> None:
        super().__init__(inputs, shares)
        self.baseline, self.token = baseline, token

    def tensors(self, number: int, x: Tensor) -> tuple[Tensor, Tensor]:
        start = torch.full_like(x, self.baseline)
        shares = torch.tensor(self.shares, dtype=x.dtype, device=x.device)
        shares = shares.repeat_interleave(len(x) // len(shares)).reshape(-1, *(1 for _ in x.shape[1:]))
        return start + shares * (x - start), x - start

    def found(self, found: Tensor, tensor: Tensor, position: Tensor, other: Any) -> tuple[Tensor, Tensor]:
        start = torch.full_like(found, self.baseline) if self.token is None else other(self.token).to(found)
        copy, _, _ = self.copy_and_row(tensor, position)
        share = torch.tensor(self.shares, dtype=found.dtype)[copy]
        share = torch.where(tensor >= 0, share, 1).to(found.device)[..., None]
        return start + share * (found - start), found - start


class Noisy(Copies):
    """Copies with Gaussian noise, its width a share of max − min of each row; the same noise for every row.

    shares: the number of each copy, which chooses its noise.
    """

    def __init__(self, inputs: Inputs, shares: Sequence[int], noise: float, seed: int) -> None:
        super().__init__(inputs, shares)
        self.noise, self.seed, self._lookups = noise, seed, 0

    def _draw(self, what: str, copy: int, shape: Sequence[int]) -> Tensor:
        draw = torch.Generator().manual_seed(zlib.crc32(repr((self.seed, what, copy)).encode()))
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    def tensors(self, number: int, x: Tensor) -> tuple[Tensor, Tensor]:
        draws = torch.stack([self._draw(f"tensor {number}", copy, x.shape[1:]) for copy in self.shares])
        rows = x.reshape(len(x), -1)
        width = (rows.amax(1) - rows.amin(1)).reshape(-1, *(1 for _ in x.shape[1:]))
        noisy = x + self.noise * width * draws.repeat_interleave(len(x) // len(draws), 0).to(x)
        return noisy, noisy

    def found(self, found: Tensor, tensor: Tensor, position: Tensor, other: Any) -> tuple[Tensor, Tensor]:
        copy, row, place = self.copy_and_row(tensor, position)
        self._lookups += 1
        size = int(place.max()) + 1
        draws = torch.stack([self._draw(f"lookup {self._lookups}", c, (size, found.shape[-1])) for c in self.shares])
        rows = int(row.max()) + 1
        ends = []
        for reduce, values in (("amax", found.amax(-1)), ("amin", found.amin(-1))):
            into = torch.zeros(rows, dtype=found.dtype)
            ends.append(into.scatter_reduce(0, row.flatten(), values.flatten().cpu(), reduce, include_self=False))
        width = (ends[0] - ends[1])[row] * (tensor >= 0)
        noisy = found + self.noise * width[..., None].to(found) * draws[copy, place].to(found)
        return noisy, noisy


def at_once(question: Question) -> int:
    """How many copies of the input fit into one batch; one where a tensor of it does not begin with the batch."""
    inputs = question.inputs
    if any(len(tensor) != inputs.rows for tensor in inputs.tensors):
        return 1
    numbers = sum(tensor.numel() * (1 if floating(tensor) else WIDE) for tensor in inputs.tensors)
    return max(1, min(ROWS // inputs.rows, NUMBERS // numbers))


def gradients(
    method: Gradient,
    explainer: Explainer,
    question: Question,
    copies: Callable[[Sequence[Any]], Copies],
    shares: Sequence[Any],
    abandoned: Callable[[], bool],
) -> tuple[list[list[Tensor]], tuple[str, ...]]:
    """For each copy the relevance of each tensor of the input, at least in single precision; and the notes."""
    parts: list[list[Tensor]] = []
    notes: dict[str, None] = {}
    fit = at_once(question)
    for start in range(0, len(shares), fit):
        go_on(abandoned)
        some = copies(shares[start : start + fit])
        target = question.times(len(some.shares))
        explanation: Explanation = method.changed(explainer, some.inputs, target, some.tensors, some.found)
        notes |= dict.fromkeys(explanation.notes)
        together = [
            each.to(torch.promote_types(each.dtype, torch.float32)).chunk(len(some.shares))
            for each in flat_tensors(explanation.relevance)
        ]
        parts += [list(each) for each in zip(*together, strict=True)]
    return parts, tuple(notes)


def score_at(explainer: Explainer, question: Question, copies: Copies) -> Tensor:
    """f at changed copies: one number a row."""
    inputs = copies.inputs
    with torch.no_grad(), telling_of_tokens(explainer.model, inputs):
        tensors = [
            copies.tensors(number, tensor)[0].clone() if floating(tensor) else tensor.clone()
            for number, tensor in enumerate(inputs.tensors)
        ]
        with telling(explainer.model, inputs), Lookups(tensors, copies.found):
            result = inputs.call(explainer.model, tensors)
        scores = explainer.select(result)
    check_scores(scores)
    return question.f(scores)
