"""Every number of a setting has an end: whatever a link or a page asks for, it is refused before work begins."""

from __future__ import annotations

import re
from typing import Any

import pytest

import lrp_widgets as lw
from lrp_widgets import methods
from lrp_widgets.apps.quality import request as quality
from lrp_widgets.apps.scan.request import Windows
from lrp_widgets.apps.session.settings import Pixel, Settings
from lrp_widgets.apps.sharing.encoding import StateError
from lrp_widgets.apps.sharing.state import from_state, to_state
from lrp_widgets.engine import rules
from lrp_widgets.engine.composites import presets
from lrp_widgets.evaluation import Limits, metrics, neighbourhoods, removal
from lrp_widgets.params import MOST, MOST_SEED, Param, params_of

FAMILIES = (
    *(*rules.RULES, *presets.PRESETS, *methods.METHODS, *methods.WRAPPERS),
    *(*removal.REMOVALS, *neighbourhoods.NEIGHBOURHOODS, *metrics.METRICS, Limits, Windows),
    *(quality.SelectivitySettings, quality.PathChoice, quality.AveragingSettings),
)
NUMBERS = [(kind, parameter) for kind in FAMILIES for parameter in params_of(kind) if parameter.kind != "choice"]
NUMBERS = [(kind, parameter) for kind, parameter in NUMBERS if parameter.kind != "switch"]
SETTINGS = Settings(0, lw.LRP())


def made(kind: type, parameter: Param, value: Any) -> Any:
    """A setting with one other value."""
    return kind(**{parameter.name: (parameter.low, value) if parameter.kind == "range" else value})


@pytest.mark.parametrize(
    ("kind", "parameter"), NUMBERS, ids=lambda part: getattr(part, "name", part.__class__.__name__)
)
def test_a_number_has_an_end(kind, parameter):
    name = re.escape(f"{kind.__name__}.{parameter.name} must ")
    values = [10**9, 10**30, 10**400] if parameter.kind == "integer" else [1e16, 1e300, -1e300]
    for value in values:
        if parameter.name == "seed" and value <= MOST_SEED:
            continue
        with pytest.raises(ValueError, match=name):
            made(kind, parameter, value)
    assert min(parameter.high, parameter.most) <= MOST


def test_a_huge_number_is_refused_in_words():
    for make, said in (
        (
            lambda: lw.IntegratedGradients(steps=10**9),
            "IntegratedGradients.steps must be at most 1000, got 1000000000.",
        ),
        (lambda: lw.IntegratedGradients(steps=0), "IntegratedGradients.steps must be at least 1, got 0."),
        (
            lambda: lw.IntegratedGradients(baseline=-1e16),
            "IntegratedGradients.baseline must be at least -1e+15, got -1e+16.",
        ),
        (lambda: lw.SmoothGrad(samples=10**5), "SmoothGrad.samples must be at most 10000, got 100000."),
        (lambda: lw.Translated(shift=33), "Translated.shift must be at most 32, got 33."),
        (
            lambda: neighbourhoods.Brightness(10, 1e-4),
            "Brightness.step must be at least 0.002 for this reach, got 0.0001.",
        ),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
            make()


@pytest.mark.parametrize("kind", [neighbourhoods.Translation, neighbourhoods.Rotation, neighbourhoods.Brightness])
def test_the_places_of_a_neighbourhood_are_bounded(kind):
    reach, step = (parameter for parameter in params_of(kind) if parameter.kind == "number")
    with pytest.raises(ValueError, match=f"{kind.__name__}.step must be at least .* for this reach"):
        kind(reach.high, step.low)
    finest = kind(reach.high, max(step.low, 2 * reach.high / 10_000))
    assert len(finest.places()) <= 10_001


def test_methods_within_methods_multiply():
    inner = lw.IntegratedGradients(steps=1000)
    assert lw.Smoothed(inner, samples=1000).runs == 10**6
    said = "Smoothed must take at most 1000000 runs of the network, got 1001000 with the methods within it. Take fewer"
    with pytest.raises(ValueError, match=f"^{said} samples, steps or shifts.$"):
        lw.Smoothed(inner, samples=1001)
    with pytest.raises(ValueError, match="got 1089000 with"):
        lw.Translated(inner, shift=16)
    assert lw.Translated(lw.LRP(), shift=32).runs == 65**2


def test_a_link_with_a_huge_number_is_refused(samples):
    state = to_state(SETTINGS)
    for method in (
        {"IntegratedGradients": {"steps": 10**9}},
        {"Smoothed": {"method": {"Smoothed": {"samples": 9999}}, "samples": 9999}},
        {"LRP": {"composite": {"epsilon": {"epsilon": 1e300}}}},
    ):
        with pytest.raises(StateError, match=r"State\.method.* must (be|take) at most"):
            from_state(state | {"method": method}, Settings, samples)


@pytest.fixture(scope="module")
def samples() -> lw.Samples:
    return lw.demo.data.digits()


def test_trails_and_pins_are_bounded():
    pixel = Pixel("", 0, 0)
    with pytest.raises(ValueError, match=r"^Settings\.trail may have 64 entries, got 65\.$"):
        Settings(0, lw.LRP(), trail=(pixel,) * 65)
    with pytest.raises(ValueError, match=r"^Settings\.pins may have 6 entries, got 7\.$"):
        Settings(0, lw.LRP(), pins=(SETTINGS,) * 7)
    pinned = Settings(0, lw.LRP(), pins=(SETTINGS,) * 6)
    with pytest.raises(ValueError, match=r"^Settings\.pins must be without pins of their own\.$"):
        Settings(0, lw.LRP(), pins=(pinned,))


@pytest.mark.parametrize("value", [1e16, -1e300, (0.0, -1e16), (0.0,) * 70_000])
def test_a_plain_field_has_an_end_too(value):
    one = value[1] if isinstance(value, tuple) else value
    made: list[Any] = [
        lambda: lw.rules.ZBox(*((value, 1) if isinstance(value, tuple) or value < 0 else (0, value))),
        lambda: removal.Baseline(value),
        lambda: lw.metrics.Completeness(baseline=value),
        *([lambda: lw.Occlusion(value=one)] if one else []),
    ]
    for make in made:
        with pytest.raises(ValueError, match=r"must lie between -1e\+15 and 1e\+15"):
            make()
