"""The parametric layers of a tape as one kind of thing: an affine map z = Σ_j a_j w_jk + b_k with its adjoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.engine.layers.kernels import MINUS, PLUS, Convolution, Dense, Kernel, Whole, convolve_back
from lrp_widgets.engine.trace.memory_budget import MemoryBudget
from lrp_widgets.engine.trace.tape import Ref, Step, Tape

__all__ = ["BATCH_NORMS", "Affine", "affine_of", "batch_norm_terms", "parametric"]

aten = torch.ops.aten


@dataclass(frozen=True, eq=False)
class Affine:
    """z = forward(a, weight) + bias, and the adjoint of `forward` in a.

    kind: "convolution", "dense" or "normalization" (a BatchNorm that found no neighbour to fold into).
    weight: as the operation takes it; the rules hand modified copies to `forward` and `adjoint`.
    bias: broadcasts against z, or None.
    channel_axis: the axis of the input that holds channels, for bounds given per channel.
    """

    kind: str
    weight: Tensor
    bias: Tensor | None
    forward: Callable[[Tensor, Tensor], Tensor]
    adjoint: Callable[[Tensor, Tensor, Tensor], Tensor]  # (s, weight, a): only the shape of a counts
    scaled: Callable[[Tensor, Tensor], Tensor] | None = None  # weight times one factor per output channel
    scaled_inputs: Callable[[Tensor, Tensor], Tensor] | None = None  # weight times one factor per input channel
    channel_axis: int = 1
    batched: bool = True  # the first dimension of a is free, so that one row stands for all
    geometry: tuple[Any, ...] | None = None  # of a convolution: stride, padding, dilation, transposed, …, groups
    budget: MemoryBudget = field(default_factory=MemoryBudget)  # for modified copies of the weights

    @cached_property
    def kernel(self) -> Kernel:
        """How the map is computed with a part of its weights; it remembers these while there is room."""
        if self.geometry is not None:
            return Convolution(self, self.geometry, self.budget)
        rows = self.kind == "dense" and self.batched and self.weight.ndim == 2
        return (Dense if rows else Whole)(self, self.budget)

    @cached_property
    def both_signs(self) -> Affine | None:
        """The map of (x, y) to w⁺ x + w⁻ y, where that costs no more than w x: a convolution of few channels."""
        if self.geometry is None or self.geometry[3] or self.geometry[-1] != 1 or self.weight.shape[1] > FEW:
            return None
        weight = torch.cat([PLUS.of(self.weight), MINUS.of(self.weight)], 1)
        return dataclasses.replace(self, weight=weight, bias=None, scaled=None, scaled_inputs=None)


FEW = 8  # channels: a vector of the machine holds 16 numbers, used or not


def _any_adjoint(forward: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The adjoint of a bilinear map that is too rare to be worth its own."""

    def adjoint(s: Tensor, w: Tensor, a: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = torch.zeros_like(a, requires_grad=True)
            return torch.autograd.grad(forward(leaf, w), leaf, s)[0]

    return adjoint


def _convolution(a: Any, w: Any, b: Any, *geometry: Any) -> Affine:
    *_, transposed, _, groups = geometry  # stride, padding, dilation, transposed, output padding, groups
    spatial = (1,) * (w.ndim - 2)

    def forward(a: Tensor, w: Tensor) -> Tensor:
        return aten.convolution.default(a, w, None, *geometry)

    def adjoint(s: Tensor, w: Tensor, a: Tensor) -> Tensor:
        return convolve_back(s, w, a, geometry)

    def scaled(w: Tensor, factor: Tensor) -> Tensor:
        if not transposed:
            return w * factor.reshape(-1, 1, *spatial)
        # Transposed weights are (inputs, outputs / groups, …): the factors of a group belong to its rows.
        rows = factor.reshape(groups, 1, -1).expand(groups, w.shape[0] // groups, -1).reshape(w.shape[:2])
        return w * rows.reshape(*w.shape[:2], *spatial)

    def scaled_inputs(w: Tensor, factor: Tensor) -> Tensor:
        if transposed:
            return w * factor.reshape(-1, 1, *spatial)
        columns = factor.reshape(groups, 1, -1).expand(groups, w.shape[0] // groups, -1).reshape(w.shape[:2])
        return w * columns.reshape(*w.shape[:2], *spatial)

    bias = None if b is None else b.reshape(1, -1, *spatial)
    return Affine("convolution", w, bias, forward, adjoint, scaled, scaled_inputs, geometry=geometry)


def _traced_convolution(a: Any, w: Any, b: Any, *geometry: Any) -> Affine:
    return _convolution(a, w, b, *geometry[:6])  # what follows are flags of the library that computes it


def _right(w: Tensor, b: Tensor | None, axis: int = -1) -> Affine:
    """z = a @ w + b, with w (inputs, outputs)."""
    return Affine(
        "dense",
        w,
        b,
        forward=lambda a, w: a @ w,
        adjoint=lambda s, w, a: s @ w.mT,
        scaled=(lambda w, factor: w * factor) if w.ndim == 2 else None,
        scaled_inputs=(lambda w, factor: w * factor[:, None]) if w.ndim == 2 else None,
        channel_axis=axis,
    )


def _left(w: Tensor, b: Tensor | None) -> Affine:
    """z = w @ a + b, with w (outputs, inputs)."""
    return Affine("dense", w, b, lambda a, w: w @ a, lambda s, w, a: w.mT @ s, channel_axis=-2, batched=False)


def _linear(a: Any, w: Any, b: Any = None) -> Affine:
    return _right(w.mT, b)


def _product(a: Any, w: Any) -> Affine:
    return _right(w, None) if isinstance(a, Ref) else _left(a, None)


def _times(b: Any, beta: float) -> Any:
    return None if beta == 0 else b if beta == 1 else b * beta  # with β = 0, b is not even read and may hold NaN


def _sum_product(b: Any, a: Any, w: Any, *, beta: float = 1, alpha: float = 1) -> Affine:
    """addmm and baddbmm: β b + α a @ w."""
    bias = _times(b, beta)
    active_left = isinstance(a, Ref)
    constant = w if active_left else a
    constant = constant if alpha == 1 else constant * alpha
    return _right(constant, bias) if active_left else _left(constant, bias)


def _vector(a: Any, w: Any) -> Affine:
    """mv and dot, where one side is a vector."""
    constant = w if isinstance(a, Ref) else a
    forward = (lambda a, w: a @ w) if isinstance(a, Ref) else (lambda a, w: w @ a)
    return Affine("dense", constant, None, forward, _any_adjoint(forward), channel_axis=-1, batched=False)


def _sum_vector(b: Any, a: Any, w: Any, *, beta: float = 1, alpha: float = 1) -> Affine:
    map_ = _vector(a, w)
    bias = _times(b, beta)
    return dataclasses.replace(map_, weight=map_.weight if alpha == 1 else map_.weight * alpha, bias=bias)


def _grouped(a: Any, w: Any, offsets: Any = None, bias: Any = None, *_: Any) -> Affine | None:
    """Rows in groups, each with a matrix of its own, as the experts of a mixture: z = a_g @ w_g for the rows of g."""
    if not isinstance(w, Tensor) or w.ndim != 3 or not isinstance(offsets, Tensor) or bias is not None:
        return None
    ends = offsets.tolist()
    starts = [0, *ends[:-1]]

    def forward(a: Tensor, w: Tensor) -> Tensor:
        parts = [a[start:end] @ w[group] for group, (start, end) in enumerate(zip(starts, ends, strict=True))]
        rest = a.new_zeros(len(a) - ends[-1], w.shape[-1])  # rows of no group
        return torch.cat([*parts, rest])

    return Affine("dense", w, None, forward, lambda s, w, a: forward(s, w.mT), channel_axis=-1, batched=False)


def batch_norm_terms(step: Step) -> tuple[Tensor, Tensor] | None:
    """Scale k and shift c of z = k·a + c for a BatchNorm that runs on stored statistics, None for one that does not."""
    func: Any = step.func  # torch spells these operations differently: their arguments are read by name
    names = [argument.name for argument in func._schema.arguments]
    named = dict(zip(names, step.args, strict=False)) | step.kwargs
    mean, var = named.get("running_mean"), named.get("running_var")
    if named.get("training", False) or mean is None or var is None:
        return None
    eps = named["eps"] if "eps" in named else named["epsilon"]
    scale = torch.rsqrt(var.double() + eps)  # once per model, so take the digits
    if named["weight"] is not None:
        scale = scale * named["weight"].double()
    shift = -mean.double() * scale
    if named["bias"] is not None:
        shift = shift + named["bias"].double()
    return scale, shift


def _batch_norm(step: Step, ndim: int, dtype: torch.dtype) -> Affine | None:
    if (terms := batch_norm_terms(step)) is None:
        return None
    shape = (1, -1) + (1,) * (ndim - 2)
    scale, shift = (term.to(dtype).reshape(shape) for term in terms)
    return Affine("normalization", scale, shift, lambda a, w: a * w, lambda s, w, a: s * w)


BATCH_NORMS = (
    "native_batch_norm",
    "_native_batch_norm_legit_no_training",
    "cudnn_batch_norm",
    "_native_batch_norm_legit",
)

AFFINE: dict[str, Callable[..., Affine | None]] = {
    "convolution": _convolution,
    "_convolution": _traced_convolution,  # in a model that went through torch.jit.trace
    "linear": _linear,
    "mm": _product,
    "bmm": _product,
    "addmm": _sum_product,
    "baddbmm": _sum_product,
    "mv": _vector,
    "dot": _vector,
    "addmv": _sum_vector,
    "_grouped_mm": _grouped,
    "transformers::grouped_mm_fallback": _grouped,
}
BIAS_AT = {"convolution": 2, "_convolution": 2, "linear": 2, "addmm": 0, "baddbmm": 0, "addmv": 0}


def parametric(step: Step) -> bool:
    """Whether a step may be an affine map; a product with a sparse matrix, of a graph, sums neighbours."""
    if step.op in BATCH_NORMS:
        return True
    return step.op in AFFINE and not any(isinstance(arg, Tensor) and arg.layout != torch.strided for arg in step.args)


def affine_of(step: Step, tape: Tape, budget: MemoryBudget) -> Affine | None:
    """The affine map of a step, or None where it is something else (two active factors, batch statistics, …)."""
    affine = _affine_of(step, tape)
    if affine is None:
        return None
    bias = None if affine.bias is None else affine.bias.detach()
    return dataclasses.replace(affine, weight=affine.weight.detach(), bias=bias, budget=budget)


def _affine_of(step: Step, tape: Tape) -> Affine | None:
    if step.op in BATCH_NORMS:
        a = tape.values[step.inputs[0]]
        return _batch_norm(step, a.ndim, a.dtype) if len(step.inputs) == 1 else None
    make = AFFINE.get(step.op)
    if make is None or len(step.inputs) != 1:
        return None
    if (at := BIAS_AT.get(step.op)) is not None and at < len(step.args) and isinstance(step.args[at], Ref):
        return None  # an active bias: a sum, not a layer
    if make in (_convolution, _traced_convolution) and not isinstance(step.args[0], Ref):
        return None  # weights made from the input
    kwargs = {key: item for key, item in step.kwargs.items() if key in ("beta", "alpha")}
    return make(*step.args, **kwargs)
