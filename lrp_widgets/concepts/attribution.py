"""What of a score goes through a layer: by its channels, and by its positions."""

from __future__ import annotations

from torch import Tensor

from lrp_widgets.concepts.layer_maps import relevance_at, totals
from lrp_widgets.engine.propagation.explanation import Explanation

__all__ = ["channel_attribution", "spatial_attribution"]


def channel_attribution(explanation: Explanation, layer: str) -> Tensor:
    """The relevance of each channel of a layer, added up over its positions: (n, channels), float64.

    explanation: by lw.LRP; of a class, or with target=lw.contrast(a, b) of one class against another.
    layer: a module or a step, as in Explanation.layer.
    Its sum is the relevance at the layer: with what the layers above absorbed, and what goes by it on shortcuts, it is
    the score. Olah et al. 2018 draw the same with activation times gradient, which does not add up to the score.
    Raises KeyError with the known names, or ValueError.
    """
    return totals(relevance_at(explanation, layer))


def spatial_attribution(explanation: Explanation, layer: str) -> Tensor:
    """The relevance of each position of a layer, added up over its channels: (n, height, width), or (n, tokens), ….

    A dense layer has no positions: the relevance of all of it is left, (n,). Otherwise as channel_attribution.
    """
    return relevance_at(explanation, layer).double().sum(1).cpu()
