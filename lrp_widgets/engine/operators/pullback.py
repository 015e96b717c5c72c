"""What an operator rule is, and the adjoint that most of them are made of.

An operator rule is a function `(step, tape, options) -> pullback`, and `pullback(*R_out) -> ([R_in, …], absorbed)`: one
R_out per output of the step, one R_in per active input; `absorbed` is what stays by cause, or the one cause that
explains the whole difference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.engine.operators.adjoints import adjoint_of
from lrp_widgets.engine.operators.options import Options
from lrp_widgets.engine.trace.step import Ref, Step, replay
from lrp_widgets.engine.trace.tape import Tape

__all__ = ["OperatorRule", "Pullback", "PulledBack", "vjp"]


PulledBack = tuple[list[Tensor | None], dict[str, Tensor] | str]
Pullback = Callable[..., PulledBack]
OperatorRule = Callable[[Step, Tape, Options], Pullback]


def vjp(step: Step, tape: Tape) -> tuple[Callable[..., list[Tensor]], list[Tensor]]:
    """The step's adjoint at the recorded values, one tensor per input occurrence, and what it gives there."""
    if (own := adjoint_of(step, tape.values[step.inputs[0]])) is not None:
        outputs = [tape.values[value] for value in step.outputs if value is not None]
        return lambda s: [own(s.to(outputs[0].dtype) if outputs[0].is_floating_point() else s)], outputs
    step = _with_floating_tokens(step, tape)
    with torch.enable_grad():
        leaves = [_floating(tape.values[value]).detach().requires_grad_() for value in step.inputs]
        try:
            replayed = replay(step, leaves)
        except RuntimeError as error:
            raise _no_derivative(step, error) from error
        outputs = [t for t, value in zip(replayed, step.outputs, strict=False) if value is not None]

    def adjoint(*cotangents: Tensor | None) -> list[Tensor]:
        both = zip(outputs, cotangents, strict=True)
        pairs = [(t, s.to(t.dtype)) for t, s in both if s is not None and t.requires_grad]
        if not pairs:
            return [torch.zeros_like(leaf) for leaf in leaves]
        try:
            grads = torch.autograd.grad(
                [t for t, _ in pairs], leaves, [s for _, s in pairs], retain_graph=True, allow_unused=True
            )
        except RuntimeError as error:
            raise _no_derivative(step, error) from error
        return [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, grads, strict=True)]

    return adjoint, [t.detach() for t in outputs]


def _no_derivative(step: Step, error: RuntimeError) -> RuntimeError:
    return RuntimeError(
        f"{step.name!r} has no derivative to pass relevance by ({error}) "
        f"Say how it passes: lw.operators.OPERATORS[{step.op!r}] = lw.operators.identity, for instance."
    )


def _with_floating_tokens(step: Step, tape: Tape) -> Step:
    """A step that moves tokens, with the constants among them (a padding token) in floating point."""
    dtypes = {tape.values[value].dtype for value in step.inputs if not tape.values[value].is_floating_point()}
    schema: Any = getattr(step.func, "_schema", None)
    if not dtypes or schema is None:
        return step
    names = [argument.name for argument in schema.arguments]

    def floating(name: str, arg: Any) -> Any:
        if name in _INDICES:
            return arg
        if isinstance(arg, Tensor):
            return arg.double() if arg.dtype in dtypes and arg.dtype != torch.bool else arg
        return [floating(name, item) for item in arg] if isinstance(arg, tuple | list) and _has_tensor(arg) else arg

    args = tuple(floating(name, arg) for name, arg in zip(names, step.args, strict=False))
    return step.but(args=args, kwargs={name: floating(name, arg) for name, arg in step.kwargs.items()})


_INDICES = ("index", "indices", "mask", "condition")  # arguments that say where, and are no numbers to derive after


def _has_tensor(items: Any) -> bool:
    return any(isinstance(item, Tensor | Ref) for item in items)


def _floating(t: Tensor) -> Tensor:
    """The numbers of tokens as numbers that can be derived after."""
    return t if t.is_floating_point() else t.double()
