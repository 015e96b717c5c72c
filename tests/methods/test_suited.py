"""What a method leaves open is taken from the samples: the box of deep Taylor, and what an input is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.apps.session.offered import choices
from lrp_widgets.engine.composites.presets import NO_DOMAIN
from lrp_widgets.methods.suited import boxed, suited
from lrp_widgets.modalities import Graph

PLAIN = lw.deep_taylor()
COLOURS = {"low": (-1.0, -2.0, -1.5), "high": (1.0, 2.0, 3.0)}


def samples(low: Any, high: Any, shape: tuple[int, ...] = (4, 3, 6, 6), inside: bool = True) -> lw.Samples:
    torch.manual_seed(0)
    ends = [torch.as_tensor(bound).double().reshape(-1, *[1] * (len(shape) - 2)) for bound in (low, high)]
    inputs = ends[0] + torch.rand(shape).double() * (ends[1] - ends[0])
    return lw.Samples(inputs if inside else 3 * inputs, [0, 1, 0, 1], low=low, high=high)


def net(channels: int = 3) -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)
    return nn.Sequential(*layers).double().eval()


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (samples(0.0, 1.0), lw.deep_taylor(input="zB", low=0.0, high=1.0)),
        (samples(**COLOURS), lw.deep_taylor(input="zB", **COLOURS)),
        (samples(0.1, 1.0), PLAIN),  # no zero in the box, and no value below it: z⁺ is the rule of such values
        (samples(-2.0, -1.0), lw.deep_taylor(input="w2")),
        (samples(-1.0, 1.0, inside=False), PLAIN),  # it is no domain of these
        (samples(-1.0, 1.0, (4, 7)), lw.deep_taylor(input="zB", low=-1.0, high=1.0)),
    ],
    ids=["pixels", "by channel", "above zero", "below zero", "outside", "features"],
)
def test_deep_taylor_takes_the_box_of_the_samples(of: lw.Samples, expected: lw.Composite) -> None:
    assert boxed(PLAIN, of) == expected
    assert suited(lw.LRP(), of) == lw.LRP(expected)
    assert suited(lw.Translated(lw.LRP(PLAIN)), of) == lw.Translated(lw.LRP(expected))


@pytest.mark.parametrize(
    "method",
    [
        lw.LRP(lw.deep_taylor(input="z+")),
        lw.LRP(lw.deep_taylor(input="w2")),
        lw.LRP(lw.deep_taylor(input="zB", low=-3, high=3)),
        lw.LRP(lw.alpha_beta(alpha=1)),
        lw.LRP(lw.epsilon()),
        lw.Gradient(),
        lw.SmoothGrad(),
        lw.Occlusion(modality="picture"),
    ],
    ids=str,
)
def test_what_is_said_stays(method: Any) -> None:
    assert suited(method, samples(0.0, 1.0)) is method


def test_where_no_domain_is_known_z_plus_stays_with_a_note() -> None:
    model, x = net(), samples(0.0, 1.0).inputs
    explainer = lw.Explainer(model)
    default, said = (explainer.explain(x, 0, lw.LRP(lw.deep_taylor(**rule))) for rule in ({}, {"input": "z+"}))
    assert torch.equal(default.relevance, said.relevance)
    assert explainer.explain(x, 0).notes == default.notes == (NO_DOMAIN,) and said.notes == ()
    # Where no layer sees the input itself, there is no rule to choose.
    words = nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(12, 2)).eval()
    assert lw.Explainer(words).explain(torch.tensor([[1, 2, 3]]), 0).notes == ()


def test_data_sets_and_apps_take_it() -> None:
    model, of = net(), samples(**COLOURS)
    metric = {"area": lw.metrics.Selectivity(patch=2), "missing": lw.metrics.Completeness()}
    boxed_ = lw.LRP(lw.deep_taylor(input="zB", **COLOURS))
    methods = {"open": lw.LRP(lw.deep_taylor()), "box": boxed_, "z+": lw.LRP(lw.deep_taylor(input="z+"))}
    table = lw.evaluate(model, of, methods, metric, progress=False)
    values: dict[str, list[float]] = {name: [row.value for row in table.rows if row.method == name] for name in methods}
    assert values["open"] == values["box"] != values["z+"]
    assert dict(choices(of))["Deep Taylor"] == boxed_
    assert dict(choices(of))["LRP-αβ"].composite.input is None


def test_a_name_that_a_shape_does_not_tell_reaches_the_apps() -> None:
    graphs = lw.Samples(torch.rand(2, 5, 3), modality="graph")
    assert suited(lw.Occlusion(), graphs) == lw.Occlusion(modality=Graph())
    assert suited(lw.Smoothed(lw.Occlusion()), graphs) == lw.Smoothed(lw.Occlusion(modality=Graph()))
    assert suited(lw.Occlusion(modality="signal"), graphs) == lw.Occlusion(modality="signal")
    assert dict(choices(graphs))["Occlusion"] == lw.Occlusion(modality="graph")
    signals = lw.Samples(torch.rand(2, 5, 3))
    assert suited(lw.Occlusion(), signals) == lw.Occlusion()  # as it is written, so that a store goes on
    assert dict(choices(signals))["Occlusion"] == lw.Occlusion()
