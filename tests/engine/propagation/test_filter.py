"""Filters: what passes a part of a layer, and what the ledger says of the rest."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.methods import LRP

COMPOSITES = [lw.epsilon(), lw.alpha_beta(alpha=2), lw.epsilon_gamma_box(low=0, high=1)]
LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 3, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(192, 2),
    ).double()


@pytest.fixture
def x() -> torch.Tensor:
    return torch.rand(2, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def explained(net: nn.Module, x: torch.Tensor, composite: lw.Composite, *filters: lw.Filter) -> lw.Explanation:
    return lw.Explainer(net).explain(x, 1, LRP(composite, filters))


@pytest.mark.parametrize("composite", COMPOSITES, ids=lambda c: type(c).__name__)
def test_the_parts_of_a_layer_add_up_to_the_whole(net, x, composite):
    whole = explained(net, x, composite)
    by_channel = [explained(net, x, composite, lw.Filter("1", channels=(c,))).relevance for c in range(4)]
    torch.testing.assert_close(sum(by_channel), whole.relevance)
    sides = [explained(net, x, composite, lw.Filter("3", region=LEFT, block=block)) for block in (False, True)]
    torch.testing.assert_close(sides[0].relevance + sides[1].relevance, whole.relevance)
    assert not sides[0].layer("3")[..., 4:].any()
    assert not sides[1].layer("3")[..., :4].any()
    torch.testing.assert_close(sides[0].layer("3")[..., :4], whole.layer("3")[..., :4])


def test_the_ledger_names_what_was_cut_off(net, x):
    whole = explained(net, x, lw.epsilon())
    part = explained(net, x, lw.epsilon(), lw.Filter("3", channels=(0, 2)))
    lines = {line.name: line for line in part.layers}
    torch.testing.assert_close(lines["3"].absorbed["filter"], whole.layer("3")[:, 1].sum((1, 2)))
    torch.testing.assert_close(lines["3"].relevance_out, whole.layer("3").sum((1, 2, 3)))
    torch.testing.assert_close(lines["3"].positive, whole.layer("3").clamp(min=0).sum((1, 2, 3)))
    assert all(line.closes for line in part.layers)
    torch.testing.assert_close(part.absorbed["filter"], lines["3"].absorbed["filter"])


def test_two_filters_meet_and_a_neuron_is_a_channel_and_a_pixel(net, x):
    pixel = ((0.25, 0.5), (0.375, 0.5), (0.375, 0.625), (0.25, 0.625))
    neuron = explained(net, x, lw.epsilon(), lw.Filter("1", (2,), pixel))
    both = explained(net, x, lw.epsilon(), lw.Filter("1", (2,)), lw.Filter("1", region=pixel))
    assert torch.equal(neuron.relevance, both.relevance)
    ((_, channel, row, column),) = neuron.layer("1")[:1].nonzero().tolist()
    assert (channel, row, column) == (2, 4, 2)
    assert neuron.relevance[0, 0].nonzero().min(0).values.tolist() == [3, 1]  # its field, 3 × 3, and nothing else
    assert neuron.relevance[0, 0].nonzero().max(0).values.tolist() == [5, 3]


def test_a_filter_recomputes_what_lies_below_it_only(net, x):
    explainer = lw.Explainer(net)
    explainer.explain(x, 1, LRP(lw.epsilon()))
    assert explainer.explain(x, 1, LRP(lw.epsilon(), (lw.Filter("1", (0,)),))).recomputed == 2
    assert explainer.explain(x, 1, LRP(lw.epsilon(), (lw.Filter("1", (1,)),))).recomputed == 2
    plain = explainer.explain(x, 1, LRP(lw.epsilon()))
    assert torch.equal(plain.relevance, explained(net, x, lw.epsilon()).relevance)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": ""}, "Filter.layer must be the name of a layer, got ''."),
        ({"channels": (1.0,)}, "Filter.channels must be a tuple of channel numbers from 0, got (1.0,)."),
        (
            {"neuron": (1, -2)},
            "Filter.neuron must be an index such as (channel, row, column), counted from 0, got (1, -2).",
        ),
        (
            {"region": ((0, 0), (2, 0), (0, 1))},
            "Filter.region must be a tuple of at least three points (x, y) with 0 ≤ x, y ≤ 1, "
            "got ((0, 0), (2, 0), (0, 1)).",
        ),
    ],
)
def test_a_filter_checks_itself(arguments, message):
    with pytest.raises(ValueError) as caught:
        lw.Filter(**{"layer": "1", **arguments})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (lw.Filter("9"), "Filter.layer: No recorded layer is called '9'. The recorded ones are: 0, 1, 2, 3, 4, 5."),
        (lw.Filter("1", (4,)), "Filter.channels must lie in [0, 3], the channels of '1', got 4."),
        (
            lw.Filter("3", neuron=(0, 8, 0)),
            "Filter.neuron must lie in (3, 8, 8), the shape of '3', got (0, 8, 0).",
        ),
        (lw.Filter("5", neuron=(0, 1)), "Filter.neuron must lie in (2,), the shape of '5', got (0, 1)."),
        (
            lw.Filter("5", region=LEFT),
            "Filter.region needs a layer with maps (batch, channels, height, width); '5' has the shape (2, 2). "
            "Leave the region out.",
        ),
    ],
)
def test_a_filter_that_does_not_fit_the_network(net, x, known, message):
    with pytest.raises(ValueError) as caught:
        explained(net, x, lw.epsilon(), known)
    assert str(caught.value) == message


def test_a_single_neuron_of_any_layer(net, x):
    pixel = ((3 / 8, 5 / 8), (4 / 8, 5 / 8), (4 / 8, 6 / 8), (3 / 8, 6 / 8))
    one = explained(net, x, lw.epsilon(), lw.Filter("1", neuron=(2, 5, 3)))
    same = explained(net, x, lw.epsilon(), lw.Filter("1", (2,), pixel))
    torch.testing.assert_close(one.relevance, same.relevance)
    assert torch.count_nonzero(one.layer("1")) == len(x)
    whole = explained(net, x, lw.epsilon())
    others = explained(net, x, lw.epsilon(), lw.Filter("1", neuron=(2, 5, 3), block=True))
    torch.testing.assert_close(one.relevance + others.relevance, whole.relevance)
    flat = explained(net, x, lw.epsilon(), lw.Filter("4", neuron=(77,)))  # 4 is the flattened 3
    torch.testing.assert_close(
        flat.relevance, explained(net, x, lw.epsilon(), lw.Filter("3", neuron=(1, 1, 5))).relevance
    )
    assert all(line.closes for line in flat.layers)
