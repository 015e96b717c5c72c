"""Receptive fields: which pixels each position of a hidden layer's map sees, read off the recorded run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrp_widgets.engine.analysis.receptive_field.geometry import Line, Sight, Unseen, pixels
from lrp_widgets.engine.analysis.receptive_field.operators import look
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.trace.inputs import floating
from lrp_widgets.engine.trace.tape import Tape

__all__ = ["ReceptiveField", "at_input", "field_of", "receptive_field"]


@dataclass(frozen=True)
class ReceptiveField:
    """What the positions of a layer's map see of the picture, exactly; every pair is (along rows, along columns).

    centre: the middle of position 0's window, in pixels from the picture's edge (that of the first pixel is 0.5).
    stride: from one position to the next in pixels, 0 where all see the same.  size: of the window, in pixels.
    These three are without regard to the picture's edge; `box` knows where it and padding cut a window off.
    grid, picture: how many positions and pixels there are.
    """

    centre: tuple[float, float]
    stride: tuple[int, int]
    size: tuple[int, int]
    grid: tuple[int, int]
    picture: tuple[int, int]
    _shares: tuple[np.ndarray, np.ndarray] = field(repr=False, compare=False)

    @property
    def whole(self) -> bool:
        """Whether every position sees the whole picture."""
        return all(bool(shares.all()) for shares in self._shares)

    def box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) of the pixels that a position sees, the last two exclusive.

        Raises IndexError for a position that there is not.
        """
        ends = []
        for place, count, shares in zip((row, column), self.grid, self._shares, strict=True):
            if not 0 <= place < count:
                raise IndexError(f"The map has {self.grid[0]}×{self.grid[1]} positions, there is no {row}, {column}.")
            seen = np.flatnonzero(shares[place])
            ends.append((int(seen[0]), int(seen[-1]) + 1))
        (top, bottom), (left, right) = ends
        return top, left, bottom, right

    def position(self, y: float, x: float) -> tuple[int, int]:
        """The position whose centre is nearest to the point (y, x) of the picture; a pixel's middle is at + 0.5."""
        found = []
        for at, centre, stride, count in zip((y, x), self.centre, self.stride, self.grid, strict=True):
            nearest = round((at - centre) / stride) if stride else 0
            found.append(min(max(nearest, 0), count - 1))
        return found[0], found[1]


def receptive_field(explainer: Explainer | nn.Module, x: Tensor, layer: str) -> ReceptiveField:
    """What each position of a layer's map sees of the picture x (batch, channels, height, width).

    layer: a module or a step, as in Explanation.layer; "" for the input itself. Convolutions and poolings (padded,
    strided, dilated) widen the window, sums and concatenations unite windows, slices and pads shift them; a dense layer
    or a global pooling sees all. Nothing is estimated: where a step's windows are not known (an interpolation,
    attention), ValueError names it. KeyError for a layer that is not known. Araujo et al. 2019, "Computing receptive
    fields of convolutional neural networks".
    """
    explainer = explainer if isinstance(explainer, Explainer) else Explainer(explainer)
    return field_of(explainer.tape(x), layer)


def field_of(tape: Tape, layer: str) -> ReceptiveField:
    """The receptive field of a layer of a recorded run; as receptive_field."""
    (value, *others) = tape.inputs
    x = tape.values[value]
    if others or x.ndim != 4 or not floating(x):
        raise ValueError(
            "lw.receptive_field needs one picture (batch, channels, height, width), got "
            f"{'several tensors' if others else f'shape {tuple(x.shape)}'}."
        )
    wanted = tape.value_at(layer) if layer else value
    seen: dict[int, Sight | str] = {value: pixels(x.shape)}
    for step in tape.steps:
        if wanted in seen:
            break
        entering = [seen[known] for known in step.inputs]
        known = [sight for sight in entering if isinstance(sight, Sight)]
        found: list[Any]
        if len(known) < len(entering):
            found = [next(said for said in entering if isinstance(said, str))] * len(step.outputs)
        else:
            try:
                found = look(step, tape, known)
            except Unseen as reason:
                found = [f"the step {step.name!r} ({step.op}) does not say what it sees: {reason}"] * len(step.outputs)
        seen |= {made: sight for made, sight in zip(step.outputs, found, strict=True) if made is not None}
    sight = seen[wanted]
    if isinstance(sight, str):
        raise ValueError(f"The receptive field of {layer!r} is not known: {sight}.")
    return _field(sight, tuple(tape.values[wanted].shape), (x.shape[2], x.shape[3]), layer)


def _field(sight: Sight, shape: tuple[int, ...], picture: tuple[int, int], layer: str) -> ReceptiveField:
    grid = []
    for which, line in enumerate(sight.lines):
        axis = sight.axis_of(which)
        if axis is None and line.stride and len(line.rows) > 1:
            raise ValueError(
                f"{layer!r} has no rows and columns of its own, only the shape {shape}. Take a layer with maps."
            )
        grid.append(1 if axis is None else shape[axis])
    centres = tuple(line.start + line.size / 2 for line in sight.lines)
    strides, sizes = ([getattr(line, name) for line in sight.lines] for name in ("stride", "size"))
    shares = [_whole_rows(line, count) for line, count in zip(sight.lines, grid, strict=True)]
    return ReceptiveField(centres, tuple(strides), tuple(sizes), (grid[0], grid[1]), picture, tuple(shares))  # type: ignore[arg-type]


def _whole_rows(line: Line, count: int) -> np.ndarray:
    """One row for each position; one that sees padding alone stands at the nearest pixel."""
    rows = np.repeat(line.rows, count, 0) if len(line.rows) != count else line.rows.copy()
    for blind in np.flatnonzero(~rows.any(1)):
        middle = int(line.start + blind * line.stride + line.size / 2)
        rows[blind, min(max(middle, 0), rows.shape[1] - 1)] = 1
    rows.setflags(write=False)
    return rows


def at_input(maps: Any, field: ReceptiveField) -> Any:
    """Maps of a hidden layer in the pixels of the input: (…, rows, columns) to (…, height, width), a tensor or numpy.

    Each position's number is spread over what it sees: evenly by every layer on the way, as LRP's flat rule does
    (Bach et al. 2016, "Controlling explanatory heatmap resolution and semantics"). So its picture has the exact extent
    and, away from the edge, its middle at the centre; it falls off towards the rim like the effective receptive field
    of even weights (Luo et al. 2016). The sum stays the sum. Raises ValueError for maps of another size.
    """
    if tuple(maps.shape[-2:]) != field.grid:
        raise ValueError(
            f"at_input: maps must end in the {field.grid[0]}×{field.grid[1]} positions of the field, "
            f"got shape {tuple(maps.shape)}."
        )
    rows, columns = field._shares
    if isinstance(maps, Tensor):
        down, right = (torch.from_numpy(shares.copy()).to(maps) for shares in (rows, columns))
        return down.T @ maps @ right
    return (rows.T @ np.asarray(maps, np.float64) @ columns).astype(np.asarray(maps).dtype)
