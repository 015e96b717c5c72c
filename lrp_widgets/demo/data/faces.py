"""Faces and other things in grey, 25×25: scikit-image's hundred of each from Labeled Faces in the Wild."""

from __future__ import annotations

import numpy as np
import torch

from lrp_widgets.demo.data.digits import held_out
from lrp_widgets.demo.installed import file_of
from lrp_widgets.samples import Samples

__all__ = ["CLASSES", "SPLITS", "load"]

CLASSES = ("no face", "face")
SPLITS = ("all", "train", "test")


def load(split: str = "test") -> Samples:
    """Scikit-image's lfw_subset: faces, and parts of photographs that show none.

    split: "all" (200), "train" (160: the demo network was trained on them) or "test" (40 it has never seen).
    inputs: float32 (n, 1, 25, 25) in [0, 1]; labels 0 (no face) and 1 (face).
    Raises ValueError for another split, ModuleNotFoundError or FileNotFoundError where scikit-image's file is missing.
    """
    if split not in SPLITS:
        raise ValueError(f"faces.split must be one of {', '.join(map(repr, SPLITS))}, got {split!r}.")
    pictures = np.load(file_of("skimage", "data/lfw_subset.npy", "demo.data.faces", "the faces that come"))
    labels = (np.arange(len(pictures)) < len(pictures) // 2).astype(np.int64)  # the first half are the faces
    rows = held_out(len(pictures)) == (split == "test") if split != "all" else np.ones(len(pictures), dtype=bool)
    inputs = torch.from_numpy(pictures[rows].astype(np.float32))[:, None]
    return Samples(inputs, torch.from_numpy(labels[rows]), CLASSES, low=0.0, high=1.0)
