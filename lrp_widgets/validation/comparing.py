"""Two models side by side: where they answer and explain otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lrp_widgets.concepts.checks import checked_samples
from lrp_widgets.concepts.layer_maps import batches
from lrp_widgets.engine.propagation.explainer import Explainer, check_model
from lrp_widgets.engine.propagation.method import Method, never
from lrp_widgets.samples import Samples
from lrp_widgets.validation.heatmaps import heatmaps
from lrp_widgets.wording import brief

__all__ = ["ModelComparison", "compare_models"]


@dataclass(frozen=True, eq=False)
class ModelComparison:
    """What two models make of the same samples.

    tops: the top class of each model, (2, n).  accuracies: of each, None without labels.
    distances: half the Σ|difference| of their maps, each divided by its Σ|R|: 0 for equal maps, 1 for maps that have
    nothing in common, (n,).  order: the samples, those with the greatest distance first.
    """

    tops: Tensor
    accuracies: tuple[float, float] | None
    distances: Tensor
    order: Tensor

    @property
    def agreement(self) -> float:
        """The share of samples to which both give the same class."""
        return float((self.tops[0] == self.tops[1]).double().mean())


def compare_models(
    models: Sequence[nn.Module],
    samples: Samples,
    target: Any = None,
    method: Method | None = None,
    *,
    batch: int = 32,
    abandoned: Callable[[], bool] = never,
) -> ModelComparison:
    """Explain the same samples with two models.

    models: two of them, of the same input and the same outputs.  target: a class for all; None takes the label of each
    sample, or without labels what the first model says, so that both explain the same class.
    Raises TypeError or ValueError.
    """
    samples = checked_samples(samples)
    if not isinstance(models, Sequence) or len(models) != 2:
        raise ValueError(f"compare_models takes two models, (a, b), got {brief(models)}.")
    for model in models:
        check_model("compare_models", model)
    explainers = [Explainer(model) for model in models]
    scores = [torch.cat([e.scores(samples.inputs[rows]) for rows in batches(len(samples), batch)]) for e in explainers]
    if scores[0].shape != scores[1].shape:
        outputs = " and ".join(str(tuple(s.shape[1:])) for s in scores)
        raise ValueError(f"Both models must have the same outputs, got {outputs}.")
    tops = torch.stack([s.reshape(len(s), -1).argmax(1).cpu() for s in scores])
    labels = None if samples.labels is None else torch.as_tensor(samples.labels)
    of_class = tops[0] if labels is None else torch.where(labels >= 0, labels, tops[0])
    targets = of_class.tolist() if target is None else None
    maps = []
    for explainer in explainers:
        if targets is None:
            made = list(heatmaps(explainer, samples, range(len(samples)), target, method, "", batch, abandoned))
        else:
            made = [
                part
                for rows in batches(len(samples), batch)
                for part in heatmaps(
                    explainer, samples, range(len(samples))[rows], tuple(targets[rows]), method, "", batch, abandoned
                )
            ]
        maps.append(torch.cat(made).flatten(1))
    distances = (maps[0] - maps[1]).abs().sum(1) / 2
    known = None if labels is None else labels >= 0
    accuracies = None
    if labels is not None and known is not None and bool(known.any()):
        right = [float((top[known] == labels[known]).double().mean()) for top in tops]
        accuracies = (right[0], right[1])
    return ModelComparison(tops, accuracies, distances, distances.argsort(descending=True, stable=True))
