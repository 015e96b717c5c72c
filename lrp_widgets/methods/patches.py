"""Top patches: where a channel of a hidden layer is most active in a set of inputs, and what in them makes it so."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.engine.analysis.receptive_field.receptive_field import ReceptiveField, field_of
from lrp_widgets.engine.composites.composite import Composite
from lrp_widgets.engine.composites.presets import deep_taylor
from lrp_widgets.engine.layers.canonize import canonize
from lrp_widgets.engine.propagation.explainer import Explainer, check_mode
from lrp_widgets.engine.propagation.method import never
from lrp_widgets.engine.propagation.propagate import propagate
from lrp_widgets.engine.trace.inputs import check_input
from lrp_widgets.engine.trace.memo import Memo
from lrp_widgets.engine.trace.tape import Tape, record
from lrp_widgets.methods.backward import backward
from lrp_widgets.methods.guided_backprop import Deconvolution, GuidedBackprop

__all__ = ["Patch", "stream_patches", "top_patches"]


@dataclass(frozen=True, eq=False)
class Patch:
    """One position of a channel's map, and the piece of the input that it sees.

    index: of the input.  position: (row, column) on the map.  activation: of the channel there.
    box: (top, left, bottom, right) of the pixels that it sees, cut off at the picture's edge.
    crop: the input there, (channels, height, width).  signal: the activation brought back to these pixels by the
    backward pass asked for.  relevance: the activation handed down by LRP; None where no composite was given.
    """

    index: int
    position: tuple[int, int]
    activation: float
    box: tuple[int, int, int, int]
    crop: Tensor
    signal: Tensor
    relevance: Tensor | None


_Place = tuple[float, int, int]  # −activation, index, place on the flattened map: they sort as patches do


def top_patches(
    explainer: Explainer,
    inputs: Tensor,
    layer: str,
    channel: int,
    count: int = 9,
    *,
    per_input: int = 1,
    batch: int = 32,
    back: GuidedBackprop | None = None,
    composite: Composite | None = None,
) -> tuple[Patch, ...]:
    """The `count` positions where a channel of a layer is most active, the most active one first.

    inputs: (n, channels, height, width).  layer: a module or a step, as in Explanation.layer; a channel of a dense
    layer is a neuron, which sees all.  per_input: the most positions of one input.  batch: how many inputs run at once.
    back: how the activation comes back to the pixels, lw.Deconvolution() (the default) or lw.GuidedBackprop().
    composite: for `relevance`; deep Taylor where none is given.
    Zeiler and Fergus 2014, section 2.1 and figure 2. What the explainer remembers is left alone. Raises TypeError,
    ValueError or KeyError that names what is wrong.
    """
    result: tuple[Patch, ...] = ()
    composite = composite or deep_taylor()
    for result in stream_patches(  # noqa: B007 - the last one is whole
        explainer, inputs, layer, channel, count, per_input=per_input, batch=batch, back=back, composite=composite
    ):
        pass
    return result


def stream_patches(
    explainer: Explainer,
    inputs: Tensor,
    layer: str,
    channel: int,
    count: int = 9,
    *,
    per_input: int = 1,
    batch: int = 32,
    back: GuidedBackprop | None = None,
    composite: Composite | None = None,
) -> Iterator[tuple[Patch, ...]]:
    """As top_patches, in steps of one batch: () while it searches, then the patches so far; the last has them all.

    composite: None leaves `relevance` out.
    """
    back = back or Deconvolution()
    _check(inputs, count, per_input, batch, back)
    run = _Run(explainer, layer, channel)
    best: list[_Place] = []
    for start in range(0, len(inputs), batch):
        best = sorted([*best, *run.places(inputs[start : start + batch], start, per_input)])[:count]
        yield ()
    done: list[Patch] = []
    for start in range(0, len(best), batch):
        places = best[start : start + batch]
        done += run.patches(inputs, places, back, composite)
        yield tuple(done)


class _Run:
    """One channel of one layer, looked at in several batches."""

    def __init__(self, explainer: Explainer, layer: str, channel: int) -> None:
        check_mode(explainer.model)
        self.explainer, self.layer, self.channel = explainer, layer, channel
        self.folded = Memo()  # what depends on the model alone
        self.field: ReceptiveField | None = None

    def tapes(self, x: Tensor) -> tuple[Tape, Tape, int]:
        """The run as it is written, for its gradients, the canonical one, for LRP, and the layer's value in both."""
        with torch.inference_mode(False):
            written = record(self.explainer.model, x, self.explainer.select)
            tape = canonize(written, self.folded)
        return written, tape, tape.value_at(self.layer)

    def places(self, x: Tensor, first: int, most: int) -> list[_Place]:
        """The most active positions of each row."""
        _, tape, value = self.tapes(x)
        self.field = self.field or field_of(tape, self.layer)
        maps = self._maps(tape.values[value])[:, self.channel].flatten(1)
        order = maps.sort(dim=1, descending=True, stable=True)
        return [
            (-float(activation), first + row, int(place))
            for row in range(len(x))
            for activation, place in zip(order.values[row, :most], order.indices[row, :most], strict=True)
        ]

    def patches(
        self, inputs: Tensor, places: list[_Place], back: GuidedBackprop, composite: Composite | None
    ) -> list[Patch]:
        """What makes the positions active, all of them in one pass."""
        assert self.field is not None
        x = inputs[[index for _, index, _ in places]]
        written, tape, value = self.tapes(x)
        unit = torch.zeros_like(tape.values[value])
        at = self._maps(unit).flatten(2)
        for row, (activation, _, place) in enumerate(places):
            at[row, self.channel, place] = -activation
        signal = backward(dataclasses.replace(written, output=value), unit, back.adjoint, never)[written.inputs[0]]
        relevance = None
        if composite is not None:
            with torch.no_grad():
                passed = propagate(dataclasses.replace(tape, output=value), composite, unit, Memo())
            relevance = passed.relevance[tape.inputs[0]]
        result = []
        for row, (activation, index, place) in enumerate(places):
            position = divmod(place, self.field.grid[1])
            box = top, left, bottom, right = self.field.box(*position)
            crop, brought, handed = (
                None if t is None else t[row, :, top:bottom, left:right].detach().clone()
                for t in (x, signal, relevance)
            )
            assert crop is not None and brought is not None
            result.append(Patch(index, position, -activation, box, crop, brought, handed))
        return result

    def _maps(self, value: Tensor) -> Tensor:
        """The layer's answer as (batch, channels, rows, columns). Raises ValueError where it has no such channel."""
        if value.ndim not in (2, 4):
            raise ValueError(
                f"top_patches needs a layer with maps (batch, channels, rows, columns) or a dense one, "
                f"{self.layer!r} has the shape {tuple(value.shape)}."
            )
        if not 0 <= self.channel < value.shape[1]:
            raise ValueError(
                f"channel must lie in [0, {value.shape[1] - 1}], the channels of {self.layer!r}, got {self.channel}."
            )
        return value if value.ndim == 4 else value[..., None, None]


def _check(inputs: Any, count: Any, per_input: Any, batch: Any, back: Any) -> None:
    check_input(inputs)
    for name, value in (("count", count), ("per_input", per_input), ("batch", batch)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number, at least 1, got {value!r}.")
    if not isinstance(back, GuidedBackprop):
        raise TypeError(f"back must be lw.Deconvolution() or lw.GuidedBackprop(), got {back!r}.")
