"""Asked: everything that the app on explanation quality is asked for, as one frozen value; and what each page asks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lrp_widgets.apps.session.settings import Settings
from lrp_widgets.evaluation import Limits
from lrp_widgets.evaluation.continuity.neighbourhoods import Neighbourhood, Translation
from lrp_widgets.evaluation.flipping.removal import REMOVALS
from lrp_widgets.methods import LRP, Method, Smoothed, Translated
from lrp_widgets.params import Param, Setting, as_in, choice, param, params_of

__all__ = [
    "Asked",
    "Averaging",
    "Hand",
    "Near",
    "Plan",
    "SelectivitySettings",
    "Sweeping",
    "sweepable",
    "values_of",
    "with_changes",
]


@dataclass(frozen=True)
class SelectivitySettings(Setting):
    """How selectivity is measured."""

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
class Near:
    """Over which inputs continuity is measured.  other: the sample where a way ends."""

    kind: Neighbourhood = field(default_factory=Translation)
    other: int = 1


@dataclass(frozen=True)
class Hand:
    """Where the probe holds the input, in pixels.  cleared: counts how often its way was forgotten."""

    right: float = 0.0
    down: float = 0.0
    cleared: int = 0


@dataclass(frozen=True)
class Averaging(Setting):
    """Over how many shifts and how much noise an explanation is averaged."""

    shift: int = as_in(Translated, "shift")
    border: str = as_in(Translated, "border")
    samples: int = as_in(Smoothed, "samples")
    noise: float = as_in(Smoothed, "noise")


@dataclass(frozen=True)
class Sweeping:
    """A sweep that was started.  start: counts the starts.  over: one or two parameters with their values."""

    start: int
    settings: Settings
    over: tuple[tuple[str, tuple[Any, ...]], ...]


@dataclass(frozen=True)
class Plan:
    """An evaluation over samples that was started.  methods: (name, method).  metrics: names of METRICS."""

    start: int
    samples: int
    methods: tuple[tuple[str, Method], ...]
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """settings: what is explained.  page, part: what is in sight.  step: of the scrubber.  place: on a path.  swept,
    plan: None if stopped.  objectives: of the Pareto set."""

    settings: Settings
    page: str = ""
    step: int = 0
    flipping: SelectivitySettings = field(default_factory=SelectivitySettings)
    near: Near = field(default_factory=Near)
    limits: Limits = field(default_factory=Limits)
    swept: Sweeping | None = None
    objectives: tuple[str, ...] = ("area", "continuity")
    place: int = -1
    plan: Plan | None = None
    part: str = ""
    hand: Hand = field(default_factory=Hand)
    averaging: Averaging = field(default_factory=Averaging)


def sweepable(method: Method) -> tuple[Param, ...]:
    """The parameters of a method, or of its composite, that have several values to try; numbers first."""
    setting = method.composite if isinstance(method, LRP) else method
    kinds = ("number", "integer", "choice", "switch")
    known = [each for each in params_of(setting) if each.kind in kinds and not each.advanced]
    return tuple(sorted(known, key=lambda each: kinds.index(each.kind)))


def values_of(known: Param, count: int) -> tuple[Any, ...]:
    """`count` values over the parameter's slider, even on the scale that it has; every one of a choice."""
    if known.kind == "choice":
        return known.choices
    if known.kind == "switch":
        return (False, True)
    low, high = known.shown
    if known.log:
        low = low or high * 1e-6
        return tuple(float(f"{value:.3g}") for value in np.geomspace(low, high, count))
    spaced = np.linspace(low, high, count)
    if known.kind == "integer":
        return tuple(dict.fromkeys(round(value) for value in spaced))
    return tuple(float(f"{value:.6g}") for value in spaced)


def with_changes(asked: Asked, **changes: Any) -> Asked:
    """The same question with other fields, those of `settings` among them."""
    own = {name: changes.pop(name) for name in ("sample", "target", "method") if name in changes}
    if own:
        changes["settings"] = dataclasses.replace(asked.settings, **own)
    return dataclasses.replace(asked, **changes)
