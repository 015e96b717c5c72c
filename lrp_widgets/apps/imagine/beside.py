"""What stands beside a prototype: its heatmap, what networks call it, and the real samples that are nearest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrp_widgets.apps.imagine.material import Material
from lrp_widgets.apps.imagine.request import Aim
from lrp_widgets.apps.session.cores import cores_for
from lrp_widgets.apps.session.offered import OWN, choices
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import pooled
from lrp_widgets.prototypes.objectives import Objective
from lrp_widgets.prototypes.observed import Observed
from lrp_widgets.samples import Samples

__all__ = ["NEAREST", "Beside", "Besides", "NetworkAnswer", "pictures"]

NEAREST = 3  # real samples beside each prototype
CHUNK = 2_000_000  # numbers of samples whose distances are taken at once
FRAME = 60_000  # bytes of the pictures of one frame while they move
STILL = 1_200_000  # and of those that stand still


@dataclass(frozen=True)
class NetworkAnswer:
    """What a network calls an input.  name: of the class.  p: its probability, None where scores are none."""

    index: int
    name: str
    p: float | None

    def __str__(self) -> str:
        return self.name if self.p is None else f"{self.name} {100 * self.p:.0f}\u00a0%"


@dataclass(frozen=True)
class Beside:
    """heatmaps: (count, h, w).  nearest, distances: samples by number, (count, k).  own, judged: networks' answers."""

    heatmaps: np.ndarray | None
    nearest: Tensor
    distances: Tensor
    own: tuple[NetworkAnswer, ...]
    judged: tuple[NetworkAnswer, ...]


class Besides:
    """Finds it for a batch of inputs."""

    def __init__(self, material: Material) -> None:
        self._material = material
        self._method = next(method for name, method in choices(material.samples) if name != OWN)
        self._asked: tuple[Aim, Explainer] | None = None

    def of(self, x: Tensor, aim: Aim, abandoned: Callable[[], bool]) -> Beside:
        """All of it. Raises Abandoned where it was abandoned, and what the judge raises."""
        material = self._material
        x = x.detach()
        with cores_for(material.model, x):
            target = [aim.target] * len(x) if aim.of_class else [0] * len(x)
            explanation = self._explainer(aim).explain(x, target, self._method, abandoned)
            own = explanation.scores if aim.of_class else material.explainer.scores(x)
            judged = self.answers(x)
            nearest, distances = _nearest(x, material.samples.inputs)
        maps = _maps(explanation.relevance, material.samples)
        return Beside(maps, nearest, distances, _answers(own, material.samples), judged)

    def answers(self, x: Tensor) -> tuple[NetworkAnswer, ...]:
        """What the judge calls inputs; () without one. Raises TypeError where it answers with no scores."""
        if self._material.judge is None:
            return ()
        with torch.no_grad():
            return _answers(_scores(self._material.judge, x.detach()), self._material.samples)

    def _explainer(self, aim: Aim) -> Explainer:
        """Of the model, or of the activation that is made large."""
        if aim.of_class:
            return self._material.explainer
        if self._asked is None or self._asked[0] != aim:
            self._asked = aim, Explainer(_Asked(self._material, self._material.objective(aim)).eval())
        return self._asked[1]


class _Asked(nn.Module):
    """A model whose one output is an objective."""

    def __init__(self, material: Material, objective: Objective) -> None:
        super().__init__()
        self._observed = Observed(material.model, objective.layers, material.output)
        self.model, self._objective = self._observed.model, objective

    def forward(self, x: Tensor) -> Tensor:
        scores = self._observed(x)
        return self._objective.value(scores, self._observed.activations)[:, None]


def _scores(judge: nn.Module, x: Tensor) -> Tensor:
    scores: Any = judge(x.clone())
    if not isinstance(scores, Tensor) or len(scores) != len(x) or scores[0].numel() < 1:
        raise TypeError("imagine.judge must be a model that returns one tensor of scores, a row for each input.")
    return scores.flatten(1)


def _answers(scores: Tensor, samples: Samples) -> tuple[NetworkAnswer, ...]:
    rows = []
    for row in scores.flatten(1):
        chances = samples.probabilities(row)
        top = int(row.argmax())
        rows.append(
            NetworkAnswer(
                top, samples.name(top), None if chances is None else float(chances[min(top, len(chances) - 1)])
            )
        )
    return tuple(rows)


def _nearest(x: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Which samples are nearest, (count, k), and how far they are."""
    rows = max(1, CHUNK // max(1, samples[0].numel()))
    flat = x.flatten(1).to(samples)
    gaps = torch.cat([torch.cdist(flat, part.flatten(1)) for part in samples.split(rows)], 1)
    near = gaps.topk(min(NEAREST, len(samples)), dim=1, largest=False)
    return near.indices, near.values


def _maps(relevance: Tensor, samples: Samples) -> np.ndarray | None:
    if not samples.modality.planar:
        return None
    return np.stack([pooled(row) for row in relevance])


def pictures(x: Tensor, samples: Samples, most: int = STILL) -> np.ndarray:
    """Inputs as uint8 pictures (n, h, w, 1 or 3), made smaller until they have at most so many bytes."""
    images: Sequence[Any] | np.ndarray = samples.modality.thumbnails(x.detach(), samples.low, samples.high)
    stack = np.stack([np.asarray(image) for image in images])
    if stack.dtype != np.uint8:
        stack = np.round(255 * np.clip(np.nan_to_num(stack), 0, 1)).astype(np.uint8)
    stack = stack[..., None] if len(stack.shape) == 3 else stack
    while stack.nbytes > most and min(stack.shape[1:3]) > 1:
        height, width = (size // 2 * 2 for size in stack.shape[1:3])
        even = stack[:, :height, :width].astype(np.uint16)
        stack = ((even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]) // 4).astype(
            np.uint8
        )
    return stack
