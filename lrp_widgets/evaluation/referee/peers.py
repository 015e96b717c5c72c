"""The same explanation by zennit and by captum, as their users would ask for it, or brought closer to ours on purpose.

Neither is a dependency, and neither is imported before somebody asks for a comparison.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval
from torch.overrides import TorchFunctionMode

from lrp_widgets.engine.rules import AlphaBeta, Epsilon, Flat, Gamma, Rule, WSquare, ZBox, Zero, ZPlus

__all__ = ["PEERS", "NoEquivalent", "Peer", "Task"]

TINY = 1e-20


class NoEquivalent(Exception):
    """The peer has nothing that corresponds; the text says to what."""


@dataclass(frozen=True, eq=False)
class Task:
    """What a peer is asked for: rules by module path, and where to start (the relevance at the output).

    folded: (layer, BatchNorm) paths that our tape folded.  kind: "LRP", or "gradient", "squared", "product".
    """

    model: nn.Module
    x: Tensor
    target: Any
    start: Tensor
    rules: Mapping[str, Rule]
    folded: tuple[tuple[str, str], ...]
    kind: str


Answer = Callable[[Any, Task, frozenset[str]], Tensor]


@dataclass(frozen=True)
class Peer:
    """A package, the conventions in which it can be brought closer to ours (or ours to it), and how to ask it."""

    name: str
    conventions: tuple[str, ...]
    answer: Answer

    def load(self) -> Any:
        """The package, or ImportError."""
        return importlib.import_module(self.name)


class _SharedSum(torch.autograd.Function):
    """a + b that hands relevance back in proportion; plainly derived, both branches would get all of it."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return a + b

    @staticmethod
    def backward(ctx: Any, *relevance: Any) -> tuple[Tensor, Tensor]:
        a, b = ctx.saved_tensors
        z = a + b
        s = torch.where(z == 0, 0, relevance[0] / z)
        return a * s, b * s


class _SharingSums(TorchFunctionMode):
    """Residual sums as a `Sum` layer would do them."""

    SUMS = (torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__, Tensor.add_, Tensor.__iadd__)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        both = len(args) == 2 and all(isinstance(arg, Tensor) and arg.requires_grad for arg in args)
        if func in self.SUMS and both and not kwargs and args[0].shape == args[1].shape:
            return _SharedSum.apply(*args)
        return func(*args, **(kwargs or {}))


@contextmanager
def _sums(aligned: frozenset[str]) -> Iterator[None]:
    if "residual sum" not in aligned:
        yield
        return
    with _SharingSums():
        yield


def _copied(task: Task, aligned: frozenset[str]) -> nn.Module:
    """The user's model is never touched; a copy has its BatchNorm folded where that is asked for."""
    model = copy.deepcopy(task.model)
    for parameter in model.parameters():
        parameter.grad = None
    for path, norm in task.folded if "BN folding" in aligned else ():
        layer, batch_norm = model.get_submodule(path), model.get_submodule(norm)
        fuse: Any = fuse_linear_bn_eval if isinstance(layer, nn.Linear) else fuse_conv_bn_eval
        _replace(model, path, fuse(layer, batch_norm))
        _replace(model, norm, _Through())
    return model


class _Through(nn.Module):
    """In the place of a folded BatchNorm: its input in a tensor of its own, which is what hooks need."""

    def forward(self, x: Tensor) -> Tensor:
        return x.clone()


def _replace(model: nn.Module, path: str, module: nn.Module) -> None:
    owner, _, name = path.rpartition(".")
    setattr(model.get_submodule(owner), name, module)


def _zennit_rule(rules: Any, rule: Rule, stabilizer: float) -> Any:
    if isinstance(rule, Zero):
        return rules.Epsilon(epsilon=stabilizer)
    if isinstance(rule, Epsilon) and not rule.relative:
        return rules.Epsilon(epsilon=rule.epsilon or stabilizer)
    if isinstance(rule, Gamma):
        return rules.Gamma(gamma=rule.gamma, stabilizer=stabilizer)
    if isinstance(rule, AlphaBeta):
        return rules.AlphaBeta(alpha=rule.alpha, beta=rule.beta, stabilizer=stabilizer)
    if isinstance(rule, ZPlus):
        return rules.ZPlus(stabilizer=stabilizer)
    if isinstance(rule, WSquare):
        return rules.WSquare(stabilizer=stabilizer)
    if isinstance(rule, Flat):
        return rules.Flat(stabilizer=stabilizer)
    if isinstance(rule, ZBox) and isinstance(rule.low, float) and isinstance(rule.high, float):
        return rules.ZBox(low=rule.low, high=rule.high, stabilizer=stabilizer)
    raise NoEquivalent(f"zennit has no rule like {rule}")


def _zennit(package: Any, task: Task, aligned: frozenset[str]) -> Tensor:
    model, leaf = _copied(task, aligned), task.x.detach().clone().requires_grad_()
    if task.kind != "LRP":
        scores = model(leaf)
        (gradient,) = torch.autograd.grad(scores, leaf, _ones(task, scores))
        return _from_gradient(task, gradient)
    composites, rules = (importlib.import_module(f"zennit.{part}") for part in ("composites", "rules"))
    stabilizer = TINY if "stabilizer" in aligned else 1e-6
    names = [([path], _zennit_rule(rules, rule, stabilizer)) for path, rule in task.rules.items()]
    composite = composites.MixedComposite(
        [composites.NameMapComposite(names), composites.LayerMapComposite(composites.layer_map_base(stabilizer))]
    )
    with composite.context(model) as hooked, _sums(aligned):
        (relevance,) = torch.autograd.grad(hooked(leaf), leaf, task.start)
    return relevance.detach()


def _captum_rule(rules: Any, rule: Rule) -> Any:
    if isinstance(rule, Zero):
        return rules.EpsilonRule(epsilon=TINY)
    if isinstance(rule, Epsilon) and not rule.relative:
        return rules.EpsilonRule(epsilon=rule.epsilon or TINY)
    if isinstance(rule, Gamma):
        return rules.GammaRule(gamma=rule.gamma)
    if isinstance(rule, ZPlus) or (isinstance(rule, AlphaBeta) and rule.beta == 0):
        return rules.Alpha1_Beta0_Rule()
    raise NoEquivalent(f"captum has no rule like {rule}")


def _captum(package: Any, task: Task, aligned: frozenset[str]) -> Tensor:
    attr, leaf = importlib.import_module("captum.attr"), task.x.detach().clone().requires_grad_()
    if not isinstance(task.target, tuple):
        raise NoEquivalent("captum explains one class a row, and no contrast")
    model, target = _copied(task, aligned), torch.tensor(task.target)
    if task.kind != "LRP":
        method = attr.InputXGradient(model) if task.kind == "product" else attr.Saliency(model)
        plain = {} if task.kind == "product" else {"abs": False}
        relevance = method.attribute(leaf, target=target, **plain).detach()
        return relevance.square() if task.kind == "squared" else relevance
    rules = importlib.import_module("captum.attr._utils.lrp_rules")
    for path, rule in task.rules.items():
        model.get_submodule(path).rule = _captum_rule(rules, rule)
    for _, norm in task.folded if "BN folding" in aligned else ():
        model.get_submodule(norm).rule = rules.EpsilonRule(epsilon=TINY)
    with _sums(aligned):
        return attr.LRP(model).attribute(leaf, target=target).detach()


def _ones(task: Task, scores: Tensor) -> Tensor:
    return torch.where(task.start == 0, 0.0, task.start / scores.detach()).to(scores.dtype)


def _from_gradient(task: Task, gradient: Tensor) -> Tensor:
    return {"gradient": gradient, "squared": gradient.square(), "product": gradient * task.x}[task.kind].detach()


PEERS = (
    Peer("zennit", ("BN folding", "residual sum", "stabilizer", "pooling"), _zennit),
    Peer("captum", ("BN folding", "residual sum", "sign split", "bias", "pooling"), _captum),
)
