"""Filters of single neurons, several on one layer; and how long the way through the network is remembered."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

import lrp_widgets as lw
from lrp_widgets.apps.explore.explore import Dashboard
from lrp_widgets.apps.explore.inspection import MOST_MESSAGES
from lrp_widgets.engine.analysis.neuron import Neuron
from tests.apps.explore.test_explore import moved

PATIENCE = 60.0  # s: far longer than anything here takes
LAYER, BELOW = "features.3", "features.0"


@pytest.fixture
def app(explored) -> Dashboard:
    app = explored()
    app.heatmap.at_input = False  # layers as small maps of their own
    return app


def strongest(app: Dashboard, layer: str, count: int) -> list[Neuron]:
    """The neurons of a layer with most relevance, which its output has."""
    explanation: Any = app.explanation
    relevance = explanation.layer(layer)[0]
    places = relevance.abs().flatten().topk(count).indices
    index = zip(*(axis.tolist() for axis in torch.unravel_index(places, relevance.shape)), strict=True)
    return [Neuron(layer, tuple(place), leaves=True) for place in index]


def looked_at(app: Dashboard, neuron: Neuron) -> None:
    app.settings = dataclasses.replace(app.settings, trail=(neuron,))
    assert app.settled(PATIENCE)
    assert app.inspection.arithmetic.can_filter


def passing(app: Dashboard, neuron: Neuron, how: str) -> tuple[lw.Filter, ...]:
    """Keep or block a neuron from its arithmetic; the filters that are in force then."""
    looked_at(app, neuron)
    moved(app, app.inspection.arithmetic, passing=how)
    return app.settings.method.filters


def only(neuron: Neuron, block: bool = False) -> lw.Filter:
    return lw.Filter(neuron.layer, neuron=neuron.index, block=block)


def test_of_one_layer_the_neuron_that_was_kept_last_is_kept(app):
    one, two = strongest(app, LAYER, 2)
    whole = app.explanation.layer(LAYER)[0]
    assert passing(app, one, "keep") == (only(one),)
    assert passing(app, two, "keep") == (only(two),)
    layer = app.explanation.layer(LAYER)[0]
    assert torch.count_nonzero(layer) == 1 and layer[two.index] == whole[two.index]
    assert np.abs(app.heatmap.relevance).max() > 0  # kept both, nothing would pass
    assert app.inspection.arithmetic.passing == "keep"
    looked_at(app, one)
    assert app.inspection.arithmetic.passing == ""


def test_neurons_of_two_layers_can_be_kept_together(app):
    (upper,), (lower,) = strongest(app, LAYER, 1), strongest(app, BELOW, 1)
    assert passing(app, upper, "keep") == (only(upper),)
    assert passing(app, lower, "keep") == (only(upper), only(lower))
    assert passing(app, upper, "") == (only(lower),)


def test_several_neurons_of_one_layer_can_be_blocked(app):
    one, two = strongest(app, LAYER, 2)
    assert passing(app, one, "block") == (only(one, block=True),)
    assert passing(app, two, "block") == (only(one, block=True), only(two, block=True))
    layer = app.explanation.layer(LAYER)[0]
    assert not layer[one.index] and not layer[two.index] and layer.any()
    looked_at(app, one)
    assert app.inspection.arithmetic.passing == "block"
    moved(app, app.inspection.arithmetic, passing="")
    assert app.settings.method.filters == (only(two, block=True),)


def test_keeping_one_gives_up_what_was_blocked_and_blocking_one_what_was_kept(app):
    one, two = strongest(app, LAYER, 2)
    passing(app, one, "block")
    assert passing(app, two, "keep") == (only(two),)
    assert passing(app, one, "block") == (only(one, block=True),)


def test_a_filter_of_channels_on_the_same_layer_stays(app):
    (one,) = strongest(app, LAYER, 1)
    moved(app, app.layers, selected=LAYER)
    moved(app, app.inspection.channels, kept=[one.index[0]])
    channels = lw.Filter(LAYER, (one.index[0],))
    assert passing(app, one, "keep") == (channels, only(one))
    assert passing(app, one, "") == (channels,)


def test_of_a_long_way_the_last_stops_are_remembered(app):
    moved(app, app.heatmap, clicked={"x": 14, "y": 14, "count": 1})
    view = app.inspection.arithmetic
    moved(app, view, stepped={"row": 0, "count": 1})
    way = [*app.settings.trail]
    assert len(way) == 2
    for _ in range(MOST_MESSAGES + 2):
        moved(app, view, direction="down" if view.direction == "up" else "up")
        way.append(app.settings.trail[-1])
        assert app.settings.trail == tuple(way[-MOST_MESSAGES:])
    assert len(app.settings.trail) == len(view.trail) == MOST_MESSAGES == 10
    moved(app, view, back={"position": 4, "count": 1})
    assert app.settings.trail == tuple(way[-MOST_MESSAGES:][:5])
