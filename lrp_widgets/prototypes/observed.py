"""A model that is climbed: its scores and the activations of named layers, without a change to the model itself."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from lrp_widgets.engine.propagation.explainer import Explainer, Output, check_mode

__all__ = ["Observed", "named_module", "passing_gradients"]

# Behind these a strong channel looks like a stronger one: it is maximized before them.
_CLIPPED = (nn.ReLU6, nn.Hardtanh, nn.Sigmoid, nn.Hardsigmoid)


def named_module(model: nn.Module, layer: str) -> nn.Module:
    """A part of a model by its name. Raises KeyError with the known names."""
    modules = dict(model.named_modules())
    if layer not in modules or not layer:
        names = ", ".join(name for name in modules if name)
        raise KeyError(f"The model has no layer {layer!r}. Its layers are: {names}.")
    return modules[layer]


class Observed:
    """A copy of a model that notes the activations of some layers.

    model: any nn.Module in evaluation mode.  layers: names of its modules.
    Raises KeyError with the known names where a layer does not exist.
    """

    def __init__(self, model: nn.Module, layers: Iterable[str], output: Output = None) -> None:
        self._select = Explainer(model, output).select
        check_mode(model)
        self.model = copy.deepcopy(model).requires_grad_(False)  # the model itself gets no hook and no gradient
        self.activations: dict[str, Tensor] = {}
        for layer in layers:
            self._observe(layer, named_module(self.model, layer))

    def _observe(self, layer: str, module: nn.Module) -> None:
        last = _last(module)
        if isinstance(last, _CLIPPED):

            def before(_: nn.Module, args: tuple[Any, ...]) -> None:
                self.activations[layer] = args[0].clone() if getattr(last, "inplace", False) else args[0]

            last.register_forward_pre_hook(before)
            return

        def behind(_: nn.Module, args: Any, result: Any) -> None:
            made = result[0] if isinstance(result, tuple | list) else result
            if not isinstance(made, Tensor):
                raise TypeError(f"The layer {layer!r} makes no tensor, but {type(made).__name__}: choose another one.")
            self.activations[layer] = made.clone()  # what follows may work in place

        module.register_forward_hook(behind)

    def __call__(self, x: Tensor) -> Tensor:
        """The scores at x; `activations` are those of this run then."""
        return self._select(self.model(x))


def _last(module: nn.Module) -> nn.Module:
    while (parts := list(module.children())) and isinstance(module, nn.Sequential):
        module = parts[-1]
    return module


class _Rectified(torch.autograd.Function):
    """What a rectifier answers; the gradient passes where it is alive, or where it would wake it up."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, answer: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return answer.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradients[0] * ((x > 0) | (gradients[0] > 0)), None


class _Passing(TorchFunctionMode):
    """Rectifiers that answer as ever and let a gradient through that would wake them up."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _RECTIFIERS and isinstance(args[0], Tensor):
            x = args[0]
            return _Rectified.apply(x, func(x.detach().clone(), *args[1:], **kwargs))
        return func(*args, **kwargs)


_RECTIFIERS = {
    functional.relu, functional.relu6, functional.hardtanh, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_,
    functional.relu_,
}  # fmt: skip


@contextmanager
def passing_gradients(wanted: bool) -> Iterator[None]:
    """Where a picture of noise drives no unit of a layer, its gradient is 0 and it would stay grey: wake units up."""
    if not wanted:
        yield
        return
    with _Passing():
        yield
