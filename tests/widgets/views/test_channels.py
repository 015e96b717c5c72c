from __future__ import annotations

import numpy as np
import pytest
import traitlets

from lrp_widgets.widgets.views.channels import ChannelsView

MAPS = np.arange(12, dtype=np.float32).reshape(3, 2, 2) - 5


def show(view, maps: np.ndarray = MAPS, channels=(4, 0, 7), layer="conv1", count=8, **filters):
    totals = [float(each.sum()) for each in maps]
    view.show(maps, list(channels), totals, layer, 20.0, count, **filters)


@pytest.fixture
def view():
    return ChannelsView()


@pytest.fixture
def sent(view, monkeypatch):
    messages = []
    monkeypatch.setattr(view, "_send", lambda message, buffers=None: messages.append(message["state"]))
    return messages


def test_show_sends_one_message(view, sent):
    show(view)
    assert len(sent) == 1
    assert sent[0].keys() == {"shape", "channels", "totals", "total", "count", "layer", "complete", "sequence"}
    assert np.frombuffer(view.maps, "<f4").tolist() == MAPS.ravel().tolist()
    assert (view.shape, view.channels, view.totals) == ([3, 2, 2], [4, 0, 7], [-14.0, 2.0, 18.0])


def test_a_move_sends_only_what_changed(view, sent):
    show(view)
    show(view, maps=MAPS[::-1])
    assert sent[1] == {"totals": [18.0, 2.0, -14.0], "sequence": 2}  # and the maps, as a buffer


def test_the_sum_says_whether_it_is_over_all_channels(view):
    show(view)
    assert np.frombuffer(view.pooled, "<f4").tolist() == MAPS.sum(axis=0).ravel().tolist()
    assert not view.complete
    show(view, pooled=np.ones((2, 2)))
    assert np.frombuffer(view.pooled, "<f4").tolist() == [1.0] * 4 and view.complete
    show(view, channels=(0, 1, 2), count=3)
    assert view.complete


def test_large_maps_are_pooled_and_no_sum_changes(view):
    maps = np.random.default_rng(0).normal(size=(2, 150, 70))
    show(view, maps=maps, channels=(0, 1))
    assert (view.shape, view.block) == ([2, 50, 24], 3)
    small = np.frombuffer(view.maps, "<f4").reshape(view.shape)
    assert np.allclose(small.sum(axis=(1, 2)), maps.sum(axis=(1, 2)), atol=1e-3)
    assert small[1, 2, 23] == pytest.approx(maps[1, 6:9, 69:].sum(), abs=1e-5)
    assert len(view.pooled) == 4 * 50 * 24


def test_the_choice_stays_within_its_layer(view):
    show(view)
    view.selected = 7
    show(view, channels=(7, 0, 1))
    assert view.selected == 7
    show(view, channels=(2, 0, 1))
    assert view.selected == -1
    view.selected = 2
    show(view, channels=(2, 0, 1), layer="conv2")
    assert view.selected == -1


def test_the_filter_stays_within_its_layer(view):
    show(view)
    view.set_state({"kept": [7], "blocked": [4, 0]})
    show(view, channels=(1, 2, 3))
    assert (view.kept, view.blocked) == ([7], [0, 4])
    show(view, channels=(0, 1, 2), layer="fc", count=3)  # where there is no channel 7
    assert (view.kept, view.blocked) == ([], [])
    show(view, kept=[6], blocked=[5])
    assert (view.kept, view.blocked) == ([6], [5])


def test_a_channel_is_never_kept_and_blocked(view, sent):
    show(view)
    view.set_state({"blocked": [4, 7]})
    seen = []
    view.observe(lambda change: seen.append((view.kept, view.blocked)), "kept")
    view.set_state({"kept": [7]})
    assert (view.kept, view.blocked, view.problem) == ([7], [4], "")
    assert seen == [([7], [4])]  # who observes finds both in place
    assert sent[-1] == {"blocked": [4]}
    view.set_state({"blocked": [7, 4], "kept": []})
    assert (view.kept, view.blocked) == ([], [4, 7])
    view.set_state({"kept": [4], "blocked": [4]})
    assert not set(view.kept) & set(view.blocked)


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"selected": 5}, "ChannelsView.selected must be -1 or one of the channels [4, 0, 7], got 5."),
        ({"kept": [8]}, "ChannelsView.kept must have numbers of channels, in [0, 7], got [8]."),
        ({"blocked": [1, -1]}, "ChannelsView.blocked must have numbers of channels, in [0, 7], got [1, -1]."),
        ({"total": 1.0}, "ChannelsView.total cannot be set from the browser."),
        ({"filtered": ""}, "ChannelsView.filtered cannot be set from the browser."),
        ({"maps": b""}, "ChannelsView.maps cannot be set from the browser."),
    ],
)
def test_a_forged_message_is_refused(view, message, problem):
    show(view)
    view.filtered = "rows 1–2"
    view.set_state(message)
    assert view.problem == problem
    assert (view.selected, view.kept, view.blocked, view.total, view.filtered) == (-1, [], [], 20.0, "rows 1–2")


def test_the_browser_gives_up_a_filter(view):
    view.set_state({"kept": [], "blocked": [], "cleared": 1})
    assert (view.cleared, view.problem) == (1, "")
    view.set_state({"cleared": -1})
    assert view.cleared == 1 and view.problem


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            (np.zeros((25, 2, 2)), range(25), [0.0] * 25, "a", 0.0, 30),
            "ChannelsView.show: maps must be (n, height, width) with 1 to 24 channels, got shape (25, 2, 2). "
            "Pass the most relevant ones.",
        ),
        (
            (MAPS[0], [0], [0.0], "a", 0.0, 3),
            "ChannelsView.show: maps must be (n, height, width) with 1 to 24 channels, got shape (2, 2). "
            "Pass the most relevant ones.",
        ),
        (
            (MAPS, [0, 1], [0.0] * 3, "a", 0.0, 3),
            "ChannelsView.show: channels and totals must be one per map (3), got 2 and 3.",
        ),
        (
            (MAPS, [0, 1, 1], [0.0] * 3, "a", 0.0, 3),
            "ChannelsView.show: channels must be different numbers in [0, 2], got [0, 1, 1].",
        ),
        (
            (MAPS, [0, 1, 3], [0.0] * 3, "a", 0.0, 3),
            "ChannelsView.show: channels must be different numbers in [0, 2], got [0, 1, 3].",
        ),
    ],
)
def test_show_refuses(view, given, text):
    with pytest.raises(ValueError) as error:
        view.show(*given)
    assert str(error.value) == text
    assert view.sequence == 0


def test_show_refuses_a_sum_of_another_size(view):
    with pytest.raises(ValueError) as error:
        show(view, pooled=np.zeros((3, 3)))
    assert str(error.value) == "ChannelsView.show: pooled must be (2, 2) as the maps, got (3, 3)."


def test_numbers_that_json_cannot_carry(view):
    view.show(MAPS, [0, 1, 2], [1.0, float("nan"), 2.0], "a", float("inf"), 3)
    assert (view.totals, view.total) == ([1.0, None, 2.0], None)
    with pytest.raises(traitlets.TraitError):
        view.selected = 9
