from __future__ import annotations

import numpy as np
import pytest

from lrp_widgets.widgets.views.compare import CompareView

MAP = np.array([[1.0, -2.0, 3.0], [0.0, 4.0, -5.0]])


@pytest.fixture
def view():
    return CompareView()


@pytest.fixture
def sent(view, monkeypatch):
    messages = []

    def keep(message, buffers=None):
        paths = [tuple(path) for path in message["buffer_paths"]]
        messages.append((set(message["state"]) - {path[0] for path in paths if len(path) > 1}, paths))

    monkeypatch.setattr(view, "_send", keep)
    return messages


def pin(view, key="a", relevance=MAP, title="α 1", differs=("α 1 instead of 2",)):
    view.pin(relevance, "ΣR = 1", title, list(differs), key)


def test_a_move_sends_the_present_map_alone(view, sent):
    pin(view)
    view.show_present(MAP, "ΣR = 1", np.zeros((2, 3)))
    sent.clear()
    view.show_present(MAP + 1, "ΣR = 2", np.zeros((2, 3)))
    assert sent == [({"stamp", "sequence"}, [("present",)])]


def test_a_pin_goes_in_one_message_its_map_as_bytes(view, sent):
    pin(view)
    assert sent == [({"pinned", "differs", "chosen"}, [("maps", "a")])]
    assert np.frombuffer(view.maps["a"], "<f4").tolist() == MAP.ravel().tolist()
    assert view.pinned == [{"key": "a", "title": "α 1", "stamp": "ΣR = 1", "shape": [2, 3], "block": 1}]
    assert view.differs == {"a": ["α 1 instead of 2"]}


def test_pins_stand_in_their_order_and_are_replaced_by_key(view):
    for key in "abc":
        pin(view, key)
    pin(view, "b", relevance=MAP[:1], title="again")
    assert view.pins == ("a", "b", "c")
    assert view.pinned[1]["title"] == "again" and view.pinned[1]["shape"] == [1, 3]
    assert view.chosen == "b"


def test_unpin(view):
    for key in "abc":
        pin(view, key)
    view.unpin("a")
    assert (view.pins, view.chosen) == (("b", "c"), "c")
    view.unpin("c")
    assert (view.pins, view.chosen, view.maps.keys(), view.differs.keys()) == (("b",), "", {"b"}, {"b"})


def test_a_move_may_change_what_differs(view):
    pin(view, "a")
    pin(view, "b")
    view.show_present(MAP, "", differs={"a": ["ε 0.1 instead of 0.2"], "gone": ["x"]})
    assert view.differs == {"a": ["ε 0.1 instead of 0.2"], "b": ["α 1 instead of 2"]}


def test_a_new_map_is_not_stale(view):
    view.stale = True
    view.show_present(MAP, "")
    assert not view.stale


def test_large_maps_are_pooled(view):
    view.show_present(np.ones((600, 1100)), "", np.zeros((600, 1100, 3), np.uint8))
    assert (view.shape, view.block, view.image_shape) == ([200, 367], 3, [200, 367, 3])
    assert np.frombuffer(view.present, "<f4").sum() == 660_000
    pin(view, relevance=np.ones((1024, 512)))
    assert (view.pinned[0]["shape"], view.pinned[0]["block"]) == ([512, 256], 2)


def test_at_most_six_pins(view):
    for key in "abcdef":
        pin(view, key)
    with pytest.raises(ValueError) as error:
        pin(view, "g", title="α 3")
    assert str(error.value) == (
        "CompareView.pin: at most 6 explanations can be pinned, got one more ('α 3'). Unpin one of them first."
    )
    pin(view, "f", title="in place of the old one")
    assert len(view.pins) == 6


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda view: view.show_present(np.zeros((1, 2, 3)), ""),
            "CompareView.show_present: relevance must be (height, width) with at least 1 value, got shape (1, 2, 3).",
        ),
        (
            lambda view: pin(view, relevance=np.zeros((0, 2))),
            "CompareView.pin: relevance must be (height, width) with at least 1 value, got shape (0, 2).",
        ),
        (
            lambda view: view.show_present(MAP, "", np.zeros((2, 3, 4))),
            "CompareView.show_present: image must be (height, width) or (height, width, 3), got shape (2, 3, 4).",
        ),
        (
            lambda view: view.show_present(MAP, "", np.full((2, 3), -3.0)),
            "CompareView.show_present: image must lie in [0, 1], got [-3, -3]. Rescale it from the input domain.",
        ),
        (lambda view: pin(view, ""), "CompareView.pin: key must not be empty. Give every pin a key of its own."),
        (
            lambda view: view.unpin("x"),
            "CompareView.unpin: key must be the key of a pin (none is pinned), got 'x'.",
        ),
    ],
)
def test_refusals(view, call, text):
    with pytest.raises(ValueError) as error:
        call(view)
    assert str(error.value) == text
    assert (view.sequence, view.pins) == (0, ())


def test_the_browser_asks(view):
    pin(view, "a")
    pin(view, "b")
    view.set_state({"removed": {"key": "a", "count": 1}, "recalled": {"key": "b", "count": 3}})
    view.set_state({"chosen": "a", "dismissed": 1, "scale": 0.5, "percentile": 99.0})
    assert (view.removed, view.recalled) == ({"key": "a", "count": 1}, {"key": "b", "count": 3})
    assert (view.chosen, view.dismissed, view.scale, view.percentile, view.problem) == ("a", 1, 0.5, 99.0, "")
    view.set_state({"scale": None, "chosen": ""})
    assert (view.scale, view.chosen) == (None, "")


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"chosen": "x"}, "CompareView.chosen must be the key of a pin ('a'), got 'x'."),
        ({"removed": {"key": "x", "count": 1}}, "CompareView.removed: key must be the key of a pin ('a'), got 'x'."),
        (
            {"recalled": {"key": ["a"], "count": 1}},
            "CompareView.recalled: key must be the key of a pin ('a'), got ['a'].",
        ),
        ({"removed": {"key": "a"}}, "CompareView.removed must be {} or {key, count}, got {'key': 'a'}."),
        (
            {"recalled": {"key": "a", "count": True}},
            "CompareView.recalled must be {} or {key, count}, got {'key': 'a', 'count': True}.",
        ),
        ({"scale": float("inf")}, "CompareView.scale must be a finite number, got inf."),
        ({"maps": {}}, "CompareView.maps cannot be set from the browser."),
        ({"pinned": []}, "CompareView.pinned cannot be set from the browser."),
    ],
)
def test_a_forged_message_is_refused(view, message, problem):
    pin(view)
    view.set_state(message)
    assert view.problem == problem
    assert (view.pins, view.chosen, view.removed, view.recalled, view.scale) == (("a",), "a", {}, {}, None)
