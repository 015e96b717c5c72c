"""The manifest of an exported page: what was explained, by what and how exactly."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor, nn

from lrp_widgets.apps.session.formatting import target_text
from lrp_widgets.apps.sharing.positions import Grid
from lrp_widgets.apps.sharing.snippet import expression
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.samples import Samples

__all__ = ["installed", "manifest", "model_digest"]


def manifest(
    model: nn.Module,
    settings: Any,
    first: Explanation,
    grid: Grid,
    error: float,
    size: int,
    samples: Samples,
    names: tuple[str, ...],
) -> list[tuple[str, str]]:
    """What was explained, by what and how exactly: pairs of a name and a text.

    first: the explanation at the present position.  error: of the rounding, as a share of a map's largest |R|.
    size: of all maps, in bytes.  names: of the classes.  A probability stands beside the score where the task says one.
    """
    tensors = len(model.state_dict())
    scores = first.scores[0].flatten().double()
    probabilities = samples.probabilities(scores) if samples.task == "logit" else None
    chance = "" if probabilities is None else f", probability {float(probabilities[0]):.4g} (its sigmoid)"
    axes = ", ".join(f"{axis.label} ({len(axis.values)})" for axis in grid.axes)
    how = "in every combination" if grid.joint else "one at a time, the others as they were"
    return [
        ("Model", f"{type(model).__module__}.{type(model).__qualname__}, {tensors} tensors in its state_dict"),
        ("sha256 of names and bytes", model_digest(model)),
        ("Sample", _sample_text(settings.sample, samples)),
        (
            "Class" if len(scores) > 1 else "Output",
            f"{target_text(first, names)}, f(x) = {float(first.explained[0]):.6g}{chance}",
        ),
        ("Map", f"relevance of {settings.layer or 'the input'}, summed over channels"),
        ("Method", expression(settings.method)),
        ("Positions", f"{len(grid)}: {axes}, {how}" if grid.axes else "1: this method has no slider"),
        (
            "Exactness",
            "each position is an answer of the engine, none is interpolated; ΣR, f(x) and what was absorbed are of the "
            f"exact map; each number shown is rounded by at most {error:.1e} of its map's largest |R|",
        ),
        ("Size", f"{size * 4 / 3e6:.2f} MB of maps, with 16 bits for a number"),
        ("Made with", f"lrp_widgets {installed('lrp_widgets')}, torch {torch.__version__}"),
    ]


def model_digest(model: nn.Module) -> str:
    """sha256 over the names and bytes of a model's parameters and buffers, in the order of its state_dict."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + b"\0")
        if isinstance(tensor, Tensor):
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        else:  # what a module keeps beside its tensors
            digest.update(repr(tensor).encode())
    return digest.hexdigest()


def installed(package: str) -> str:
    """The version of a package that is installed."""
    try:
        return version(package)
    except PackageNotFoundError:  # read from a folder that was never installed
        return "(not installed)"


def _sample_text(sample: Any, samples: Samples) -> str:
    if not isinstance(sample, int):
        return "a drawing or a file of the user's"
    label = "" if samples.labels is None else f", label {samples.name(int(samples.labels[sample]))}"
    return f"number {sample}{label}"
