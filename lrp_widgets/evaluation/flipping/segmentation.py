"""What is flipped: one input, the regions that each of its tensors is made of, and the input without some of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.trace.inputs import Inputs, floating, inputs_of
from lrp_widgets.engine.trace.step import flat_tensors
from lrp_widgets.evaluation.flipping.ranking import relevance_of_regions
from lrp_widgets.evaluation.flipping.regions import regions_of
from lrp_widgets.evaluation.flipping.removal import Baseline, Removal
from lrp_widgets.evaluation.flipping.setting import Flipping
from lrp_widgets.methods.lookups import token_tables
from lrp_widgets.modalities import Modality, Tokens, checked_modality, modality_of

__all__ = ["Segmentation", "checked_input", "segmentation_of"]


@dataclass(frozen=True, eq=False)
class _Part:
    """A tensor of the input: as a grid, in numbered regions, and what stands in place of a removed one."""

    x: Tensor
    modality: Modality
    picture: Tensor
    labels: Tensor
    removal: Removal

    def without(self, gone: Tensor) -> Tensor:
        """(n, …); gone: (n, regions of the whole input), True where a region is missing."""
        pixels = gone[:, self.labels].to(self.picture.device)[:, None]
        return self.modality.from_grid(self.removal.removed(self.picture, pixels), self.x)


@dataclass(frozen=True, eq=False)
class Segmentation:
    """One input. parts: for each of its tensors its regions, None for one that stays as it is.

    whole: whether the regions are patches, that all count alike; else their sizes do.
    """

    inputs: Inputs
    parts: tuple[_Part | None, ...]
    whole: bool

    @property
    def caption(self) -> str:
        """What becomes of what is removed, in a few words."""
        captions = dict.fromkeys(part.removal.caption for part in self.parts if part is not None)
        return ", ".join(captions)

    @property
    def sizes(self) -> Tensor:
        """(regions,) how much of the input each region is."""
        counts = torch.cat([part.labels.flatten() for part in self.parts if part is not None]).bincount().double()
        return torch.ones_like(counts) if self.whole else counts

    def relevance(self, heatmap: Any, pooling: str) -> Tensor:
        """(regions,) float64: the relevance in each region.

        heatmap: one for each tensor of the input, in its form. Raises TypeError or ValueError where it is not.
        """
        try:
            maps = list(_maps(self.inputs.form, heatmap))
        except (KeyError, IndexError, TypeError):
            raise TypeError(
                "The heatmap must have the form of the input, with one map in place of each of its "
                f"{len(self.parts)} tensors, got {type(heatmap).__name__}. Take the explanation's relevance as it is."
            ) from None
        return torch.cat(
            [
                relevance_of_regions(
                    one, part.x, part.picture, part.labels - part.labels.min(), pooling, modality=part.modality
                )
                for one, part in zip(maps, self.parts, strict=True)
                if part is not None
            ]
        )

    def without(self, gone: Tensor) -> Iterator[Any]:
        """Inputs as the model takes them; gone: (n, regions), True where one is missing.

        All in one batch, or, where a tensor of the input has no batch dimension, one after the other.
        """
        tensors, alone = self.inputs.tensors, any(len(tensor) != 1 for tensor in self.inputs.tensors)
        for some in gone.split(1) if alone else (gone,):
            filled = [
                (tensor.clone() if alone else tensor.repeat(len(some), *(1 for _ in tensor.shape[1:])))
                if part is None
                else part.without(some)
                for tensor, part in zip(tensors, self.parts, strict=True)
            ]
            yield self.inputs.like(filled)


def segmentation_of(explainer: Explainer, x: Any, setting: Flipping) -> Segmentation:
    """The input of pixel flipping. Raises TypeError or ValueError where it cannot be flipped as `setting` says."""
    inputs = checked_input("Pixel flipping", x)
    several = not isinstance(inputs.form, Tensor)
    for name in ("regions", "modality"):
        if several and getattr(setting, name) is not None:
            raise ValueError(f"{name} is that of one tensor, and the input has several. Leave it out.")
    tables = token_tables(explainer, inputs)
    parts: list[_Part | None] = []
    first = 0
    for number, tensor in enumerate(inputs.tensors):
        if len(tensor) != 1 or not (floating(tensor) or number in tables):
            parts.append(None)
            continue
        part = _part(tensor.detach(), setting, tables.get(number), first, several)
        parts.append(part)
        first = first if part is None else int(part.labels.max()) + 1
    if all(part is None for part in parts):
        raise TypeError(
            f"Pixel flipping needs floating-point numbers or tokens to remove, got {inputs.tensors[0].dtype}. "
            "Convert them with .float()."
        )
    return Segmentation(inputs, tuple(parts), setting.regions is None)


def checked_input(owner: str, x: Any) -> Inputs:
    """One input with its batch dimension, of one tensor or several. Raises TypeError or ValueError where it is none."""
    inputs = inputs_of(x)
    if inputs.rows != 1 or (isinstance(inputs.form, Tensor) and len(inputs.form.shape) < 2):
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in inputs.tensors)
        raise ValueError(
            f"{owner} takes one input with its batch dimension, got shape {shapes}. Take one with x[i : i + 1]."
        )
    return inputs


def _part(x: Tensor, setting: Flipping, table: int | None, first: int, several: bool) -> _Part | None:
    modality = checked_modality(setting.modality, x, "pixel_flipping")
    removal: Removal = setting.replacement
    if table is not None:
        modality = modality if isinstance(modality, Tokens) else modality_of(x)
        token = _token(setting)
        if token >= table and several:
            return None
        if token >= table:
            raise ValueError(f"token must lie in [0, {table - 1}], the tokens that the model knows, got {token}.")
        removal = _Token(token)
    picture = modality.grid(x)
    removal.check(picture, modality)
    own = setting.regions is not None
    labels = regions_of(setting.regions, *picture.shape[2:]) if own else modality.regions(x, setting.patch)
    return _Part(x, modality, picture, labels + first, removal)


@dataclass(frozen=True)
class _Token(Baseline):
    """A token in place of a removed one."""

    @property
    def caption(self) -> str:
        return f"set to the token {self.value:.0f}"


def _token(setting: Flipping) -> int:
    """What stands in place of a removed token. Raises ValueError where nothing that is one was named."""
    if setting.token is not None:
        return setting.token
    removal = setting.replacement
    value = removal.value if isinstance(removal, Baseline) else None
    if not isinstance(value, float) or not value.is_integer() or value < 0 or math.isinf(value):
        got = f"removal={removal.name!r}" if value is None else f"baseline={value}"
        raise ValueError(
            f"A removed token becomes another token, got {got}. Say which one, for instance that of padding: token=0."
        )
    return int(value)


def _maps(form: Any, heatmap: Any) -> Iterator[Any]:
    """The map in place of each tensor of the input."""
    if isinstance(form, Tensor):
        yield heatmap
    elif isinstance(form, dict):
        for key, part in form.items():
            yield from _maps(part, heatmap[key] if flat_tensors(part) else None)
    elif isinstance(form, list | tuple):
        for number, part in enumerate(form):
            yield from _maps(part, heatmap[number] if flat_tensors(part) else None)
