"""The ledger: what arrives at a step, what it hands on and what it keeps, added up on the way and written at the end.

On the way down only sums are taken, one number a row of the batch, on the device of the relevance. All of them are
fetched and put into lines at the end, because many small calculations take longer than the explanation of a small
network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from lrp_widgets.engine.propagation.explanation import LayerRelevance
from lrp_widgets.engine.propagation.rows import Rows, by_row
from lrp_widgets.engine.rules import Rule
from lrp_widgets.engine.trace.step import Step

__all__ = ["LedgerEntry", "Sums", "lines_of", "sums_of"]


class Sums(NamedTuple):
    """ΣR and Σ|R| of a tensor, one number a row."""

    total: Tensor
    size: Tensor


def sums_of(relevance: Tensor, batch: int, rows: Rows | None) -> Sums:
    """The sums of a tensor whose rows lie as `rows` says."""
    row_sum = partial(by_row, batch=batch, rows=rows)
    return Sums(row_sum(relevance), row_sum(relevance, size=True))


@dataclass(frozen=True, eq=False)
class LedgerEntry:
    """What a line of the ledger is made of: the sums that were taken while the relevance passed.

    arriving: for each output of the step.  handed_on: for each input.  filtered: what filters at its outputs hold back.
    absorbed: what stays in the step, by cause; a cause alone stands for the whole difference.
    eps: of the coarsest dtype that the step works in; eps_arriving: of the dtype of what arrives.
    """

    step: Step
    rule: Rule | None = None
    arriving: tuple[Sums, ...] = ()
    handed_on: tuple[Sums, ...] = ()
    absorbed: dict[str, Tensor] | str = ""
    eps: float = 0.0
    eps_arriving: float = 0.0
    filtered: tuple[Sums, ...] = ()


class _Column:
    """One column of the ledger while it is put together: which of the collected numbers belong to which line."""

    def __init__(self) -> None:
        self.lines: list[int] = []
        self.places: list[int] = []

    def add(self, line: int, place: int) -> None:
        self.lines.append(line)
        self.places.append(place)

    def total(self, numbers: Tensor, count: int) -> Tensor:
        """The sum of each line's numbers: (lines, batch)."""
        zeros = torch.zeros(count, numbers.shape[1], dtype=torch.float64)
        lines, places = (torch.tensor(indices, dtype=torch.long) for indices in (self.lines, self.places))
        return zeros.index_add_(0, lines, numbers[places])


def lines_of(entries: Sequence[LedgerEntry], batch: int) -> tuple[LayerRelevance, ...]:
    """A line for each entry, in their order."""
    numbers: list[Tensor] = []
    arriving, sizes, handed_on, filtered = (_Column() for _ in range(4))
    causes: list[dict[str, int]] = []  # of each line: where the absorbed amounts stand
    for line, entry in enumerate(entries):
        for column, sums in ((arriving, entry.arriving), (filtered, entry.filtered), (handed_on, entry.handed_on)):
            for pair in sums:
                column.add(line, len(numbers))
                if column is not handed_on:
                    sizes.add(line, len(numbers) + 1)
                numbers += pair
        amounts = {} if isinstance(entry.absorbed, str) else entry.absorbed
        causes.append({cause: len(numbers) + place for place, cause in enumerate(amounts)})
        numbers += amounts.values()
    fetched = _fetched(numbers, batch)
    total, passed, back, size = (
        column.total(fetched, len(entries)) for column in (arriving, handed_on, filtered, sizes)
    )
    _spread_mixed_rows(entries, causes, fetched, (total, passed, back, size))
    rest = total - passed
    rounding = torch.tensor([_rounding(entry.eps_arriving) for entry in entries], dtype=torch.float64)[:, None]
    unexplained = (~(rest.abs() <= rounding * size)).any(1).tolist()  # also where it is NaN
    nonzero, held_back = (fetched != 0).any(1).tolist(), (back != 0).any(1).tolist()
    total += back
    positive, negative = (total + size) / 2, (total - size) / 2
    columns = zip(*(t.unbind(0) for t in (total, passed, positive, negative, rest, back)), strict=True)
    lines = []
    for line, (entry, (out, into, plus, minus, missing, cut)) in enumerate(zip(entries, columns, strict=True)):
        absorbed = {cause: fetched[place] for cause, place in causes[line].items() if nonzero[place]}
        if isinstance(entry.absorbed, str) and entry.absorbed and unexplained[line]:
            absorbed[entry.absorbed] = missing
        if held_back[line]:
            absorbed["filter"] = cut
        # A change of dtype is as exact as the coarser of its sides.
        about = {"rule": entry.rule, "tolerance": _tolerance(entry.eps)} if entry.arriving else {"reached": False}
        lines.append(LayerRelevance(entry.step.name, entry.step.op, out, into, plus, minus, absorbed, **about))
    return tuple(lines)


def _spread_mixed_rows(
    entries: Sequence[LedgerEntry], causes: list[dict[str, int]], fetched: Tensor, columns: tuple[Tensor, ...]
) -> None:
    """Where a step carries relevance from one row to another (a graph, attention across the batch), share evenly.

    Such a step hands on what it got in all, and no row by itself does. Its line says of each row the mean of all.
    """
    total, passed, _, size = columns
    batch = total.shape[1]
    if batch == 1:
        return
    kept = torch.zeros_like(total)
    for line, places in enumerate(causes):
        for place in places.values():
            kept[line] += fetched[place]
    rest = total - passed - kept
    tolerance = torch.tensor([_tolerance(entry.eps) for entry in entries], dtype=torch.float64)
    whole = size.sum(1)
    by_row = (rest.abs() > tolerance[:, None] * (size + passed.abs() + kept.abs()) + 1e-30).any(1)
    mixed = by_row & (rest.sum(1).abs() <= tolerance / batch * whole)
    for line in mixed.nonzero().flatten().tolist():
        for column in columns:
            column[line] = column[line].mean()
        for place in causes[line].values():
            fetched[place] = fetched[place].mean()


def _tolerance(eps: float) -> float:
    """The share of Σ|R| within which a line counts as closed."""
    return 0.3 * eps**0.5


def _rounding(eps: float) -> float:
    """The share of Σ|R| below which a difference is rounding and needs no cause; never more than a line may miss."""
    return min(16 * eps, _tolerance(eps) / 4)


def _fetched(numbers: list[Tensor], batch: int) -> Tensor:
    """All of them under each other: (numbers, batch), float64, on the CPU."""
    table = torch.zeros(len(numbers), batch, dtype=torch.float64)
    alike: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for place, number in enumerate(numbers):
        alike.setdefault((number.device, number.dtype), []).append(place)
    for places in alike.values():
        table[places] = torch.stack([numbers[place] for place in places]).cpu().double()
    return table
