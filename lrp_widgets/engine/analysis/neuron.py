"""The arithmetic of one neuron: what it gets from whom, with every number of the rule's equation.

Neuron j enters a layer with a_j, neuron k leaves it, and R_j←k = numerator / denominator · R_k.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.engine.composites.composite import Composite, resolve
from lrp_widgets.engine.layers.layer import Layer
from lrp_widgets.engine.layers.reciprocal import reciprocal, stabilized
from lrp_widgets.engine.operators import Options, operator_rule
from lrp_widgets.engine.rules import AlphaBeta, Epsilon, Flat, Gamma, Rule, WSquare, ZBox, Zero, ZPlus
from lrp_widgets.engine.trace.step import replay
from lrp_widgets.engine.trace.tape import Step, Tape

__all__ = ["TERMS", "Arithmetic", "Calculator", "Message", "Neuron"]

Index = tuple[int, ...]


@dataclass(frozen=True)
class Neuron:
    """An element of what enters a parametric layer, or with `leaves` of what leaves it.

    index: its place without the batch: (channel, row, column), or (feature,).
    """

    layer: str
    index: Index
    leaves: bool = False


@dataclass(frozen=True)
class Message:
    """One R_j←k = share · R_k, and the numbers it is made of.

    other: the neuron at the far end.  activation, weight: a_j and w_jk.  numerator, denominator: None where the rule
    does not say them (a rule of your own), and then only the share is known.
    """

    other: Neuron
    activation: float
    weight: float
    numerator: float | None
    denominator: float | None
    share: float
    relevance_of_k: float
    relevance: float


@dataclass(frozen=True)
class Arithmetic:
    """A neuron and the largest of its messages.

    messages: from the receivers k of what neuron j says, or to the givers j where the neuron leaves the layer.
    count: how many messages are not zero.  total: the sum of all of them.
    """

    neuron: Neuron
    activation: float
    relevance: float
    rule: Rule
    messages: tuple[Message, ...]
    count: int
    total: float


@dataclass(frozen=True)
class _Pair:
    """Weights and sums between neurons j and neurons k: one of the two is a single neuron, the other one all."""

    layer: Layer
    a: Tensor
    weights: Callable[[Tensor], Tensor]  # w_jk out of the weights of a layer
    at_j: Callable[[Tensor], Tensor]  # of a tensor like a
    at_k: Callable[[Tensor], Tensor]  # of a tensor like z

    @cached_property
    def w(self) -> Tensor:
        return self.weights(self.layer.w)


Terms = Callable[[Any, _Pair], tuple[Tensor, Tensor]]


def _epsilon(rule: Epsilon, p: _Pair) -> tuple[Tensor, Tensor]:
    epsilon = rule.epsilon * p.layer.rms if rule.relative else rule.epsilon
    return p.a * p.w, p.at_k(stabilized(p.layer.z, epsilon) if rule.epsilon else p.layer.z)


def _gamma(rule: Gamma, p: _Pair) -> tuple[Tensor, Tensor]:
    z, aw = p.layer.z, p.a * p.w
    same = torch.where(p.at_k(z) >= 0, aw.clamp(min=0), aw.clamp(max=0))
    return aw + rule.gamma * same, p.at_k(z + rule.gamma * p.layer.z_favoured)


def _alpha_beta(rule: Any, p: _Pair) -> tuple[Tensor, Tensor]:
    """(a w)⁺ and (a w)⁻ are never both there, so that one fraction says it."""
    alpha, aw = getattr(rule, "alpha", 1.0), p.a * p.w
    plus = p.layer.z_positive()
    return (
        torch.where(aw >= 0, alpha * aw, (1 - alpha) * aw),
        torch.where(aw >= 0, p.at_k(plus), p.at_k(p.layer.z - plus)),
    )


def _w_square(rule: WSquare, p: _Pair) -> tuple[Tensor, Tensor]:
    square = p.layer.w.square()
    return p.weights(square), p.at_k(p.layer.forward(torch.ones_like(p.layer.a), square))


def _flat(rule: Flat, p: _Pair) -> tuple[Tensor, Tensor]:
    ones = torch.ones_like(p.layer.w)
    return p.weights(ones), p.at_k(p.layer.forward(torch.ones_like(p.layer.a), ones))


def _z_box(rule: ZBox, p: _Pair) -> tuple[Tensor, Tensor]:
    low, high = rule.bounds(p.layer)
    a, total = p.layer.a, p.layer.forward_signs(p.layer.a - low, p.layer.a - high)
    above, below = p.at_j(a - low), p.at_j(a - high)
    return above * p.w.clamp(min=0) + below * p.w.clamp(max=0), p.at_k(total)


# Numerator and denominator of the share of R_k that goes to neuron j.
TERMS: dict[type[Rule], Terms] = {
    Zero: lambda rule, p: (p.a * p.w, p.at_k(p.layer.z)),
    Epsilon: _epsilon,
    Gamma: _gamma,
    AlphaBeta: _alpha_beta,
    ZPlus: _alpha_beta,
    WSquare: _w_square,
    Flat: _flat,
    ZBox: _z_box,
}


class Calculator:
    """The arithmetic of one row of an explained batch.

    tape, composite: what was explained and how.  relevance: of each value of the tape, as propagate() gives it.
    """

    def __init__(self, tape: Tape, composite: Composite, relevance: dict[int, Tensor], row: int = 0) -> None:
        self.tape, self.relevance, self.row = tape, relevance, row
        self.rules = resolve(composite, tape)
        self.options = Options(**{field.name: getattr(composite, field.name) for field in fields(Options)})
        self.steps = {step.name: step for step in tape.steps if step.affine is not None}

    def of(self, neuron: Neuron, most: int = 12) -> Arithmetic:
        """A neuron's numbers: from its receivers, or to its givers where it leaves the layer.

        Raises ValueError where there is no such neuron.
        """
        step = self._step(neuron.layer)
        entering, leaving = step.inputs[0], step.output
        a, z = self._row(self.tape.values, entering), self._row(self.tape.values, leaving)
        rule, layer = self.rules[step.name], Layer(step.affine, a, z, step.name)
        at = (0, *self._checked(neuron, z if neuron.leaves else a))
        of_k = self._row(self.relevance, leaving)
        one = torch.zeros_like(z if neuron.leaves else a)
        one[at] = 1
        if neuron.leaves:
            messages, _ = rule.linearize(layer, a)(one * of_k[at])
            pair = _Pair(layer, a, lambda w: layer.adjoint(one, w), lambda t: t, lambda t: t[at])
        else:
            pair = _Pair(layer, a[at], lambda w: layer.forward(one, w), lambda t: t[at], lambda t: t)
            messages = self._messages(rule, pair, of_k, at, most)
        found = messages.flatten().abs().argsort(descending=True)[:most].tolist()
        own = self._row(self.relevance, leaving if neuron.leaves else entering)[at]
        return Arithmetic(
            neuron,
            float((z if neuron.leaves else a)[at]),
            float(own),
            rule,
            tuple(self._rows(neuron, pair, rule, messages, of_k, at, found)),
            int((messages != 0).sum()),
            float(messages.double().sum()),
        )

    def _messages(self, rule: Rule, pair: _Pair, of_k: Tensor, at: Index, most: int) -> Tensor:
        """R_j←k of every receiver k; of a rule without terms, of those that it is likely to be large for."""
        if (terms := TERMS.get(type(rule))) is not None:
            numerator, denominator = terms(rule, pair)
            return numerator * reciprocal(denominator.clone()) * of_k
        likely = (
            (pair.a * pair.w * reciprocal(pair.layer.z.clone()) * of_k).flatten().abs().argsort(descending=True)[:most]
        )
        pullback, messages = rule.linearize(pair.layer, pair.layer.a), torch.zeros_like(of_k)
        for k in likely.tolist():
            one = torch.zeros_like(of_k)
            one.view(-1)[k] = of_k.flatten()[k]
            messages.view(-1)[k] = pullback(one)[0][at]
        return messages

    def _rows(
        self, neuron: Neuron, pair: _Pair, rule: Rule, messages: Tensor, of_k: Tensor, at: Index, found: list[int]
    ) -> Iterator[Message]:
        terms = TERMS.get(type(rule))
        numerator, denominator = terms(rule, pair) if terms else (None, None)
        for place in found:
            where = tuple(int(i) for i in torch.unravel_index(torch.tensor(place), messages.shape))
            relevance = float(messages[where])
            if relevance == 0:
                return
            k = at if neuron.leaves else where
            from_k = float(of_k[k])
            yield Message(
                Neuron(neuron.layer, where[1:], not neuron.leaves),
                float(pair.layer.a[where if neuron.leaves else at]),
                float(pair.w[where]),
                _number(numerator, where),
                _number(denominator, where),
                relevance / from_k if from_k else 0.0,
                from_k,
                relevance,
            )

    def of_value(self, value: int) -> Tensor:
        """The relevance of any value of the tape, without the batch."""
        return self._row(self.relevance, value)[0]

    def at_input(self, index: Index) -> Neuron | None:
        """The input's element as it enters the first layer that it reaches; None where it reaches none."""
        return self.entering(self.tape.inputs[0], index)

    def entering(self, value: int, index: Index) -> Neuron | None:
        """An element of any value of the tape, as it enters the next layer; None where it reaches none."""
        # Nudge it, and see what enters the next layer differently.
        before = self.tape.values[value]
        nudged, at = before.clone(), (self.row, *index)
        nudged[at] += 1e-3 * (before[at].abs() + 1e-3 * before.abs().max())
        moved = {value: (before, nudged)}
        for step in self.tape.steps:
            if not any(known in moved for known in step.inputs):
                continue
            if step.affine is not None:
                plain, other = moved[step.inputs[0]]
                difference = (other - plain)[self.row].abs()
                if float(difference.max()) > 0:
                    place = torch.unravel_index(difference.argmax(), difference.shape)
                    return Neuron(step.name, tuple(map(int, place)))
                continue
            both = [(self.tape.values[known],) * 2 for known in step.inputs]
            both = [moved.get(known, same) for known, same in zip(step.inputs, both, strict=True)]
            made = (replay(step, [pair[side] for pair in both]) for side in (0, 1))
            for known, plain, other in zip(step.outputs, *made, strict=False):
                if known is not None and plain.is_floating_point():
                    moved[known] = (plain, other)
        return None

    def place(self, neuron: Neuron) -> tuple[str, Index] | None:
        """The step that makes a neuron, by the name that a filter calls it, and its index there; None at the input."""
        step = self._step(neuron.layer)
        value = step.output if neuron.leaves else step.inputs[0]
        maker = next((known.name for known in self.tape.steps if value in known.outputs), None)
        return None if maker is None or self.tape.value_at(maker) != value else (maker, neuron.index)

    def above(self, neuron: Neuron) -> Neuron | None:
        """A neuron that leaves a layer, as it enters the next one; None where nothing follows."""
        return self.entering(self._step(neuron.layer).output, neuron.index)

    def below(self, neuron: Neuron) -> Neuron | None:
        """The neuron of the layer below that gets most of what a neuron that enters a layer gets; None at the input."""
        entering = self._step(neuron.layer).inputs[0]
        known = self.relevance.get(entering)
        one = torch.zeros_like(self.tape.values[entering] if known is None else known)
        one[(self.row, *neuron.index)] = 1
        arriving, best, found = {entering: one}, 0.0, None
        for step in reversed(self.tape.steps):
            out = [arriving.pop(value, None) for value in step.outputs if value is not None]
            if all(r is None for r in out):
                continue
            if step.affine is not None:
                largest = out[0][self.row].abs()  # type: ignore[index]
                if step.name in self.steps and float(largest.max()) > best:
                    place = torch.unravel_index(largest.argmax(), largest.shape)
                    best, found = float(largest.max()), Neuron(step.name, tuple(map(int, place)), leaves=True)
                continue
            handed, _ = operator_rule(step)(step, self.tape, self.options)(*out)
            for value, r in zip(step.inputs, handed, strict=True):
                if r is not None:
                    arriving[value] = arriving[value] + r if value in arriving else r
        return found

    def _step(self, name: str) -> Step:
        if name not in self.steps:
            raise ValueError(f"Neuron.layer must be one of {', '.join(self.steps)}, got {name!r}.")
        return self.steps[name]

    def _row(self, tensors: dict[int, Tensor], value: int) -> Tensor:
        like = self.tape.values[value]
        if not like.ndim or like.shape[0] != self.tape.batch:
            raise ValueError("The arithmetic of a neuron needs layers whose first dimension is the batch.")
        known = tensors.get(value)
        return torch.zeros_like(like[:1]) if known is None else known[self.row : self.row + 1]

    def _checked(self, neuron: Neuron, like: Tensor) -> Index:
        shape = tuple(like.shape[1:])
        if len(neuron.index) != len(shape) or not all(0 <= i < n for i, n in zip(neuron.index, shape, strict=True)):
            raise ValueError(f"Neuron.index must lie in the shape {shape} of {neuron.layer!r}, got {neuron.index}.")
        return neuron.index


def _number(t: Tensor | None, where: Index) -> float | None:
    return None if t is None else float(t[where] if t.ndim else t)
