"""Linear imputation: each missing pixel is the weighted mean of its neighbours, missing or not."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["imputed"]

# ROAD, Rong et al. 2022: neighbours along an axis count twice those along a diagonal.
WEIGHTS = torch.tensor([[1.0, 2.0, 1.0], [2.0, 0.0, 2.0], [1.0, 2.0, 1.0]], dtype=torch.float64) / 12
EXACT, ROUNDING = 1e-10, 1e-14  # of the first residual, and of the picture


def imputed(picture: Tensor, gone: Tensor) -> Tensor:
    """Σ_j w_ij (u_j − u_i) = 0 at every missing pixel i, u = x elsewhere; j: the neighbours inside the picture.

    picture: (1, channels, height, width).  gone: (n, 1, height, width), True where pixels are missing.
    Returns (n, channels, height, width) in float64 on the CPU. Where no pixel is left, the mean of each channel.
    Conjugate gradients on the missing pixels, where the system is symmetric and positive definite.
    """
    x = picture.detach().double().cpu()
    missing = gone.cpu().expand(-1, x.shape[1], -1, -1).double()
    degree = _around(torch.ones_like(x[:, :1]))
    mean = x.mean((2, 3), keepdim=True)

    def system(u: Tensor) -> Tensor:
        return missing * (degree * u - _around(missing * u))

    u = missing * mean
    residual = missing * _around((1 - missing) * x) - system(u)
    direction, size = residual, _dot(residual, residual)
    # With nothing left there is no unique answer: the mean has no residual but rounding, and stays.
    enough = EXACT**2 * size + ROUNDING**2 * _dot(x, x)
    # Never more steps than unknowns, but for rounding.
    for _ in range(2 * missing[0, 0].numel()):
        if bool((size <= enough).all()):
            break
        along = system(direction)
        curvature = _dot(direction, along)
        length = torch.where(size > enough, size / curvature.clamp(min=1e-300), 0.0)
        u, residual = u + length * direction, residual - length * along
        smaller = _dot(residual, residual)
        direction = residual + smaller / size.clamp(min=1e-300) * direction
        size = smaller
    return torch.where(missing > 0, u, x)


def _around(t: Tensor) -> Tensor:
    """Σ_j w_ij t_j over the neighbours, channel by channel; nothing beyond the border."""
    rows, channels, height, width = t.shape
    flat = t.reshape(rows * channels, 1, height, width)
    return functional.conv2d(flat, WEIGHTS[None, None], padding=1).reshape(t.shape)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """One number a row and channel."""
    return (a * b).sum((2, 3), keepdim=True)
