"""Request: everything that the quality app shall show, as one frozen value, and the choices of its pages in it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from lrp_widgets.apps.session.settings import Settings
from lrp_widgets.evaluation import Limits
from lrp_widgets.evaluation.continuity.neighbourhoods import Neighbourhood, Translation
from lrp_widgets.evaluation.flipping.removal import REMOVALS
from lrp_widgets.methods import Method, Smoothed, Translated
from lrp_widgets.params import Setting, as_in, choice, param

__all__ = [
    "AveragingSettings",
    "EvaluationPlan",
    "HandPosition",
    "PathChoice",
    "Request",
    "SelectivitySettings",
    "SweepPlan",
    "with_changes",
]


@dataclass(frozen=True)
class SelectivitySettings(Setting):
    """How the flipping curves of the page Selectivity are measured."""

    patch: int = param(4, low=1, high=512, slider=(1, 16), unit="px", help="Side of the square patches.")
    seeds: int = param(5, low=1, high=99, slider=(1, 20), symbol="orders", help="Random orders in the band.")
    regions: str = choice("patches", ("patches", "superpixels"), help="What is removed at a time.")
    removal: str = choice(
        "baseline",
        tuple(kind.name for kind in REMOVALS),
        labels=tuple(kind.title for kind in REMOVALS),
        help="What becomes of a removed pixel.",
    )
    ranking: str = choice("once", ("once", "again"), labels=("once", "after each removal"), help="When to rank.")
    unit: str = choice("logit", ("logit", "probability"), symbol="score", help="What falls.")


@dataclass(frozen=True)
class PathChoice:
    """The neighbouring inputs over which continuity is measured.  other: index of the sample where a path ends."""

    kind: Neighbourhood = field(default_factory=Translation)
    other: int = 1


@dataclass(frozen=True)
class HandPosition:
    """How far the user has dragged the input, in pixels.  trace: its number, which grows with each new trace."""

    right: float = 0.0
    down: float = 0.0
    trace: int = 0


@dataclass(frozen=True)
class AveragingSettings(Setting):
    """Over how many shifts and how much noise the page Averaged takes means."""

    shift: int = as_in(Translated, "shift")
    border: str = as_in(Translated, "border")
    samples: int = as_in(Smoothed, "samples")
    noise: float = as_in(Smoothed, "noise")


@dataclass(frozen=True)
class SweepPlan:
    """A sweep to be run.  number: grows with each start, so that an equal one runs too.  over: (parameter, values)."""

    number: int
    settings: Settings
    over: tuple[tuple[str, tuple[Any, ...]], ...]


@dataclass(frozen=True)
class EvaluationPlan:
    """An evaluation to be run.  number: as in SweepPlan.  methods: (name, method).  metrics: class names."""

    number: int
    samples: int
    methods: tuple[tuple[str, Method], ...]
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """settings: what is explained.  page, part: the names of the visible page and of its visible part.  step: of the
    scrubber.  place: an index on the path, −1 for none.  sweep, evaluation: None where none runs.  objectives: of the
    Pareto set."""

    settings: Settings
    page: str = ""
    step: int = 0
    flipping: SelectivitySettings = field(default_factory=SelectivitySettings)
    path: PathChoice = field(default_factory=PathChoice)
    limits: Limits = field(default_factory=Limits)
    sweep: SweepPlan | None = None
    objectives: tuple[str, ...] = ("area", "continuity")
    place: int = -1
    evaluation: EvaluationPlan | None = None
    part: str = ""
    hand: HandPosition = field(default_factory=HandPosition)
    averaging: AveragingSettings = field(default_factory=AveragingSettings)


def with_changes(request: Request, **changes: Any) -> Request:
    """The same request with other fields; sample, target and method are those of its settings."""
    of_settings = {name: changes.pop(name) for name in ("sample", "target", "method") if name in changes}
    if of_settings:
        changes["settings"] = dataclasses.replace(request.settings, **of_settings)
    return dataclasses.replace(request, **changes)
