"""Ahead of the hand: what is known at the present input, and what is worth knowing before somebody asks."""

from __future__ import annotations

import dataclasses
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.apps.session.cores import cores_for
from lrp_widgets.engine.analysis.alpha_interpolation import AlphaInterpolation, chebyshev
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation, pooled
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.methods import LRP, Method
from lrp_widgets.modalities import modality_of
from lrp_widgets.params import Param, params_of

__all__ = ["Ahead", "Preview"]

BYTES = 64 * 2**20  # of explanations kept
NODES = 7, 13  # of a surface; the first are among the second, which a network of fifty layers needs
CLOSE = 1e-5  # of max |R|: what a surface may be off where it is tried
LONG = 0.15  # s: an explanation that takes longer shows itself on the way
TOO_LONG = 1.0  # s
FIRST, AGAIN = 0.04, 0.08  # s until a coarse picture, and between two of them
CLASSES = 9

Key = tuple[Method, Any]


@dataclass(frozen=True)
class Preview:
    """A picture that the exact one follows."""

    picture: np.ndarray
    said: str
    x: Tensor


class Ahead:
    """Remembers explanations of one input, and fills in the likely next ones while nobody moves.

    Nothing here outlives a change of the input or of a weight. What is known is what the engine answered, to the last
    bit; only a `guess` is not, and the engine's answer follows it.
    """

    def __init__(self, explainer: Explainer) -> None:
        self.explainer = explainer
        self._known: OrderedDict[Key, Explanation] = OrderedDict()
        self._bytes = 0
        self._x: Tensor | None = None  # what all of it is about
        self._nodes: dict[Key, dict[float, Tensor]] = {}  # of each setting apart from its α
        self._surfaces: dict[Key, AlphaInterpolation | None] = {}
        self._top: int | None = None  # the class that target=None means
        self._moved = ""  # the parameter that was moved last
        self._last: Method | None = None
        self._seconds = 0.0

    def known(self, x: Tensor, method: Method, target: Any) -> Explanation | None:
        """The explanation, if it has been made before."""
        self._notice(method)
        if self._x is None or not torch.equal(self._x, x) or not self.explainer.remembers(x):
            self._forget(x)
            return None
        key = self._key(method, target)
        found = self._known.get(key) if key else None
        if found is not None and key is not None:
            self._known.move_to_end(key)
        return found

    def guess(self, x: Tensor, method: Method, target: Any) -> Preview | None:
        """What the polynomial in α says, where it is known."""
        key, alpha = self._family(method, target)
        surface = self._surfaces.get(key) if key else None
        if surface is None or not surface.points[0] <= alpha <= surface.points[-1]:
            return None
        return Preview(pooled(surface.at(alpha)[0]), f"α = {alpha:.4g}, interpolated", x)

    def explain(
        self,
        x: Tensor,
        method: Method,
        target: Any,
        show: Callable[[Preview], None] | None,
        superseded: Callable[[], bool],
        guessed: bool,
    ) -> Explanation:
        """Ask the engine; a long explanation shows coarse pictures on its way down.

        It is abandoned for a newer request where a picture of it stands already, or where it takes very long: else
        nothing would be seen while a hand moves.
        """
        coarse = _Coarse(x, show) if show and self._seconds > LONG and modality_of(x).planar else None

        def abandoned() -> bool:
            pictured = guessed or self._seconds > TOO_LONG or (coarse is not None and coarse.shown > 1)
            return pictured and superseded()

        explanation = self.explainer.explain(x, target, method, abandoned, show=coarse)
        self._seconds = explanation.seconds
        self.keep(x, method, target, explanation)
        return explanation

    def keep(self, x: Tensor, method: Method, target: Any, explanation: Explanation) -> None:
        """Remember an explanation, without the relevance of its layers: asked for these, it is made again."""
        if target is None and isinstance(explanation.target, tuple):
            self._top = explanation.target[0]
        key = self._key(method, target)
        if key is None or key in self._known:
            return

        def at_layer(name: str) -> Tensor:
            return self.explainer.explain(x, target, method, aside=True).layer(name)

        slim = explanation.replace(_at_layer=at_layer, recomputed=0, seconds=0.0) if explanation.layers else explanation
        self._known[key] = slim
        self._bytes += _size(slim)
        while self._bytes > BYTES and len(self._known) > 1:
            self._bytes -= _size(self._known.popitem(last=False)[1])

    def fill(self, x: Tensor, method: Method, target: Any, superseded: Callable[[], bool]) -> None:
        """Make what is likely to be asked next, until somebody asks. Nothing of it is shown."""
        if not isinstance(method, LRP) or self._key(method, target) not in self._known:
            return
        try:
            with cores_for(self.explainer.model, x):
                for other, which in self._likely(method, target):
                    if superseded():
                        return
                    key = self._key(other, which)
                    if key is not None and key not in self._known:
                        made = self.explainer.explain(x, which, other, superseded, aside=True)
                        self.keep(x, other, which, made)
                    self._note_node(other, which)
        except Abandoned:
            pass

    def _likely(self, method: LRP, target: Any) -> Iterator[tuple[Method, Any]]:
        """Settings in the order of likelihood: next to the slider that moves, along α, other classes, other sliders."""
        composite = method.composite
        known = sorted(params_of(composite), key=lambda p: p.name != self._moved)

        def beside(params: list[Param], steps: int) -> Iterator[tuple[Method, Any]]:
            for param in params:
                for value in param.beside(getattr(composite, param.name), steps):
                    yield _with(method, **{param.name: value}), target

        numbers = [param for param in known if param.kind == "number"]
        yield from beside(numbers[:1], 1)
        yield from beside(numbers[1:], 1)
        if alpha := next((param for param in numbers if param.name == "alpha"), None):
            family, _ = self._family(method, target)
            for count in NODES:
                if family not in self._surfaces:
                    for value in chebyshev(count, *alpha.shown):
                        yield _with(method, alpha=value), target
        if (now := self._known.get(self._key(method, target))) is not None:  # type: ignore[arg-type]
            scores = now.scores[0].flatten()
            for which in scores.argsort(descending=True)[:CLASSES].tolist():
                yield method, which
        yield from beside([param for param in known if param.kind == "choice" and not param.advanced], 1)
        yield from beside(numbers, 2)

    def _note_node(self, method: Method, target: Any) -> None:
        """Take an exact map for the surface; with all of them there, try it where it was not made from."""
        family, alpha = self._family(method, target)
        key = self._key(method, target)
        if family is None or key is None or key not in self._known or family in self._surfaces:
            return
        maps = self._nodes.setdefault(family, {})
        maps[alpha] = self._known[key].relevance
        close = None
        for count in NODES:
            points = chebyshev(count, *_alpha(method).shown)
            tried = [position for position in maps if position not in points]
            if not tried or any(point not in maps for point in points):
                return
            surface = AlphaInterpolation(points, [maps[point] for point in points])
            off = (float((surface.at(a) - maps[a]).abs().max() / maps[a].abs().max().clamp(min=1e-30)) for a in tried)
            if max(off) <= CLOSE:
                close = surface
                break
        self._surfaces[family] = close
        del self._nodes[family]

    def _key(self, method: Method, target: Any) -> Key | None:
        target = self._top if target is None else target
        try:
            hash((method, target))
        except TypeError:  # a user's method that cannot be looked up
            return None
        return None if target is None else (method, target)

    def _family(self, method: Method, target: Any) -> tuple[Key | None, float]:
        """The setting with its α taken out, and the α; None where it has none."""
        if not isinstance(method, LRP) or _alpha(method) is None:
            return None, 0.0
        return self._key(_with(method, alpha=_alpha(method).shown[0]), target), method.composite.alpha  # type: ignore[attr-defined]

    def _notice(self, method: Method) -> None:
        """Which parameter was moved, so that its neighbours come first."""
        before, now = (getattr(m, "composite", None) for m in (self._last, method))
        if before is not None and type(before) is type(now):
            moved = [p.name for p in params_of(now) if getattr(before, p.name) != getattr(now, p.name)]
            self._moved = moved[0] if moved else self._moved
        self._last = method

    def _forget(self, x: Tensor) -> None:
        for memory in (self._known, self._nodes, self._surfaces):
            memory.clear()
        self._bytes, self._top, self._x = 0, None, x.clone()


class _Coarse:
    """Watches relevance on its way down and shows it as soon as it is a picture, sharper each time."""

    def __init__(self, x: Tensor, show: Callable[[Preview], None]) -> None:
        self.x, self.whole, self.show = x, x.shape[-2:], show
        self.due = time.monotonic() + FIRST
        self.shown = 1  # positions of the last picture

    def __call__(self, relevance: Tensor) -> None:
        now = time.monotonic()
        if relevance.ndim != 4 or now < self.due:
            return
        height, width = relevance.shape[-2:]
        if not self.shown < height * width < self.whole[0] * self.whole[1]:
            return
        self.shown, self.due = height * width, now + AGAIN
        said = f"coarse: {width} × {height} of {self.whole[1]} × {self.whole[0]}, sharpening"
        self.show(Preview(pooled(relevance[0]), said, self.x))


def _alpha(method: Any) -> Any:
    """The description of the α slider, None where there is none."""
    return next((p for p in params_of(method.composite) if p.name == "alpha" and p.kind == "number"), None)


def _with(method: LRP, **changes: Any) -> LRP:
    return dataclasses.replace(method, composite=dataclasses.replace(method.composite, **changes))


def _size(explanation: Explanation) -> int:
    return explanation.relevance.numel() * explanation.relevance.element_size()
