"""A surrogate tree: a decision tree that says what a model says, as far as a tree can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.concepts.checks import checked_count, checked_samples, checked_seed, own_explainer
from lrp_widgets.concepts.layer_maps import batches
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.samples import Samples
from lrp_widgets.wording import brief

__all__ = ["SurrogateTree", "surrogate_tree"]

NEARBY = 2000  # points that are drawn around an input


@dataclass(frozen=True, eq=False)
class SurrogateTree:
    """A decision tree with what it is worth.

    tree: sklearn.tree.DecisionTreeClassifier over the flattened input.  fidelity: the share of inputs it was not fitted
    to on which it says the same class as the model.  majority: what always saying the most frequent class would reach.
    rules: the tree in words, one line a node.
    """

    tree: Any
    fidelity: float
    majority: float
    rules: str


def surrogate_tree(
    explainer: Explainer,
    samples: Samples,
    depth: int = 3,
    *,
    near: Tensor | None = None,
    scale: float = 0.3,
    least: float = 0.8,
    names: Any = None,
    seed: int = 0,
    batch: int = 256,
) -> SurrogateTree:
    """Fit a small decision tree to what the model says, and measure how often both agree on other inputs.

    depth: of the tree.  near: one input with its batch dimension; then points around it are drawn, each feature with
    `scale` times its standard deviation over the samples. None: the samples themselves, everywhere.
    least: the fidelity below which the tree is refused: what disagrees with the model does not explain it.
    names: of the features, in the order of the flattened input.
    Raises ValueError where the tree is not faithful, or what is given does not fit.
    """
    from sklearn.tree import DecisionTreeClassifier, export_text

    samples = checked_samples(samples)
    own = own_explainer(explainer)
    checked_count("depth", depth, 30, "the levels of a tree")
    for name, value, most in (("scale", scale, 1e6), ("least", least, 1.0)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
            raise ValueError(f"{name} must be a number in [0, {most:g}], got {brief(value)}.")
    checked_seed(seed)
    inputs = samples.inputs if near is None else _around(near, samples, scale, seed)
    if len(inputs) < 10:
        raise ValueError(f"surrogate_tree needs at least 10 samples, got {len(inputs)}.")
    scores = torch.cat([own.scores(inputs[rows]) for rows in batches(len(inputs), batch)])
    scores = scores.reshape(len(inputs), -1).cpu()
    says = (scores[:, 0] > 0).long() if scores.shape[1] == 1 else scores.argmax(1)
    numbers = inputs.flatten(1).double().cpu().numpy()
    order = np.random.default_rng(seed).permutation(len(inputs))
    held_out, fitted = order[: len(order) // 3], order[len(order) // 3 :]
    features = [f"x{i}" for i in range(numbers.shape[1])] if names is None else [str(name) for name in names]
    if len(features) != numbers.shape[1]:
        raise ValueError(f"names must hold one name a feature ({numbers.shape[1]}), got {len(features)}.")
    tree = DecisionTreeClassifier(max_depth=depth, random_state=seed).fit(numbers[fitted], says[fitted])
    fidelity = float((tree.predict(numbers[held_out]) == says[held_out].numpy()).mean())
    majority = float((says[held_out] == says[fitted].mode().values).double().mean())
    if fidelity < least:
        raise ValueError(
            f"A tree of depth {depth} says the same as the model on {fidelity:.0%} of inputs it was not fitted to, "
            f"below {least:.0%}: it does not explain this model. Take a greater depth, or look near one input (near=x)."
        )
    return SurrogateTree(tree, fidelity, majority, export_text(tree, feature_names=features))


def _around(x: Any, samples: Samples, scale: float, seed: int) -> Tensor:
    if not isinstance(x, Tensor) or x.shape != samples.inputs[:1].shape:
        got = tuple(x.shape) if isinstance(x, Tensor) else brief(x)
        raise ValueError(f"near must be one input of the shape {tuple(samples.inputs[:1].shape)}, got {got}.")
    draw = torch.Generator().manual_seed(seed)
    spread = samples.inputs.double().std(0, keepdim=True).nan_to_num()
    noise = torch.randn(NEARBY, *x.shape[1:], generator=draw, dtype=torch.float64)
    return (x.double() + scale * spread * noise).to(x.dtype)
