from __future__ import annotations

import pytest

from lrp_widgets.widgets.views.status import StatusLine


@pytest.fixture
def line():
    return StatusLine()


def test_ok_and_busy(line):
    line.ok("3 of 38 steps, 12 ms")
    assert (line.level, line.text) == ("ok", "3 of 38 steps, 12 ms")
    line.busy()
    assert (line.level, line.text) == ("busy", "working …")


def test_an_error_has_type_message_and_remedy(line, monkeypatch):
    messages = []
    monkeypatch.setattr(line, "_send", lambda message, buffers=None: messages.append(message["state"]))
    line.error(ValueError("Gamma.gamma must lie\n  in [0, 1], got -1."), "Choose another γ.")
    assert messages == [
        {"level": "error", "text": "ValueError: Gamma.gamma must lie in [0, 1], got -1.", "remedy": "Choose another γ."}
    ]


def test_an_error_without_words(line):
    line.error(KeyboardInterrupt())
    assert (line.text, line.remedy) == ("KeyboardInterrupt", "")


def test_the_remedy_goes_with_the_error(line):
    line.error(ValueError("no"), "Try again.")
    line.ok("done")
    assert line.remedy == ""


def test_the_browser_cannot_speak(line):
    line.ok("done")
    line.set_state({"text": "all your base"})
    assert (line.text, line.problem) == ("done", "StatusLine.text cannot be set from the browser.")
