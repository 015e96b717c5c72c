"""typeset.js: the subscripts of a formula."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("formula", "parts"),
    [
        ("R_j = Σ_k a_jw", ["R", "_j", " = Σ", "_k", " a", "_jw"]),
        ("R_{j<-k} (a_j w_jk)⁺", ["R", "_j←k", " (a", "_j", " w", "_jk", ")⁺"]),
        ("<b>x_i</b>", ["<b>x", "_i", "</b>"]),
        ("a_ b_1", ["a", " b", "1"]),
        ("", []),
    ],
)
def test_subscripts(node, formula, parts):
    assert node("typeset", 'partsOf(given).map(({ text, below }) => (below ? "_" : "") + text)', formula) == parts
