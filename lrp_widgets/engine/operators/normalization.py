"""Normalizations by statistics of the input itself: their standard deviation is held constant."""

from __future__ import annotations

import torch
from torch import Tensor

from lrp_widgets.engine.layers.reciprocal import reciprocal_and_zeros
from lrp_widgets.engine.operators.options import Options
from lrp_widgets.engine.operators.pullback import Pullback, PulledBack
from lrp_widgets.engine.trace.step import Step
from lrp_widgets.engine.trace.tape import Tape

__all__ = ["batch_statistics", "group_norm", "layer_norm"]

STATISTICS = ("mean", "deviation", "running mean", "running variance")  # what torch returns or writes beside the answer


def _centred(x: Tensor, z: Tensor, scale: Tensor, bias: Tensor | None, axes: tuple[int, ...]) -> Pullback:
    """z = scale (x − mean x) + bias with the scale held constant: linear in x, the shift is a bias."""
    one_over_z, dead = reciprocal_and_zeros(z)

    def pullback(relevance: Tensor | None, *of_statistics: Tensor | None) -> PulledBack:
        relevance = torch.zeros_like(z) if relevance is None else relevance
        s = relevance * one_over_z
        c = s * scale
        absorbed = {} if dead is None else {"no input": relevance * dead}
        if bias is not None:
            absorbed["bias"] = s * bias
        # A model that uses the mean or the deviation itself: these are held constant, and keep what arrives there.
        for name, arrived in zip(STATISTICS, of_statistics, strict=False):
            if arrived is not None:
                absorbed[name] = arrived
        return [x * (c - c.mean(dim=axes, keepdim=True))], absorbed

    return pullback


def layer_norm(step: Step, tape: Tape, options: Options) -> Pullback:
    """LayerNorm with its standard deviation held constant."""
    x = tape.values[step.inputs[0]]
    shape, weight, bias, eps = step.args[1:5]
    axes = tuple(range(-len(shape), 0))
    scale = (x.var(dim=axes, correction=0, keepdim=True) + eps).rsqrt()
    return _centred(x, tape.values[step.output], scale if weight is None else scale * weight, bias, axes)


def group_norm(step: Step, tape: Tape, options: Options) -> Pullback:
    """GroupNorm with its standard deviation held constant."""
    x, z = tape.values[step.inputs[0]], tape.values[step.output]
    weight, bias, n, channels, size, groups, eps = step.args[1:8]
    grouped = x.reshape(n, groups, channels // groups, size)
    scale = (grouped.var(dim=(2, 3), correction=0, keepdim=True) + eps).rsqrt()
    per_channel = (1, groups, channels // groups, 1)
    scale = scale if weight is None else scale * weight.reshape(per_channel)
    shift = None if bias is None else bias.reshape(per_channel)
    inner = _centred(grouped, z.reshape(grouped.shape), scale, shift, (2, 3))

    def pullback(relevance: Tensor | None, *of_statistics: Tensor | None) -> PulledBack:
        (handed,), absorbed = inner(None if relevance is None else relevance.reshape(grouped.shape), *of_statistics)
        assert handed is not None
        return [handed.reshape(x.shape)], absorbed

    return pullback


def batch_statistics(step: Step, tape: Tape, options: Options) -> Pullback:
    """Normalization by the statistics of this input (InstanceNorm): standard deviation held constant."""
    x, z = tape.values[step.inputs[0]], tape.values[step.output]
    weight, bias, eps = step.args[1], step.args[2], step.args[-1]
    axes = (0, *range(2, x.ndim))
    shape = (1, -1) + (1,) * (x.ndim - 2)
    scale = (x.var(dim=axes, correction=0, keepdim=True) + eps).rsqrt()
    scale = scale if weight is None else scale * weight.reshape(shape)
    return _centred(x, z, scale, None if bias is None else bias.reshape(shape), axes)
