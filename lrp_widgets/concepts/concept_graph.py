"""Concept graph: which channels carry a decision, and which channels below feed each of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor

from lrp_widgets.concepts.checks import checked_count, own_explainer
from lrp_widgets.concepts.layer_maps import relevance_at, totals
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.filter import Filter
from lrp_widgets.engine.propagation.lrp import LRP
from lrp_widgets.engine.propagation.method import never
from lrp_widgets.wording import brief

__all__ = ["ConceptGraph", "ConceptNode", "concept_graph"]

MOST_LAYERS, MOST_WIDTH = 8, 64


@dataclass(frozen=True, eq=False)
class ConceptNode:
    """A channel of a layer on one way down from the class, or the class itself (layer "", channel −1).

    relevance: what passes this channel, of what passes the nodes above it: the number on the edge from above.
    children: the channels of the next layer that feed it most.
    others: the rest of the relevance: relevance = Σ of the children + others.
    absorbed: the part of `others` that no channel of the next layer has: it stayed between (in biases, ε), or goes by.
    """

    layer: str
    channel: int
    relevance: float
    children: tuple[ConceptNode, ...]
    others: float
    absorbed: float
    _conditional: Callable[[], Explanation] = field(repr=False)

    @cached_property
    def explanation(self) -> Explanation:
        """The conditional explanation: relevance that passes this channel and all those above it, made when asked."""
        return self._conditional()

    def walk(self) -> Iterator[ConceptNode]:
        """This node and all below it, from the top."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, eq=False)
class ConceptGraph:
    """The class, and the channels that feed it, layer by layer.

    layers: their names, from the one nearest to the output down.  notes: what a reader must know beside.
    """

    root: ConceptNode
    layers: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def nodes(self) -> tuple[ConceptNode, ...]:
        """All channels, without the class itself."""
        return tuple(self.root.walk())[1:]


def concept_graph(
    explainer: Explainer,
    x: Any,
    target: Any,
    layers: Sequence[str],
    width: Sequence[int] | int = (4, 2),
    *,
    method: LRP | None = None,
    abandoned: Callable[[], bool] = never,
) -> ConceptGraph:
    """From a class down, the channels that carry most of its relevance, and those that feed each of them.

    x: one input with its batch dimension.  target: as in Explainer.explain.
    layers: names of layers, in any order; they are sorted from the output down.
    width: how many channels of the first layer, how many below each of them, …; the last number holds for all the rest.
    Each edge is conditional relevance: what passes the channels above (Achtibat et al. 2023, CRP), by `Filter`. Where
    layers lie on branches beside each other, relevance that goes by a layer is part of `absorbed`.
    Raises KeyError with the known names, TypeError, ValueError or Abandoned.
    """
    method = LRP() if method is None else method
    if not isinstance(method, LRP):
        raise TypeError(f"method must be an lw.LRP, which has relevance at layers, got {brief(method)}.")
    own = own_explainer(explainer)
    first = own.explain(x, target, method, abandoned)
    if len(first.start) != 1:
        raise ValueError(f"concept_graph takes one input with its batch dimension, got {len(first.start)} rows.")
    names = _sorted_layers(own, x, layers)
    widths = _widths(width, len(names))

    def passing(filters: tuple[Filter, ...]) -> Explanation:
        return own.explain(x, target, dataclasses.replace(method, filters=(*method.filters, *filters)), abandoned)

    def node(filters: tuple[Filter, ...], relevance: float, explanation: Explanation | None) -> ConceptNode:
        depth = len(filters)
        layer, channel = (filters[-1].layer, filters[-1].channels[0]) if filters else ("", -1)
        children: list[ConceptNode] = []
        absorbed = 0.0
        if depth < len(names):
            explanation = explanation or passing(filters)
            below = totals(relevance_at(explanation, names[depth]))[0]
            for at in _largest(below, widths[depth]):
                filter_ = Filter(names[depth], channels=(at,))
                children.append(node((*filters, filter_), float(below[at]), None))
            absorbed = relevance - float(below.sum())
        others = relevance - sum(child.relevance for child in children)
        known = explanation
        return ConceptNode(
            layer, channel, relevance, tuple(children), others, absorbed, lambda: known or passing(filters)
        )

    root = node((), float(first.explained[0]), first)
    return ConceptGraph(root, names, first.notes)


def _largest(relevance: Tensor, count: int) -> list[int]:
    """The channels that carry most, of either sign; those that carry nothing are left out."""
    order = relevance.abs().sort(descending=True, stable=True)
    return [int(at) for size, at in zip(order.values[:count], order.indices[:count], strict=True) if float(size) > 0]


def _sorted_layers(explainer: Explainer, x: Any, layers: Any) -> tuple[str, ...]:
    """The names from the output down. Raises KeyError, TypeError or ValueError."""
    if isinstance(layers, str) or not isinstance(layers, Sequence) or not all(isinstance(n, str) for n in layers):
        raise TypeError(f"layers must be a sequence of names of layers, got {brief(layers)}.")
    checked_count("The number of layers", len(layers), MOST_LAYERS, "what a graph can show")
    tape = explainer.tape(x)
    made = {value: place for place, step in enumerate(tape.steps) for value in step.outputs if value is not None}
    places = {name: made.get(tape.value_at(name), -1) for name in layers}
    if len(set(places.values())) < len(layers):
        raise ValueError(f"layers must be different ones, got {', '.join(layers)}.")
    return tuple(sorted(layers, key=lambda name: -places[name]))


def _widths(width: Any, depth: int) -> list[int]:
    widths = [width] if isinstance(width, int) else list(width) if isinstance(width, Sequence) else []
    if not widths:
        raise TypeError(f"width must be whole numbers, one a layer, such as (4, 2), got {brief(width)}.")
    for number in widths:
        checked_count("width", number, MOST_WIDTH, "what a graph can show")
    return [widths[min(place, len(widths) - 1)] for place in range(depth)]
