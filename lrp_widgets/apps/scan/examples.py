"""The subjects of lw.scan() without arguments: faces in photographs, and a cat."""

from __future__ import annotations

from collections.abc import Callable

from lrp_widgets.apps.scan.request import ScanRequest, Windows
from lrp_widgets.apps.scan.subject import Subject
from lrp_widgets.demo import data, models
from lrp_widgets.engine.composites.presets import alpha_beta
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.methods import LRP
from lrp_widgets.samples import Samples

__all__ = ["EXAMPLES"]

FACES, CAT = "a face · 25×25 detector", "a cat · 32×32 network"


def faces() -> Subject:
    """The face detector on photographs, grey: the astronaut's face, and photographs without one."""
    photos = tuple(
        Samples(data.photos(name).inputs.mean(1, keepdim=True), classes=("no face", "face"))
        for name in ("astronaut", "camera", "coffee", "china")
    )
    method = LRP(alpha_beta(alpha=1.0, input="zB", low=0.0, high=1.0))
    first = ScanRequest(FACES, method, 0, Windows(6, (0.16, 0.22), 3, True), target=1, against=0)
    return Subject(FACES, Explainer(models.faces_cnn()), photos, 25, first)


def cat() -> Subject:
    """The photograph network on a cat, a horse, a motorcycle and a rocket."""
    photos = tuple(data.photos(name) for name in ("chelsea", "horse", "motorcycle", "rocket"))
    first = ScanRequest(
        CAT, LRP(alpha_beta(alpha=1.0, input="zB", low=0.0, high=1.0)), 0, Windows(8, (0.5, 1.0), 3, True), target=3
    )
    return Subject(CAT, Explainer(models.photos_cnn()), photos, 32, first)


EXAMPLES: tuple[tuple[str, Callable[[], Subject]], ...] = ((FACES, faces), (CAT, cat))
