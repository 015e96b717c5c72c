"""numbers.js: numbers as they are written, alone and in a column."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("largest", "value", "text"),
    [
        (7.5, 7.4213, "7.421"),
        (7.5, -0.00001, "0.000"),
        (0.0123, -0.0123, "−0.01230"),
        (250000.0, 1234.56, "1235"),
        (3e7, -2.5e7, "−2.50e7"),
        (2e-6, 1.5e-6, "1.50e−6"),
        (1.0, None, "not finite"),
    ],
)
def test_numbers_of_a_column_are_written_alike(node, largest, value, text):
    assert node("numbers", "formatter(given[0])(given[1])", [largest, value]) == text


def test_a_column_stands_on_its_decimal_points(node):
    column = [12.4, -0.0712345, None, 1234.4, 3.2e-7, 0]
    texts = node("numbers", "aligned([...given, undefined])", column)
    assert [text.rstrip("\u2007\u2008") for text in texts] == [
        "12.40", "−0.07123", "not finite", "1234", "3.20e−7", "0.000", "–",
    ]  # fmt: skip
    behind = [len(text) - (text.index(".") if "." in text else text.index("\u2008")) for text in texts]
    assert set(behind) == {6}
