from __future__ import annotations

import pytest

from lrp_widgets.widgets.controls.sharebar import ACTIONS, ShareBar


@pytest.fixture
def toolbar():
    return ShareBar()


@pytest.mark.parametrize("action", ACTIONS)
def test_every_button_asks(toolbar, action):
    seen = []
    toolbar.observe(lambda change: seen.append(change["new"]), "asked")
    for count in (1, 2):
        toolbar.set_state({"asked": {"action": action, "count": count}})
    assert seen == [{"action": action, "count": 1}, {"action": action, "count": 2}] and toolbar.problem == ""


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (
            {"asked": {"action": "delete", "count": 1}},
            "ShareBar.asked must be {action, count} with one of undo, redo, save, stop, "
            "got {'action': 'delete', 'count': 1}.",
        ),
        (
            {"asked": {"action": "undo", "count": True}},
            "ShareBar.asked must be {action, count} with one of undo, redo, save, stop, "
            "got {'action': 'undo', 'count': True}.",
        ),
        (
            {"asked": {"action": ["undo"], "count": 1}},
            "ShareBar.asked must be {action, count} with one of undo, redo, save, stop, "
            "got {'action': ['undo'], 'count': 1}.",
        ),
        ({"query": "?" + "a" * 16_000}, "ShareBar.query must have at most 16,000 characters, got 16,001."),
        ({"query": 3}, "The 'query' trait of a ShareBar instance expected a unicode string, not the int 3."),
        ({"state": "a"}, "ShareBar.state cannot be set from the browser."),
        ({"python": "import os"}, "ShareBar.python cannot be set from the browser."),
        ({"file": memoryview(b"a")}, "ShareBar.file cannot be set from the browser."),
        ({"can_undo": True}, "ShareBar.can_undo cannot be set from the browser."),
    ],
)
def test_forged_messages_are_refused(toolbar, message, problem):
    toolbar.set_state(message)
    assert toolbar.problem == problem
    assert (toolbar.asked, toolbar.query, toolbar.state, toolbar.can_undo) == ({}, "", "", False)


def test_the_query_of_the_page(toolbar):
    toolbar.set_state({"query": "?state=" + "a" * 8000})
    assert len(toolbar.query) == 8007


def test_a_file_goes_out_in_one_message_and_is_gone(toolbar, monkeypatch):
    messages = []
    monkeypatch.setattr(
        toolbar, "_send", lambda message, buffers=None: messages.append((message["state"], buffers or []))
    )
    toolbar.send_file("page.html", "α")
    (state, buffers), (_, empty) = messages
    assert state == {"file_name": "page.html", "file_sequence": 1} and buffers == ["α".encode()] and empty == [b""]
    assert toolbar.file == b""


def test_a_file_too_large_for_one_message(toolbar):
    with pytest.raises(ValueError) as error:
        toolbar.send_file("page.html", bytes(9_000_001))
    assert str(error.value) == (
        "ShareBar.send_file: page.html must have at most 9,000,000 bytes, got 9,000,001. Save it from Python."
    )
    assert toolbar.file_sequence == 0
