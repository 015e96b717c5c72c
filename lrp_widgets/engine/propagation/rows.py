"""Where the rows of the batch lie in each value, so that the ledger can be kept row by row."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lrp_widgets.engine.operators import operator_rule, overwriting, routing
from lrp_widgets.engine.trace.convolution import as_it_lies
from lrp_widgets.engine.trace.step import Step, replay
from lrp_widgets.engine.trace.tape import Tape

__all__ = ["Rows", "by_row", "row_mean", "rows_of_values"]

# What can move the batch away from the front.
_TURNING = frozenset({"permute", "transpose", "t", "movedim", "swapaxes", "select", "unbind", "stack"})
_REDUCING = frozenset({"mean", "sum"})


@dataclass(frozen=True, eq=False)
class Rows:
    """The axis that tells the rows apart, and the row of each index along it."""

    axis: int
    row: Tensor


NO_ROWS = Rows(0, torch.empty(0, dtype=torch.long))  # of a value that holds nothing but constants


def by_row(t: Tensor, batch: int, rows: Rows | None = None, size: bool = False) -> Tensor:
    """Sums over everything but the batch, with `size` of the absolute values: one a row, where t lies.

    Without a rows the batch leads, alone or multiplied by windows or heads; where even that cannot be, the rows
    cannot be told apart and share the total evenly.
    """
    if rows is not None and not t.ndim and len(rows.row) == 1:
        t = t[None]
    if rows is not None and rows.axis < t.ndim and t.shape[rows.axis] == len(rows.row):
        along = _sums(t.transpose(0, rows.axis)[:, None].flatten(1), size).cpu().double()
        return torch.zeros(batch, dtype=torch.float64).index_add_(0, rows.row, along)
    if t.ndim and t.shape[0] and t.shape[0] % batch == 0:
        return _sums(as_it_lies(t).reshape(batch, -1), size)
    return (t.abs() if size else t).sum(dtype=torch.float64).cpu().expand(batch) / batch


def _sums(t: Tensor, size: bool) -> Tensor:
    """The sum of each row, as precise as its dtype allows: torch adds pairwise, so that rounding hardly grows."""
    t = t.abs() if size else t
    return t.sum(1) if t.dtype == torch.float32 else t.sum(1, dtype=torch.float64)


def row_mean(t: Tensor, batch: int, rows: Rows | None = None) -> Tensor:
    """The mean over each row of the batch, laid out so that it broadcasts against t."""
    if rows is None or rows.axis >= t.ndim or t.shape[rows.axis] != len(rows.row):
        if not t.ndim or not t.shape[0] or t.shape[0] % batch:
            return t.mean()
        rows = Rows(0, torch.arange(batch).repeat_interleave(t.shape[0] // batch))
    row = rows.row.to(t.device)
    along = t.transpose(0, rows.axis).reshape(len(row), -1).mean(1)
    sums = along.new_zeros(batch).index_add_(0, row, along)
    means = sums / torch.bincount(row, minlength=batch).clamp(min=1).to(sums)
    return means[row].reshape([-1 if axis == rows.axis else 1 for axis in range(t.ndim)])


def rows_of_values(tape: Tape) -> dict[int, Rows]:
    """Where the rows lie in every value where that can be told; empty where the batch leads everywhere."""
    turned = any(step.op in _TURNING for step in tape.steps)
    if tape.batch == 1 or not (turned or any(_hidden(value, tape.batch) for value in tape.values.values())):
        return {}
    leading = Rows(0, torch.arange(tape.batch))
    # What does not begin with the batch (positions, a table of edges) is the same for every row.
    rows = {value: leading for value in tape.inputs if len(tape.values[value]) == tape.batch}
    for step in tape.steps:
        for value, of_output in zip(step.outputs, _passed_on(step, tape, rows), strict=False):
            if value is not None and of_output is not None:
                rows[value] = of_output
    return rows


def _hidden(t: Tensor, batch: int) -> bool:
    """Whether the batch cannot be leading (InstanceNorm multiplies it into the channels)."""
    return bool(t.ndim) and t.shape[0] % batch != 0


def _passed_on(step: Step, tape: Tape, rows: dict[int, Rows]) -> list[Rows | None]:
    """Where the rows lie in each output of a step; nothing where they cannot be followed."""
    of_inputs = [rows[value] for value in step.inputs if value in rows]
    if len(of_inputs) < len(step.inputs):
        return []
    if step.affine is None and operator_rule(step) in (routing, overwriting):
        return _routed(step, tape, of_inputs)
    first, source = of_inputs[0], tape.values[step.inputs[0]]
    for of_input, value in zip(of_inputs, step.inputs, strict=True):
        if of_input is not NO_ROWS:
            first, source = of_input, tape.values[value]
            break
    if first is NO_ROWS:
        return [None if value is None else NO_ROWS for value in step.outputs]
    return [None if value is None else _of_output(first, source, tape.values[value], step) for value in step.outputs]


def _of_output(rows: Rows, source: Tensor, output: Tensor, step: Step) -> Rows | None:
    """Where the rows lie behind a step that works on each row by itself."""
    if bool((rows.row == rows.row[0]).all()):  # one row alone, whatever becomes of its axes
        return Rows(0, rows.row[:1].expand(output.shape[0] if output.ndim else 1))
    axis = rows.axis
    if step.op in _REDUCING and output.ndim < source.ndim:
        axes = step.args[1] if len(step.args) > 1 else step.kwargs.get("dim")
        axes = [axes] if isinstance(axes, int) else list(axes or range(source.ndim))
        axis -= sum(a % source.ndim < axis for a in axes)
    fits = 0 <= axis < output.ndim and output.shape[axis] == len(rows.row)
    return Rows(axis, rows.row) if fits else None


def _routed(step: Step, tape: Tape, of_inputs: list[Rows]) -> list[Rows | None]:
    """Run the step on the numbers of the rows and see along which axis they come out.

    The step runs twice, the second time on the numbers plus one: what stays the same is a constant of the step.
    """
    ones = [torch.ones(tape.values[value].shape, dtype=torch.float64) for value in step.inputs]
    labels = [_spread(rows, one) for rows, one in zip(of_inputs, ones, strict=True)]
    by = [0 if rows is NO_ROWS else 1 for rows in of_inputs]
    try:
        outputs = replay(step, labels)
        shifted = replay(step, [label + by_one for label, by_one in zip(labels, by, strict=True)])
    except (RuntimeError, TypeError, IndexError):  # it cannot run on these (a mask of another dtype, a device)
        return []
    # In a concatenation of constants and rows, only what moved by one belongs to a row.
    pairs = zip(outputs, shifted, strict=True)
    # An output of whole numbers holds indices, which belong to no row.
    return [_axis_of(m, (n - m) == 1, tape.batch) if m.is_floating_point() else None for m, n in pairs]


def _spread(rows: Rows, ones: Tensor) -> Tensor:
    if rows is NO_ROWS:
        return ones
    shape = [-1 if axis == rows.axis else 1 for axis in range(ones.ndim)]
    return ones * rows.row.double().reshape(shape)


def _axis_of(labels: Tensor, real: Tensor, batch: int) -> Rows | None:
    if not bool(real.any()):
        return NO_ROWS
    for axis in range(labels.ndim):
        along = labels.transpose(0, axis).reshape(labels.shape[axis], -1)
        there = real.transpose(0, axis).reshape(labels.shape[axis], -1)
        low = along.masked_fill(~there, torch.inf).amin(1)
        high = along.masked_fill(~there, -torch.inf).amax(1)
        empty = ~there.any(1)  # constants alone
        if bool(((low == high) | empty).all()):
            return Rows(axis, _filled(low.masked_fill(empty, 0).long(), empty, batch))
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
