"""What the arguments of an evaluation must be, said in one way."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from lrp_widgets.engine.propagation.explainer import Explainer, Output, check_model

__all__ = ["at_least", "fresh_explainer", "one_input", "one_of"]


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raise ValueError where a value is none of a few."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}.")


def at_least(least: int, name: str, value: Any) -> None:
    """Raise ValueError where a value is no whole number from `least` up."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number, at least {least}, got {value!r}.")


def one_input(said: str, x: Tensor) -> None:
    """Raise ValueError where x is not one input with its batch dimension."""
    if x.ndim < 2 or len(x) != 1:
        raise ValueError(
            f"{said} takes one input with its batch dimension, got shape {tuple(x.shape)}. Take one with x[i : i + 1]."
        )


def fresh_explainer(owner: str, model: nn.Module | Explainer, output: Output = None) -> Explainer:
    """An Explainer of its own for a model, or for that of another: what that one remembers is left alone."""
    if isinstance(model, Explainer):
        return Explainer(model.model, model.output if output is None else output)
    check_model(owner, model)
    return Explainer(model, output)
