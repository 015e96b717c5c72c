"""Photographs of ImageNet's classes, where they lie beside the project, and where on ten of them the object is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from torch import Tensor

import lrp_widgets as lw

FOLDER = Path(__file__).parents[3] / "shared/data/imagenet"
WEIGHTS = FOLDER / "mobilenet_v1_025_224.safetensors"
HERE = WEIGHTS.is_file() and (FOLDER / "photos").is_dir()
REASON = "The photographs are not part of the project: ../shared/data/imagenet"

# Left, top, right, bottom in pixels of the 224×224 input, right and bottom not included; drawn by hand before any
# relevance was seen. Of the photographs in the order of their names, the first ten whose class the network finds and
# whose box covers less than 60 % of the picture. One box around all of the class that stands there together; the feet
# of a second penguin at the upper edge are outside.
BOXES = {
    "009_ostrich.jpg": (88, 49, 134, 167),
    "022_bald_eagle.jpg": (20, 44, 171, 224),
    "071_scorpion.jpg": (0, 56, 212, 189),
    "088_macaw.jpg": (80, 40, 218, 224),
    "130_flamingo.jpg": (42, 68, 185, 180),
    "145_king_penguin.jpg": (36, 36, 171, 212),
    "323_monarch.jpg": (2, 27, 153, 224),
    "386_African_elephant.jpg": (0, 94, 220, 143),
    "404_airliner.jpg": (0, 61, 224, 144),
    "466_bullet_train.jpg": (0, 90, 148, 224),
}
# What the network was trained on takes pixels to [-1, 1].
PREPROCESSING = lw.Preprocessing(size=224, resize=256, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def samples() -> lw.Samples:
    """All 38, in the order of their names, with their labels and the thousand class names."""
    files = sorted((FOLDER / "photos").glob("*.jpg"))
    labels = [int(file.name.partition("_")[0]) for file in files]
    classes = json.loads((FOLDER / "classes.json").read_text(encoding="utf-8"))
    return dataclasses.replace(PREPROCESSING, classes=classes).samples(files, labels)


def names() -> list[str]:
    return sorted(file.name for file in (FOLDER / "photos").glob("*.jpg"))


def shares(relevance: Tensor, box: tuple[int, int, int, int]) -> tuple[float, float]:
    """How much of the positive relevance (channels, h, w; summed over channels) is inside, and how much of the area."""
    left, top, right, bottom = box
    positive = relevance.sum(0).clamp(min=0)
    inside = positive[top:bottom, left:right].sum() / positive.sum()
    return float(inside), (right - left) * (bottom - top) / positive.numel()
