"""Real photographs that come with scikit-image and scikit-learn: small, for the photograph network, or whole."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lrp_widgets.demo.installed import file_of
from lrp_widgets.samples import Samples

__all__ = ["CLASSES", "PICTURES", "WHOLE", "load"]

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
WHOLE = {
    "chelsea": ("skimage", "data/chelsea.png"),
    "horse": ("skimage", "data/horse.png"),
    "astronaut": ("skimage", "data/astronaut.png"),
    "camera": ("skimage", "data/camera.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
}
# What the small ones show: photograph, left, top and side of a square of it, and the class it belongs to, if any.
PICTURES = (
    ("chelsea", 60, 0, 300, "cat"),
    ("chelsea", 130, 20, 240, "cat"),
    ("chelsea", 151, 0, 300, "cat"),
    ("horse", 0, -36, 400, "horse"),
    ("astronaut", 0, 0, 512, None),
    ("astronaut", 110, 0, 230, None),
    ("astronaut", 325, 0, 187, None),
    ("camera", 0, 0, 512, None),
    ("rocket", 106, 0, 427, None),
    ("motorcycle", 90, 60, 420, None),
    ("coffee", 100, 0, 400, None),
    ("china", 0, 0, 427, None),
    ("flower", 106, 0, 427, None),
)


def load(whole: str | None = None) -> Samples:
    """Thirteen squares of photographs at 32×32, or one photograph `whole` ("chelsea", "astronaut", …) in its own size.

    inputs: float32 (n, 3, height, width) in [0, 1], RGB. classes: those of CIFAR-10; labels: the cat and the (drawn)
    horse are two of them, everything else is none: -1. No network here was trained on any of them.
    Raises ValueError for another name, ModuleNotFoundError or FileNotFoundError where a file is missing.
    """
    if whole is not None:
        if whole not in WHOLE:
            raise ValueError(f"photos.whole must be one of {', '.join(map(repr, WHOLE))} or None, got {whole!r}.")
        label = next(_label(name) for photo, *_, name in PICTURES if photo == whole)
        return Samples(_photograph(whole)[None], [label], CLASSES, low=0.0, high=1.0)
    photos = {name: _photograph(name) for name in WHOLE}
    small = torch.cat([_square(photos[name], left, top, side) for name, left, top, side, _ in PICTURES])
    return Samples(small, [_label(row[-1]) for row in PICTURES], CLASSES, low=0.0, high=1.0)


def _photograph(name: str) -> Tensor:
    """(3, height, width) in [0, 1]; what is transparent (around the horse) is white."""
    from PIL import Image  # here, so that whoever looks at no photographs need not wait for it

    with Image.open(file_of(*WHOLE[name], "demo.data.photos", "photographs that come")) as file:
        image = file.convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return torch.from_numpy(np.asarray(flat, dtype=np.float32) / 255).permute(2, 0, 1).contiguous()


def _square(photo: Tensor, left: int, top: int, side: int) -> Tensor:
    """A square of it at 32×32, white where it reaches beyond; each pixel is the mean of the area it covers."""
    height, width = photo.shape[1:]
    around = (-min(left, 0), max(left + side - width, 0), -min(top, 0), max(top + side - height, 0))
    wide = F.pad(photo, around, value=1.0)
    left, top = max(left, 0), max(top, 0)
    return F.interpolate(wide[None, :, top : top + side, left : left + side], size=SIDE, mode="area")


def _label(name: str | None) -> int:
    return -1 if name is None else CLASSES.index(name)
