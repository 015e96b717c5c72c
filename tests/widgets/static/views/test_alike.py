"""alike.js: how alike two maps are, and their difference."""

from __future__ import annotations

import numpy as np
import pytest


def compared(node, one, other):
    expression = (
        "(() => { const [one, other] = given.map((rows) => {"
        "const values = Float32Array.from(rows.flat(), (value) => value ?? NaN);"
        "const sum = values.filter(Number.isFinite).reduce((all, value) => all + value, 0);"
        "return { values, sum, height: rows.length, width: rows[0].length }; });"
        "const change = difference(one, other);"
        "return { ...likeness(one, other), change: change && [...change.values], largest: change?.largest }; })()"
    )
    return node("alike", expression, [one, other])


def test_how_alike_two_maps_are(node):
    one, other = np.random.default_rng(1).normal(size=(2, 4, 5)).astype("<f4")
    got = compared(node, one.tolist(), other.tolist())
    a, b = one.ravel(), other.ravel()
    assert got["cosine"] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-6)
    assert got["pearson"] == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-6)
    assert got["sum"] == pytest.approx(float(a.sum() - b.sum()), abs=1e-5)
    assert np.allclose(got["change"], a - b) and got["largest"] == pytest.approx(np.abs(a - b).max())


@pytest.mark.parametrize(
    ("one", "other", "cosine", "pearson"),
    [
        ([[1, 2, 3]], [[2, 4, 6]], 1, 1),
        ([[1, 2, None]], [[2, 1, 9]], 0.8, -1),  # what is not finite is left out
        ([[1, 1, 1]], [[1, 2, 4]], 7 / 63**0.5, None),
        ([[0, 0]], [[1, 2]], None, None),
        ([[1, 2]], [[1], [2]], None, None),
    ],
)
def test_likeness_of_odd_maps(node, one, other, cosine, pearson):
    got = compared(node, one, other)
    assert got["cosine"] == (cosine if cosine is None else pytest.approx(cosine))
    assert got["pearson"] == (pearson if pearson is None else pytest.approx(pearson))
