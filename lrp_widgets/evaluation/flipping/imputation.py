"""Linear imputation: each missing pixel is the weighted mean of its neighbours, missing or not."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["imputed"]

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
    """Σ_j w_ij t_j over the neighbours, nothing beyond the border; w is 1/6 along an axis and 1/12 along a diagonal.

    Rong et al. 2022. That is (1 2 1)ᵀ(1 2 1) but for the centre: two passes of sums, tens of times faster than a
    convolution in double precision.
    """
    t_padded = functional.pad(t, (1, 1, 1, 1))
    rows = t_padded[..., :-2, :] + 2 * t_padded[..., 1:-1, :] + t_padded[..., 2:, :]
    return (rows[..., :-2] + 2 * rows[..., 1:-1] + rows[..., 2:] - 4 * t) / 12


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """One number a row and channel."""
    return (a * b).sum((2, 3), keepdim=True)
