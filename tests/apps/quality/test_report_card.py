"""The report card as HTML."""

from __future__ import annotations

from lrp_widgets.apps.quality.report_card import card_html
from lrp_widgets.evaluation import Score


def test_numbers_in_words_have_minus_signs_and_words_keep_their_hyphens():
    note = "19 random orders: -0.911 to 1e-07, x-ray of LRP-0, shifted by -1"
    score = Score("selectivity", 0.5, threshold=1.0, source="s", meaning="m", note=note)
    assert "19 random orders: −0.911 to 1e−07, x-ray of LRP-0, shifted by −1" in card_html((score,))
