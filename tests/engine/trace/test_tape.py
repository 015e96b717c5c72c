"""The tape holds what the run did, with in-place operators and in models of an unusual shape."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.trace.tape import RecordingError
from tests.engine.networks.wired import Wired, tape_of, wrongly_replayed
from tests.engine.trace.tape_cases import IN_PLACE


@pytest.mark.parametrize("case", IN_PLACE)
def test_in_place_is_recorded_as_what_it_computes(case: str) -> None:
    in_place, out_of_place = (Wired(function).double() for function in IN_PLACE[case])
    x = torch.randn(3, 6).double()
    before = x.clone()
    tape = tape_of(in_place, x)
    assert torch.equal(tape.scores, in_place(x.clone()))
    assert torch.allclose(tape.scores, out_of_place(x.clone()), atol=1e-14)
    assert wrongly_replayed(tape) == []
    assert torch.equal(x, before)


@pytest.mark.parametrize("composite", [lw.epsilon(0.0), lw.epsilon(0.1), lw.alpha_beta(2.0)], ids=["0", "ε", "αβ"])
@pytest.mark.parametrize("case", [case for case in IN_PLACE if case != "written, not returned"])  # it has no derivative
def test_in_place_explains_the_same(case: str, composite: lw.Composite) -> None:
    in_place, out_of_place = (Wired(function).double() for function in IN_PLACE[case])
    x = torch.randn(3, 6).double()
    got, expected = (lw.Explainer(m).explain(x, 1, lw.LRP(composite)) for m in (in_place, out_of_place))
    scale = float(expected.relevance.abs().max())
    assert torch.allclose(got.relevance, expected.relevance, rtol=0, atol=1e-9 * scale)
    assert all(line.closes for line in got.layers)
    assert got.absorbed.get("bias", torch.zeros(3)).tolist() == pytest.approx(
        expected.absorbed.get("bias", torch.zeros(3)).tolist(), abs=1e-8
    )


def test_weights_that_are_computed_are_constants_of_the_run() -> None:
    from torch.nn.utils import parametrizations

    torch.manual_seed(0)
    linear = parametrizations.weight_norm(nn.Linear(6, 5))
    model = nn.Sequential(linear, nn.ReLU(), parametrizations.spectral_norm(nn.Linear(5, 3))).eval()
    explainer, x = lw.Explainer(model), torch.rand(2, 6)
    for _ in range(2):
        got = explainer.explain(x, 1, lw.LRP(lw.epsilon(0.0)))
        expected = explainer.explain(x, 1, lw.SimpleTaylor())  # the same, on a network of ReLUs
        assert torch.allclose(got.relevance, expected.relevance, atol=1e-6)
        with torch.no_grad():
            linear.parametrizations.weight.original0.mul_(2)


def test_a_layer_that_ends_with_a_write_through_a_view_has_its_shape() -> None:
    class Marked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x[:, 0] += 1.0
            return x

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), Marked(), nn.Flatten(), nn.Linear(8, 2)).eval()
    explanation = lw.Explainer(model).explain(torch.rand(2, 1, 4, 4), 1, lw.LRP(lw.epsilon(0.0)))
    assert explanation.layer("1").shape == (2, 2, 2, 2)
    assert torch.allclose(explanation.layer("1"), explanation.layer("2").reshape(2, 2, 2, 2))


def test_a_model_that_returns_its_input() -> None:
    explanation = lw.Explainer(nn.Identity()).explain(torch.tensor([[1.0, 2.0]]), 1)
    assert explanation.relevance.tolist() == [[0.0, 2.0]]
    assert explanation.layers == ()


def test_one_score_a_row_without_a_class_axis() -> None:
    explanation = lw.Explainer(Wired(lambda l, x: l["a"](x)[:, 0])).explain(torch.rand(3, 6))
    assert explanation.target == (0, 0, 0)
    assert explanation.explained.tolist() == pytest.approx(explanation.scores.tolist())


@pytest.mark.filterwarnings("ignore")
def test_a_quantized_network_is_told_from_one_that_leaves_torch() -> None:
    from torch.ao.nn import quantized

    model = nn.Sequential(quantized.Quantize(0.1, 0, torch.quint8), quantized.Linear(3, 2), quantized.DeQuantize())
    with pytest.raises(RecordingError, match=r"It has quantized layers.*explain the floating-point model"):
        lw.Explainer(model.eval()).explain(torch.rand(2, 3), 0)
