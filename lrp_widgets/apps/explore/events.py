"""Events: what the worker of the explore app tells the views, one frozen value each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lrp_widgets.apps.explore.preview import Preview
from lrp_widgets.apps.session.settings import Settings
from lrp_widgets.engine.analysis.doctor import Finding
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.evaluation import Curve
from lrp_widgets.methods import Patch

__all__ = [
    "Cancelled",
    "CurveGrew",
    "Event",
    "Explained",
    "ModelExamined",
    "PatchesFound",
    "Previewed",
    "ProjectionSwitched",
    "PrototypesClimbed",
]


@dataclass(frozen=True, eq=False)
class Previewed:
    """An approximate picture is there; the exact one follows."""

    preview: Preview


@dataclass(frozen=True, eq=False)
class Explained:
    """The explanation that the settings ask for is there, or one more of their pins."""

    settings: Settings
    explanation: Explanation


@dataclass(frozen=True)
class Cancelled:
    """The user gave up the first explanation there would have been: there is no earlier one to go back to."""


@dataclass(frozen=True)
class ProjectionSwitched:
    """The map of a hidden layer is wanted over the input rather than on its own grid, or the other way round."""


@dataclass(frozen=True, eq=False)
class PatchesFound:
    """The patches that a channel is most active on, so far.  caption: what they are, or why there are none."""

    caption: str
    patches: tuple[Patch, ...] = ()


@dataclass(frozen=True, eq=False)
class PrototypesClimbed:
    """Prototypes of the class or channel that is chosen.  caption: of what, or why there are none.

    pictures: uint8, (n, height, width) or (n, height, width, 3); None for none.  titles: one each.
    """

    caption: str
    pictures: np.ndarray | None = None
    titles: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class CurveGrew:
    """The pixel-flipping curve so far, and the band of random orders; None before the first of these."""

    curve: Curve
    band: Curve | None


@dataclass(frozen=True, eq=False)
class ModelExamined:
    """The model doctor has examined the model."""

    findings: Sequence[Finding]


Event = (
    Cancelled
    | Previewed
    | Explained
    | ProjectionSwitched
    | PatchesFound
    | PrototypesClimbed
    | CurveGrew
    | ModelExamined
)
