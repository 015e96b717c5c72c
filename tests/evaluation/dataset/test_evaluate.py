"""evaluate() against one explanation and one metric after the other; progress; what goes wrong."""

from __future__ import annotations

import dataclasses
import io
import sys
from typing import Any

import numpy as np
import pytest
import torch

import lrp_widgets as lw
from lrp_widgets.evaluation import METRICS as FAMILY
from lrp_widgets.evaluation import EvaluationError, Stopped, gini
from lrp_widgets.evaluation.continuity.neighbourhoods import Translation
from lrp_widgets.evaluation.dataset.measuring import printed, row_of
from tests.evaluation.dataset.evaluate_cases import (
    COUNT,
    METHODS,
    METRICS,
    Brittle,
    Drawn,
    Largest,
    evaluate,
    network,
    samples,
    whole,
)


def test_against_one_after_the_other() -> None:
    model, data, table = network(), samples(), whole()
    assert [row[:5] for row in table] == [
        (i, i % 3, i % 3, method, metric) for i in range(COUNT) for method in METHODS for metric in METRICS
    ]
    for i in range(COUNT):
        x, target = data.inputs[i : i + 1], i % 3
        method = METHODS["LRP"]
        r = lw.Explainer(model).explain(x, target, method).relevance
        again = lw.pixel_flipping(
            model,
            x,
            r,
            target,
            patch=4,
            explain=lambda x, t=target: lw.Explainer(model).explain(x, t, METHODS["LRP"]).relevance,
        )
        wanted = {
            "selectivity": lw.pixel_flipping(model, x, r, target, patch=2).area,
            "again": again.area,
            "continuity": lw.continuity(model, x, method, target, kind=Translation(reach=1.0)).value,
            "sparsity": gini(r.sum(1)),
            "largest": float(r.max()),
        }
        for metric, value in wanted.items():
            assert table.values("LRP", metric)[i] == pytest.approx(value, rel=1e-4, abs=1e-6), metric
    assert all(row.seconds > 0 for row in table)


def test_the_same_twice_and_drawn_by_seed() -> None:
    table = whole()
    assert table == evaluate()
    drawn = list(table.values("LRP", "drawn").values())
    assert len(set(drawn)) == COUNT and drawn != list(table.values("smooth", "drawn").values())
    assert evaluate({"drawn": Drawn()}, seed=2) != evaluate({"drawn": Drawn()})
    assert evaluate({"drawn": Drawn()}).values("LRP", "drawn") == table.values("LRP", "drawn")  # whatever is beside it
    state = torch.random.get_rng_state()
    evaluate({"drawn": Drawn()})
    assert torch.equal(state, torch.random.get_rng_state())


def test_targets() -> None:
    top = network()(samples().inputs).argmax(1).tolist()
    for target, wanted in (("top", top), (None, top), (2, [2] * COUNT), ("label", [i % 3 for i in range(COUNT)])):
        table = evaluate({"sparsity": METRICS["sparsity"]}, {"LRP": lw.LRP()}, target=target)
        assert [row.target for row in table] == wanted
        assert [row.label for row in table] == [i % 3 for i in range(COUNT)]
    unlabelled = lw.Samples(samples().inputs)
    assert {row.label for row in evaluate({"s": METRICS["sparsity"]}, samples=unlabelled, target="top")} == {None}


def test_a_list_is_named_by_the_printed_form() -> None:
    metrics = [lw.metrics.Sparsity(), lw.metrics.Selectivity(patch=2, removal="blur")]
    table = evaluate(metrics, [lw.Sensitivity(), lw.LRP(lw.alpha_beta(alpha=1.5))])
    assert table.metrics == ("Sparsity()", "Selectivity(patch=2, removal=Blur())")
    assert table.methods == ("Sensitivity()", "LRP(composite=alpha_beta(alpha=1.5))")
    assert table.better == {"Sparsity()": "high", "Selectivity(patch=2, removal=Blur())": "low"}
    assert printed("a") == "'a'"


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("kind", FAMILY, ids=lambda kind: kind.__name__)
def test_every_metric_measures_rows_as_it_measures_one(kind: Any, batched: bool) -> None:
    table = evaluate({"it": kind()}, {"LRP": lw.LRP(), "gradient": lw.Gradient()}, batch=3 if batched else 1)
    one = evaluate({"it": kind()}, {"LRP": lw.LRP(), "gradient": lw.Gradient()}, batch=COUNT)
    for a, b in zip(table, one, strict=True):
        assert a.value == pytest.approx(b.value, rel=1e-3, abs=1e-5, nan_ok=True)
    assert np.isfinite(list(table.values("LRP", "it").values())).all()


def test_a_row_of_an_explanation_is_that_of_the_input_alone() -> None:
    explainer, x = lw.Explainer(network()), samples().inputs
    row = row_of(explainer.explain(x, [i % 3 for i in range(COUNT)], lw.LRP(lw.epsilon())), slice(4, 5))
    alone = explainer.explain(x[4:5], 1, lw.LRP(lw.epsilon()))
    assert row.target == alone.target == (1,)
    for a, b in (
        (row.relevance, alone.relevance),
        (row.scores, alone.scores),
        (row.explained, alone.explained),
        (row.total, alone.total),
        (row.layer("0"), alone.layer("0")),
        *((row.absorbed[cause], alone.absorbed[cause]) for cause in alone.absorbed),
    ):
        assert a.shape == b.shape and torch.allclose(a, b, atol=1e-5)


def test_progress_is_told_and_may_stop() -> None:
    told: list[tuple[int, int, float | None]] = []
    metrics = {"sparsity": METRICS["sparsity"]}
    whole = evaluate(metrics, progress=lambda *said: told.append(said))
    total = COUNT * len(METHODS)
    assert [said[:2] for said in told] == [(i, total) for i in range(total + 1)]
    assert told[0][2] is None and told[-1][2] == 0 and all(said[2] >= 0 for said in told[1:] if said[2] is not None)
    with pytest.raises(Stopped) as stopped:
        evaluate(metrics, progress=lambda done, total, left: done < 5)
    assert str(stopped.value) == (
        f"evaluate was stopped by progress. 5 of {total} numbers are done and in the .table of this error."
    )
    assert {row[:5] for row in stopped.value.table} < {row[:5] for row in whole} and len(stopped.value.table) == 5
    with pytest.raises(ZeroDivisionError):
        evaluate(metrics, progress=lambda done, total, left: 1 / 0)
    assert evaluate(metrics, progress=lambda done, total, left: done < total) == whole  # asked when there is no more


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    evaluate({"sparsity": METRICS["sparsity"]}, {"LRP": lw.LRP()}, progress=True)
    first, *_, final = terminal.getvalue().strip().split("\r")
    assert first.startswith("evaluate:   0%|") and f"| 0/{COUNT} [" in first
    assert final.startswith("evaluate: 100%|") and f"| {COUNT}/{COUNT} [" in final


def test_a_sample_that_raises_is_named() -> None:
    first = samples().inputs[:, 0, 0, 0]
    worst = int(first.argmax())
    limit = float(first.sort().values[-2:].mean())
    with pytest.raises(EvaluationError) as caught:
        evaluate({"brittle": Brittle(limit)}, {"LRP": lw.LRP()}, batch=2)
    error = caught.value
    assert str(error) == (
        f"Sample {worst} could not be evaluated by method 'LRP' and metric 'brittle': ArithmeticError: too bright. "
        f"{worst} of {COUNT} numbers are done and in the .table of this error."
    )
    assert error.sample == worst and isinstance(error.__cause__, ArithmeticError)
    assert [row.sample for row in error.table] == list(range(worst))


def test_of_a_batch_that_cannot_be_explained_the_sample_is_found() -> None:
    data = samples()
    bad = data.inputs.clone()
    bad[4, 0, 3, 3] = float("nan")
    with pytest.raises(EvaluationError) as caught:
        evaluate({"largest": Largest()}, {"LRP": lw.LRP()}, samples=dataclasses.replace(data, inputs=bad))
    assert str(caught.value) == (
        "Sample 4 could not be evaluated by method 'LRP': ValueError: The input must be finite, got 1 NaN or infinite "
        f"values of 64. 3 of {COUNT} numbers are done and in the .table of this error."
    )


class Several:
    def measure(self, explainer: Any, x: Any, target: Any, explanation: Any) -> Any:
        return [1.0, 2.0]


class Worded(Several):
    def measure(self, explainer: Any, x: Any, target: Any, explanation: Any) -> Any:
        return "good"


LRP = {"LRP": lw.LRP()}
WRONG = {
    "TypeError: evaluate needs a torch.nn.Module, got str. Wrap a function in a Module.": {"model": "net"},
    "TypeError: evaluate.samples must be lw.Samples(inputs, labels), got Tensor.": {"samples": torch.ones(2, 3)},
    "ValueError: evaluate.methods must hold at least one, got none.": {"methods": ()},
    "TypeError: evaluate.methods must be a dict from name to setting, or a list of them, got Sensitivity().": {
        "methods": lw.Sensitivity()
    },
    "TypeError: evaluate.methods['a'] must be a method such as lw.LRP(lw.epsilon()), got 3.": {"methods": {"a": 3}},
    "ValueError: evaluate.methods holds one of LRP() twice. Give each once.": {"methods": [lw.LRP(), lw.LRP()]},
    "TypeError: evaluate.metrics['a'] must be a metric such as lw.metrics.Selectivity(), or have "
    "measure(explainer, x, target, explanation), got 'gini'.": {"metrics": {"a": "gini"}},
    'ValueError: target must be "label", "top", None or a class, got \'best\'.': {"target": "best"},
    'ValueError: target="label" needs Samples.labels, got None. Give them, or take target="top".': {
        "samples": lw.Samples(torch.ones(2, 1, 8, 8))
    },
    "ValueError: seed must be a whole number, at least 0, got -1.": {"seed": -1},
    "ValueError: batch must be a whole number, at least 1, got 0.": {"batch": 0},
    "ValueError: jobs must be a whole number, at least 1, got 0.": {"jobs": 0},
    "ValueError: evaluate takes jobs or a client, got both (jobs=2). Leave one out.": {"jobs": 2, "client": object()},
    "TypeError: progress must be True, False or a function(done, total, seconds_left), got 'bar'.": {"progress": "bar"},
    f"EvaluationError: Sample 0 could not be evaluated by method 'LRP' and metric 'it': ValueError: it.measure must "
    f"return a number a row (1), got 2. 0 of {COUNT} numbers are done and in the .table of this error.": {
        "metrics": {"it": Several()}
    },
    f"EvaluationError: Sample 0 could not be evaluated by method 'LRP' and metric 'it': TypeError: it.measure must "
    f"return a number a row (1), got 'good'. 0 of {COUNT} numbers are done and in the .table of this error.": {
        "metrics": {"it": Worded()}
    },
}


@pytest.mark.parametrize("said", WRONG)
def test_message(said: str) -> None:
    how = {"model": network(), "samples": samples(), "methods": LRP, "metrics": {"s": METRICS["sparsity"]}} | WRONG[
        said
    ]
    first = [how.pop(name) for name in ("model", "samples", "methods", "metrics")]
    with pytest.raises(Exception) as caught:
        lw.evaluate(*first, progress=how.pop("progress", False), **how)
    assert f"{type(caught.value).__name__}: {caught.value}" == said
