"""Every kind of layer that a random network is made of: which shapes it fits, what may be chosen, and how it is built.

A shape is what one row of the batch has: (features,), (channels, length), (channels, height, width), …; two axes are
tokens too. A layer is data, (kind, settings), so that a network that fails a test can be read.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from torch import Tensor, nn
from torch.nn import functional as F

Shape = tuple[int, ...]
Settings = dict[str, Any]


class Kind(NamedTuple):
    """settings: the strategy that draws them for a shape.  make: builds the layer.  fits: which shapes it takes."""

    settings: Callable[[Shape], SearchStrategy[Settings]]
    make: Callable[..., nn.Module]
    fits: Callable[[Shape], bool] = lambda shape: True


class Do(nn.Module):
    """A function of a tensor and a few layers, as a layer."""

    def __init__(self, function: Callable[..., Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.layers)


class Weights(nn.Module):
    """Parameters without a layer of their own."""

    def __init__(self, *shapes: Shape) -> None:
        super().__init__()
        self.all = nn.ParameterList(torch.empty(shape) for shape in shapes)


def choices(**fields: Any) -> SearchStrategy[Settings]:
    """A setting each, out of a list of choices (the simplest first) or a strategy."""
    strategies = {k: v if isinstance(v, SearchStrategy) else st.sampled_from(list(v)) for k, v in fields.items()}
    return st.fixed_dictionaries(strategies)


YES_NO = (False, True)


def of_axes(low: int, high: int) -> Callable[[Shape], bool]:
    return lambda shape: low <= len(shape) <= high


pictures = of_axes(2, 4)


def sized(name: str, shape: Shape) -> Any:
    """nn.Conv → nn.Conv2d where a row has two axes besides its channels."""
    return getattr(nn, f"{name}{max(1, len(shape) - 1)}d")


def divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def windows(shape: Shape, dilations: tuple[int, ...] = (1, 2), pooling: bool = False) -> list[Settings]:
    """Every kernel, stride, padding and dilation that fits."""
    every = itertools.product((1, 2, 3), (1, 2), (0, 1, 2), dilations)
    return [
        dict(zip(("kernel_size", "stride", "padding", "dilation"), (k, s, p, d), strict=True))
        for k, s, p, d in every
        if min(shape[1:]) + (0 if pooling else 2 * p) > d * (k - 1) and p <= (k // 2 if pooling else k - 1)
    ]


# ---- layers with parameters


NORMS = ("none", "weights", "before", "behind")  # weight_norm, or a BatchNorm that folds into the layer


def _normed(layer: nn.Module, norm: str, shape: Shape, outputs: int) -> nn.Module:
    if norm == "weights":
        return nn.utils.parametrizations.weight_norm(layer)
    if norm == "before":
        return nn.Sequential(sized("BatchNorm", shape)(shape[0]), layer)
    return nn.Sequential(layer, sized("BatchNorm", shape)(outputs)) if norm == "behind" else layer


def _conv(shape: Shape) -> SearchStrategy[Settings]:
    modes = ("zeros", "circular", "replicate") if min(shape[1:]) > 2 else ("zeros",)
    return choices(window=windows(shape), groups=divisors(shape[0]), times=(1, 2), bias=YES_NO, mode=modes, norm=NORMS)


def _make_conv(shape: Shape, window: Settings, groups: int, times: int, bias: bool, mode: str, norm: str) -> nn.Module:
    layer = sized("Conv", shape)(shape[0], groups * times, groups=groups, bias=bias, padding_mode=mode, **window)
    return _normed(layer, norm, shape, groups * times)


def _transposed(shape: Shape) -> SearchStrategy[Settings]:
    every = [w for w in windows(shape) if min(shape[1:]) * w["stride"] + w["kernel_size"] > 2 * w["padding"] + 3]
    simple = {"kernel_size": 2, "stride": 1, "padding": 0, "dilation": 1}
    return choices(window=[simple, *every], groups=divisors(shape[0]), times=(1, 2), longer=YES_NO, norm=NORMS)


def _make_transposed(shape: Shape, window: Settings, groups: int, times: int, longer: bool, norm: str) -> nn.Module:
    extra = int(longer and max(window["stride"], window["dilation"]) > 1)
    layer = sized("ConvTranspose", shape)(shape[0], groups * times, groups=groups, output_padding=extra, **window)
    return _normed(layer, norm, shape, groups * times)


SPELLINGS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "linear": lambda x, w, b: F.linear(x, w.mT, b),
    "no bias": lambda x, w, b: F.linear(x, w.mT),
    "matmul": lambda x, w, b: x @ w + b,
    "addmm": lambda x, w, b: torch.addmm(b, x.flatten(0, -2), w, beta=2, alpha=0.5).unflatten(0, x.shape[:-1]),
    "mm": lambda x, w, b: (x.flatten(0, -2).mm(w) + b).unflatten(0, x.shape[:-1]),
    "left": lambda x, w, b: (w.mT @ x.flatten(0, -2).mT).mT.unflatten(0, x.shape[:-1]),
    "left addmm": lambda x, w, b: torch.addmm(b[:, None], w.mT, x.flatten(0, -2).mT).mT.unflatten(0, x.shape[:-1]),
    "einsum": lambda x, w, b: torch.einsum("...i,io->...o", x, w) + b,
    "bmm": lambda x, w, b: x.flatten(1, -2).bmm(w.expand(len(x), -1, -1)) if x.ndim > 2 else x @ w,
    "baddbmm": lambda x, w, b: torch.baddbmm(b, x.flatten(1, -2), w.expand(len(x), -1, -1)) if x.ndim > 2 else x @ w,
    "tensordot": lambda x, w, b: torch.tensordot(x, w, 1),
    "mul sum": lambda x, w, b: (x[..., None] * w).sum(-2) + b,
}


def _make_dense(shape: Shape, spelled: str, outputs: int) -> nn.Module:
    spell, weights = SPELLINGS[spelled], Weights((shape[-1], outputs), (outputs,))
    return Do(lambda x, weights: spell(x, *weights.all), weights)


def _make_mix(shape: Shape, outputs: int) -> nn.Module:
    return Do(lambda x, w: torch.einsum("nc...,co->no...", x, w.all[0]), Weights((shape[0], outputs)))


def _make_one_each(shape: Shape, outputs: int) -> nn.Module:
    weights = Weights((shape[0], shape[1], outputs), (shape[0], outputs))
    return Do(lambda x, w: torch.einsum("nti,tio->nto", x, w.all[0]) + w.all[1], weights)


def _make_bilinear(shape: Shape, outputs: int) -> nn.Module:
    return Do(lambda x, w: F.bilinear(x, x, w.all[0]), Weights((outputs, shape[-1], shape[-1])))


# ---- normalization


def _make_instance_norm(shape: Shape, affine: bool, tracked: bool) -> nn.Module:
    return sized("InstanceNorm", shape)(shape[0], affine=affine, track_running_stats=tracked)


def _make_rms_norm(shape: Shape, affine: bool) -> nn.Module:
    return nn.RMSNorm(shape[-1], eps=1e-5, elementwise_affine=affine)


NORMALIZED: dict[str, Callable[[Tensor], Tensor]] = {
    "unit length": lambda x: F.normalize(x, dim=1),
    "unit sum": lambda x: x / (1 + x.abs().sum(1, keepdim=True)),
    "centred": lambda x: x - x.mean(1, keepdim=True),
    "by hand": lambda x: (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 0.1).sqrt(),
    "rms by hand": lambda x: x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 0.1),
}


def _groups(shape: Shape) -> list[int]:
    return [g for g in divisors(shape[0]) if math.prod(shape) // g > 1]


# ---- activations and arithmetic

ACTIVATIONS: dict[str, Callable[[bool], nn.Module]] = {
    "ReLU": nn.ReLU,
    **{kind.__name__: (lambda inplace, kind=kind: kind(inplace=inplace)) for kind in (
        nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.SiLU, nn.Mish, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid,
        nn.RReLU, nn.Dropout, nn.AlphaDropout)},
    **{kind.__name__: (lambda inplace, kind=kind: kind()) for kind in (
        nn.GELU, nn.Softplus, nn.PReLU, nn.LogSigmoid, nn.Softsign, nn.Tanhshrink, nn.Softshrink, nn.Hardshrink,
        nn.Identity)},
    "GELU tanh": lambda inplace: nn.GELU(approximate="tanh"),
    "Threshold": lambda inplace: nn.Threshold(0.1, 0.3, inplace),
    "Sigmoid": lambda inplace: Do(torch.sigmoid_) if inplace else nn.Sigmoid(),
    "Tanh": lambda inplace: Do(torch.tanh_) if inplace else nn.Tanh(),
    "clamp": lambda inplace: Do(lambda x: x.clamp_(-1, 2) if inplace else x.clamp(-1, 2)),
    "abs": lambda inplace: Do(lambda x: x.abs_() if inplace else x.abs()),
    "clamp square": lambda inplace: Do(lambda x: x.relu().square()),
    "quick GELU": lambda inplace: Do(lambda x: x * torch.sigmoid(1.702 * x)),
}  # fmt: skip

ARITHMETIC: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "x + 0.3": lambda x, w: x + 0.3,
    "1 - x": lambda x, w: 1 - x,
    "x + w": lambda x, w: x + w,
    "w - x": lambda x, w: w - x,
    "x * w": lambda x, w: x * w,
    "-x / 2": lambda x, w: -x / 2,
    "x / (1 + w²)": lambda x, w: x / (1 + w * w),
    "x * x": lambda x, w: x * x,
    "x³": lambda x, w: x**3,
    "√(1 + |x|)": lambda x, w: (1 + x.abs()).sqrt(),
    "exp(-x²)": lambda x, w: torch.exp(-x.square()),
    "x += w": lambda x, w: x.add_(w, alpha=0.5),
    "x *= w": lambda x, w: x.mul_(w),
    "x *= 2; x -= 1": lambda x, w: x.mul_(2).sub_(1),
    "addcmul": lambda x, w: torch.addcmul(x, x, w, value=0.5),
    "lerp": lambda x, w: torch.lerp(x, w, 0.3),
    "where": lambda x, w: torch.where(w > w.mean(), x, w),
    "masked_fill": lambda x, w: x.masked_fill(w > w.mean(), 0.4),
    "masked_fill_": lambda x, w: x.masked_fill_(w > w.mean(), 0.0),
    "maximum": lambda x, w: torch.maximum(x, w),
}


GATED: dict[str, Callable[[Tensor], Tensor]] = {
    "GLU": lambda x: F.glu(x, 1),
    "GLU by hand": lambda x: x[:, ::2] * torch.sigmoid(x[:, 1::2]),
    "SwiGLU": lambda x: F.silu(x.chunk(2, 1)[0]) * x.chunk(2, 1)[1],
    "gate only": lambda x: torch.sigmoid(x.chunk(2, 1)[0]) * 2,
    "hard gate": lambda x: x * F.hardsigmoid(x.mean(1, keepdim=True)),
    "two softmaxes": lambda x: x.softmax(1) * x.tanh(),
}


def _make_arithmetic(shape: Shape, done: str) -> nn.Module:
    function = ARITHMETIC[done]
    return Do(lambda x, w: function(x, w.all[0]), Weights(shape))


# ---- pooling


def _pool(shape: Shape) -> SearchStrategy[Settings]:
    return choices(kind=("Max", "Avg", "Avg inside", "LP1", "LP2"), window=windows(shape, pooling=True), ceil=YES_NO)


def _make_pool(shape: Shape, kind: str, window: Settings, ceil: bool) -> nn.Module:
    if kind == "Max":
        return sized("MaxPool", shape)(**window, ceil_mode=ceil)
    size, stride, padding = window["kernel_size"], window["stride"], window["padding"]
    if kind.startswith("LP"):
        return sized("LPPool", shape)(2 if kind == "LP2" else 1, size, stride, ceil_mode=ceil)
    return sized("AvgPool", shape)(size, stride, padding, ceil_mode=ceil, count_include_pad=kind == "Avg")


def _adaptive(shape: Shape) -> SearchStrategy[Settings]:
    return choices(kind=("Avg", "Max"), size=st.tuples(*(st.integers(1, n) for n in shape[1:])))


def _make_adaptive(shape: Shape, kind: str, size: Shape) -> nn.Module:
    return sized(f"Adaptive{kind}Pool", shape)(size if len(size) > 1 else max(size))


REDUCED: dict[str, Callable[[Tensor, int], Tensor]] = {
    "mean": lambda x, dim: x.mean(dim),
    "sum": lambda x, dim: x.sum(dim),
    "max": lambda x, dim: x.max(dim).values,
    "amax": lambda x, dim: x.amax(dim),
    "norm": lambda x, dim: x.norm(dim=dim),
    "logsumexp": lambda x, dim: x.logsumexp(dim),
    "cumsum": lambda x, dim: x.cumsum(dim),
    "topk": lambda x, dim: x.topk(2, dim).values if x.shape[dim] > 1 else x,
    "sort": lambda x, dim: x.sort(dim).values,
    "first and last": lambda x, dim: x.select(dim, 0) + x.select(dim, -1),
}


def _reduce(shape: Shape) -> SearchStrategy[Settings]:
    return choices(how=REDUCED, dim=range(1, len(shape) + 1))


def _make_softmax(shape: Shape, dim: int, how: str) -> nn.Module:
    if how != "cut":
        return nn.LogSoftmax(dim) if how == "log" else nn.Softmax(dim)
    mask = torch.zeros(shape[dim - 1], *[1] * (len(shape) - dim)).double()
    mask[1:2] = -torch.inf
    return Do(lambda x: (x + mask).softmax(dim))


tokens = of_axes(2, 2)

KINDS: dict[str, Kind] = {
    "dense": Kind(lambda shape: choices(spelled=SPELLINGS, outputs=(2, 3, 4)), _make_dense),
    "activation": Kind(
        lambda shape: choices(name=ACTIVATIONS, inplace=YES_NO), lambda shape, name, inplace: ACTIVATIONS[name](inplace)
    ),
    "conv": Kind(_conv, _make_conv, pictures),
    "transposed": Kind(_transposed, _make_transposed, pictures),
    "mix": Kind(lambda shape: choices(outputs=(2, 3)), _make_mix),
    "one each": Kind(lambda shape: choices(outputs=(2, 3)), _make_one_each, tokens),
    "bilinear": Kind(lambda shape: choices(outputs=(2, 3)), _make_bilinear),
    "batch norm": Kind(
        lambda shape: choices(affine=YES_NO),
        lambda shape, affine: sized("BatchNorm", shape)(shape[0], affine=affine),
    ),
    "instance norm": Kind(
        lambda shape: choices(affine=YES_NO, tracked=YES_NO),
        _make_instance_norm,
        lambda shape: pictures(shape) and math.prod(shape[1:]) > 1,
    ),
    "group norm": Kind(
        lambda shape: choices(groups=_groups(shape)),
        lambda shape, groups: nn.GroupNorm(groups, shape[0]),
        lambda shape: bool(_groups(shape)),
    ),
    "layer norm": Kind(
        lambda shape: choices(axes=range(1, len(shape) + 1), affine=YES_NO),
        lambda shape, axes, affine: nn.LayerNorm(shape[-axes:], elementwise_affine=affine),
        lambda shape: shape[-1] > 1,
    ),
    "rms norm": Kind(lambda shape: choices(affine=YES_NO), _make_rms_norm),
    "local norm": Kind(
        lambda shape: choices(size=(2, 3)), lambda shape, size: nn.LocalResponseNorm(size), of_axes(2, 3)
    ),
    "normalized": Kind(lambda shape: choices(how=NORMALIZED), lambda shape, how: Do(NORMALIZED[how])),
    "arithmetic": Kind(lambda shape: choices(done=ARITHMETIC), _make_arithmetic),
    "pool": Kind(_pool, _make_pool, pictures),
    "adaptive pool": Kind(_adaptive, _make_adaptive, pictures),
    "reduce": Kind(_reduce, lambda shape, how, dim: Do(lambda x: REDUCED[how](x, dim)), of_axes(2, 4)),
    "softmax": Kind(lambda shape: choices(dim=range(1, len(shape) + 1), how=("softmax", "log", "cut")), _make_softmax),
    "gated": Kind(lambda shape: choices(how=GATED), lambda shape, how: Do(GATED[how]), lambda shape: not shape[0] % 2),
}
