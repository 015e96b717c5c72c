"""The few ways relevance passes an op without parameters: identity, routing, pooling, sums, products, first order.

An operator rule is a function `(step, tape, options) -> pullback`, and `pullback(*R_out) -> ([R_in, …], absorbed)`: one
R_out per output of the step, one R_in per active input; `absorbed` is what stays by cause, or the one cause that
explains the whole difference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lrp_widgets.engine.layers.reciprocal import damped, kept, reciprocal_and_zeros, uncancelled
from lrp_widgets.engine.operators.adjoints import adjoint_of
from lrp_widgets.engine.operators.options import Options
from lrp_widgets.engine.trace.convolution import as_it_lies
from lrp_widgets.engine.trace.step import Ref, Step, replay
from lrp_widgets.engine.trace.tape import Tape

__all__ = [
    "GATES",
    "OperatorRule",
    "Pullback",
    "PulledBack",
    "first_order",
    "identity",
    "lookup",
    "matrix_product",
    "max_pool",
    "overwriting",
    "pool",
    "product",
    "quotient",
    "residual_sum",
    "routing",
    "vjp",
]

PulledBack = tuple[list[Tensor | None], dict[str, Tensor] | str]
Pullback = Callable[..., PulledBack]
OperatorRule = Callable[[Step, Tape, Options], Pullback]


def vjp(step: Step, tape: Tape) -> tuple[Callable[..., list[Tensor]], list[Tensor]]:
    """The step's adjoint at the recorded values, one tensor per input occurrence, and what it gives there."""
    if (known := adjoint_of(step, tape.values[step.inputs[0]])) is not None:
        made = [tape.values[value] for value in step.outputs if value is not None]
        return lambda s: [known(s.to(made[0].dtype) if made[0].is_floating_point() else s)], made
    with torch.enable_grad():
        leaves = [_floating(tape.values[value]).detach().requires_grad_() for value in step.inputs]
        made = replay(step, leaves)
        outputs = [t for t, value in zip(made, step.outputs, strict=False) if value is not None]

    def adjoint(*cotangents: Tensor | None) -> list[Tensor]:
        given = zip(outputs, cotangents, strict=True)
        pairs = [(t, s.to(t.dtype)) for t, s in given if s is not None and t.requires_grad]
        if not pairs:
            return [torch.zeros_like(leaf) for leaf in leaves]
        try:
            grads = torch.autograd.grad(
                [t for t, _ in pairs], leaves, [s for _, s in pairs], retain_graph=True, allow_unused=True
            )
        except RuntimeError as error:
            raise RuntimeError(
                f"{step.name!r} has no derivative to pass relevance by ({error}) "
                f"Say how it passes: lw.operators.OPERATORS[{step.op!r}] = lw.operators.identity, for instance."
            ) from error
        return [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, grads, strict=True)]

    return adjoint, [t.detach() for t in outputs]


def _floating(t: Tensor) -> Tensor:
    """The numbers of tokens as numbers that can be derived after."""
    return t if t.is_floating_point() else t.double()


def identity(step: Step, tape: Tape, options: Options) -> Pullback:
    """R_in = R_out: activation functions, scalings by constants, whatever acts on each element alone."""
    shape = tape.values[step.inputs[0]].shape

    def pullback(*relevance: Tensor | None) -> PulledBack:
        assert relevance[0] is not None
        return [relevance[0] if relevance[0].shape == shape else relevance[0].sum_to_size(shape)], {}

    return pullback


def routing(step: Step, tape: Tape, options: Options) -> Pullback:
    """Every output element is one input element or a constant: R goes back where the element came from."""
    adjoint, _ = vjp(step, tape)

    def pullback(*relevance: Tensor | None) -> PulledBack:
        return list(adjoint(*relevance)), "constant"

    return pullback


def lookup(step: Step, tape: Tape, options: Options) -> Pullback:
    """R_token = Σ_d R_d: a token has the relevance of its whole embedding."""
    if isinstance(step.args[0], Ref):  # a table made from the input
        return routing(step, tape, options)

    def pullback(relevance: Tensor) -> PulledBack:
        return [relevance.sum(-1)], {}

    return pullback


def pool(step: Step, tape: Tape, options: Options) -> Pullback:
    """R_j = Σ_k a_j p_jk / Σ_j a_j p_jk · R_k: sum and average pooling, sums and means over dimensions."""
    adjoint, (z, *_) = vjp(step, tape)
    a = tape.values[step.inputs[0]]
    if a.numel() and bool(as_it_lies(a).amin() < 0):
        z = uncancelled(z, replay(step, [a.abs()])[0])
    one_over_z, dead = reciprocal_and_zeros(z)

    def pullback(relevance: Tensor) -> PulledBack:
        absorbed = {} if dead is None else {"no input": relevance * dead}
        return [a * adjoint(relevance * one_over_z)[0]], absorbed

    return pullback


def max_pool(step: Step, tape: Tape, options: Options) -> Pullback:
    """All to the winner, or in proportion as in sum pooling, as the options say."""
    if options.max_pooling == "winner-take-all" or not step.op.startswith("max_pool"):
        return routing(step, tape, options)
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    geometry: dict[str, Any] = dict(zip(names, step.args[1:], strict=False))
    a, z_like = tape.values[step.inputs[0]], tape.values[next(v for v in step.outputs if v is not None)]
    kernel = list(geometry["kernel_size"])
    n, spatial = len(kernel), a.ndim - len(kernel)

    def entry(name: str, default: list[int]) -> list[int]:
        value = list(geometry.get(name) or default)
        return value * n if len(value) == 1 else value

    kernel = kernel * n if len(kernel) == 1 else kernel
    stride, padding, dilation = entry("stride", kernel), entry("padding", [0]), entry("dilation", [1])
    # Pad by hand as far as the windows reach, so that ceil_mode needs no case of its own.
    reach = [
        (out - 1) * s + d * (k - 1) + 1 - size - p
        for out, s, d, k, size, p in zip(
            z_like.shape[spatial:], stride, dilation, kernel, a.shape[spatial:], padding, strict=True
        )
    ]
    pads = [amount for p, r in zip(reversed(padding), reversed(reach), strict=True) for amount in (p, r)]
    ones = torch.ones(1, 1, *kernel, dtype=a.dtype, device=a.device)
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[n - 1]

    def window_sum(x: Tensor) -> Tensor:
        flat = functional.pad(x, pads).reshape(
            -1, 1, *(size + p + r for size, p, r in zip(x.shape[spatial:], padding, reach, strict=True))
        )
        return convolve(flat, ones, stride=stride, dilation=dilation).reshape(z_like.shape)

    with torch.enable_grad():
        leaf = a.detach().clone().requires_grad_()
        z = window_sum(leaf)
    one_over_z, dead = reciprocal_and_zeros(uncancelled(z.detach(), window_sum(a.abs())))

    def pullback(relevance: Tensor) -> PulledBack:
        absorbed = {} if dead is None else {"no input": relevance * dead}
        (c,) = torch.autograd.grad(z, leaf, relevance * one_over_z, retain_graph=True)
        return [a * c], absorbed

    return pullback


def residual_sum(step: Step, tape: Tape, options: Options) -> Pullback:
    """R_i = a_i / Σ_i a_i · R: a sum of tensors is split in proportion; a constant in it is a bias."""
    z = tape.values[next(v for v in step.outputs if v is not None)]
    signs = _sum_signs(step)
    one_over_z, dead = reciprocal_and_zeros(z)
    active = [(item, sign) for item, sign in signs if isinstance(item, Ref)]
    constants = [(item, sign) for item, sign in signs if not isinstance(item, Ref)]

    def pullback(relevance: Tensor) -> PulledBack:
        s = relevance * one_over_z
        handed: list[Tensor | None] = []
        for item, sign in active:
            a = tape.values[item.value]
            handed.append((a * (s if sign == 1 else sign * s)).sum_to_size(a.shape))
        absorbed: dict[str, Tensor] = {}
        for item, sign in constants:
            absorbed["bias"] = kept(s, sign * item)
        if dead is not None:
            absorbed["no input"] = relevance * dead
        return handed, absorbed

    return pullback


def _sum_signs(step: Step) -> list[tuple[Any, float]]:
    alpha = step.kwargs.get("alpha", step.args[2] if len(step.args) > 2 else 1)
    given: tuple[Any, ...] = step.args
    first, second = given[0], given[1]
    if step.op == "add":
        return [(first, 1.0), (second, float(alpha))]
    if step.op == "sub":
        return [(first, 1.0), (second, -float(alpha))]
    return [(first, -float(alpha)), (second, 1.0)]  # rsub: other − alpha · self


# What makes a gate, an answer that says how much of something else passes; and what makes a normalizing factor.
GATES = ("sigmoid", "hardsigmoid", "_softmax")
NORMALIZERS = ("rsqrt", "reciprocal")
_PASSING = frozenset(
    {
        "view", "_unsafe_view", "reshape", "expand", "unsqueeze", "squeeze", "transpose", "t", "permute", "clone",
        "_to_copy", "slice", "select", "split", "unsafe_split", "split_with_sizes", "chunk", "unbind", "repeat",
        "native_dropout", "rsub", "sub", "add", "mul", "div", "neg",
    }
)  # fmt: skip


def made_by_op(value: int, tape: Tape, ops: tuple[str, ...]) -> bool:
    """Whether a value was made by one of the ops, apart from moving, scaling and shifting it."""
    for step in tape.steps:
        if value in step.outputs:
            passing = len(step.inputs) == 1 and step.op in _PASSING
            return step.op in ops or (passing and made_by_op(step.inputs[0], tape, ops))
    return False


def product(step: Step, tape: Tape, options: Options) -> Pullback:
    """Product of two active tensors: all to the signal where the other is a gate, half each otherwise.

    A normalizing factor (1/σ) is held constant; a product with a constant hands on everything.
    """
    operands = [arg for arg in step.args[:2] if isinstance(arg, Ref)]
    if len(operands) < 2:
        return identity(step, tape, options)
    held = [made_by_op(ref.value, tape, NORMALIZERS) for ref in operands]
    if options.product == "signal" and held[0] == held[1]:
        held = [made_by_op(ref.value, tape, GATES) for ref in operands]
    shares = [0.5, 0.5] if held[0] == held[1] else [0.0 if is_held else 1.0 for is_held in held]
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
    held = [options.attention == "held constant" and made_by_op(v, tape, ("_softmax",)) for v in factors]
    taking = len(held) if all(held) else len(held) - sum(held)  # of attention alone, someone must take it
    shares = [1.0] * active + [0.0 if h and not all(held) else 1 / taking for h in held]

    def pullback(relevance: Tensor) -> PulledBack:
        s = relevance * one_over_z
        handed: list[Tensor | None] = [
            tape.values[v] * c * share for v, c, share in zip(step.inputs, adjoint(s), shares, strict=True)
        ]
        absorbed = {} if dead is None else {"no input": relevance * dead}
        if isinstance(summand, Tensor):
            absorbed["bias"] = kept(s, summand * beta)
        return handed, absorbed

    return pullback


def overwriting(step: Step, tape: Tape, options: Options) -> Pullback:
    """A memory after a write through a view: what was written takes the R of its place, the rest keeps its own."""
    memory, source, *geometry = step.args  # torch's own derivative of as_strided_scatter swaps the two

    def pullback(relevance: Tensor) -> PulledBack:
        flat = relevance.contiguous()
        written = flat.as_strided(*geometry)
        handed: list[Tensor | None] = []
        if isinstance(memory, Ref):
            handed.append(torch.as_strided_scatter(flat, torch.zeros_like(written), *geometry))
        if isinstance(source, Ref):
            handed.append(written.clone())
        return handed, "constant"

    return pullback


def first_order(step: Step, tape: Tape, cause: str) -> Pullback:
    adjoint, made = vjp(step, tape)
    eps = 1e-9
    over = [damped(z, eps) for z in made]

    def pullback(*relevance: Tensor | None) -> PulledBack:
        s = [None if r is None else r * o for r, o in zip(relevance, over, strict=True)]
        handed = [tape.values[v] * c for v, c in zip(step.inputs, adjoint(*s), strict=True)]
        # A softmax over −∞ logits makes 0 · ∞: such logits count 0.
        return [torch.nan_to_num(t, nan=0.0, posinf=0.0, neginf=0.0) for t in handed], cause

    return pullback
