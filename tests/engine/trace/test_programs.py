"""Random programs full of views and in-place writes, held against autograd.

On a piecewise affine program LRP-0 is gradient × input, bias or not: R_k = a_k ∂f/∂a_k holds at the output and every
step keeps it. Autograd knows views and in-place writes by other means than the tape does, so it is the judge.
"""

from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.trace.step import replay

ROWS, WIDTH = 3, 6


class Program(nn.Module):
    """A random walk through tensors of shape (rows, width): the same one for the same seed."""

    def __init__(self, seed: int, steps: int = 12) -> None:
        super().__init__()
        self.seed, self.steps = seed, steps
        self.done: list[str] = []
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        choose = random.Random(self.seed)
        numbers = torch.Generator().manual_seed(self.seed)
        self.done.clear()

        def weights(*shape: int) -> Tensor:
            return torch.randn(shape, generator=numbers).double()

        live: list[Tensor] = [x, F.linear(x, weights(WIDTH, WIDTH), weights(WIDTH))]

        def some() -> Tensor:
            return choose.choice(live)

        def piece() -> slice:
            start = choose.randrange(WIDTH - 1)
            return slice(start, choose.randrange(start + 1, WIDTH) + 1)

        def linear() -> Tensor:
            return F.linear(some(), weights(WIDTH, WIDTH), weights(WIDTH))

        def product_and_sum() -> Tensor:
            return some() @ weights(WIDTH, WIDTH) + weights(WIDTH)

        def left_product() -> Tensor:
            return (weights(WIDTH, WIDTH) @ some().T).T

        def relu() -> Tensor:
            return torch.relu(some()).clone()

        def relu_in_place() -> None:
            target = some()
            target.copy_(torch.relu(target))  # autograd cannot follow relu_() where the answer is written again

        def add() -> Tensor:
            return torch.add(some(), some(), alpha=choose.choice((1, 2, -0.5)))

        def add_in_place() -> None:
            target, other = some(), some()
            target.add_(other.clone(), alpha=0.7)

        def add_constant_in_place() -> None:
            some()[:, piece()] += 0.3

        def scale_piece_in_place() -> None:
            some()[:, piece()].mul_(1.5)

        def add_piece_in_place() -> None:
            where, other = piece(), some().clone()
            some()[:, where].add_(other[:, where])

        def write_column() -> None:
            some()[:, choose.randrange(WIDTH)] = some()[:, choose.randrange(WIDTH)].clone()

        def write_constant() -> None:
            some()[choose.randrange(ROWS), piece()] = 0.2

        def write_through_transpose() -> None:
            some().T[choose.randrange(WIDTH)].sub_(0.4)

        def masked() -> None:
            target = some()
            target[target < -0.5] = 0.1

        def shifted_in_place() -> None:
            target = some()
            target[:, 1:] += target[:, :-1].clone()

        def view() -> Tensor:
            return some().view(ROWS, 2, WIDTH // 2).view(ROWS, WIDTH)

        def flipped() -> Tensor:
            return some().flip(1)

        def rolled() -> Tensor:
            return some().roll(choose.randrange(WIDTH), 1)

        def buffer() -> Tensor:
            out, where = torch.full((ROWS, WIDTH), 0.25, dtype=x.dtype), piece()
            out[:, where] = some()[:, where]
            return out

        def running_sum() -> Tensor:
            total = torch.zeros(ROWS, WIDTH, dtype=x.dtype)
            for _ in range(2):
                total += some()
            return total

        def joined() -> Tensor:
            return torch.cat([some()[:, :2], some()[:, 2:]], 1)

        def stacked() -> Tensor:
            return torch.stack([some(), some()], 0).sum(0)

        def spread() -> Tensor:
            wide = some().unsqueeze(1).expand(-1, 2, -1)
            some()[:, 0] += 0.2  # it may be the one that was spread
            return wide.sum(1)

        def windows() -> Tensor:
            seen = some().unfold(1, 2, 1)
            some()[:, 2].mul_(0.5)
            return F.pad(seen.sum(2), (0, 1))

        def largest() -> Tensor:
            return torch.maximum(some().clone(), some().flip(1) + 0.01)

        def scratch() -> Tensor:
            constant = torch.ones(WIDTH, dtype=x.dtype)
            made = some() + constant
            constant.mul_(3)
            return made + constant

        def averaged() -> Tensor:
            return F.avg_pool1d(F.pad(some()[:, None], (1, 1)), 3, 1)[:, 0]

        writes = (relu_in_place, add_in_place, add_constant_in_place, scale_piece_in_place, add_piece_in_place)
        writes += (write_column, write_constant, write_through_transpose, masked, shifted_in_place)
        makes = (linear, product_and_sum, left_product, relu, add, view, flipped, rolled, buffer, running_sum, joined)
        makes += (stacked, spread, windows, largest, scratch, averaged)
        for _ in range(self.steps):
            step = choose.choice(choose.choice((writes, makes)))
            self.done.append(step.__name__)
            made = step()
            if made is not None:
                live.append(made)
                live[:] = live[-5:]
        return sum(F.linear(tensor, weights(2, WIDTH)) for tensor in live)


def judged(model: nn.Module, x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(leaf.clone())[:, 1].sum(), leaf)
    return gradient * x


@pytest.mark.parametrize("seed", range(150))
def test_lrp_0_is_gradient_times_input(seed: int) -> None:
    model = Program(seed)
    x = torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(seed + 1)).double()
    expected = judged(model, x)
    explanation = lw.Explainer(model).explain(x, 1, lw.LRP(lw.epsilon(0.0)))
    scale = float(expected.abs().max())
    error = float((explanation.relevance - expected).abs().max()) / scale
    assert error <= 1e-8, f"{error:.1e} after {model.done}"
    assert explanation.fallbacks == ()
    for line in explanation.layers:
        size = line.positive - line.negative + line.relevance_in.abs()
        assert bool((line.unexplained.abs() <= 1e-9 * size + 1e-12).all()), (line.name, model.done)


@pytest.mark.parametrize("seed", range(0, 150, 10))
def test_every_step_replays(seed: int) -> None:
    x = torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(seed + 1)).double()
    tape = lw.Explainer(Program(seed, steps=25)).tape(x)
    for step in tape.steps:
        if step.affine is None:
            made = replay(step, [tape.values[value].clone() for value in step.inputs])
            for tensor, value in zip(made, step.outputs, strict=True):
                assert value is None or torch.equal(tensor, tape.values[value]), step.name
