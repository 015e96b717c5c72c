"""Where the rows of the batch lie in each value, so that the ledger can be kept row by row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lrp_widgets.engine.operators import OPERATORS, overwriting, routing
from lrp_widgets.engine.trace.convolution import as_it_lies
from lrp_widgets.engine.trace.step import Step, replay
from lrp_widgets.engine.trace.tape import Tape

__all__ = ["Layout", "by_row", "row_layouts", "row_mean"]

# What can move the batch away from the front.
_TURNING = frozenset({"permute", "transpose", "t", "movedim", "swapaxes", "select", "unbind", "stack"})
_REDUCING = frozenset({"mean", "sum"})


@dataclass(frozen=True, eq=False)
class Layout:
    """The axis that tells the rows apart, and the row of each index along it."""

    axis: int
    row: Tensor


NOBODYS = Layout(0, torch.empty(0, dtype=torch.long))  # of a value that holds constants alone


def by_row(t: Tensor, batch: int, layout: Layout | None = None, size: bool = False) -> Tensor:
    """Sums over everything but the batch, with `size` of the absolute values: one a row, where t lies.

    Without a layout the batch leads, alone or multiplied by windows or heads; where even that cannot be, the rows
    cannot be told apart and share the total evenly.
    """
    if layout is not None and layout.axis < t.ndim and t.shape[layout.axis] == len(layout.row):
        along = _sums(t.transpose(0, layout.axis).reshape(len(layout.row), -1), size).cpu().double()
        return torch.zeros(batch, dtype=torch.float64).index_add_(0, layout.row, along)
    if t.ndim and t.shape[0] and t.shape[0] % batch == 0:
        return _sums(as_it_lies(t).reshape(batch, -1), size)
    return (t.abs() if size else t).sum(dtype=torch.float64).cpu().expand(batch) / batch


def _sums(rows: Tensor, size: bool) -> Tensor:
    """The sum of each row, as precise as its dtype allows: torch adds pairwise, so that rounding hardly grows."""
    rows = rows.abs() if size else rows
    return rows.sum(1) if rows.dtype == torch.float32 else rows.sum(1, dtype=torch.float64)


def row_mean(t: Tensor, batch: int, layout: Layout | None = None) -> Tensor:
    """The mean over each row of the batch, laid out so that it broadcasts against t."""
    if layout is None or layout.axis >= t.ndim or t.shape[layout.axis] != len(layout.row):
        if not t.ndim or not t.shape[0] or t.shape[0] % batch:
            return t.mean()
        layout = Layout(0, torch.arange(batch).repeat_interleave(t.shape[0] // batch))
    row = layout.row.to(t.device)
    along = t.transpose(0, layout.axis).reshape(len(row), -1).mean(1)
    sums = along.new_zeros(batch).index_add_(0, row, along)
    means = sums / torch.bincount(row, minlength=batch).clamp(min=1).to(sums)
    return means[row].reshape([-1 if axis == layout.axis else 1 for axis in range(t.ndim)])


def row_layouts(tape: Tape) -> dict[int, Layout]:
    """The layout of every value that can be told; empty where the batch leads everywhere."""
    turned = any(step.op in _TURNING for step in tape.steps)
    if tape.batch == 1 or not (turned or any(_hidden(value, tape.batch) for value in tape.values.values())):
        return {}
    rows = Layout(0, torch.arange(tape.batch))
    # What does not begin with the batch (positions, a table of edges) is the same for every row.
    known = {value: rows for value in tape.inputs if len(tape.values[value]) == tape.batch}
    for step in tape.steps:
        for value, layout in zip(step.outputs, _passed_on(step, tape, known), strict=False):
            if value is not None and layout is not None:
                known[value] = layout
    return known


def _hidden(t: Tensor, batch: int) -> bool:
    """Whether the batch cannot be leading (InstanceNorm multiplies it into the channels)."""
    return bool(t.ndim) and t.shape[0] % batch != 0


def _passed_on(step: Step, tape: Tape, known: dict[int, Layout]) -> list[Layout | None]:
    layouts = [known.get(value) for value in step.inputs]
    if any(layout is None for layout in layouts):
        return []
    if step.affine is None and OPERATORS.get(step.op) in (routing, overwriting):
        return _routed(step, tape, [layout for layout in layouts if layout is not None])
    first, source = layouts[0], tape.values[step.inputs[0]]
    for layout, value in zip(layouts, step.inputs, strict=True):
        if layout is not NOBODYS:
            first, source = layout, tape.values[value]
            break
    assert first is not None
    if first is NOBODYS:
        return [None if value is None else NOBODYS for value in step.outputs]
    return [None if value is None else _kept(first, source, tape.values[value], step) for value in step.outputs]


def _kept(layout: Layout, source: Tensor, made: Tensor, step: Step) -> Layout | None:
    """The layout behind a step that works on each row by itself."""
    axis = layout.axis
    if step.op in _REDUCING and made.ndim < source.ndim:
        axes = step.args[1] if len(step.args) > 1 else step.kwargs.get("dim")
        axes = [axes] if isinstance(axes, int) else list(axes or range(source.ndim))
        axis -= sum(a % source.ndim < axis for a in axes)
    fits = 0 <= axis < made.ndim and made.shape[axis] == len(layout.row)
    return Layout(axis, layout.row) if fits else None


def _routed(step: Step, tape: Tape, layouts: list[Layout]) -> list[Layout | None]:
    """Send the rows' numbers the way of the step and see along which axis they come out.

    Twice, the second time moved by one: what does not move with them is a constant that the step put in.
    """
    ones = [torch.ones(tape.values[value].shape, dtype=torch.float64) for value in step.inputs]
    labels = [_spread(layout, one) for layout, one in zip(layouts, ones, strict=True)]
    by = [0 if layout is NOBODYS else 1 for layout in layouts]
    try:
        made = replay(step, labels)
        moved = replay(step, [label + by_one for label, by_one in zip(labels, by, strict=True)])
    except (RuntimeError, TypeError, IndexError):  # it cannot run on these (a mask of another dtype, a device)
        return []
    # A cat of constants and rows: only what moved by one is a row's.
    pairs = zip(made, moved, strict=True)
    # Indices are nobody's rows.
    return [_axis_of(m, (n - m) == 1, tape.batch) if m.is_floating_point() else None for m, n in pairs]


def _spread(layout: Layout, ones: Tensor) -> Tensor:
    if layout is NOBODYS:
        return ones
    shape = [-1 if axis == layout.axis else 1 for axis in range(ones.ndim)]
    return ones * layout.row.double().reshape(shape)


def _axis_of(labels: Tensor, real: Tensor, batch: int) -> Layout | None:
    if not bool(real.any()):
        return NOBODYS
    for axis in range(labels.ndim):
        along = labels.transpose(0, axis).reshape(labels.shape[axis], -1)
        there = real.transpose(0, axis).reshape(labels.shape[axis], -1)
        low = along.masked_fill(~there, torch.inf).amin(1)
        high = along.masked_fill(~there, -torch.inf).amax(1)
        empty = ~there.any(1)  # constants alone
        if bool(((low == high) | empty).all()):
            return Layout(axis, _filled(low.masked_fill(empty, 0).long(), empty, batch))
    return None


def _filled(row: Tensor, empty: Tensor, batch: int) -> Tensor:
    """Give a place that holds only constants the row that it would be in a batch written out row by row, or in turns;
    else the row of the last place before it that has one (or the first after).

    Memory that is filled bit by bit holds them between the rows that it is filled with.
    """
    times, rest = divmod(len(row), batch)
    for regular in (torch.arange(batch).repeat_interleave(times), torch.arange(batch).repeat(times)):
        if not rest and torch.equal(regular[~empty], row[~empty]):
            return regular
    places = torch.arange(len(row))
    before = torch.where(empty, -1, places).cummax(0).values
    first = int((~empty).nonzero()[0])
    return row[before.masked_fill(before < 0, first)]
