"""Cache: the explanations of the present input, by method and target."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.methods import Method

__all__ = ["Cache", "Key"]

BYTES = 64 * 2**20  # beyond it, and beyond so many entries, those that were used longest ago are dropped
MOST = 400  # entries: all positions of a few sliders
A_LAYER = 4096  # bytes that the ledger of a layer takes: some ten tensors of one number, and what Python adds to each

Key = tuple[Method, Any]


class Cache:
    """Holds what the engine answered for one input, to the last bit, as long as neither input nor weights change.

    An entry has no relevance of hidden layers: where that is asked for, the engine explains once more.
    """

    def __init__(self, explainer: Explainer) -> None:
        self._explainer = explainer
        self._entries: OrderedDict[Key, Explanation] = OrderedDict()
        self._bytes = 0
        self._x: Tensor | None = None
        self._top: int | None = None  # the class that a target of None stands for

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Key | None) -> bool:
        return key in self._entries

    def __getitem__(self, key: Key) -> Explanation:
        return self._entries[key]

    def is_valid(self, x: Tensor) -> bool:
        """Whether the entries belong to this input and to the present weights."""
        return self._x is not None and torch.equal(self._x, x) and self._explainer.remembers(x)

    def clear(self, x: Tensor) -> None:
        """Begin anew, for this input."""
        self._entries.clear()
        self._bytes, self._top, self._x = 0, None, x.clone()

    def key(self, method: Method, target: Any) -> Key | None:
        """Under which key an explanation lies; None where the top class is not known yet, or a method has no hash."""
        target = self._top if target is None else target
        try:
            hash((method, target))
        except TypeError:
            return None
        return None if target is None else (method, target)

    def lookup(self, method: Method, target: Any) -> Explanation | None:
        """The explanation, where there is one; it counts as used now."""
        key = self.key(method, target)
        if key is None or key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key]

    def add(self, x: Tensor, method: Method, target: Any, explanation: Explanation) -> None:
        """Keep an explanation of the present input."""
        if target is None and isinstance(explanation.target, tuple):
            self._top = explanation.target[0]
        key = self.key(method, target)
        if key is None or key in self._entries:
            return

        def at_layer(name: str) -> Tensor:
            return self._explainer.explain(x, target, method, aside=True).layer(name)

        if explanation.layers:
            explanation = explanation.replace(_at_layer=at_layer, recomputed=0, seconds=0.0)
        self._entries[key] = explanation
        self._bytes += _size(explanation)
        while (self._bytes > BYTES or len(self._entries) > MOST) and len(self._entries) > 1:
            self._bytes -= _size(self._entries.popitem(last=False)[1])


def _size(explanation: Explanation) -> int:
    """Bytes that an entry takes. Of a small map the ledger is the larger part."""
    return explanation.relevance.numel() * explanation.relevance.element_size() + A_LAYER * len(explanation.layers)
