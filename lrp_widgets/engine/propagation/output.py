"""Which tensor is explained of what a model returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from lrp_widgets.wording import in_words

__all__ = ["Output", "select"]

Output = str | int | Callable[[Any], Tensor] | None


def select(result: Any, output: Output) -> Tensor:
    """The tensor to explain out of what the model returns. Raises an error that lists the choices."""
    chosen = _chosen(result, output)
    if not chosen.is_floating_point() or chosen.ndim < 1 or not chosen.numel():
        raise ValueError(
            f"The model must return floating-point scores, one row per input, got {chosen.dtype} of shape "
            f"{tuple(chosen.shape)}. Wrap it in a Module that does."
        )
    return chosen


def _chosen(result: Any, output: Output) -> Tensor:
    if callable(output):
        return _made(result, output)
    if isinstance(result, Tensor):
        if output is None:
            return result
        raise TypeError(f"The model returns one tensor, and output={output!r} chooses among several. Leave it out.")
    choices = _choices(result)
    if not choices:
        raise TypeError(
            f"The model must return a tensor of scores, got {_kind(result)}. Wrap it in a Module that returns one."
        )
    if output is None and len(choices) == 1:
        return result[choices[0]]
    choice_names = ", ".join(map(repr, choices))
    if output is None:
        raise TypeError(
            f"The model returns {_kind(result)}, not a tensor. Say which output to explain: "
            f"output=…, one of {choice_names}."
        )
    try:
        chosen = result[output]
    except (KeyError, IndexError, TypeError):
        raise TypeError(f"output must be one of the model's outputs ({choice_names}), got {output!r}.") from None
    if isinstance(chosen, Tensor):
        return chosen
    raise TypeError(
        f"output={output!r} must be a tensor of scores, the model returns {_kind(chosen)} there. "
        f"Choose one of {choice_names}."
    )


def _made(result: Any, output: Callable[[Any], Tensor]) -> Tensor:
    try:
        chosen = output(result)
    except Exception as error:
        raise TypeError(
            f"output raised {type(error).__name__} on {_kind(result)}: {in_words(error)}. "
            "It must make a tensor of scores out of what the model returns."
        ) from error
    if isinstance(chosen, Tensor):
        return chosen
    raise TypeError(f"output must make a tensor of scores, it made {_kind(chosen)}.")


def _kind(result: Any) -> str:
    kind = type(result).__name__
    return "None" if result is None else f"an {kind}" if kind[0] in "aeiouAEIOU" else f"a {kind}"


def _choices(result: Any) -> list[Any]:
    """What `output` may be for a model that returns several tensors: keys or indices."""
    if isinstance(result, Mapping):
        return [key for key, item in result.items() if isinstance(item, Tensor)]
    if isinstance(result, Sequence):
        return [i for i, item in enumerate(result) if isinstance(item, Tensor)]
    return []
