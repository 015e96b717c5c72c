"""Why a line of the ledger does not close: each cause provoked by the smallest network that has it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.apps.session.formatting import ledger_rows
from lrp_widgets.engine.analysis.unbalanced import unbalanced
from lrp_widgets.engine.rules import Epsilon, Rule


class Generous(Rule):
    """R_j = 1.07 · Σ_k a_j w_jk / z_k · R_k: more than there is."""

    equation = "R_j = 1.07 · Σ_k a_j w_jk / z_k · R_k"

    def linearize(self, layer, a):
        pullback = Epsilon(0.0).linearize(layer, a)

        def more(relevance: Tensor) -> Any:
            handed, absorbed = pullback(relevance)
            return 1.07 * handed, {cause: 1.07 * amount for cause, amount in absorbed.items()}

        return more


def dense(*rows: list[float], dtype: torch.dtype = torch.float32) -> nn.Linear:
    layer = nn.Linear(len(rows[0]), len(rows), bias=False, dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rows))
    return layer


def explained(model: nn.Module, x: Tensor, *entries: lw.Entry, target: int = 0) -> lw.Explanation:
    composite = lw.Composite((*entries, lw.Entry(Epsilon(0.0), "any")))
    return lw.Explainer(model.eval()).explain(x, target, lw.LRP(composite))


def two(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    return nn.Sequential(dense([1.0, 2.0], [0.5, 1.0], dtype=dtype), nn.ReLU(), dense([1.0, 0.25], dtype=dtype))


X = torch.tensor([[1.0, 0.5]])


def test_where_all_closes_there_is_nothing_to_say():
    assert unbalanced(explained(two(), X)) == {}


def test_a_rule_of_ones_own_that_does_not_conserve():
    found = unbalanced(explained(two(), X, lw.Entry(Generous(), "0")))
    assert [*found] == ["0"]
    assert found["0"].severity == "error"
    assert found["0"].message == (
        "−0.16 of 2.25 unexplained; likely cause: rule Generous does not conserve (it hands on 107 %)."
    )
    assert found["0"].remedy == "Try another rule here, or let its pullback name what it keeps as absorbed."
    rows = {row["name"]: row["fault"] for row in ledger_rows(explained(two(), X, lw.Entry(Generous(), "0")))[:-1]}
    assert rows == {"0": f"{found['0'].message} {found['0'].remedy}", "1": "", "2": ""}


def test_numbers_that_are_not_finite_are_followed_to_where_they_begin():
    class Broken(Rule):
        """R_j = NaN."""

        equation = "R_j = NaN"

        def linearize(self, layer, a):
            return lambda relevance: (torch.full_like(a, torch.nan), {})

    found = unbalanced(explained(two(), X, lw.Entry(Broken(), "2")))
    assert found["2"].message == (
        "The relevance is not finite, and all of it unexplained; "
        "likely cause: rule Broken makes NaN or infinite numbers."
    )
    for name in ("0", "1"):
        assert found[name].message.endswith("likely cause: NaN or infinite relevance arrives from above.")
        assert found[name].remedy == "Look at the uppermost red line: it begins there."


def test_a_weight_that_is_not_a_number_is_refused_before_anything_is_explained():
    model = two()
    with torch.no_grad():
        model[0].weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"The weights '0\.weight' must be finite"):
        explained(model, X)


def test_rounding_where_both_signs_cancel_in_half_precision():
    half = torch.float16
    up, down = [100.0 + i for i in range(32)], [-100.0 - i for i in range(32)]
    model = nn.Sequential(dense([*up, *down], dtype=half), dense([1.0], dtype=half))
    x = torch.rand(1, 32, generator=torch.Generator().manual_seed(0))
    x = torch.cat([x, x * 0.999], 1).to(half)
    found = unbalanced(explained(model, x))
    assert [*found] == ["0"]
    assert "likely cause: rounding, where relevance of both signs cancels (Σ|R| is " in found["0"].message
    assert found["0"].remedy == "Try γ or αβ here, a larger ε, or the model in a wider floating-point type."


def test_half_precision_ends_early():
    half = torch.float16
    model = nn.Sequential(dense([900.0, -899.0], dtype=half), dense([50.0], dtype=half))
    found = unbalanced(explained(model, torch.tensor([[100.0, 100.0]], dtype=half) / 8))
    assert found == {} or "float16 ends at 6.55e+04" in found["0"].message


def test_an_approximated_operation_is_named():
    explanation = explained(two(), X, lw.Entry(Generous(), "0"))
    lines = [
        dataclasses.replace(line, op="mylib.root", rule=None, name="root") if line.name == "0" else line
        for line in explanation.layers
    ]
    found = unbalanced(explanation.replace(layers=tuple(lines), fallbacks=("root",)))
    assert found["root"].message.endswith(
        "likely cause: operation mylib.root is approximated to first order (it hands on 107 %)."
    )
    assert found["root"].remedy.startswith("Try to register how relevance passes it")
    nan = torch.tensor([torch.nan], dtype=torch.float64)
    lines = [dataclasses.replace(line, relevance_in=nan) if line.name == "root" else line for line in lines]
    found = unbalanced(explanation.replace(layers=tuple(lines), fallbacks=("root",)))
    assert "its derivative is not finite here" in found["root"].message


@pytest.mark.parametrize(
    ("op", "cause", "remedy"),
    [
        ("_softmax", "the treatment of attention, here _softmax", 'Try attention="held constant" in the composite.'),
        ("mylib.gate", "the treatment of operation mylib.gate does not conserve", "Try lw.operators.identity"),
    ],
)
def test_an_operation_without_a_rule(op, cause, remedy):
    explanation = explained(two(), X, lw.Entry(Generous(), "0"))
    lines = [dataclasses.replace(line, op=op, rule=None) if line.name == "0" else line for line in explanation.layers]
    found = unbalanced(explanation.replace(layers=tuple(lines)))["0"]
    assert f"likely cause: {cause} (it hands on 107 %)." in found.message
    assert found.remedy.startswith(remedy)
