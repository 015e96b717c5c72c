"""Filters on layers of (batch, tokens, channels): a channel is the last axis there, and there is no map."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw

TOKENS, CHANNELS = 3, 5


class Sentences(nn.Module):
    """Each of three tokens through two layers, and the mean of them to two scores."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two, self.head = nn.Linear(4, CHANNELS), nn.Linear(CHANNELS, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.two(torch.relu(self.one(x)))).mean(1))


@pytest.fixture
def explainer() -> lw.Explainer:
    return lw.Explainer(Sentences().double().eval())


@pytest.fixture
def x() -> Tensor:
    return torch.rand(2, TOKENS, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def explained(explainer: lw.Explainer, x: Tensor, *filters: lw.Filter) -> lw.Explanation:
    return explainer.explain(x, 1, lw.LRP(lw.epsilon(), filters))


def test_a_channel_is_the_last_axis(explainer, x):
    whole = explained(explainer, x)
    assert whole.layer("one").shape == (2, TOKENS, CHANNELS)
    parts = []
    for channel in range(CHANNELS):
        part = explained(explainer, x, lw.Filter("one", (channel,)))
        expected = torch.zeros_like(whole.layer("one"))
        expected[:, :, channel] = whole.layer("one")[:, :, channel]
        torch.testing.assert_close(part.layer("one"), expected)
        cut = whole.layer("one").sum((1, 2)) - expected.sum((1, 2))
        torch.testing.assert_close(part.absorbed["filter"], cut)
        assert all(line.closes for line in part.layers)
        parts.append(part.relevance)
    torch.testing.assert_close(sum(parts), whole.relevance)


def test_blocked_channels_are_what_the_kept_ones_leave(explainer, x):
    whole = explained(explainer, x)
    kept, blocked = (explained(explainer, x, lw.Filter("one", (0, 4), block=block)) for block in (False, True))
    assert not kept.layer("one")[:, :, 1:4].any() and kept.layer("one")[:, :, [0, 4]].any()
    assert not blocked.layer("one")[:, :, [0, 4]].any() and blocked.layer("one")[:, :, 1:4].any()
    torch.testing.assert_close(kept.relevance + blocked.relevance, whole.relevance)


def test_a_neuron_is_a_token_and_a_channel(explainer, x):
    whole = explained(explainer, x)
    one = explained(explainer, x, lw.Filter("one", neuron=(2, 4)))
    assert torch.equal(one.layer("one")[:, 2, 4], whole.layer("one")[:, 2, 4])
    assert torch.count_nonzero(one.layer("one")) == torch.count_nonzero(whole.layer("one")[:, 2, 4])
    assert not one.relevance[:, :2].any()  # the other tokens
    by_token = [explained(explainer, x, *[lw.Filter("one", neuron=(t, c))]) for t in range(3) for c in range(5)]
    torch.testing.assert_close(sum(part.relevance for part in by_token), whole.relevance)


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (lw.Filter("one", (5,)), "Filter.channels must lie in [0, 4], the channels of 'one', got 5."),
        (lw.Filter("one", neuron=(3, 0)), "Filter.neuron must lie in (3, 5), the shape of 'one', got (3, 0)."),
        (
            lw.Filter("one", region=((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))),
            "Filter.region needs a layer with maps (batch, channels, height, width); 'one' has the shape (2, 3, 5). "
            "Leave the region out.",
        ),
    ],
)
def test_what_does_not_fit_is_named(explainer, x, known, message):
    with pytest.raises(ValueError) as caught:
        explained(explainer, x, known)
    assert str(caught.value) == message


def test_the_last_token_and_the_last_channel_can_be_chosen(explainer, x):
    both = explained(explainer, x, lw.Filter("one", (4,)), lw.Filter("one", neuron=(2, 4)))
    assert torch.equal(both.relevance, explained(explainer, x, lw.Filter("one", neuron=(2, 4))).relevance)
    last = explained(explainer, x, lw.Filter("two", (5,))).layer("two")
    assert last[:, :, 5].any() and not last[:, :, :5].any()
