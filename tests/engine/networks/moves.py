"""Kinds of layers that move numbers about without changing them: views, slices, padding, joining, resizing, writing."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from hypothesis.strategies import SearchStrategy
from torch import Tensor, nn
from torch.nn import functional as F

from tests.engine.networks.layers import YES_NO, Do, Kind, Settings, Shape, choices, divisors, of_axes, pictures


def _axis(shape: Shape) -> range:
    return range(1, len(shape) + 1)


def _written(x: Tensor, dim: int) -> Tensor:
    """A buffer of constants that is filled bit by bit."""
    out = torch.full_like(x, 0.5)
    first = [slice(None)] * x.ndim
    first[dim] = slice(0, x.shape[dim] // 2 + 1)
    out[tuple(first)] = x[tuple(first)]
    return out


def _scaled_in_place(x: Tensor, dim: int) -> Tensor:
    x.select(dim, 0).mul_(1.5)
    x.narrow(dim, x.shape[dim] // 2, 1).add_(0.2)
    return x


def _shifted(x: Tensor, dim: int) -> Tensor:
    x = x.clone()
    x.narrow(dim, 1, x.shape[dim] - 1).add_(x.narrow(dim, 0, x.shape[dim] - 1).clone())
    return x


ALONG: dict[str, Callable[[Tensor, int], Tensor]] = {
    "flip": lambda x, dim: x.flip(dim),
    "roll": lambda x, dim: x.roll(1, dim),
    "slice": lambda x, dim: x.narrow(dim, 0, max(1, x.shape[dim] - 1)),
    "every other": lambda x, dim: x.transpose(dim, -1)[..., ::2].transpose(dim, -1),
    "pick": lambda x, dim: x.index_select(dim, torch.tensor([0, x.shape[dim] - 1, 0])),
    "fancy": lambda x, dim: x.transpose(dim, -1)[..., [x.shape[dim] - 1, 0]].transpose(dim, -1),
    "swap halves": lambda x, dim: torch.cat(x.chunk(2, dim)[::-1], dim),
    "restack": lambda x, dim: torch.stack(x.unbind(dim)[::-1], dim),
    "split": lambda x, dim: torch.cat([part * 2 for part in x.split(1, dim)], dim),
    "repeat": lambda x, dim: torch.cat([x, x], dim),
    "interleave": lambda x, dim: x.repeat_interleave(2, dim),
    "expand": lambda x, dim: x.unsqueeze(dim).expand(*x.shape[:dim], 2, *x.shape[dim:]).flatten(dim, dim + 1),
    "joined with constants": lambda x, dim: torch.cat([x, torch.ones_like(x)], dim),
    "gather": lambda x, dim: x.gather(dim, torch.zeros_like(x, dtype=torch.long)),
    "unfold": lambda x, dim: x.unfold(dim, 2, 1).sum(-1) if x.shape[dim] > 1 else x,
    "written": _written,
    "scaled in place": _scaled_in_place,
    "shifted": _shifted,
}


def _make_along(shape: Shape, how: str, dim: int) -> nn.Module:
    return Do(lambda x: ALONG[how](x, dim))


def _make_transpose(shape: Shape, dims: tuple[int, int]) -> nn.Module:
    return Do(lambda x: x.transpose(*dims))


def _make_view(shape: Shape, first: int) -> nn.Module:
    return Do(lambda x: x.reshape(len(x), first, -1))


def _pad(shape: Shape) -> SearchStrategy[Settings]:
    modes = ("constant", "replicate", "reflect", "circular") if min(shape[1:]) > 1 else ("constant", "replicate")
    return choices(mode=modes, before=(0, 1), after=(1, 0, -1), value=(0.0, 0.5))


def _make_pad(shape: Shape, mode: str, before: int, after: int, value: float) -> nn.Module:
    given = {"value": value} if mode == "constant" else {}
    after = max(after, 0) if mode != "constant" or shape[-1] + before < 2 else after
    return Do(lambda x: F.pad(x, (before, after, *(0, 0) * (len(shape) - 2)), mode=mode, **given))


MODES = {2: ("nearest", "linear"), 3: ("nearest", "bilinear", "bicubic", "area"), 4: ("nearest", "trilinear")}


def _make_resized(shape: Shape, mode: str, corners: bool, size: int) -> nn.Module:
    aligned = corners if mode.endswith(("linear", "cubic")) else None
    return Do(lambda x: F.interpolate(x, size=(size,) * (x.ndim - 2), mode=mode, align_corners=aligned))


def _make_shuffled(shape: Shape, how: str) -> nn.Module:
    channels, height, width = shape
    if how == "pixel shuffle" and channels % 4 == 0:
        return nn.PixelShuffle(2)
    if how == "pixel unshuffle" and height % 2 == width % 2 == 0:
        return nn.PixelUnshuffle(2)
    if how == "unfold and fold" and min(height, width) > 1:
        return Do(lambda x: F.fold(F.unfold(x, 2, padding=1), (height, width), 2, padding=1))
    return nn.ChannelShuffle(divisors(channels)[-1])


def _make_masked(shape: Shape, how: str) -> nn.Module:
    mask = torch.arange(math.prod(shape)).reshape(shape) % 3 > 0
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "where": lambda x: torch.where(mask, x, 0.5),
        "masked_fill": lambda x: x.masked_fill(mask, 0.0),
        "selected": lambda x: x[:, mask],
        "tril": lambda x: x.tril() if x.ndim > 2 else x,
        "written": lambda x: _masked_write(x, mask),
    }
    return Do(ways[how])


def _masked_write(x: Tensor, mask: Tensor) -> Tensor:
    x[:, mask] = 0.25
    return x


MOVES: dict[str, Kind] = {
    "flatten": Kind(lambda shape: choices(), lambda shape: nn.Flatten(), of_axes(2, 4)),
    "along": Kind(lambda shape: choices(how=ALONG, dim=_axis(shape)), _make_along),
    "transpose": Kind(
        lambda shape: choices(dims=[(i, j) for j in _axis(shape) for i in range(1, j)]), _make_transpose, of_axes(2, 4)
    ),
    "view": Kind(lambda shape: choices(first=divisors(math.prod(shape))), _make_view),
    "pad": Kind(_pad, _make_pad, pictures),
    "resized": Kind(
        lambda shape: choices(mode=MODES[len(shape)], corners=YES_NO, size=(2, 3, 1, 4)), _make_resized, pictures
    ),
    "shuffled": Kind(
        lambda shape: choices(how=("pixel shuffle", "pixel unshuffle", "unfold and fold", "channels")),
        _make_shuffled,
        of_axes(3, 3),
    ),
    "masked": Kind(lambda shape: choices(how=("where", "masked_fill", "selected", "tril", "written")), _make_masked),
}
