"""Products of tensors that both depend on the input: who takes the relevance."""

from __future__ import annotations

import torch
from torch import Tensor

from lrp_widgets.engine.layers.reciprocal import kept, reciprocal_and_zeros
from lrp_widgets.engine.layers.softmax import SOFTMAX
from lrp_widgets.engine.operators.identity_routing import identity
from lrp_widgets.engine.operators.options import Options
from lrp_widgets.engine.operators.pullback import Pullback, PulledBack, vjp
from lrp_widgets.engine.trace.step import Ref, Step
from lrp_widgets.engine.trace.tape import Tape

__all__ = ["GATES", "made_by_op", "matrix_product", "product", "quotient"]


# What makes a gate, an answer that says how much of something else passes; and what makes a normalizing factor.
GATES = ("sigmoid", "hardsigmoid", *SOFTMAX)
NORMALIZERS = ("rsqrt", "reciprocal")
_PASSING = frozenset(
    {
        "view", "_unsafe_view", "reshape", "expand", "unsqueeze", "squeeze", "transpose", "t", "permute", "clone",
        "_to_copy", "slice", "select", "split", "unsafe_split", "split_with_sizes", "chunk", "unbind", "repeat",
        "native_dropout", "rsub", "sub", "add", "mul", "div", "neg", "masked_fill", "where", "topk", "sort", "gather",
        "scatter", "index", "index_select", "index_put", "take_along_dim", "masked_select", "tril", "triu",
        "as_strided_scatter", "as_strided", "copy",
    }
)  # fmt: skip


def made_by_op(value: int, tape: Tape, ops: tuple[str, ...]) -> bool:
    """Whether a value was made by one of the ops, apart from moving, scaling and shifting it."""
    for step in tape.steps:
        if value in step.outputs:
            passing = step.op in _PASSING and (len(step.inputs) == 1 or _is_normalized(step))
            return step.op in ops or (passing and made_by_op(step.inputs[0], tape, ops))
    return False


def _is_normalized(step: Step) -> bool:
    """Whether something is divided by its own sum, or the like: it stays what it is."""
    return step.op == "div" and isinstance(step.args[0], Ref)


def product(step: Step, tape: Tape, options: Options) -> Pullback:
    """Product of two active tensors: all to the signal where the other is a gate, half each otherwise.

    A normalizing factor (1/σ) is held constant; a product with a constant hands on everything.
    """
    operands = [arg for arg in step.args[:2] if isinstance(arg, Ref)]
    if len(operands) < 2:
        return identity(step, tape, options)
    constant = [made_by_op(ref.value, tape, NORMALIZERS) for ref in operands]
    if options.product == "signal" and constant[0] == constant[1]:
        constant = [made_by_op(ref.value, tape, GATES) for ref in operands]
    shares = [0.5, 0.5] if constant[0] == constant[1] else [0.0 if is_constant else 1.0 for is_constant in constant]
    shapes = [tape.values[ref.value].shape for ref in operands]

    def pullback(relevance: Tensor) -> PulledBack:
        return [(relevance * share).sum_to_size(shape) for share, shape in zip(shares, shapes, strict=True)], {}

    return pullback


def quotient(step: Step, tape: Tape, options: Options) -> Pullback:
    """x / y: all to x, with y held constant where it depends on the input (as in a normalization)."""
    numerator = isinstance(step.args[0], Ref)
    shapes = [tape.values[value].shape for value in step.inputs]

    def pullback(relevance: Tensor) -> PulledBack:
        handed: list[Tensor | None] = [torch.zeros(shape).to(relevance) for shape in shapes]
        if not numerator:
            return [relevance.sum_to_size(shapes[0])], {}
        handed[0] = relevance.sum_to_size(shapes[0])
        return handed, {}

    return pullback


def matrix_product(step: Step, tape: Tape, options: Options) -> Pullback:
    """O = B₀ + A B: R_A = A ⊙ (R/(2 O) Bᵀ), R_B = B ⊙ (Aᵀ R/(2 O)), and B₀ ⊙ R/O to a summand (addmm, baddbmm, …)."""
    adjoint, (z, *_) = vjp(step, tape)
    one_over_z, dead = reciprocal_and_zeros(z)
    beta = float(step.kwargs.get("beta", 1))
    summand = step.args[0] if step.op.startswith(("add", "badd")) and beta else None
    active = isinstance(summand, Ref)
    # Attention weights that are held constant hand nothing on: all goes to the values.
    factors = step.inputs[active:]
    constant = [options.attention == "held constant" and made_by_op(v, tape, SOFTMAX) for v in factors]
    taking = (
        len(constant) if all(constant) else len(constant) - sum(constant)
    )  # of attention alone, someone must take it
    shares = [1.0] * active + [0.0 if h and not all(constant) else 1 / taking for h in constant]

    constant_product = z - beta * tape.values[step.inputs[0]] if active and not factors else None

    def pullback(relevance: Tensor) -> PulledBack:
        s = relevance * one_over_z
        handed: list[Tensor | None] = [
            tape.values[v] * c * share for v, c, share in zip(step.inputs, adjoint(s), shares, strict=True)
        ]
        absorbed = {} if dead is None else {"no input": relevance * dead}
        if isinstance(summand, Tensor):
            absorbed["bias"] = kept(s, summand * beta)
        if constant_product is not None:
            absorbed["bias"] = kept(s, constant_product)
        return handed, absorbed

    return pullback
