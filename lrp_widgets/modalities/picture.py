"""Picture: pixels in rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.modalities.modality import Bound, Modality

__all__ = ["Picture"]

SIDES = 7  # patches along a side, by default


@dataclass(frozen=True)
class Picture(Modality):
    """(n, channels, height, width). Of one or three channels it can be seen; others have maps, but no image."""

    name: ClassVar[str] = "picture"
    element: ClassVar[str] = "pixel"
    elements: ClassVar[str] = "pixels"
    layout: ClassVar[str] = "(n, channels, height, width)"
    planar: ClassVar[bool] = True
    removable: ClassVar[bool] = True
    neighbourhood: ClassVar[str] = "translation"
    interpolation: ClassVar[str] = "bilinear"

    def fits(self, inputs: Tensor) -> bool:
        return inputs.ndim == 4

    def grid(self, inputs: Tensor) -> Tensor:
        return inputs

    def side(self, inputs: Tensor) -> int:
        return max(1, round(inputs.shape[-1] / SIDES))

    def image(self, x: Tensor, low: Bound, high: Bound) -> np.ndarray | None:
        if not _visible(len(x)):
            return None
        bottom, top = (torch.as_tensor(bound, dtype=x.dtype).reshape(-1, 1, 1) for bound in (low, high))
        # A NaN is shown as 0: the explanation of such an input says what is wrong with it.
        pixels = ((x.cpu() - bottom) / (top - bottom)).clamp(0, 1).nan_to_num().float().numpy()
        return pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)

    def thumbnails(self, inputs: Tensor, low: Bound, high: Bound) -> Sequence[Any] | np.ndarray:
        if _visible(inputs.shape[1]):
            return _Images(self, inputs, low, high)
        return super().thumbnails(inputs, low, high)

    def uploads(self, inputs: Tensor) -> tuple[str, ...]:
        return ("picture", "array") if _visible(inputs.shape[1]) else ()


def _visible(channels: int) -> bool:
    """Whether an eye can see so many channels: grey, or red, green and blue."""
    return channels in (1, 3)


class _Images(Sequence[np.ndarray]):
    """The inputs as images, each made when it is asked for: a thousand photographs take more than a second."""

    def __init__(self, kind: Picture, inputs: Tensor, low: Bound, high: Bound) -> None:
        self._kind, self._inputs, self._low, self._high = kind, inputs, low, high

    def __len__(self) -> int:
        return len(self._inputs)

    def __getitem__(self, index: Any) -> Any:
        return self._kind.image(self._inputs[index], self._low, self._high)
