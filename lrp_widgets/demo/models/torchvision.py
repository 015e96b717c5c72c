"""Any classifier of torchvision with its pretrained weights: downloaded once by torchvision itself."""

from __future__ import annotations

import hashlib
from difflib import get_close_matches
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lrp_widgets.demo.weights import WeightsError
from lrp_widgets.preprocessing import Preprocessing

__all__ = ["load"]


def load(name: str, weights: str = "DEFAULT") -> nn.Module:
    """A classifier of torchvision by its name ("vgg16"), pretrained and in eval mode; nothing in it is changed.

    weights: by torchvision's name of them ("IMAGENET1K_V1"). They are downloaded once, into torch's cache, and checked
    against the hash in their name. `lw.Preprocessing.of(model)` says what belongs to them, and makes samples.
    Raises ModuleNotFoundError or ImportError where torchvision cannot be used, ValueError for a name that it has not,
    WeightsError where the weights are damaged or cannot be had.
    """
    models = _models()
    entry = _entry(models, name, weights)
    file = Path(torch.hub.get_dir()) / "checkpoints" / entry.url.rpartition("/")[2]
    if file.exists():
        _check(file)
    try:
        with torch.random.fork_rng(devices=[]):  # its first weights are drawn, only to be replaced
            model = models.get_model(name, weights=entry)
    except (OSError, HTTPException, RuntimeError) as fault:
        if file.exists():  # it is not the download that failed
            raise
        raise WeightsError(
            f"{name} needs its weights {entry!r}, and they could not be downloaded from {entry.url} "
            f"({type(fault).__name__}: {fault}). Download that file where there is a network, and put it at {file}."
        ) from fault
    model.preprocessing = Preprocessing.of(entry)
    return model.eval()


def _models() -> Any:
    """The module torchvision.models. It is imported here alone, since few need it."""
    try:
        from torchvision import models
    except ModuleNotFoundError as fault:
        if fault.name != "torchvision":
            raise
        raise ModuleNotFoundError(
            "demo.models.torchvision builds networks of torchvision, which is not installed: pip install torchvision.",
            name="torchvision",
        ) from None
    except Exception as fault:  # its compiled part does not fit: what is raised depends on the versions
        raise ImportError(
            f"torchvision is installed but cannot be imported beside torch {torch.__version__} "
            f"({type(fault).__name__}: {fault}). Install both from the same index: pip install torch torchvision.",
            name="torchvision",
        ) from fault
    return models


def _entry(models: Any, name: str, weights: str) -> Any:
    """The weights, an enum member of torchvision."""
    # What lies in the other modules of torchvision.models segments, detects, or classifies videos.
    classifiers = models.list_models(module=models)
    if name not in classifiers:
        near = (
            ", ".join(get_close_matches(str(name), classifiers, n=5, cutoff=0.5)) or f"{', '.join(classifiers[:5])}, …"
        )
        raise ValueError(
            f"torchvision has no classifier called {name!r}. Near it: {near}. "
            "All: torchvision.models.list_models(module=torchvision.models)."
        )
    entries = models.get_model_weights(name)
    if weights not in entries.__members__:
        raise ValueError(f"The weights of {name} must be one of {', '.join(entries.__members__)}, got {weights!r}.")
    return entries[weights]


def _check(file: Path) -> None:
    """Torch checks what it downloads, not what lies there: a copy made by hand may have been cut off."""
    expected = file.stem.rpartition("-")[2]
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if not digest.startswith(expected):
        raise WeightsError(
            f"Weights file {file}: its sha256 must begin with {expected}, got {digest[:8]}…. "
            "Delete it, and it is downloaded again; or copy it again from where it is whole."
        )
