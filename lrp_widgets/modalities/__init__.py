"""What an input is: picture, volume, signal, features, sequence, tokens, graph."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lrp_widgets.modalities.features import Features
from lrp_widgets.modalities.graph import Graph
from lrp_widgets.modalities.modality import Modality
from lrp_widgets.modalities.picture import Picture
from lrp_widgets.modalities.sequence import Sequence
from lrp_widgets.modalities.signal import Signal
from lrp_widgets.modalities.tokens import Tokens
from lrp_widgets.modalities.volume import Volume

__all__ = [
    "MODALITIES",
    "Features",
    "Graph",
    "Modality",
    "Picture",
    "Sequence",
    "Signal",
    "Tokens",
    "Volume",
    "checked_modality",
    "modality_of",
    "named",
]

# In the order of guessing: the first that fits is taken. Those with guessed=False are only taken by their name.
MODALITIES: tuple[type[Modality], ...] = (Picture, Volume, Signal, Features, Sequence, Tokens, Graph)


def modality_of(inputs: Any) -> Modality:
    """What inputs (n, …) are, by shape and dtype; of what is no single tensor, or fits no kind, a plain Modality."""
    if isinstance(inputs, Tensor):
        for kind in MODALITIES:
            if kind.guessed and kind().fits(inputs):
                return kind()
    return Modality()


def named(name: Any, owner: str = "modality") -> Modality:
    """The modality that is meant: one of MODALITIES by its name, or a modality itself.

    Raises TypeError or ValueError that lists the names; owner: what it calls the argument.
    """
    if isinstance(name, Modality):
        return name
    kinds = {kind.name: kind for kind in MODALITIES}
    if isinstance(name, str) and name in kinds:
        return kinds[name]()
    error = ValueError if isinstance(name, str) else TypeError
    raise error(f"{owner} must be one of {', '.join(map(repr, kinds))}, or a modality, got {name!r}.")


def checked_modality(modality: Any, inputs: Tensor, owner: str) -> Modality:
    """What the inputs are: the modality or its name that `owner` got, what their shape says where it is None.

    Raises TypeError or ValueError where the name is none, or the inputs cannot be of this kind.
    """
    if modality is None:
        return modality_of(inputs)
    kind = named(modality, f"{owner}.modality")
    if not kind.fits(inputs):
        raise ValueError(f"{owner}.modality {kind.name!r} needs inputs {kind.layout}, got {tuple(inputs.shape)}.")
    return kind
