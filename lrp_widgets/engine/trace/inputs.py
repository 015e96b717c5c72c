"""What a model takes: one tensor, several (a tuple or a dict), floating point or the numbers of tokens."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lrp_widgets.engine.trace.step import Ref, fill, flat_tensors

__all__ = ["Inputs", "check_input", "copied", "floating", "inputs_of", "same_inputs"]


@dataclass(frozen=True, eq=False)
class Inputs:
    """An input in the form that the model takes, and its tensors in order of appearance.

    call(model, tensors): the model's answer on these tensors, in the places of its own.
    like(parts): any parts, one a tensor, in the form of the input.
    """

    form: Any
    tensors: tuple[Tensor, ...]
    _template: Any  # the input with a Ref for each tensor

    def call(self, model: nn.Module, tensors: Sequence[Tensor] | None = None) -> Any:
        """Run the model; without tensors, on its own."""
        x = fill(self._template, iter(self.tensors if tensors is None else tensors))
        if isinstance(x, dict) and _binds(model.forward, **x):
            return model(**x)
        if isinstance(x, tuple | list) and _binds(model.forward, *x):
            return model(*x)
        return model(x)

    def like(self, parts: Sequence[Any]) -> Any:
        """Parts in the form of the input; what was no tensor in it is left as it is."""
        return fill(self._template, iter(parts))

    def moved(self) -> Inputs:
        """Another input of the same form, near this one: shifted numbers, the same tokens in another order."""
        generator = torch.Generator().manual_seed(0)
        tensors = []
        for tensor in self.tensors:
            if floating(tensor):
                noise = torch.randn(tensor.shape, generator=generator).to(tensor)
                tensors.append(tensor + noise * (0.01 * tensor.abs().max() + 1e-3))
            else:
                tensors.append(tensor.flip(-1))
        return Inputs(self.like(tensors), tuple(tensors), self._template)

    @property
    def rows(self) -> int:
        """How many rows the batch has: what most of the tensors begin with, the first of them in doubt."""
        lengths = [len(tensor) for tensor in self.tensors if tensor.ndim]
        return max(lengths, key=lengths.count)

    @property
    def tokens(self) -> bool:
        """Whether some of it are whole numbers."""
        return any(not floating(tensor) for tensor in self.tensors)


def floating(tensor: Tensor) -> bool:
    """Whether it can carry relevance as it is."""
    return tensor.is_floating_point()


def inputs_of(x: Any) -> Inputs:
    """The tensors in x: a tensor, a tuple or list (positional arguments) or a dict (named ones), also nested.

    Raises TypeError or ValueError where they cannot be explained.
    """
    if isinstance(x, Inputs):
        return x
    if isinstance(x, Mapping) and not isinstance(x, dict):
        x = dict(x)  # a tokenizer's answer, for instance
    tensors = tuple(flat_tensors(x))
    if not isinstance(x, Tensor) and not (tensors and isinstance(x, tuple | list | dict)):
        raise TypeError(
            f"The input must be a torch.Tensor, got {type(x).__name__}. Convert it with torch.as_tensor(…)."
        )
    for name, tensor in _named(x):
        _check_tensor(name, tensor)
    return Inputs(x, tensors, _formed(x, iter(range(len(tensors)))))


def check_input(x: Any) -> None:
    """Raise TypeError or ValueError where x is not one floating-point tensor that can be explained."""
    if not isinstance(x, Tensor):
        raise TypeError(
            f"The input must be a torch.Tensor, got {type(x).__name__}. Convert it with torch.as_tensor(…)."
        )
    inputs_of(x)
    if not floating(x):
        raise TypeError(f"The input must be floating point, got {x.dtype}. Convert it with .float().")


def same_inputs(before: Inputs | None, now: Inputs) -> bool:
    """Whether two inputs are equal: form, types, devices and every number."""
    if before is None or len(before.tensors) != len(now.tensors) or before._template != now._template:
        return False
    return all(
        (a.shape, a.dtype, a.device) == (b.shape, b.dtype, b.device) and torch.equal(a, b)
        for a, b in zip(before.tensors, now.tensors, strict=True)
    )


def copied(inputs: Inputs) -> Inputs:
    """The same input in tensors of its own, so that a change of the caller's is noticed."""
    tensors = tuple(tensor.detach().clone() for tensor in inputs.tensors)
    return Inputs(inputs.like(tensors), tensors, inputs._template)


def _formed(x: Any, numbers: Iterator[int]) -> Any:
    if isinstance(x, Tensor):
        return Ref(next(numbers))
    if isinstance(x, tuple | list):
        return type(x)([_formed(item, numbers) for item in x])
    return {key: _formed(item, numbers) for key, item in x.items()} if isinstance(x, dict) else x


def _named(x: Any, name: str = "The input") -> Iterator[tuple[str, Tensor]]:
    if isinstance(x, Tensor):
        yield name, x
    elif isinstance(x, tuple | list):
        for i, item in enumerate(x):
            yield from _named(item, f"{name}[{i}]")
    elif isinstance(x, dict):
        for key, item in x.items():
            yield from _named(item, f"{name}[{key!r}]")


def _check_tensor(name: str, x: Tensor) -> None:
    if x.is_complex():
        raise TypeError(f"{name} must be real, got {x.dtype}. Relevance of complex numbers is not defined.")
    if x.is_nested:
        raise TypeError(
            f"{name} must be one dense tensor, got a nested one. Pad it: torch.nested.to_padded_tensor(x, 0)."
        )
    if x.layout != torch.strided:
        raise TypeError(f"{name} must be a dense tensor, got one of layout {x.layout}. Convert it with .to_dense().")
    if x.is_quantized:
        raise TypeError(f"{name} must hold plain numbers, got {x.dtype}. Convert it with .dequantize().")
    if x.device.type == "meta":
        raise TypeError(f"{name} has a shape and no numbers (it is on the device 'meta'). Hand over a real tensor.")
    if x.ndim < 1 or x.shape[0] == 0:
        raise ValueError(f"{name} must hold at least one row, got shape {tuple(x.shape)}.")
    if floating(x) and not bool(torch.isfinite(x).all()):
        bad = int((~torch.isfinite(x)).sum())
        raise ValueError(f"{name} must be finite, got {bad} NaN or infinite values of {x.numel()}.")


def _binds(forward: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
    """Whether these are the arguments that a model takes, rather than one argument that holds them all."""
    try:
        inspect.signature(forward).bind(*args, **kwargs)
    except TypeError:
        return False
    except ValueError:  # no signature to be had
        return True
    return True
