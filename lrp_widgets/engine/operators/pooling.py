"""Pooling: in proportion to what each element adds to the sum, or all to the maximum."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lrp_widgets.engine.layers.reciprocal import reciprocal_and_zeros, uncancelled
from lrp_widgets.engine.operators.first_order import fallback
from lrp_widgets.engine.operators.identity_routing import routing
from lrp_widgets.engine.operators.options import Options
from lrp_widgets.engine.operators.pullback import Pullback, PulledBack, vjp
from lrp_widgets.engine.trace.convolution import as_it_lies
from lrp_widgets.engine.trace.step import Ref, Step, replay
from lrp_widgets.engine.trace.tape import Tape

__all__ = ["grid_sample", "max_pool", "pool"]


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


def grid_sample(step: Step, tape: Tape, options: Options) -> Pullback:
    """Each place of the answer is a mean of its neighbours in the picture, which take it all; the grid is a gate."""
    if len(step.inputs) == 1 and isinstance(step.args[0], Ref):
        return pool(step, tape, options)
    if not isinstance(step.args[0], Ref):
        return fallback(step, tape, options)  # a constant picture: only where one looks depends on the input
    (picture, *_), grid = step.inputs, step.inputs[-1]
    at_grid = step.but(args=(step.args[0], tape.values[grid], *step.args[2:]), inputs=(picture,))
    of_picture = pool(at_grid, tape, options)

    def pullback(relevance: Tensor) -> PulledBack:
        handed, absorbed = of_picture(relevance)
        return [*handed, None], absorbed

    return pullback


def max_pool(step: Step, tape: Tape, options: Options) -> Pullback:
    """All to the winner, or in proportion as in sum pooling, as the options say."""
    if options.max_pooling == "winner-take-all" or not step.op.startswith("max_pool"):
        return routing(step, tape, options)
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    geometry: dict[str, Any] = dict(zip(names, step.args[1:], strict=False))
    a, z_like = tape.values[step.inputs[0]], tape.values[step.output]
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
