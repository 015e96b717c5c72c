"""What the arguments of an evaluation must be, with one message for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from torch import Tensor, nn

from lrp_widgets.engine.propagation.explainer import Explainer, Output, check_model
from lrp_widgets.engine.trace.inputs import check_input, floating
from lrp_widgets.engine.trace.step import flat_tensors
from lrp_widgets.wording import brief

__all__ = ["at_least", "fresh_explainer", "one_input", "one_of", "one_tensor", "setting_of"]

Kind = TypeVar("Kind")


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raise ValueError where a value is none of a few."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {brief(value)}.")


def at_least(least: int, name: str, value: Any) -> None:
    """Raise ValueError where a value is no whole number from `least` up."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number, at least {least}, got {brief(value)}.")


def setting_of(param: str, value: Any, base: type[Kind], kinds: Iterable[Any], example: str) -> Kind:
    """A setting of the class `base` as it is, or the defaults of that one of `kinds` whose `name` the value is.

    Raises ValueError, with the names and with `example`, where it is neither.
    """
    if isinstance(value, base):
        return value
    by_name = {kind.name: kind for kind in kinds}
    if isinstance(value, str) and value in by_name:
        return by_name[value]()
    names = ", ".join(map(repr, by_name))
    raise ValueError(f"{param} must be one of {names}, or a setting such as {example}, got {brief(value)}.")


def one_tensor(owner: str, model: nn.Module, x: Any) -> None:
    """Raise TypeError or ValueError where x is not one floating-point tensor, for what has no meaning on others."""
    several = not isinstance(x, Tensor) and bool(flat_tensors(x))
    looked_up = any(isinstance(module, nn.Embedding | nn.EmbeddingBag) for module in model.modules())
    tokens = isinstance(x, Tensor) and not floating(x) and looked_up
    if several or tokens:
        got = f"tokens ({x.dtype})" if tokens else f"several tensors in a {type(x).__name__}"
        raise TypeError(
            f"{owner} is defined for one floating-point tensor, got {got}. Measure the explanation of it with "
            "lw.pixel_flipping(…)."
        )
    check_input(x)


def one_input(owner: str, x: Tensor) -> None:
    """Raise ValueError where x is not one input with its batch dimension."""
    if x.ndim < 2 or len(x) != 1:
        raise ValueError(
            f"{owner} takes one input with its batch dimension, got shape {tuple(x.shape)}. Take one with x[i : i + 1]."
        )


def fresh_explainer(owner: str, model: nn.Module | Explainer, output: Output = None) -> Explainer:
    """An Explainer of its own for a model, or for that of another: what that one remembers is left alone."""
    if isinstance(model, Explainer):
        return Explainer(model.model, model.output if output is None else output)
    check_model(owner, model)
    return Explainer(model, output)
