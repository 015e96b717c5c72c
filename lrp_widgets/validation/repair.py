"""From verdict to repair: project an artefact out of a layer, or train the model to look elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lrp_widgets.concepts.checks import checked_count, checked_samples, checked_seed
from lrp_widgets.concepts.layer_maps import batches
from lrp_widgets.engine.propagation.explainer import check_model
from lrp_widgets.engine.propagation.method import never
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.prototypes.observed import named_module
from lrp_widgets.samples import Samples
from lrp_widgets.wording import brief

__all__ = ["Epoch", "Retrained", "retrain", "retraining", "without"]

PENALTIES = ("gradient", "relevance")


class _ProjectedOut:
    """A forward hook: h' = h + v (level − vᵀh), with the channels behind the batch, or last for tokens and features."""

    def __init__(self, layer: str, v: Tensor, level: float) -> None:
        self.layer, self.v, self.level = layer, v, level

    def __call__(self, module: nn.Module, args: Any, h: Any) -> Tensor:
        if not isinstance(h, Tensor):
            raise TypeError(f"The layer {self.layer!r} makes no tensor, but {type(h).__name__}: choose another one.")
        axis = next((axis for axis in (1, h.ndim - 1) if axis > 0 and h.shape[axis] == len(self.v)), None)
        if axis is None:
            raise ValueError(
                f"direction has {len(self.v)} numbers, and the layer {self.layer!r} makes {tuple(h.shape)}: it must "
                "have one for each channel."
            )
        v = self.v.to(h).reshape([-1 if place == axis else 1 for place in range(h.ndim)])
        return h + v * (self.level - (v * h).sum(axis, keepdim=True))


def without(model: nn.Module, layer: str, direction: Any, level: Any = 0.0) -> nn.Module:
    """A copy of the model in which a direction of a layer always has the same value: h' = h + v (level − vᵀh).

    layer: a module's name.  direction: one number a channel; v is it divided by its length.
    level: vᵀz, a number, or the activations z themselves, one number a channel (the mean of those without artefact).
    With the direction from samples that have an artefact to the rest, this is P-ClArC (Anders et al. 2022): nothing is
    trained, and the model itself is untouched. Raises KeyError with the known names, TypeError or ValueError.
    """
    check_model("without", model)
    try:
        v = torch.as_tensor(direction).detach().double().flatten()
        z = torch.as_tensor(level).detach().double().flatten()
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"direction and level must be numbers, got {brief(direction)} and {brief(level)}.") from None
    if not bool(torch.isfinite(v).all()) or not bool(torch.isfinite(z).all()):
        raise ValueError("direction and level must be finite.")
    length = float(v.norm())
    if length == 0:
        raise ValueError("direction must not be zero.")
    v = v / length
    if len(z) not in (1, len(v)):
        raise ValueError(f"level must be one number or one a channel ({len(v)}), got {len(z)}.")
    value = float(z[0]) if len(z) == 1 and len(v) != 1 else float((v * z).sum())
    steered = copy.deepcopy(model)
    named_module(steered, layer).register_forward_hook(_ProjectedOut(layer, v, value))
    return steered


@dataclass(frozen=True)
class Epoch:
    """One epoch of a retraining: the mean of the loss and of the penalty before it is multiplied, and the accuracy."""

    number: int
    loss: float
    penalty: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class Retrained:
    """A copy of a model, trained on, in evaluation mode; and what each epoch was like."""

    model: nn.Module
    log: tuple[Epoch, ...]


def retrain(
    model: nn.Module,
    samples: Samples,
    masks: Any,
    strength: float = 1.0,
    *,
    of: str = "gradient",
    epochs: int = 5,
    rate: float = 1e-3,
    batch: int = 64,
    seed: int = 0,
    abandoned: Callable[[], bool] = never,
) -> Retrained:
    """Train a copy of the model to be right without looking where the masks are: loss + strength · ‖mask ⊙ R‖².

    samples: with labels.  masks: True or 1 where the model should not look, of a shape that broadcasts to the inputs.
    strength: λ, from 0 up.  of: R is the gradient of Σ log p, scaled by the number of places ("gradient", Ross et al.
    2017), or gradient times input ("relevance", simple Taylor).  rate: of Adam.
    Any such term regularizes: compare with a random mask of the same size. The model itself is untouched, and the same
    seed gives the same again. Raises TypeError, ValueError or Abandoned.
    """
    result = None
    for result in retraining(  # noqa: B007 - the last one is whole
        model, samples, masks, strength, of=of, epochs=epochs, rate=rate, batch=batch, seed=seed, abandoned=abandoned
    ):
        pass
    assert result is not None
    return result


def retraining(
    model: nn.Module,
    samples: Samples,
    masks: Any,
    strength: float = 1.0,
    *,
    of: str = "gradient",
    epochs: int = 5,
    rate: float = 1e-3,
    batch: int = 64,
    seed: int = 0,
    abandoned: Callable[[], bool] = never,
) -> Iterator[Retrained]:
    """As retrain, epoch by epoch: each has the model as it is then."""
    check_model("retrain", model)
    samples = checked_samples(samples)
    if samples.labels is None or bool((torch.as_tensor(samples.labels) < 0).any()):
        raise ValueError("retrain needs the label of each sample: lw.Samples(inputs, labels=…).")
    for name, value in (("strength", strength), ("rate", rate)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
            raise ValueError(f"{name} must be a number from 0 up, got {brief(value)}.")
    if of not in PENALTIES:
        raise ValueError(f"of must be one of {', '.join(map(repr, PENALTIES))}, got {brief(of)}.")
    checked_count("epochs", epochs, 10**5, "the epochs of a retraining")
    checked_count("batch", batch, 10**6, "the inputs at once")
    checked_seed(seed)
    inputs, labels = samples.inputs, torch.as_tensor(samples.labels)
    try:
        mask = torch.as_tensor(masks).to(inputs).expand(inputs.shape)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"masks must broadcast to the inputs, {tuple(inputs.shape)}, got {brief(masks)}.") from None
    trained = copy.deepcopy(model)
    trained.requires_grad_(True)
    optimizer = torch.optim.Adam(trained.parameters(), lr=rate)
    draw, log = torch.Generator().manual_seed(seed), []
    for number in range(epochs):
        order = torch.randperm(len(inputs), generator=draw)
        sums = torch.zeros(3, dtype=torch.float64)
        trained.train()
        with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
            torch.manual_seed(seed + number)  # of dropout
            for rows in batches(len(inputs), batch):
                if abandoned():
                    raise Abandoned
                at = order[rows]
                x = inputs[at].detach().clone().requires_grad_()
                logs = trained(x).log_softmax(-1)
                loss = functional.nll_loss(logs, labels[at])
                (slope,) = torch.autograd.grad(logs.sum(), x, create_graph=True)
                seen = slope if of == "gradient" else slope * x
                penalty = (mask[at] * seen).square().flatten(1).sum(1).mean()
                optimizer.zero_grad()
                (loss + strength * penalty).backward()
                optimizer.step()
                right = (logs.detach().argmax(-1) == labels[at]).sum()
                sums += torch.stack([loss.detach() * len(at), penalty.detach() * len(at), right]).double()
        if not bool(torch.isfinite(sums).all()):
            raise ValueError(
                f"The retraining is no longer finite after epoch {number + 1}. Take a smaller rate or strength."
            )
        log.append(Epoch(number + 1, *(sums / len(inputs)).tolist()))
        yield Retrained(copy.deepcopy(trained).eval().requires_grad_(False), tuple(log))
