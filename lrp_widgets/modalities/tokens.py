"""Tokens: the numbers of words or of parts of words, as a language model takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from lrp_widgets.modalities.modality import Modality

__all__ = ["Tokens"]


@dataclass(frozen=True)
class Tokens(Modality):
    """(n, tokens), whole numbers."""

    name: ClassVar[str] = "tokens"
    element: ClassVar[str] = "token"
    elements: ClassVar[str] = "tokens"
    layout: ClassVar[str] = "(n, tokens)"
    removable: ClassVar[bool] = True
    adjacent: ClassVar[bool] = False

    def fits(self, inputs: Tensor) -> bool:
        return inputs.ndim == 2 and not (inputs.is_floating_point() or inputs.is_complex())
