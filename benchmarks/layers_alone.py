"""The least an explanation can take: its layers forward and back, all weights packed, and nothing between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.layers.layer import ALL, MINUS, PLUS, Part

__all__ = ["layers_alone"]

# The parts of the weights that each composite takes forward, beside the model's own run, and back.
NEEDED: dict[str, tuple[tuple[Part, ...], tuple[Part, ...]]] = {
    "ε": ((), (ALL,)),
    "α1β0": ((PLUS,), (PLUS,)),
    "α2β1": ((PLUS,), (PLUS, MINUS)),
}


def layers_alone(model: nn.Module, x: Tensor) -> dict[str, Callable[[], Any]]:
    """A work for each composite of NEEDED."""
    explainer = lw.Explainer(model)
    explainer.tape(x)
    explainer._budget.LIMIT = 2**40  # from now on pack everything: the first tape makes a budget of its own
    tape = explainer.tape(x + 1e-3)
    layers = [
        (step.affine.kernel, tape.values[step.inputs[0]], torch.rand_like(tape.values[step.outputs[0]]))
        for step in tape.steps
        if step.affine is not None and step.outputs[0] is not None
    ]

    def work(forward: tuple[Part, ...], back: tuple[Part, ...]) -> Callable[[], Any]:
        def through() -> None:
            for kernel, a, _ in layers:
                for part in (ALL, *forward):
                    kernel.forward(a, part)
            for kernel, a, s in reversed(layers):
                for part in back:
                    kernel.adjoint(s, part, a)

        return torch.no_grad()(through)

    return {title: work(*parts) for title, parts in NEEDED.items()}
