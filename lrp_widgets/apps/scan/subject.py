"""Subject: a network with the photos that it shall scan."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from lrp_widgets.apps.scan.request import ScanRequest
from lrp_widgets.apps.session.offered import OWN, choices
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.methods import LRP, Method
from lrp_widgets.methods.sliding_window import cut_window
from lrp_widgets.samples import Samples

__all__ = ["Subject", "default_method"]

MAX_CLASSES = 25_000  # offered by name


@dataclass(frozen=True, eq=False)
class Subject:
    """A network, the side of its input in pixels, photos to scan with it, and the request to begin with."""

    name: str
    explainer: Explainer
    photos: tuple[Samples, ...]
    side: int
    first: ScanRequest

    def classes(self) -> int:
        """How many classes the network has; 0 where it does not run on the first photo."""
        with suppress(Exception):  # the first map will tell what is wrong
            x = self.photos[0].inputs
            side = min(x.shape[2:])
            return min(MAX_CLASSES, self.explainer.scores(cut_window(x, (0, 0, side, side), self.side))[0].numel())
        return 0


def default_method(samples: Samples) -> Method:
    """The first method that the controls offer."""
    return next((method for name, method in choices(samples) if name != OWN), LRP())
