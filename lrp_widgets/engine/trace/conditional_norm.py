"""Normalizations whose scale or shift is made from the input (conditional norms, AdaLN), spelled out.

Torch runs them as one operation. Spelled out, they are a normalization without parameters, a product and a sum, each of
which has its own rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["CONDITIONAL_NORMS"]

aten = torch.ops.aten


def _layer_norm(x: Tensor, shape: list[int], weight: Any, bias: Any, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    z, *statistics = aten.native_layer_norm.default(x, shape, None, None, eps)
    return _affine(z, weight, bias), *statistics


def _group_norm(
    x: Tensor, weight: Any, bias: Any, n: int, channels: int, size: int, groups: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    z, *statistics = aten.native_group_norm.default(x, None, None, n, channels, size, groups, eps)
    return _affine(z, _by_channel(weight, x), _by_channel(bias, x)), *statistics


def _batch_norm(x: Tensor, weight: Any, bias: Any, *more: Any) -> tuple[Tensor, Tensor, Tensor]:
    z, *statistics = aten.native_batch_norm.default(x, None, None, *more)
    return _affine(z, _by_channel(weight, x), _by_channel(bias, x)), *statistics


def _by_channel(parameter: Any, x: Tensor) -> Any:
    return None if parameter is None else parameter.reshape(1, -1, *[1] * (x.ndim - 2))


def _affine(z: Tensor, weight: Any, bias: Any) -> Tensor:
    z = z if weight is None else z * weight
    return z if bias is None else z + bias


# Of each operation: where its scale and its shift stand among the arguments, and how it is spelled out.
CONDITIONAL_NORMS: dict[Any, tuple[tuple[int, int], Callable[..., Any]]] = {
    aten.native_layer_norm.default: ((2, 3), _layer_norm),
    aten.native_group_norm.default: ((1, 2), _group_norm),
    aten.native_batch_norm.default: ((1, 2), _batch_norm),
}
