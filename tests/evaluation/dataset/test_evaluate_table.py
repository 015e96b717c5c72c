"""Table and Summary by hand."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import lrp_widgets as lw
from lrp_widgets.evaluation import bootstrap
from lrp_widgets.evaluation.dataset.table import Row

nan = float("nan")
A, B = [1.0, 4.0, 2.0, nan], [3.0, 3.0, 3.5, 9.0]
ROWS = [
    Row(i, None, 0, method, "a|<b>", values[i], 0.5) for i in range(4) for method, values in (("one", A), ("two", B))
]
TABLE = lw.Table(tuple(ROWS), ("one", "two"), ("a|<b>",), {"a|<b>": "low"}, seed=3)


def test_means_and_paired_differences() -> None:
    summary = TABLE.summary(draws=200, confidence=0.9)
    one, two = summary.mean("one", "a|<b>"), summary.mean("two", "a|<b>")
    assert one[2:5] == pytest.approx(bootstrap(A[:3], draws=200, confidence=0.9, seed=3)) and one.samples == 3
    assert two[2:5] == pytest.approx(bootstrap(B, draws=200, confidence=0.9, seed=3)) and two.samples == 4
    apart = summary.difference("one", "two", "a|<b>")
    wanted = bootstrap(np.subtract(A, B)[:3], draws=200, confidence=0.9, seed=3)
    assert apart[3:6] == pytest.approx(wanted) and apart.samples == 3 and not apart.clear
    turned = summary.difference("two", "one", "a|<b>")
    assert (turned.mean, turned.low, turned.high) == (-apart.mean, -apart.high, -apart.low)
    assert summary.ranking("a|<b>") == ("one", "two")
    high = lw.Table(TABLE.rows, TABLE.methods, TABLE.metrics, {"a|<b>": "high"}).summary()
    assert high.ranking("a|<b>") == ("two", "one")
    assert lw.evaluation.dataset.table.Difference("a", "b", "m", 1.0, 0.5, 2.0, 9).clear
    with pytest.raises(KeyError, match="There is no mean of 'one' and 'x'"):
        summary.mean("one", "x")
    with pytest.raises(KeyError, match="method must be one of 'one', 'two', got 'three'"):
        TABLE.values("three", "a|<b>")


def test_equal_but_for_the_seconds() -> None:
    slower = [row._replace(seconds=9.0) for row in ROWS]
    assert lw.Table(tuple(slower), TABLE.methods, TABLE.metrics, TABLE.better) == TABLE
    for change in ({"value": 0.0}, {"method": "x"}, {"target": 1}, {"sample": 9}):
        other = [ROWS[0]._replace(**change), *ROWS[1:]]
        assert lw.Table(tuple(other), TABLE.methods, TABLE.metrics, TABLE.better) != TABLE
    assert lw.Table(tuple(ROWS[:-1]), TABLE.methods, TABLE.metrics, TABLE.better) != TABLE
    assert TABLE != 3


def test_shown_as_text_and_as_a_page() -> None:
    assert str(TABLE).splitlines()[:2] == ["| method | a\\|<b> ↓ |", "| --- | --- |"]
    assert str(TABLE).splitlines()[2].startswith("| one | 2.33 [1, 4] |")
    page = TABLE._repr_html_()
    assert "a|&lt;b&gt; ↓" in page and "<b>" not in page
    assert "Mean of 3 to 4 samples, 95 % bootstrap interval" in page
    assert repr(TABLE) == "Table(8 rows: 4 samples, methods ('one', 'two'), metrics ('a|<b>',))"
    empty = lw.Table((ROWS[0]._replace(value=nan), ROWS[1]), TABLE.methods, TABLE.metrics, {})
    assert str(empty).splitlines()[2:] == ["| one | – |", "| two | 3 |"]


def test_as_a_frame() -> None:
    pytest.importorskip("pandas")
    frame = TABLE.to_pandas()
    assert list(frame.columns) == ["sample", "label", "target", "method", "metric", "value", "seconds"]
    assert len(frame) == 8 and frame.value.isna().sum() == 1
    assert frame.groupby("method").value.mean()["one"] == pytest.approx(7 / 3)


def test_without_pandas_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError) as caught:
        TABLE.to_pandas()
    assert str(caught.value) == (
        "Table.to_pandas needs pandas, which is not installed. Install it with pip install lrp_widgets[pandas]."
    )
