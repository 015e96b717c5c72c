"""Real handwritten digits: scikit-learn's 1797, brought from 8×8 to the 28×28 of MNIST without a download."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lrp_widgets.demo.installed import file_of
from lrp_widgets.samples import Samples

__all__ = ["CLASSES", "SPLITS", "held_out", "like_mnist", "load"]

CLASSES = tuple("0123456789")
SPLITS = ("all", "train", "test")
SIDE, BOX, MIDDLE = 28, 20, 14.5  # MNIST: the picture, the box of the ink, where its centre of mass lies (pixel 14)
_FINE = 4  # each of the 8×8 pixels counts the ink in a 4×4 block of the scanned bitmap: go back to that grid
_EDGE = 3.0  # how steeply ink meets paper there; as many grey pixels come out as MNIST has
_DENSE = 2  # samples along each side of an output pixel; their mean keeps edges smooth


def load(split: str = "test") -> Samples:
    """Scikit-learn's handwritten digits in the form of MNIST.

    split: "all" (1797), "train" (1438: the demo networks were trained on them) or "test" (359 they have never seen).
    inputs: float32 (n, 1, 28, 28) in [0, 1], ink bright; labels 0 to 9.
    Raises ValueError for another split, ModuleNotFoundError or FileNotFoundError where scikit-learn's file is missing.
    """
    if split not in SPLITS:
        raise ValueError(f"digits.split must be one of {', '.join(map(repr, SPLITS))}, got {split!r}.")
    file = file_of("sklearn", "datasets/data/digits.csv.gz", "demo.data.digits", "the digits that come")
    table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    if split != "all":
        table = table[held_out(len(table)) == (split == "test")]
    ink = torch.from_numpy(table[:, :-1]).reshape(-1, 8, 8) / 16
    return Samples(like_mnist(ink), torch.from_numpy(table[:, -1]).long(), CLASSES, low=0.0, high=1.0)


def held_out(n: int) -> np.ndarray:
    """Which of n rows are held out: the same fifth every time, as a boolean mask."""
    # RandomState's stream is frozen by NumPy's promise; torch's and default_rng's may change with a release.
    mask = np.zeros(n, dtype=bool)
    mask[np.random.RandomState(0).permutation(n)[: n // 5]] = True
    return mask


def like_mnist(ink: Tensor) -> Tensor:
    """Digits of any size as MNIST shows them: ink in a 20×20 box, aspect kept, centre of mass in the middle.

    ink: (n, height, width) in [0, 1], the share of each pixel that is inked. Returns (n, 1, 28, 28) in [0, 1].
    """
    # One pixel of paper around, so that ink at the edge ends in a round stroke and not in a cut.
    fine = F.interpolate(F.pad(ink[:, None], (1, 1, 1, 1)), scale_factor=_FINE, mode="bicubic")
    fine = (0.5 + _EDGE * (fine - 0.5)).clamp(0, 1)
    height, width = fine.shape[-2:]
    left, right, x = _measure(fine[:, 0].sum(1), (fine[:, 0] > 0.5).any(1))
    top, bottom, y = _measure(fine[:, 0].sum(2), (fine[:, 0] > 0.5).any(2))
    zoom = BOX / torch.maximum(right - left, bottom - top).clamp(min=1)
    shift = SIDE / 2 - MIDDLE
    # Rows of theta: where in `fine` an output position is read; both run from -1 to 1 over their picture.
    theta = torch.zeros(len(ink), 2, 3)
    theta[:, 0, 0], theta[:, 0, 2] = SIDE / width / zoom, 2 * (x + shift / zoom) / width - 1
    theta[:, 1, 1], theta[:, 1, 2] = SIDE / height / zoom, 2 * (y + shift / zoom) / height - 1
    grid = F.affine_grid(theta, [len(ink), 1, SIDE * _DENSE, SIDE * _DENSE], align_corners=False)
    return F.avg_pool2d(F.grid_sample(fine, grid, align_corners=False), _DENSE).clamp(0, 1)


def _measure(mass: Tensor, inked: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """First and last edge of the ink along one axis, and its centre of mass, in pixels of that axis."""
    n = inked.shape[1]
    first = inked.int().argmax(1)
    last = n - inked.flip(1).int().argmax(1)
    centre = (mass * (torch.arange(n) + 0.5)).sum(1) / mass.sum(1).clamp(min=1e-6)
    return first, last, centre
