"""Torch's own database of operators with its own sample inputs: right, named, or refused, and never anything else."""

from __future__ import annotations

from typing import Any

import conformance as database
import pytest
import torch

import lrp_widgets as lw
from lrp_widgets.engine.operators import OPERATORS

ENTRIES = dict(database.entries())
RULES = {"LRP-0": None, "ε": lw.rules.Epsilon(0.1), "αβ": lw.rules.AlphaBeta(2.0), "γ": lw.rules.Gamma(0.25)}
MOST_FALLBACKS = 60


@pytest.fixture(scope="module")
def found() -> dict[str, list[database.Verdict]]:
    return {name: database.verdicts(entry) for name, entry in ENTRIES.items()}


def test_every_operator_is_right_named_or_refused(found: dict[str, list[database.Verdict]]) -> None:
    wrong = {name: verdict.note for name, all_ in found.items() for verdict in all_ if verdict.kind == "wrong"}
    assert wrong == {}
    explained = [name for name, all_ in found.items() if any(verdict.kind in ("exact", "closes") for verdict in all_)]
    assert len(explained) > 400  # the database was really run


def test_few_operators_fall_back(found: dict[str, list[database.Verdict]]) -> None:
    fallbacks = {name for name, all_ in found.items() if any(verdict.kind == "fallback" for verdict in all_)}
    assert len(fallbacks) <= MOST_FALLBACKS


def test_a_refusal_says_what_to_do(found: dict[str, list[database.Verdict]]) -> None:
    texts = [verdict.note for all_ in found.values() for verdict in all_ if verdict.kind == "refused"]
    assert texts and all(len(text) > 40 for text in texts)


@pytest.mark.parametrize("rule", list(RULES.values())[1:], ids=list(RULES)[1:])
@pytest.mark.parametrize("name", [*list(ENTRIES)[::9], "addmm", "addbmm", "native_layer_norm", "nn.functional.conv2d"])
def test_under_every_rule_the_ledger_closes(name: str, rule: Any) -> None:
    assert [verdict for verdict in database.verdicts(ENTRIES[name], rule, 1) if verdict.kind == "wrong"] == []


def test_the_database_is_able_to_find_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATORS, "index_add", lw.operators.identity)
    assert {verdict.kind for verdict in database.verdicts(ENTRIES["index_add"])} != {"exact"}
    monkeypatch.setitem(
        OPERATORS, "sum", lambda step, tape, options: lambda r: ([2 * r.expand(tape.values[step.inputs[0]].shape)], {})
    )
    assert "wrong" in {verdict.kind for verdict in database.verdicts(ENTRIES["abs"])}


def lrp0(function: Any, x: torch.Tensor) -> lw.Explanation:
    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return function(x)

    return lw.Explainer(Net().eval()).explain(x, 0, lw.LRP(lw.epsilon(0.0)))


def test_values_that_are_added_by_an_index_share_in_proportion() -> None:
    rows, columns = torch.tensor([0, 0, 0]), torch.tensor([0, 0, 1])
    x = torch.tensor([[1.0, 2.0, 5.0]], dtype=torch.float64)
    explanation = lrp0(lambda x: torch.zeros(1, 2, dtype=x.dtype).index_put((rows, columns), x[0], accumulate=True), x)
    assert explanation.relevance.tolist() == [[1.0, 2.0, 0.0]]
    explanation = lrp0(lambda x: torch.zeros(1, 2, dtype=x.dtype).scatter(1, columns[None], x, reduce="add"), x)
    assert explanation.relevance.tolist() == [[1.0, 2.0, 0.0]]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.nn.functional.conv1d(x[:, None], x[:, None, :2]).sum().reshape(1, 1),
        lambda x: torch.nn.functional.linear(x, x.repeat(2, 1)),
        lambda x: x.prod(1, keepdim=True),
        lambda x: torch.linalg.cross(x[:, :3], x[:, 1:]).sum().reshape(1, 1),
        lambda x: torch.addcmul(torch.zeros(1, 4, dtype=x.dtype), x, x),
        lambda x: torch.lerp(x, 2 * x, x.sigmoid()),
    ],
    ids=["convolution", "linear", "prod", "cross", "addcmul", "lerp"],
)
def test_factors_that_all_depend_on_the_input_share(function: Any) -> None:
    x = torch.tensor([[1.0, 2.0, 5.0, 3.0]], dtype=torch.float64)
    explanation = lrp0(function, x)
    assert explanation.fallbacks == ()
    assert float(explanation.total[0]) == pytest.approx(float(explanation.explained[0]), rel=1e-9)


@pytest.mark.parametrize("kind", ["layer", "group", "batch", "instance"])
def test_a_norm_whose_scale_and_shift_are_made_from_the_input(kind: str) -> None:
    torch.manual_seed(0)
    make = torch.nn.Linear(12, 4).double()
    norms = {
        "layer": lambda x, w, b: torch.nn.functional.layer_norm(x.mT, (4,), w, b),
        "group": lambda x, w, b: torch.nn.functional.group_norm(x, 2, w, b),
        "batch": lambda x, w, b: torch.nn.functional.batch_norm(
            x, torch.zeros(4, dtype=x.dtype), torch.ones(4, dtype=x.dtype), w, b
        ),
        "instance": lambda x, w, b: torch.nn.functional.instance_norm(x, weight=w, bias=b),
    }
    x = torch.randn(1, 4, 3, dtype=torch.float64)

    def function(x: torch.Tensor) -> torch.Tensor:
        w, b = 1 + make(x.flatten(1))[0], make(2 * x.flatten(1))[0]
        return norms[kind](x, w, b).flatten(1).pow(1)[:, :2]

    explanation = lrp0(function, x)
    assert bool(torch.isfinite(explanation.relevance).all()) and explanation.relevance.any()
    assert all(line.closes for line in explanation.layers)
    with torch.no_grad():
        torch.testing.assert_close(explanation.scores, function(x))


def test_a_row_of_attention_that_is_masked_as_a_whole_has_weights_of_zero() -> None:
    torch.manual_seed(0)
    mask = torch.tensor([[True, False, False], [False, False, False], [True, True, True]])

    def function(x: torch.Tensor) -> torch.Tensor:
        q = x.reshape(1, 1, 3, 4)
        return torch.nn.functional.scaled_dot_product_attention(q, q, q, attn_mask=mask).flatten(1).nan_to_num()

    explanation = lw.Explainer(_Module(function)).explain(torch.randn(1, 12), 8, lw.LRP(lw.epsilon(0.0)))
    assert bool(torch.isfinite(explanation.relevance).all())
    assert explanation.relevance.any()


class _Module(torch.nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)
