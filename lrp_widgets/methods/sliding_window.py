"""Sliding window: explain an image larger than the network's input, window by window, coarse first and then finer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import pooled
from lrp_widgets.engine.propagation.lrp import LRP
from lrp_widgets.engine.propagation.method import Method, check_method, never
from lrp_widgets.engine.propagation.target import Contrast, Target, resolve_target
from lrp_widgets.engine.trace.inputs import check_input
from lrp_widgets.methods.question import go_on
from lrp_widgets.modalities import modality_of

__all__ = ["WindowMap", "cut_window", "sliding_window"]

Corner = tuple[int, int]  # top and left, in pixels of the scaled image


@dataclass(frozen=True, eq=False)
class WindowMap:
    """What the windows so far say of an image; S are the windows, their mean being taken scale by scale.

    relevance: (1, channels, height, width), R_i = 1/|S| Σ_{s ∋ i} R_i(x_s), of the image as it was given.
    score_map: (height, width), for each pixel the mean f of the windows that see it.
    f: 1/|S| Σ_s f(x_s), what the relevance sums to where the method conserves.
    boxes, values: (n, 4) top, left, bottom, right in pixels of the image, and f of each window.
    stride: from one window to the next, in pixels of the scaled image.  target: the class or contrast explained.
    """

    relevance: Tensor
    score_map: np.ndarray
    f: float
    boxes: np.ndarray
    values: np.ndarray
    stride: int
    target: int | Contrast
    fallbacks: tuple[str, ...] = ()

    def heatmap(self) -> np.ndarray:
        """Relevance pooled over channels: (height, width)."""
        return pooled(self.relevance[0])

    def best(self, count: int = 5, overlap: float = 0.3) -> list[int]:
        """The windows with the highest f > 0, best first, that do not show the same: non-maximum suppression.

        overlap: the largest intersection over union that two of them may have.
        """
        left = np.where(self.values > 0, self.values, -np.inf)
        chosen: list[int] = []
        while len(chosen) < count and left.max(initial=-np.inf) > -np.inf:
            chosen.append(int(left.argmax()))
            left[_shared(self.boxes, self.boxes[chosen[-1]]) > overlap] = -np.inf
            left[chosen[-1]] = -np.inf
        return chosen


def sliding_window(
    explainer: Explainer,
    image: Tensor,
    target: Target = None,
    method: Method | None = None,
    *,
    side: int,
    stride: int | None = None,
    scales: Sequence[float] = (1.0,),
    batch: int = 64,
    only_top: bool = False,
    abandoned: Callable[[], bool] = never,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[WindowMap]:
    """Maps of one large image, each over windows half as far apart as the last: every one whole, the last the finest.

    The paper, section on the sliding window: the mean of f over windows, each one's relevance put back in its place.
    image: (1, channels, height, width).  side: of the network's input.
    stride: from one window of the last map to the next, in pixels; None: a quarter of the side.
    scales: sizes at which windows are taken, 0.5 being half the image (so that a window sees twice as much of it).
    target: a class, a contrast, or None for the class with the highest mean score of the first map.
    only_top: a window counts 0 unless the target is its highest score: less of the formula, less clutter.
    What the explainer remembers is left alone. To stop, ask for no more; `abandoned` raises Abandoned between batches.
    progress: called after each batch with how many windows are explained, and how many the last map will have.
    Raises TypeError or ValueError that names what is wrong.
    """
    method = _checked(image, method, side, stride, scales, batch)
    own = Explainer(explainer.model, explainer.output)  # windows would push out what that one remembers
    sheets = [_Sheet(image, scale, side) for scale in scales]
    steps = _strides(side, stride or max(1, side // 4))
    total = sum(len(sheet.places(steps[-1])) for sheet in sheets)
    chosen = _resolved(own, sheets, target, steps[0], batch, abandoned)
    for step in steps:
        for sheet in sheets:
            for places in sheet.new(step, batch):
                go_on(abandoned)
                sheet.explain(own, places, chosen, method, only_top, abandoned)
                if progress is not None:
                    progress(sum(len(each.values) for each in sheets), total)
        yield _together(image, sheets, step, chosen)


class _Sheet:
    """The image at one scale, and the results of its windows."""

    def __init__(self, image: Tensor, scale: float, side: int) -> None:
        height, width = image.shape[2:]
        small = [max(1, round(length * scale)) for length in (height, width)]
        if min(small) < side:
            raise ValueError(
                f"scales must leave the image at least {side} pixels high and wide, the window's side, "
                f"got {scale:g} of {height}×{width}. Take scales from {side / min(height, width):.2g} up."
            )
        self.side = side
        self.down = shares(height, small[0], image), shares(width, small[1], image)
        self.picture = self.down[0] @ image @ self.down[1].T
        self.ends = [length - side for length in small]
        wide = torch.promote_types(image.dtype, torch.float32)
        self.relevance = torch.zeros_like(self.picture, dtype=wide)
        self.scored, self.seen = torch.zeros(2, *small, dtype=wide, device=image.device)
        self.values: dict[Corner, float] = {}
        self.fallbacks: dict[str, None] = {}

    def places(self, step: int) -> list[Corner]:
        """Windows `step` pixels apart, and the ones that end at the lower and right edge."""
        tops, lefts = (sorted({*range(0, end, step), end}) for end in self.ends)
        return list(product(tops, lefts))

    def new(self, step: int, batch: int) -> Iterator[list[Corner]]:
        """Those of them that are not explained yet, in batches."""
        left = [place for place in self.places(step) if place not in self.values]
        yield from (left[start : start + batch] for start in range(0, len(left), batch))

    def cut(self, places: list[Corner]) -> Tensor:
        """The windows at these places, one row each."""
        return torch.cat([self.picture[(..., *self.at(place))] for place in places])

    def at(self, place: Corner) -> tuple[slice, slice]:
        return slice(place[0], place[0] + self.side), slice(place[1], place[1] + self.side)

    def explain(
        self, own: Explainer, places: list[Corner], target: Any, method: Any, only_top: bool, abandoned: Any
    ) -> None:
        """Explain these windows and put their relevance and scores in their places."""
        explanation = own.explain(self.cut(places), target, method, abandoned)
        f, relevance = explanation.explained.tolist(), explanation.relevance
        if only_top:
            top = target.a if isinstance(target, Contrast) else target
            counts = explanation.scores.reshape(len(places), -1).argmax(1) == top
            relevance = relevance * counts[:, None, None, None]
            f = [value if counted else 0.0 for value, counted in zip(f, counts.tolist(), strict=True)]
        self.fallbacks |= dict.fromkeys(explanation.fallbacks)
        for place, value, part in zip(places, f, relevance.detach(), strict=True):
            inside = self.at(place)
            self.relevance[(0, slice(None), *inside)] += part.to(self.relevance)
            self.scored[inside] += value
            self.seen[inside] += 1
            self.values[place] = value

    def boxes(self) -> np.ndarray:
        """Where the windows lie in the image as it was given."""
        corners = np.array([(top, left, top + self.side, left + self.side) for top, left in self.values], float)
        ratio = [down.shape[1] / down.shape[0] for down in self.down]
        return corners * np.array(ratio * 2)


def cut_window(image: Tensor, box: Sequence[float], side: int) -> Tensor:
    """What the network saw in a box of a WindowMap: (1, channels, side, side), averaged over areas."""
    top, left, bottom, right = (float(end) for end in box)
    rows = shares(image.shape[2], side, image, (top, bottom))
    return rows @ image @ shares(image.shape[3], side, image, (left, right)).T


def shares(length: int, parts: int, like: Tensor, part: tuple[float, float] | None = None) -> Tensor:
    """(parts, length): the share that each pixel has in each of `parts` equal stretches; every row sums to 1.

    Times an image it averages areas; its transpose hands relevance back to the pixels, losing nothing.
    part: where the stretches begin and end; None: the whole length.
    """
    start, stop = part or (0, length)
    edge = start + torch.arange(parts + 1, dtype=torch.float64) * ((stop - start) / parts)
    pixel = torch.arange(length, dtype=torch.float64)
    overlap = torch.minimum(edge[1:, None], pixel + 1) - torch.maximum(edge[:-1, None], pixel)
    return (overlap.clamp(min=0) * (parts / (stop - start))).to(like)


def _shared(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Intersection over union of each box with one."""
    sides = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    both = sides.clip(0).prod(1)
    areas = [(each[..., 2:] - each[..., :2]).prod(-1) for each in (boxes, box)]
    return both / (areas[0] + areas[1] - both)


def _strides(side: int, stride: int) -> list[int]:
    """From the coarsest that leaves no pixel out down to `stride`, each half of the one before."""
    return [stride * 2**k for k in reversed(range(int(math.log2(max(1, side / stride))) + 1))]


def _resolved(
    own: Explainer, sheets: list[_Sheet], target: Target, step: int, batch: int, abandoned: Callable[[], bool]
) -> int | Contrast:
    """One class for all windows; where none is given, that of the highest mean score over those of the first map."""
    if target is not None:
        resolved = resolve_target(target, own.scores(sheets[0].cut([(0, 0)])))
        return resolved if isinstance(resolved, Contrast) else resolved[0]
    means = []
    for sheet in sheets:
        scores = []
        for places in sheet.new(step, batch):
            go_on(abandoned)
            scores.append(own.scores(sheet.cut(places)))
        means.append(torch.cat(scores).mean(0, keepdim=True))
    return int(torch.cat(means).mean(0).argmax())


def _together(image: Tensor, sheets: list[_Sheet], step: int, target: Any) -> WindowMap:
    """All scales in the pixels of the image, each scale with the same weight."""
    height, width = image.shape[2:]
    relevance = torch.zeros_like(image, dtype=sheets[0].relevance.dtype)
    scored, seen = torch.zeros(2, height, width, dtype=relevance.dtype, device=image.device)
    for sheet in sheets:
        rows, columns = (down.to(relevance.dtype) for down in sheet.down)
        relevance += rows.T @ (sheet.relevance / len(sheet.values)) @ columns / len(sheets)
        scored += rows.T @ (sheet.scored / len(sheet.values)) @ columns
        seen += rows.T @ (sheet.seen / len(sheet.values)) @ columns
    return WindowMap(
        relevance.to(image.dtype),
        (scored / seen).cpu().numpy(),
        sum(sum(sheet.values.values()) / len(sheet.values) for sheet in sheets) / len(sheets),
        np.concatenate([sheet.boxes() for sheet in sheets]),
        np.array([value for sheet in sheets for value in sheet.values.values()]),
        step,
        target,
        tuple(dict.fromkeys(name for sheet in sheets for name in sheet.fallbacks)),
    )


def _checked(image: Any, method: Any, side: Any, stride: Any, scales: Any, batch: Any) -> Any:
    """The method to explain with. Raises TypeError or ValueError where the arguments cannot be."""
    check_input(image)
    if not modality_of(image).planar or len(image) != 1:
        raise ValueError(
            "sliding_window takes one image with its batch dimension, (1, channels, height, width), "
            f"got shape {tuple(image.shape)}. Take one with x[i : i + 1]."
        )
    for name, value in (("side", side), ("stride", 1 if stride is None else stride), ("batch", batch)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a whole number, at least 1, got {value!r}.")
    if stride is not None and stride > side:
        raise ValueError(
            f"stride must be at most side ({side}), or pixels between the windows are left out, got {stride}."
        )
    if isinstance(scales, str) or not isinstance(scales, Sequence) or not scales:
        raise TypeError(f"scales must be one or more numbers such as (1.0, 0.5), got {scales!r}.")
    for scale in scales:
        if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < math.inf:
            raise ValueError(f"scales must be numbers above 0, got {scale!r}.")
    if method is None:
        return LRP()
    check_method("method", method)
    return method
