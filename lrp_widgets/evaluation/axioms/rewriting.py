"""The same function written in another way: what must not change an explanation that is one of the function.

Every rewriting is done on a copy, and only believed where the copy answers as the model does.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from lrp_widgets.engine.composites.composite import Composite, Entry, parametric_steps, resolve
from lrp_widgets.engine.operators.options import Options
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.methods import LRP
from lrp_widgets.wording import in_words

__all__ = ["NotSafe", "Rewriting", "copy_of", "doubled", "halved", "same_method", "shifted"]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
ROUNDING = 1e3  # in units of the precision of the scores: what two ways to add up may differ by


class NotSafe(ValueError):
    """The model cannot be changed so that the change is surely the one that is meant; the text says why."""


@dataclass(frozen=True, eq=False)
class Rewriting:
    """A copy that computes the same, and what became of each layer that was replaced: its path → those in its place."""

    model: nn.Module
    layers: Mapping[str, tuple[str, ...]]


def copy_of(model: nn.Module) -> nn.Module:
    """A deep copy, to be changed. Raises NotSafe where the model has none."""
    try:
        return copy.deepcopy(model)
    except Exception as error:
        raise NotSafe(f"the model cannot be copied ({type(error).__name__}: {in_words(error)})") from error


class _Halves(nn.Module):
    """W x + b = W₁ x₁ + (W₂ x₂ + b), over the first and the second half of the inputs."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.at = layer.in_features // 2
        parts = layer.weight[:, : self.at], layer.weight[:, self.at :]
        self.first, self.second = _linear(parts[0], None), _linear(parts[1], layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x[..., : self.at]) + self.second(x[..., self.at :])


class _Doubled(nn.Module):
    """z = max(0, z) − max(0, −z), with z = W x + b."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.positive = _linear(layer.weight, layer.bias)
        self.negative = _linear(-layer.weight, None if layer.bias is None else -layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.positive(x).relu() - self.negative(x).relu()


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, device=weight.device, dtype=weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer.eval()


def halved(explainer: Explainer, x: Tensor) -> Rewriting:
    """Every nn.Linear as the sum of two, each with half of the inputs. Raises NotSafe where that is not surely so."""
    return _replaced(explainer, x, _Halves, ("first", "second"))


def doubled(explainer: Explainer, x: Tensor) -> Rewriting:
    """Every nn.Linear as the difference of two rectified ones. Raises NotSafe where that is not surely so."""
    return _replaced(explainer, x, _Doubled, ("positive", "negative"))


def _replaced(
    explainer: Explainer, x: Tensor, make: Callable[[nn.Linear], nn.Module], names: tuple[str, ...]
) -> Rewriting:
    model, layers = copy_of(explainer.model), {}
    paths: dict[int, list[str]] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        paths.setdefault(id(module), []).append(path)
    for path, module in list(model.named_modules()):
        plain = type(module) is nn.Linear and path and len(paths[id(module)]) == 1 and not _watched(module)
        if plain and isinstance(module, nn.Linear) and module.in_features > 1:
            owner, _, name = path.rpartition(".")
            setattr(model.get_submodule(owner), name, make(module))
            layers[path] = tuple(f"{path}.{part}" for part in names)
    if not layers:
        raise NotSafe("the model has no plain nn.Linear that could be written in another way")
    _check_same(explainer, x, Explainer(model, explainer.output), x)
    return Rewriting(model, layers)


def shifted(explainer: Explainer, x: Tensor, shift: float) -> Rewriting:
    """f'(x + shift) = f(x): what is added to the input is taken from the bias of the layers that see it.

    Raises NotSafe where another layer sees the input, or one that pads it with zeros.
    """
    model = copy_of(explainer.model)
    first = _seeing_the_input(model, x, explainer.output)
    if not first:
        raise NotSafe("no nn.Linear or convolution sees the input as it is")
    for layer in first:
        if isinstance(layer, CONVOLUTIONS) and any(p != 0 for p in _padding(layer)):
            raise NotSafe("the first layer pads with zeros, and a shifted input has none at its border")
        with torch.no_grad():
            lost = shift * layer.weight.double().flatten(1).sum(1)
            bias = torch.zeros_like(lost) if layer.bias is None else layer.bias.double()
            layer.bias = nn.Parameter((bias - lost).to(layer.weight), requires_grad=layer.weight.requires_grad)
    _check_same(explainer, x, Explainer(model, explainer.output), x + shift)
    return Rewriting(model, {})


def same_method(method: Any, explainer: Explainer, x: Tensor, rewriting: Rewriting) -> Any:
    """The method with the rule that each layer had: a split by depth would fall elsewhere in a deeper model."""
    if not isinstance(method, LRP) or not rewriting.layers:
        return method
    tape = explainer.tape(x)
    rules = resolve(method.composite, tape)
    entries = []
    for step in parametric_steps(tape):
        paths = [path for path in (*step.modules, step.module) if path in rewriting.layers]
        places = rewriting.layers[paths[0]] if paths else (step.name,)
        entries += [Entry(rules[step.name], place) for place in places]
    options = {field.name: getattr(method.composite, field.name) for field in dataclasses.fields(Options)}
    return LRP(Composite(entries=tuple(entries), **options))


def _watched(module: nn.Module) -> bool:
    """Whether more happens in a layer than its equation says."""
    return is_parametrized(module) or bool(module._forward_hooks) or bool(module._forward_pre_hooks)


def _padding(layer: Any) -> tuple[Any, ...]:
    return layer.padding if isinstance(layer.padding, tuple) else (layer.padding,)


def _seeing_the_input(model: nn.Module, x: Tensor, output: Any) -> list[Any]:
    """The plain layers that get exactly the numbers of x, in whatever shape. model: a copy, it gets hooks."""
    layers: dict[nn.Module, None] = {}

    def note(module: nn.Module, args: tuple[Any, ...]) -> None:
        x_there = args[0] if args else None
        if (
            isinstance(x_there, Tensor)
            and x_there.numel() == x.numel()
            and torch.equal(x_there.reshape(-1), x.reshape(-1))
        ):
            layers.setdefault(module)

    plain = [m for m in model.modules() if type(m) in (nn.Linear, *CONVOLUTIONS) and not is_parametrized(m)]
    hooks = [module.register_forward_pre_hook(note) for module in plain]
    try:
        Explainer(model, output).scores(x)
    finally:
        for hook in hooks:
            hook.remove()
    return list(layers)


def _check_same(explainer: Explainer, x: Tensor, other: Explainer, y: Tensor) -> None:
    scores = explainer.scores(x)
    try:
        again = other.scores(y)
    except Exception as error:
        raise NotSafe(f"the rewritten model does not run ({type(error).__name__})") from error
    size = float(scores.abs().max())
    apart = float((scores - again).abs().max())
    if not apart <= ROUNDING * torch.finfo(scores.dtype).eps * max(size, 1.0):
        raise NotSafe(f"the rewritten model answers differently, by {apart:.1e}")
