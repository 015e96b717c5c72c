"""dom.js in node: what needs no page."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [
        ("cat.png", 7, "cat.png"),
        ("a_cat.png", 8, "a_cat…ng"),
        ("holiday-at-the-sea.jpeg", 15, "holiday-a….jpeg"),
        ("x" * 300, 9, "xxxxx…xxx"),
        ("", 5, ""),
    ],
)
def test_a_long_text_keeps_its_beginning_and_its_end(node, text, most, shown):
    assert node("dom", f"shortened(given, {most})", text) == shown
