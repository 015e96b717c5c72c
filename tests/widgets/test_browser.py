"""The guard on what the browser sends, and the modules as they are handed to it."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest
import traitlets
from widgets.meeting import Meeting, side_by_side

from lrp_widgets.widgets.browser import STATIC, BrowserWidget, Finite, as_bytes, as_number, module, style, to_uint8

TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in STATIC.rglob("*.js")}
MODULES = sorted(name for name, text in TEXTS.items() if "export default" in text)  # one a widget; the rest is shared


class Dial(BrowserWidget):
    _esm = "export default {}"

    angle = Finite(0.0, min=-180, max=180).tag(sync=True, from_browser=True)
    turns = traitlets.Int(0).tag(sync=True, from_browser=True)
    reading = traitlets.Unicode("north").tag(sync=True)


@pytest.fixture
def dial():
    return Dial()


@pytest.fixture
def sent(dial, monkeypatch):
    messages = []
    monkeypatch.setattr(dial, "_send", lambda message, buffers=None: messages.append(message["state"]))
    return messages


def test_a_good_message_is_taken_and_not_sent_back(dial, sent):
    dial.set_state({"angle": 90.0, "turns": 2})
    assert (dial.angle, dial.turns, dial.problem, sent) == (90.0, 2, "", [])


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"reading": "south"}, "Dial.reading cannot be set from the browser."),
        ({"layout": None}, "Dial.layout cannot be set from the browser."),
        ({"_esm": "alert(1)"}, "Dial._esm cannot be set from the browser."),
        ({"nothing": 1}, "Dial.nothing cannot be set from the browser."),
        ({"angle": float("nan")}, "Dial.angle must be a finite number, got nan."),
        ({"turns": "two"}, "The 'turns' trait of a Dial instance expected an int, not the str 'two'."),
        (
            {"angle": 400.0},
            "The value of the 'angle' trait of a Dial instance should not be greater than 180, "
            "but a value of 400.0 was specified",
        ),
    ],
)
def test_a_refused_message_is_reported(dial, message, problem):
    dial.set_state(message)
    assert dial.problem == problem
    assert (dial.angle, dial.turns, dial.reading) == (0.0, 0, "north")


def test_one_bad_value_refuses_the_message_and_restores_the_browser(dial, sent):
    dial.set_state({"turns": 1, "angle": 400.0, "reading": "south"})
    assert (dial.angle, dial.turns) == (0.0, 0)
    assert sent == [{"turns": 0, "angle": 0.0}]


def test_a_good_message_clears_the_problem(dial):
    dial.set_state({"angle": 400.0})
    dial.set_state({"angle": 40.0})
    assert dial.problem == ""


def test_what_an_observer_corrects_is_sent(dial, sent):
    dial.observe(lambda change: setattr(dial, "angle", round(change["new"])), "angle")
    dial.set_state({"angle": 12.4})
    assert sent == [{"angle": 12.0}]


def test_one_message(dial, sent):
    with dial.one_message():
        dial.angle, dial.turns, dial.reading = 1.0, 1, "east"
    assert sent == [{"angle": 1.0, "turns": 1, "reading": "east"}]


def test_one_message_from_two_threads_and_the_browser(dial):
    failures = []

    def show(reading: str) -> None:
        try:
            for turn in range(300):
                with dial.one_message():
                    dial.reading, dial.turns = f"{reading}{turn}", turn
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=show, args=(name,)) for name in ("east", "west")]
    for thread in threads:
        thread.start()
    for turn in range(300):
        dial.set_state({"angle": turn / 2, "turns": turn})
    for thread in threads:
        thread.join()
    assert failures == []


def test_two_threads_never_mix_their_messages(dial, sent):
    meeting = Meeting()

    def show(reading: str, turns: int) -> None:
        with dial.one_message():
            dial.reading = reading
            meeting.come()
            dial.turns = turns

    side_by_side(lambda: show("east", 1), lambda: show("west", 2))
    assert not meeting.met
    assert sorted(sent, key=lambda message: message["turns"]) == [
        {"reading": "east", "turns": 1},
        {"reading": "west", "turns": 2},
    ]


def test_a_message_of_the_browser_while_another_is_sent(sent, dial, monkeypatch):
    """hold_sync sends its own set of names; a message that comes meanwhile puts another name into it."""
    to_json = dial.trait_metadata("reading", "to_json", dial._trait_to_json)

    def meanwhile(value: str, widget: Dial) -> object:
        widget._states_to_send.add("turns")
        return to_json(value, widget)

    monkeypatch.setitem(dial.traits()["reading"].metadata, "to_json", meanwhile)
    with dial.one_message():
        dial.reading, dial.angle = "east", 1.0
    assert sent == [{"reading": "east", "angle": 1.0}]


def test_as_bytes():
    assert as_bytes(memoryview(b"ab"), None) == b"ab"
    assert as_bytes(10**12, None) == 10**12  # bytes() of it would fill the memory


def test_as_number():
    assert as_number(np.float32(0.5)) == 0.5
    assert as_number(float("inf")) is None and as_number(float("nan")) is None


def test_to_uint8():
    assert to_uint8("X.image", np.array([0.0, 0.5, 1.0005])).tolist() == [0, 128, 255]
    assert to_uint8("X.image", np.array([7], np.uint8)).tolist() == [7]
    with pytest.raises(ValueError, match=re.escape("X.image must lie in [0, 1], got [-2, 1]. Rescale it")):
        to_uint8("X.image", np.array([-2.0, 1.0]))
    with pytest.raises(ValueError, match=re.escape("X.image must lie in [0, 1], got [nan, nan].")):
        to_uint8("X.image", np.array([np.nan, 1.0]))


@pytest.mark.parametrize("name", MODULES)
def test_a_module_stands_alone(name):
    text = module(name)
    assert "import {" not in text and "://" not in text
    assert text.count("export ") == 1 and "export default { render };" in text
    assert not re.search(r"\.id\b|getElementById", text)
    assert "url(" not in style(name) and "@import" not in style(name)


def test_every_static_file_is_used():
    imported = {file for text in TEXTS.values() for file in re.findall(r'from "[./]*/(?:\w+/)?(\w+)\.js"', text)}
    assert imported | set(MODULES) == TEXTS.keys()
    assert {path.stem for path in STATIC.rglob("*.css")} == {*MODULES, "theme"}


@pytest.mark.parametrize("name", sorted(TEXTS))
def test_the_types_of_a_module_are_found(name):
    (path,) = STATIC.rglob(f"{name}.js")
    for file in re.findall(r'import\("([^"]+)"\)', TEXTS[name]):
        assert any((path.parent / (file + ending)).is_file() for ending in ("", ".d.ts")), file
