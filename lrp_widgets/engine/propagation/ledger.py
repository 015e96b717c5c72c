"""The ledger: what arrives at a step, what it hands on and what it keeps, added up on the way and written at the end.

On the way there are only sums, one number a row of the batch, where the relevance lies; all of them are fetched and
put into lines at once, because many small calculations take longer than the explanation of a small network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from lrp_widgets.engine.propagation.explanation import LayerRelevance
from lrp_widgets.engine.propagation.rows import Layout, by_row
from lrp_widgets.engine.rules import Rule
from lrp_widgets.engine.trace.step import Step

__all__ = ["Entry", "Sums", "sums_of", "written"]


class Sums(NamedTuple):
    """ΣR and Σ|R| of a tensor, one number a row."""

    total: Tensor
    size: Tensor


def sums_of(relevance: Tensor, batch: int, layout: Layout | None) -> Sums:
    """The sums of a tensor whose rows lie as the layout says."""
    row_sum = partial(by_row, batch=batch, layout=layout)
    return Sums(row_sum(relevance), row_sum(relevance, size=True))


@dataclass(frozen=True, eq=False)
class Entry:
    """What a line is made of.

    out, handed: the sums of what arrives at the step and of what it hands to each input.  kept: what it absorbs, by
    cause; one name alone is the cause of the whole difference.  held: what filters at its output hold back.
    eps: the coarsest of the dtypes it works in; eps_out: that of what arrives.
    """

    step: Step
    rule: Rule | None = None
    out: tuple[Sums, ...] = ()
    handed: tuple[Sums, ...] = ()
    kept: dict[str, Tensor] | str = ""
    eps: float = 0.0
    eps_out: float = 0.0
    held: tuple[Sums, ...] = ()

    def numbers(self) -> Iterable[Tensor]:
        """All the sums, in the order in which `written` reads them."""
        for known in (*self.out, *self.held, *self.handed):
            yield from known
        if not isinstance(self.kept, str):
            yield from self.kept.values()


def written(entries: Sequence[Entry], batch: int) -> tuple[LayerRelevance, ...]:
    """A line for each entry, in their order."""
    numbers = _fetched([number for entry in entries for number in entry.numbers()], batch)
    # Where the numbers of each kind stand, and to which line they belong.
    totals, sizes, handed, held = [list[tuple[int, int]]() for _ in range(4)]
    kept: list[dict[str, int]] = []
    at = 0
    for line, entry in enumerate(entries):
        for place in range(at, at + 2 * len(entry.out), 2):
            totals.append((line, place))
            sizes.append((line, place + 1))
        at += 2 * len(entry.out)
        for place in range(at, at + 2 * len(entry.held), 2):
            held.append((line, place))
            sizes.append((line, place + 1))
        at += 2 * len(entry.held)
        handed.extend((line, place) for place in range(at, at + 2 * len(entry.handed), 2))
        at += 2 * len(entry.handed)
        kept.append({} if isinstance(entry.kept, str) else {cause: at + i for i, cause in enumerate(entry.kept)})
        at += len(kept[-1])

    def added(places: list[tuple[int, int]]) -> Tensor:
        lines, chosen = torch.tensor(places, dtype=torch.long).reshape(-1, 2).unbind(1)
        return torch.zeros(len(entries), batch, dtype=torch.float64).index_add_(0, lines, numbers[chosen])

    total, passed, back, size = added(totals), added(handed), added(held), added(sizes)
    rest = total - passed
    rounding = 16 * torch.tensor([entry.eps_out for entry in entries], dtype=torch.float64)[:, None]
    unexplained = (~(rest.abs() <= rounding * size)).any(1).tolist()  # NaN is, too
    there, filtered = (numbers != 0).any(1).tolist(), (back != 0).any(1).tolist()
    total += back
    positive, negative = (total + size) / 2, (total - size) / 2
    columns = zip(*(t.unbind(0) for t in (total, passed, positive, negative, rest, back)), strict=True)
    made = []
    for line, (entry, (out, into, plus, minus, missing, cut)) in enumerate(zip(entries, columns, strict=True)):
        absorbed = {cause: numbers[place] for cause, place in kept[line].items() if there[place]}
        if isinstance(entry.kept, str) and entry.kept and unexplained[line]:
            absorbed[entry.kept] = missing
        if filtered[line]:
            absorbed["filter"] = cut
        # A cast is as exact as the coarser of its sides.
        tolerance = 0.3 * entry.eps**0.5
        told = {"rule": entry.rule, "tolerance": tolerance} if entry.out else {"reached": False}
        made.append(LayerRelevance(entry.step.name, entry.step.op, out, into, plus, minus, absorbed, **told))
    return tuple(made)


def _fetched(numbers: list[Tensor], batch: int) -> Tensor:
    """All of them under each other: float64, on the CPU."""
    made = torch.zeros(len(numbers), batch, dtype=torch.float64)
    alike: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for place, number in enumerate(numbers):
        alike.setdefault((number.device, number.dtype), []).append(place)
    for places in alike.values():
        made[places] = torch.stack([numbers[place] for place in places]).cpu().double()
    return made
