"""Neuron groups: a few directions that make up a layer's activations, by non-negative matrix factorization."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.concepts.checks import checked_count, checked_seed, own_explainer
from lrp_widgets.concepts.layer_maps import activations_at, relevance_at
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.wording import brief

__all__ = ["NeuronGroups", "neuron_groups"]

OVER = ("positions", "channels")
ROUNDS, TOLERANCE = 400, 1e-4  # of the factorization


@dataclass(frozen=True, eq=False)
class NeuronGroups:
    """Activations ≈ Σ_g maps_g ⊗ directions_g.

    maps: where each group is active, (count, inputs, height, width), or without space (count, inputs).
    directions: which channels each group is made of, (count, channels).
    error: ‖A − Σ‖ / ‖A‖ over all inputs: 0 where the groups say it all.
    notes: what a reader must know beside.
    """

    layer: str
    maps: Tensor
    directions: Tensor
    error: float
    notes: tuple[str, ...]
    _explainer: Explainer = field(repr=False)

    def relevance(self, explanation: Explanation) -> Tensor:
        """The relevance of each group, and of the remainder last: (count + 1,), float64; it adds up to the layer's.

        R_g = Σ R ⊙ A_g / max(A, Σ A_g), with A_g the group's part of the activations A: each neuron shares its
        relevance in proportion. What no group accounts for is the remainder's.
        explanation: by lw.LRP, of these inputs or of others.
        """
        relevance = relevance_at(explanation, self.layer).double()
        activations = activations_at(self._explainer, explanation.inputs, self.layer).double()
        rows, _ = _rows(activations)
        parts = self._weights(rows)
        directions = self.directions.double()
        of_groups = [torch.outer(parts[:, g], directions[g]) for g in range(len(directions))]
        whole = torch.maximum(rows.clamp(min=0), torch.stack(of_groups).sum(0))
        share = torch.where(whole > 0, _rows(relevance)[0] / whole, 0)
        groups = torch.stack([(share * part).sum() for part in of_groups])
        return torch.cat([groups, (relevance.sum() - groups.sum())[None]]).cpu()

    def _weights(self, rows: Tensor) -> Tensor:
        """How much of each group there is in each row of activations: least squares without negative weights."""
        from scipy.optimize import nnls

        directions = self.directions.double().T.cpu().numpy()
        found = [nnls(directions, row)[0] for row in rows.clamp(min=0).cpu().numpy()]
        return torch.from_numpy(np.stack(found)).to(rows)


def neuron_groups(
    explainer: Explainer,
    inputs: Any,
    layer: str,
    count: int = 6,
    over: str = "positions",
    seed: int = 0,
) -> NeuronGroups:
    """Find the groups of neurons that are active together, over one input or many.

    inputs: what the model takes, batch first.  layer: a module or a step, as in Explanation.layer.
    count: how many groups, at most as many as there are channels, and positions in all inputs together.
    over: what is of length one: with "positions" each direction is (groups of positions that look alike), with
    "channels" each map (groups of channels that are active in the same places).
    Negative activations count as 0, which a note says. Lee and Seung 1999; Olah et al. 2018.
    Raises KeyError with the known names, TypeError or ValueError.
    """
    from sklearn.decomposition import NMF

    if over not in OVER:
        raise ValueError(f"over must be one of {', '.join(map(repr, OVER))}, got {brief(over)}.")
    checked_seed(seed)
    own = own_explainer(explainer)
    activations = activations_at(own, inputs, layer).double()
    rows, space = _rows(activations)
    if not bool(torch.isfinite(rows).all()):
        raise ValueError(f"The activations of {layer!r} are not finite: there is nothing to group.")
    checked_count("count", count, min(rows.shape), f"the channels and the positions of {layer!r}")
    notes = []
    below, size = float(-rows.clamp(max=0).sum()), float(rows.abs().sum())
    if below:
        notes.append(f"{below / size:.0%} of the activations of {layer!r} are negative and count as 0.")
    if not space:
        notes.append(f"The layer {layer!r} has no positions: the groups have no maps, one number an input.")
    matrix = rows.clamp(min=0).cpu().numpy()
    model = NMF(cast(Any, count), init="nndsvda", random_state=seed, max_iter=ROUNDS, tol=TOLERANCE)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        weights = torch.from_numpy(np.ascontiguousarray(model.fit_transform(matrix)))
    if any("maximum number of iterations" in str(warning.message).lower() for warning in caught):
        notes.append(f"The factorization was still improving after {ROUNDS} rounds.")
    directions = torch.from_numpy(np.ascontiguousarray(model.components_))
    lengths = directions.norm(dim=1) if over == "positions" else 1 / weights.norm(dim=0).clamp(min=1e-300)
    lengths = torch.where((lengths > 0) & torch.isfinite(lengths), lengths, 1)
    weights, directions = weights * lengths, directions / lengths[:, None]
    norm = float(np.linalg.norm(matrix))
    error = float(np.linalg.norm(matrix - (weights @ directions).numpy())) / norm if norm else 0.0
    maps = weights.T.reshape(count, len(activations), *space)
    return NeuronGroups(layer, maps, directions, error, tuple(notes), own)


def _rows(activations: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """(n, channels, …) as (n · positions, channels), and the positions of one input."""
    return activations.movedim(1, -1).reshape(-1, activations.shape[1]), tuple(activations.shape[2:])
