"""Every rule × affine operation × bias × sign of the input, against the dense rewrite; and numbers worked by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.engine.networks import dense
from tests.engine.networks.running import error_of, propagated, recorded
from tests.engine.rules.rules_cases import rules_for

BATCH = 2


@dataclass(frozen=True)
class Op:
    """z = function(x, w, b) with x (batch, *row) and w of the given shape.

    axis: of a row, the one that holds channels (for bounds given per channel).
    bias: its shape, None where the operation takes none.
    """

    name: str
    row: tuple[int, ...]
    weight: tuple[int, ...]
    bias: tuple[int, ...] | None
    function: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    axis: int = 0


OPS = (
    Op("conv1d", (3, 7), (4, 3, 3), (4,), lambda x, w, b: F.conv1d(x, w, b)),
    Op("conv1d stride", (3, 8), (4, 3, 3), (4,), lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=1)),
    Op("conv1d groups", (4, 7), (6, 2, 3), (6,), lambda x, w, b: F.conv1d(x, w, b, dilation=2, padding=2, groups=2)),
    Op("conv2d", (2, 5, 5), (3, 2, 3, 3), (3,), lambda x, w, b: F.conv2d(x, w, b)),
    Op("conv2d padded", (2, 4, 4), (2, 2, 3, 3), (2,), lambda x, w, b: F.conv2d(x, w, b, padding=(2, 1))),
    Op("conv2d stride", (2, 6, 5), (3, 2, 3, 2), (3,), lambda x, w, b: F.conv2d(x, w, b, stride=(2, 3), padding=1)),
    Op("conv2d dilation", (2, 6, 6), (2, 2, 3, 3), (2,), lambda x, w, b: F.conv2d(x, w, b, dilation=(2, 1))),
    Op("conv2d depthwise", (4, 4, 4), (8, 1, 3, 3), (8,), lambda x, w, b: F.conv2d(x, w, b, groups=4, stride=2)),
    Op("conv2d same", (2, 4, 4), (2, 2, 3, 3), (2,), lambda x, w, b: F.conv2d(x, w, b, padding="same")),
    Op("conv3d", (2, 3, 4, 3), (3, 2, 2, 2, 2), (3,), lambda x, w, b: F.conv3d(x, w, b, stride=(1, 2, 1), padding=1)),
    Op("conv3d groups", (2, 3, 3, 3), (4, 1, 2, 2, 2), (4,), lambda x, w, b: F.conv3d(x, w, b, groups=2)),
    Op("transposed 1d", (3, 4), (3, 2, 3), (2,), lambda x, w, b: F.conv_transpose1d(x, w, b, stride=2)),
    Op(
        "transposed 1d groups",
        (4, 4),
        (4, 2, 3),
        (4,),
        lambda x, w, b: F.conv_transpose1d(x, w, b, stride=2, padding=1, output_padding=1, groups=2),
    ),
    Op("transposed 2d", (2, 3, 3), (2, 3, 2, 2), (3,), lambda x, w, b: F.conv_transpose2d(x, w, b, dilation=2)),
    Op(
        "transposed 2d groups",
        (4, 3, 2),
        (4, 1, 3, 3),
        (2,),
        lambda x, w, b: F.conv_transpose2d(x, w, b, stride=(2, 3), padding=1, output_padding=(1, 2), groups=2),
    ),
    Op("transposed 3d", (2, 2, 2, 2), (2, 2, 2, 2, 2), (2,), lambda x, w, b: F.conv_transpose3d(x, w, b, padding=1)),
    Op("linear", (6,), (5, 6), (5,), lambda x, w, b: F.linear(x, w, b)),
    Op("linear 3d", (3, 4), (5, 4), (5,), lambda x, w, b: F.linear(x, w, b), axis=1),
    Op("linear 4d", (2, 2, 4), (3, 4), (3,), lambda x, w, b: F.linear(x, w, b), axis=2),
    Op("linear transposed", (4, 3), (5, 4), (5,), lambda x, w, b: F.linear(x.transpose(1, 2), w, b)),
    Op("x @ W", (6,), (6, 5), None, lambda x, w, b: x @ w),
    Op("x @ W + b", (6,), (6, 5), (5,), lambda x, w, b: x @ w if b is None else x @ w + b),
    Op("x @ W 3d", (3, 4), (4, 5), None, lambda x, w, b: x @ w, axis=1),
    Op("W @ x 3d", (4, 3), (5, 4), None, lambda x, w, b: w @ x),
    Op("bmm", (3, 4), (4, 5), None, lambda x, w, b: torch.bmm(x, w.expand(len(x), -1, -1)), axis=1),
    Op("bmm left", (4, 3), (5, 4), None, lambda x, w, b: torch.bmm(w.expand(len(x), -1, -1), x)),
    Op("addmm", (6,), (6, 5), (5,), lambda x, w, b: torch.addmm(x.new_zeros(5) if b is None else b, x, w)),
    Op(
        "addmm scaled",
        (6,),
        (6, 5),
        (5,),
        lambda x, w, b: torch.addmm(x.new_zeros(5) if b is None else b, x, w, beta=0.5, alpha=-2.0),
    ),
    Op(
        "addmm of nothing",
        (6,),
        (6, 5),
        None,
        lambda x, w, b: torch.addmm(x.new_full((5,), float("nan")), x, w, beta=0, alpha=3.0),
    ),
    Op(
        "baddbmm",
        (3, 4),
        (4, 5),
        (3, 5),
        lambda x, w, b: torch.baddbmm(x.new_zeros(1) if b is None else b, x, w.expand(len(x), -1, -1), beta=2.0),
        axis=1,
    ),
    Op(
        "baddbmm left",
        (4, 3),
        (5, 4),
        (5, 3),
        lambda x, w, b: torch.baddbmm(x.new_zeros(1) if b is None else b, w.expand(len(x), -1, -1), x, alpha=0.5),
    ),
    Op("einsum", (6,), (5, 6), None, lambda x, w, b: torch.einsum("bi,oi->bo", x, w)),
    Op("einsum 3d", (3, 4), (5, 4), None, lambda x, w, b: torch.einsum("bij,oj->bio", x, w), axis=1),
    Op("mv", (6,), (6,), None, lambda x, w, b: torch.mv(x, w)[:, None]),
    Op(
        "addmv",
        (6,),
        (6,),
        (1,),
        lambda x, w, b: torch.addmv(x.new_zeros(1) if b is None else b, x, w, beta=2.0, alpha=0.5)[:, None],
    ),
)

BIASES = ("none", "positive", "negative", "mixed")


def drawn_bias(kind: str, shape: tuple[int, ...]) -> Tensor | None:
    b = torch.randn(shape)
    return {"none": None, "positive": b.abs(), "negative": -b.abs(), "mixed": b}[kind]


@pytest.mark.parametrize("signed", [False, True], ids=["inputs >= 0", "signed inputs"])
@pytest.mark.parametrize(
    ("op", "bias"),
    [(op, bias) for op in OPS for bias in BIASES if op.bias is not None or bias == "none"],
    ids=lambda value: value.name if isinstance(value, Op) else value,
)
def test_rule_against_dense(op: Op, bias: str, signed: bool, measured: Callable[[str, float], None]) -> None:
    torch.manual_seed(0)
    # Drawn in float32, so that both precisions compute from the same numbers. Some inputs are exactly zero.
    x = torch.randn(BATCH, *op.row) * (torch.rand(BATCH, *op.row) < 0.7)
    x = x if signed else x.clamp(min=0)
    w = torch.randn(op.weight)
    b = drawn_bias(bias, op.bias) if op.bias is not None else None
    channels = op.row[op.axis]
    low = tuple(-2.5 - 0.1 * c for c in range(channels))
    high = tuple(3.0 + 0.2 * c for c in range(channels))
    shape = [-1 if axis == op.axis else 1 for axis in range(len(op.row))]
    low_map, high_map = (np.broadcast_to(np.array(v).reshape(shape), op.row).flatten() for v in (low, high))

    def function(dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
        weight, shift = w.to(dtype), None if b is None else b.to(dtype)
        return lambda x: op.function(x, weight, shift)

    layers = [dense.layer_at(function(torch.float64), x[i : i + 1]) for i in range(BATCH)]
    relevance = torch.randn(BATCH, len(layers[0].b)).double()
    # A sum that all but cancels has few digits in float32, whoever computes it: no relevance arrives there.
    terms = np.stack([np.abs(layer.w * layer.a).sum(1) + np.abs(layer.b) for layer in layers])
    sound = torch.from_numpy(np.abs(np.stack([layer.z for layer in layers])) >= 0.03 * terms)
    for dtype, start, bound in ((torch.float64, relevance, 1e-10), (torch.float32, relevance * sound, 1e-5)):
        tape = recorded(function(dtype), x.to(dtype))
        for name, (rule, slow) in rules_for(low, high).items():
            expected = np.stack(
                [slow(layer, s, low_map, high_map) for layer, s in zip(layers, start.numpy(), strict=True)]
            )
            got, passed = propagated(tape, rule, start.reshape(tape.scores.shape).to(dtype))
            assert got.dtype == dtype
            error = error_of(got, expected)
            measured(f"rule {name} against the dense rewrite, {str(dtype).removeprefix('torch.')}", error)
            assert error <= bound, f"{rule} differs by {error:.1e} of max|R| in {dtype}"
            for line in passed.ledger:
                assert line.closes, f"{rule}: {line.unexplained.tolist()} unexplained at {line.name}"
