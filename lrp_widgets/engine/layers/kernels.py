"""Layers as fast as the machine has them; beside each quick path the plain one that says the same.

What pays, on VGG16 and ResNet18 (two cores with AVX-512):
- channels last: a convolution neither sorts its input before it starts nor its answer afterwards (1.2 ×);
- packed weights: their order in memory is the convolution's own (1.3 × at 14 × 14, 1.8 × at 7 × 7 positions), and
  packing from channels last takes half the time;
- a convolution of single places is a matrix product, which needs nothing packed (1.3 ×, and room for the others);
- w⁺ and w⁻ of a large dense layer are made piece by piece in the cache: a copy of VGG16's first one has 392 MB;
- back to one to three channels by a matrix product whose parts are put in their places (2 to 3 ×);
- a tensor is looked through as it lies: torch sorts one that is channels last before it finds its smallest (17 ×).
The forward half of a convolution is in trace/convolution.py, because a recorded model runs by it too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from lrp_widgets.engine.trace.convolution import (
    CHANNELS_LAST,
    at_each_place,
    convolve,
    pack_forward,
    packs_forward,
    places,
    pointwise,
    quick,
)
from lrp_widgets.engine.trace.memory_budget import MemoryBudget

__all__ = [
    "ALL",
    "MINUS",
    "PLUS",
    "Convolution",
    "Dense",
    "Kernel",
    "Part",
    "Whole",
    "convolve_back",
    "to_few",
]

aten = torch.ops.aten
PIECE = 2**21  # weights in a piece of a dense layer: 8 MB, which the last cache of most machines holds
LARGE = 2**22  # weights from which a dense layer is worth cutting
FEW = 3  # channels: a vector of the machine holds 16, used or not
MANY = 2**18  # numbers from which a convolution back to few channels is worth taking apart


class Part(NamedTuple):
    """What a rule makes of the weights: plus · w⁺ + minus · w⁻."""

    plus: float
    minus: float

    def of(self, w: Tensor, out: Tensor | None = None) -> Tensor:
        """The weights, in `out` where it is given; w itself where nothing is changed."""
        if self == ALL:
            return w
        out = torch.empty_like(w) if out is None else out
        if self.plus and self.minus:
            torch.ops.aten.leaky_relu.out(w, self.minus / self.plus, out=out)
            return out if self.plus == 1 else out.mul_(self.plus)
        torch.clamp(w, min=None if self.minus else 0, max=None if self.plus else 0, out=out)
        scale = self.plus + self.minus
        return out if scale == 1 else out.mul_(scale)


ALL, PLUS, MINUS = Part(1.0, 1.0), Part(1.0, 0.0), Part(0.0, 1.0)
KEPT = (PLUS, MINUS, ALL)  # other parts belong to one position of a slider


class Kernel(Protocol):
    """How one layer is computed with a part of its weights."""

    def forward(self, a: Tensor, part: Part) -> Tensor: ...

    def adjoint(self, s: Tensor, part: Part, a: Tensor) -> Tensor: ...


class Whole:
    """Any layer: the part is made as a tensor, w⁺ and w⁻ once."""

    def __init__(self, affine: Any, budget: MemoryBudget) -> None:
        self.affine, self.budget = affine, budget
        self._parts: dict[Part, Tensor] = {}

    def weights(self, part: Part) -> Tensor:
        """The part of the weights, remembered where there is room."""
        if (weights := self._parts.get(part)) is not None:
            return weights
        weights = part.of(self.affine.weight)
        if part != ALL and part in KEPT and self.budget.take(weights.nbytes):
            self._parts[part] = weights
        return weights

    def forward(self, a: Tensor, part: Part) -> Tensor:
        return self.affine.forward(a, self.weights(part))

    def adjoint(self, s: Tensor, part: Part, a: Tensor) -> Tensor:
        return self.affine.adjoint(s, self.weights(part), a)


class Dense(Whole):
    """z = a w with w (inputs, outputs): large weights are changed in pieces, and no copy of them is ever made."""

    def forward(self, a: Tensor, part: Part) -> Tensor:
        w = self.affine.weight
        if part == ALL or w.numel() < LARGE:
            return super().forward(a, part)
        z = a.new_empty(*a.shape[:-1], w.shape[1])
        for piece, columns in self._pieces(part):
            torch.matmul(a, piece, out=z[..., columns]) if a.ndim == 1 else z[..., columns].copy_(a @ piece)
        return z

    def adjoint(self, s: Tensor, part: Part, a: Tensor) -> Tensor:
        w = self.affine.weight
        if part == ALL or w.numel() < LARGE:
            return super().adjoint(s, part, a)
        rows = s.reshape(-1, s.shape[-1])
        total = s.new_zeros(len(rows), w.shape[0])
        # Nothing arrives at neurons that a ReLU silenced: half of them or more.
        reached = rows.any(0).nonzero()[:, 0]
        for piece, columns in self._pieces(part, reached if 4 * len(reached) < 3 * rows.shape[1] else None):
            total.addmm_(rows[:, columns], piece.mT)
        return total.reshape(*s.shape[:-1], w.shape[0])

    def _pieces(self, part: Part, only: Tensor | None = None) -> Iterator[tuple[Tensor, slice | Tensor]]:
        """Columns of w after columns of w (or some of them alone), all in one memory."""
        columns = self.affine.weight.mT  # as nn.Linear keeps them: one output after another
        width = max(1, PIECE // columns.shape[1])
        memory = columns.new_empty(width, columns.shape[1])
        if only is None:
            for begin in range(0, len(columns), width):
                piece = columns[begin : begin + width]
                yield part.of(piece, memory[: len(piece)]).mT, slice(begin, begin + len(piece))
            return
        for chosen in only.split(width):
            piece = torch.index_select(columns, 0, chosen, out=memory[: len(chosen)])
            yield part.of(piece, piece).mT, chosen


class Convolution(Whole):
    """A convolution forward and back, with each part of its weights packed where there is room."""

    def __init__(self, affine: Any, geometry: tuple[Any, ...], budget: MemoryBudget) -> None:
        super().__init__(affine, budget)
        self.geometry = geometry
        self._packed: dict[tuple[Part, bool], Tensor | None] = {}

    def forward(self, a: Tensor, part: Part) -> Tensor:
        w = self.affine.weight
        if not quick(a, w, self.geometry):
            return super().forward(a, part)
        packed = self._pack(part, False, a) if packs_forward(a, w, self.geometry) else None
        return convolve(a, w if packed is not None else self.weights(part), None, self.geometry, packed)

    def adjoint(self, s: Tensor, part: Part, a: Tensor) -> Tensor:
        w = self.affine.weight
        if not quick(a, w, self.geometry) or to_few(s, w, self.geometry):
            return super().adjoint(s, part, a)
        if pointwise(w, self.geometry):
            return back_at_each_place(s, self.weights(part), a, self.geometry)
        if part not in KEPT:  # of one position of a slider: torch packs these quicker itself
            w = self.weights(part).contiguous(memory_format=CHANNELS_LAST)
            s, a = s.contiguous(memory_format=CHANNELS_LAST), a.contiguous(memory_format=CHANNELS_LAST)
            return aten.convolution_backward.default(s, a, w, None, *self.geometry, [True, False, False])[0]
        packed = self._pack(part, True, s)
        stride, padding, dilation, _, _, groups = self.geometry
        rest = _rest(a, s, w, self.geometry)
        return torch.ops.mkldnn._convolution_transpose_pointwise.default(
            s.contiguous(memory_format=CHANNELS_LAST), self.weights(part) if packed is None else packed,
            None, padding, rest, stride, dilation, groups, "none", [], "",
        )  # fmt: skip

    def _pack(self, part: Part, back: bool, like: Tensor) -> Tensor | None:
        """The weights in the order of the machine; None where they were not to be kept."""
        if (part, back) in self._packed:
            return self._packed[part, back]
        w = self.affine.weight
        if part not in KEPT or not self.budget.take(w.nbytes):
            return None
        w = self._parts[part] if part in self._parts else part.of(w)
        self._packed[part, back] = packed = (pack_back if back else pack_forward)(w, self.geometry, like)
        return packed


def back_at_each_place(s: Tensor, w: Tensor, a: Tensor, geometry: tuple[Any, ...]) -> Tensor:
    """The adjoint of a pointwise convolution; nothing comes back to the places between its strides."""
    (down, across), c = geometry[0], at_each_place(s, w.flatten(1).mT)
    if c.shape[2:] == a.shape[2:]:
        return c
    total = torch.zeros_like(a, memory_format=CHANNELS_LAST)
    total[:, :, ::down, ::across] = c
    return total


def convolve_back(s: Tensor, w: Tensor, a: Tensor, geometry: tuple[Any, ...]) -> Tensor:
    """The adjoint of any convolution with any weights."""
    if to_few(s, w, geometry):
        return spread(s, w, a, geometry)
    return aten.convolution_backward.default(s, a, w, None, *geometry, [True, False, False])[0]


def to_few(s: Tensor, w: Tensor, geometry: tuple[Any, ...]) -> bool:
    """Whether the adjoint of a convolution leads to few channels, and by `spread` is worth it."""
    return w.shape[1] <= FEW and geometry[-1] == 1 and s.numel() >= MANY and quick(s, w, geometry)


def spread(s: Tensor, w: Tensor, a: Tensor, geometry: tuple[Any, ...]) -> Tensor:
    """The adjoint of a convolution of few channels: one matrix product, and what each weight makes put in its place."""
    stride, padding, dilation = geometry[:3]
    (channels, *kernel), (height, width) = w.shape[1:], s.shape[2:]
    products = (w.reshape(len(w), -1).mT @ places(s).mT).reshape(channels, *kernel, len(s), height, width)
    around = [size + 2 * pad for size, pad in zip(a.shape[2:], padding, strict=True)]
    total = s.new_zeros(channels, len(s), *around)
    for y in range(kernel[0]):
        down = slice(y * dilation[0], y * dilation[0] + (height - 1) * stride[0] + 1, stride[0])
        for x in range(kernel[1]):
            across = slice(x * dilation[1], x * dilation[1] + (width - 1) * stride[1] + 1, stride[1])
            total[:, :, down, across] += products[:, y, x]
    inside = [slice(pad, pad + size) for size, pad in zip(a.shape[2:], padding, strict=True)]
    return total[:, :, inside[0], inside[1]].transpose(0, 1)


def pack_back(w: Tensor, geometry: tuple[Any, ...], s: Tensor) -> Tensor:
    """The same for its adjoint, which is a transposed convolution of `s`."""
    stride, padding, dilation, _, rest, groups = geometry
    pack = torch.ops.mkldnn._reorder_convolution_transpose_weight
    return pack(w, padding, rest, stride, dilation, groups, list(s.shape))


def _rest(a: Tensor, s: Tensor, w: Tensor, geometry: tuple[Any, ...]) -> list[int]:
    """Rows and columns at the far edge that no stride of the convolution reached."""
    stride, padding, dilation = geometry[:3]
    sizes = zip(a.shape[2:], s.shape[2:], w.shape[2:], stride, padding, dilation, strict=True)
    return [size - ((out - 1) * step - 2 * pad + apart * (k - 1) + 1) for size, out, k, step, pad, apart in sizes]
