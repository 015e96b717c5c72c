"""What each ATen op is to LRP, apart from the parametric maps that take a rule (affine.py).

A treatment is a function `(step, tape, options) -> pull`, and `pull(*R_out) -> ([R_in, …], absorbed)`: one R_out per
output of the step, one R_in per active input; `absorbed` is what stays by cause, or the one cause that explains the
whole difference. OPERATORS at the bottom says which op gets which treatment; an own op is
registered in one line, `lw.operators.OPERATORS["mylib::myop"] = lw.operators.routing`. An op that is not in the table
falls back to a ⊙ vjp(R / (z + ε)), and the explanation names it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lrp_widgets.engine.rules import gate, rows
from lrp_widgets.engine.step import Ref, Step, replay
from lrp_widgets.engine.tape import Tape
from lrp_widgets.params import Setting, choice

__all__ = ["OPERATORS", "Options", "fallback", "identity", "pool", "product", "routing", "taylor", "treatment"]

Pulled = tuple[list[Tensor | None], dict[str, Tensor] | str]
Pull = Callable[..., Pulled]


@dataclass(frozen=True)
class Options(Setting):
    """Where the literature differs on an op without parameters."""

    max_pooling: str = choice(
        "winner-take-all", ("winner-take-all", "proportional"), help="Max pooling: all to the winner, or as sum pooling.",
        advanced=True, kw_only=True,
    )
    product: str = choice("half", ("half", "signal"), help="Product of two active tensors: half each, or all to the signal.", advanced=True, kw_only=True)


Treatment = Callable[[Step, Tape, Options], Pull]


def _vjp(step: Step, tape: Tape) -> tuple[Callable[..., list[Tensor]], list[Tensor]]:
    """The step's adjoint at the recorded values, one tensor per input occurrence, and what it gives there."""
    with torch.enable_grad():
        leaves = [tape.values[value].detach().requires_grad_() for value in step.inputs]
        made = replay(step, leaves)
        outputs = [t for t, value in zip(made, step.outputs, strict=False) if value is not None]

    def adjoint(*cotangents: Tensor | None) -> list[Tensor]:
        pairs = [(t, s) for t, s in zip(outputs, cotangents, strict=True) if s is not None and t.requires_grad]
        if not pairs:
            return [torch.zeros_like(leaf) for leaf in leaves]
        grads = torch.autograd.grad(
            [t for t, _ in pairs], leaves, [s for _, s in pairs], retain_graph=True, allow_unused=True
        )
        return [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, grads, strict=True)]

    return adjoint, [t.detach() for t in outputs]


def identity(step: Step, tape: Tape, options: Options) -> Pull:
    """R_in = R_out: activation functions, scalings by constants, whatever acts on each element alone."""
    shape = tape.values[step.inputs[0]].shape

    def pull(*relevance: Tensor | None) -> Pulled:
        assert relevance[0] is not None
        return [relevance[0] if relevance[0].shape == shape else relevance[0].sum_to_size(shape)], {}

    return pull


def routing(step: Step, tape: Tape, options: Options) -> Pull:
    """Every output element is one input element or a constant: R goes back where the element came from."""
    adjoint, _ = _vjp(step, tape)

    def pull(*relevance: Tensor | None) -> Pulled:
        return list(adjoint(*relevance)), "constant"

    return pull


def pool(step: Step, tape: Tape, options: Options) -> Pull:
    """R_j = Σ_k a_j p_jk / Σ_j a_j p_jk · R_k: sum and average pooling, sums and means over dimensions."""
    adjoint, (z, *_) = _vjp(step, tape)
    a = tape.values[step.inputs[0]]
    one_over_z = gate(z)
    dead = None if bool(one_over_z.all()) else one_over_z == 0

    def pull(relevance: Tensor) -> Pulled:
        absorbed = {} if dead is None else {"no input": rows(relevance * dead)}
        return [a * adjoint(relevance * one_over_z)[0]], absorbed

    return pull


def max_pool(step: Step, tape: Tape, options: Options) -> Pull:
    """All to the winner, or in proportion as in sum pooling, as the options say."""
    if options.max_pooling == "winner-take-all" or not step.op.startswith("max_pool"):
        return routing(step, tape, options)
    geometry = dict(zip(("kernel_size", "stride", "padding", "dilation", "ceil_mode"), step.args[1:], strict=False))
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
        flat = functional.pad(x, pads).reshape(-1, 1, *(size + p + r for size, p, r in zip(
            x.shape[spatial:], padding, reach, strict=True)))
        return convolve(flat, ones, stride=stride, dilation=dilation).reshape(z_like.shape)

    with torch.enable_grad():
        leaf = a.detach().clone().requires_grad_()
        z = window_sum(leaf)
    one_over_z = gate(z.detach())
    dead = None if bool(one_over_z.all()) else one_over_z == 0

    def pull(relevance: Tensor) -> Pulled:
        absorbed = {} if dead is None else {"no input": rows(relevance * dead)}
        (c,) = torch.autograd.grad(z, leaf, relevance * one_over_z, retain_graph=True)
        return [a * c], absorbed

    return pull


def residual_sum(step: Step, tape: Tape, options: Options) -> Pull:
    """R_i = a_i / Σ_i a_i · R: a sum of tensors is split in proportion; a constant in it is a bias."""
    z = tape.values[next(v for v in step.outputs if v is not None)]
    signs = _sum_signs(step)
    one_over_z = gate(z)
    dead = None if bool(one_over_z.all()) else one_over_z == 0
    active = [(item, sign) for item, sign in signs if isinstance(item, Ref)]
    constants = [(item, sign) for item, sign in signs if not isinstance(item, Ref)]

    def pull(relevance: Tensor) -> Pulled:
        s = relevance * one_over_z
        handed: list[Tensor | None] = []
        for item, sign in active:
            a = tape.values[item.value]
            handed.append((a * (sign * s)).sum_to_size(a.shape))
        absorbed = {"bias": rows(s * (sign * item)) for item, sign in constants}
        if dead is not None:
            absorbed["no input"] = rows(relevance * dead)
        return handed, absorbed

    return pull


def _sum_signs(step: Step) -> list[tuple[object, float]]:
    alpha = step.kwargs.get("alpha", step.args[2] if len(step.args) > 2 else 1)
    first, second = step.args[0], step.args[1]
    if step.op == "add":
        return [(first, 1.0), (second, float(alpha))]
    if step.op == "sub":
        return [(first, 1.0), (second, -float(alpha))]
    return [(first, -float(alpha)), (second, 1.0)]  # rsub: other − alpha · self


# What makes a gate: an op whose answer says how much of something else passes.
GATES = ("sigmoid", "hardsigmoid", "tanh", "_softmax", "hardtanh")


def product(step: Step, tape: Tape, options: Options) -> Pull:
    """Product of two active tensors: half each (AttnLRP), or all to the signal (LRP for gates). By a constant: all."""
    operands = [arg for arg in step.args[:2] if isinstance(arg, Ref)]
    if len(operands) < 2:
        return identity(step, tape, options)
    shares = [0.5, 0.5]
    if options.product == "signal":
        gates = [_is_gate(ref.value, tape) for ref in operands]
        if gates[0] != gates[1]:
            shares = [0.0 if is_gate else 1.0 for is_gate in gates]
    shapes = [tape.values[ref.value].shape for ref in operands]

    def pull(relevance: Tensor) -> Pulled:
        return [(relevance * share).sum_to_size(shape) for share, shape in zip(shares, shapes, strict=True)], {}

    return pull


def _is_gate(value: int, tape: Tape) -> bool:
    for step in tape.steps:
        if value in step.outputs:
            through = OPERATORS.get(step.op) is routing and len(step.inputs) == 1
            return step.op in GATES or (through and _is_gate(step.inputs[0], tape))
    return False


def quotient(step: Step, tape: Tape, options: Options) -> Pull:
    """x / y: all to x, with y held constant where it depends on the input (as in a normalization)."""
    numerator = isinstance(step.args[0], Ref)
    shapes = [tape.values[value].shape for value in step.inputs]

    def pull(relevance: Tensor) -> Pulled:
        handed: list[Tensor | None] = [torch.zeros(shape).to(relevance) for shape in shapes]
        if not numerator:
            return [relevance.sum_to_size(shapes[0])], {}
        handed[0] = relevance.sum_to_size(shapes[0])
        return handed, {}

    return pull


def matrix_product(step: Step, tape: Tape, options: Options) -> Pull:
    """O = A B, both active: R_A = A ⊙ (R/(2 O) Bᵀ), R_B = B ⊙ (Aᵀ R/(2 O))."""
    adjoint, (z, *_) = _vjp(step, tape)
    one_over_z = gate(z) / len(step.inputs)
    dead = one_over_z == 0

    def pull(relevance: Tensor) -> Pulled:
        s = relevance * one_over_z
        handed = [tape.values[v] * c for v, c in zip(step.inputs, adjoint(s), strict=True)]
        return list(handed), {"no input": rows(relevance * dead)}

    return pull


def layer_norm(step: Step, tape: Tape, options: Options) -> Pull:
    """LayerNorm with its standard deviation held constant: linear in x − mean x, the shift is a bias."""
    x = tape.values[step.inputs[0]]
    z = tape.values[next(v for v in step.outputs if v is not None)]
    shape, weight, bias, eps = step.args[1:5]
    axes = tuple(range(-len(shape), 0))
    scale = (x.var(dim=axes, correction=0, keepdim=True) + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    one_over_z = gate(z)
    dead = one_over_z == 0

    def pull(relevance: Tensor, *_: Tensor | None) -> Pulled:
        s = relevance * one_over_z
        c = s * scale
        absorbed = {"no input": rows(relevance * dead)}
        if bias is not None:
            absorbed["bias"] = rows(s * bias)
        return [x * (c - c.mean(dim=axes, keepdim=True))], absorbed

    return pull


def _first_order(step: Step, tape: Tape, cause: str) -> Pull:
    adjoint, made = _vjp(step, tape)
    eps = 1e-9
    over = [gate(z + torch.where(z < 0, -eps, eps)) for z in made]

    def pull(*relevance: Tensor | None) -> Pulled:
        s = [None if r is None else r * o for r, o in zip(relevance, over, strict=True)]
        handed = [tape.values[v] * c for v, c in zip(step.inputs, adjoint(*s), strict=True)]
        # A softmax over −∞ logits makes 0 · ∞: such logits count 0.
        return [torch.nan_to_num(t, nan=0.0, posinf=0.0, neginf=0.0) for t in handed], cause

    return pull


def taylor(step: Step, tape: Tape, options: Options) -> Pull:
    """R_in = x ⊙ Jᵀ(R / z), for a softmax x_i (R_i − s_i Σ_j R_j) (AttnLRP): what is not linear stays, by name."""
    return _first_order(step, tape, step.op.strip("_"))


def fallback(step: Step, tape: Tape, options: Options) -> Pull:
    """An op nobody thought of: R_in = a ⊙ vjp(R / (z + ε)); the difference is absorbed as "fallback"."""
    return _first_order(step, tape, "fallback")


_ELEMENTWISE = (
    "relu relu6 leaky_relu prelu _prelu_kernel elu celu selu gelu silu mish softplus threshold hardtanh hardswish hardsigmoid "
    "sigmoid log_sigmoid_forward tanh rrelu_with_noise softshrink hardshrink clamp clamp_min clamp_max pow square sqrt rsqrt "
    "exp expm1 log log1p abs neg sign erf reciprocal _to_copy to native_dropout dropout feature_dropout positive round floor clone contiguous"
)
_ROUTING = (
    "view _unsafe_view reshape permute transpose t unsqueeze squeeze flatten unflatten expand repeat slice select split "
    "split_with_sizes chunk unbind cat stack index index_select gather narrow constant_pad_nd reflection_pad1d "
    "reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d roll flip rot90 pixel_shuffle "
    "pixel_unshuffle channel_shuffle masked_fill where masked_select index_put index_copy slice_scatter select_scatter "
    "as_strided as_strided_scatter copy diagonal tril triu unfold im2col fill zero scatter max min amax amin topk sort "
    "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d maximum minimum upsample_nearest1d upsample_nearest2d "
    "upsample_nearest3d movedim swapaxes squeeze_copy view_copy permute_copy expand_copy masked_scatter index_fill"
)
_POOLING = (
    "avg_pool1d avg_pool2d avg_pool3d _adaptive_avg_pool1d _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d "
    "mean sum cumsum upsample_linear1d upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d col2im"
)

OPERATORS: dict[str, Treatment] = {
    **dict.fromkeys(_ELEMENTWISE.split(), identity),
    **dict.fromkeys(_ROUTING.split(), routing),
    **dict.fromkeys(_POOLING.split(), pool),
    **dict.fromkeys(("max_pool1d", "max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool2d"), max_pool),
    **dict.fromkeys(("add", "sub", "rsub"), residual_sum),
    "mul": product,
    "div": quotient,
    **dict.fromkeys(("mm", "bmm", "matmul", "baddbmm", "dot", "mv"), matrix_product),
    "native_layer_norm": layer_norm,
    **dict.fromkeys(("_softmax", "_log_softmax"), taylor),
}


def treatment(step: Step) -> Treatment:
    """The treatment of a step without a rule; `fallback` where the table has none."""
    return OPERATORS.get(step.op, fallback)
