"""Explanations as a whole: conservation, ledger, layers, targets, batches, precision, and what the paper works out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.composites.presets import PRESETS
from tests.engine.networks.running import Function
from tests.engine.propagation.explainer_cases import BIAS_FREE, cnn, picture, with_biases


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.__name__)
@pytest.mark.parametrize("model", BIAS_FREE)
def test_bias_free_networks_conserve(model: str, preset: Any, measured: Callable[[str, float], None]) -> None:
    explainer, x = lw.Explainer(BIAS_FREE[model]()), picture()
    explanation = explainer.explain(x, None, lw.LRP(preset()))
    # What an ε larger than rounding takes, and what a neuron without negative products leaves to α − β, is absorbed by
    # name. The rest must arrive.
    kept = sum(explanation.absorbed.values(), torch.zeros(3).double())
    error = (explanation.explained - explanation.total - kept).abs() / explanation.explained.abs()
    measured("conservation on bias-free networks with absorption counted, relative", float(error.max()))
    assert float(error.max()) <= 1e-4
    assert set(explanation.absorbed) <= {"epsilon", "one-signed"}


CONSERVING = {
    "LRP-0": lw.epsilon(0.0),
    "ε": lw.epsilon(1e-9),
    "z⁺": lw.deep_taylor(),
    "α1β0": lw.alpha_beta(1.0),
    "ε z⁺": lw.epsilon_plus(1e-9),
    "ε z⁺ flat": lw.epsilon_plus_flat(1e-9),
    "ε γ z^B": lw.epsilon_gamma_box(0.0, 2.0, epsilon=1e-9),
    "w²": lw.deep_taylor(input="w2"),
}


@pytest.mark.parametrize("composite", CONSERVING)
@pytest.mark.parametrize("model", BIAS_FREE)
def test_nothing_is_lost_where_the_rule_loses_nothing(
    model: str, composite: str, measured: Callable[[str, float], None]
) -> None:
    explanation = lw.Explainer(BIAS_FREE[model]()).explain(picture(), None, lw.LRP(CONSERVING[composite]))
    lost = explanation.absorbed.get("one-signed", torch.zeros(3))
    error = (explanation.total + lost - explanation.explained).abs() / explanation.explained.abs()
    measured(f"conservation on bias-free networks, {composite}, relative", float(error.max()))
    assert float(error.max()) <= 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.__name__)
@pytest.mark.parametrize("model", BIAS_FREE)
def test_the_ledger_closes_on_every_step(
    model: str, preset: Any, dtype: torch.dtype, measured: Callable[[str, float], None]
) -> None:
    network, x = with_biases(BIAS_FREE[model]).to(dtype), picture().to(dtype)
    explanation = lw.Explainer(network).explain(x, [0, 1, 2], lw.LRP(preset()))
    bound = 1e-4 if dtype == torch.float32 else 1e-9
    for line in explanation.layers:
        size = line.positive - line.negative
        left = line.relevance_out - line.relevance_in - sum(line.absorbed.values(), torch.zeros(3).double())
        measured(
            f"ledger, unexplained part of a step's Σ|R|, {str(dtype)[6:]}",
            float((left.abs() / size).nan_to_num().max()),
        )
        assert bool((left.abs() <= bound * size).all()), line
        assert line.closes
        assert torch.equal(line.unexplained, left)
        assert torch.allclose(line.positive + line.negative, line.relevance_out, rtol=1e-12)
        assert bool((line.positive >= 0).all()) and bool((line.negative <= 0).all())
        assert line.relevance_out.dtype == torch.float64
        assert line.relevance_out.shape == (3,)
    last = explanation.layers[-1]
    assert torch.allclose(last.relevance_out, explanation.explained, rtol=1e-6)
    kept = sum(explanation.absorbed.values(), torch.zeros(3).double())
    assert torch.allclose(explanation.total + kept, explanation.explained, rtol=0, atol=3e-4 * float(size.max()))


@pytest.mark.parametrize("name", ["digits_cnn", "digits_mlp"])
@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.__name__)
def test_the_ledger_closes_on_the_demo_networks(name: str, preset: Any) -> None:
    model, samples = getattr(lw.demo.models, name)(), lw.demo.data.digits()
    explanation = lw.Explainer(model).explain(samples.inputs[:4], None, lw.LRP(preset()))
    assert explanation.fallbacks == ()
    assert all(line.closes for line in explanation.layers)
    assert set(explanation.absorbed) <= {"bias", "epsilon", "one-signed", "no input"}


@pytest.mark.parametrize(
    "turned",
    [
        lambda l, x: (l.weight @ x.T + l.bias[:, None]).T,
        lambda l, x: l(x.view(len(x), 2, 6).transpose(0, 1)).transpose(0, 1).flatten(1),
        lambda l, x: l(x.view(len(x), 2, 6).transpose(0, 1)).sum(0),
        lambda l, x: torch.stack([l(x[:, :6]), l(x[:, 6:])], 0).mean(0),
        lambda l, x: torch.stack(l(x.view(len(x), 2, 6)).unbind(1), 0).amax(0),
        lambda l, x: torch.einsum("bti,oi->bto", x.view(len(x), 2, 6), l.weight).flatten(1),
        lambda l, x: nn.functional.instance_norm(l(x.view(len(x), 2, 6))).flatten(1),
    ],
    ids=["w @ x.T", "time first", "time first, summed", "stacked", "unbound", "einsum", "instance norm"],
)
@pytest.mark.parametrize("composite", [lw.epsilon(0.1), lw.alpha_beta(2.0), lw.epsilon(0.3, relative=True)], ids=str)
def test_rows_are_told_apart_wherever_the_batch_lies(turned: Any, composite: lw.Composite) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(
        12 if "x.T" in str(turned.__code__.co_names) or "T" in turned.__code__.co_names else 6, 4
    ).double()
    model, x = Function(lambda x: turned(layer, x)), torch.randn(4, 12).double()
    together = lw.Explainer(model).explain(x, 1, lw.LRP(composite))
    for i in range(4):
        alone = lw.Explainer(model).explain(x[i : i + 1], 1, lw.LRP(composite))
        assert torch.allclose(together.relevance[i], alone.relevance[0], rtol=1e-9, atol=1e-12)
        assert all(line.closes for line in together.layers)
        # torch may move memory about for one row and not for four; the layer itself is there in both.
        lines, others = ([line for line in e.layers if line.rule] for e in (together, alone))
        for line, other in zip(lines, others, strict=True):
            assert float(line.relevance_out[i]) == pytest.approx(float(other.relevance_out), rel=1e-9, abs=1e-12)
            assert float(line.relevance_in[i]) == pytest.approx(float(other.relevance_in), rel=1e-9, abs=1e-12)
        kept = [{cause: float(v[row]) for cause, v in e.absorbed.items()} for e, row in ((together, i), (alone, 0))]
        for cause in kept[0] | kept[1]:
            assert kept[0].get(cause, 0.0) == pytest.approx(kept[1].get(cause, 0.0), rel=1e-9, abs=1e-12), cause


def test_layer_gives_the_relevance_of_modules_steps_and_containers() -> None:
    model, x = cnn(), picture()
    explanation = lw.Explainer(model).explain(x, 2, lw.LRP(lw.epsilon(0.0)))
    assert [line.name for line in explanation.layers] == ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5", "1", "3"]
    scores = model(x).detach()
    expected = torch.zeros(3, 4)
    expected[:, 2] = scores[:, 2]
    assert torch.equal(explanation.layer("3"), expected)  # at the output: f of the class
    assert torch.equal(explanation.layer("0"), explanation.layer("0.5"))  # a container ends where its last layer does
    dense = model[3]
    with torch.no_grad():
        hidden = model[1](model[0](x))
        assert torch.allclose(explanation.layer("1"), hidden * dense.weight[2], atol=1e-7)
    for line in explanation.layers:
        assert explanation.layer(line.name).flatten(1).double().sum(1).tolist() == pytest.approx(
            line.relevance_out.tolist(), rel=1e-5
        )
    with pytest.raises(KeyError, match=r"No recorded layer is called '0\.9'\. The recorded ones are: 0\.0, 0\.1"):
        explanation.layer("0.9")


def test_layer_of_a_part_that_nothing_explained_passes_is_zero() -> None:
    torch.manual_seed(0)
    left, right = nn.Linear(3, 2), nn.Linear(3, 2)

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = left, right

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.left(x), self.right(x)

    explanation = lw.Explainer(Two(), output=1).explain(torch.rand(1, 3), 0)
    assert explanation.layer("left").tolist() == [[0, 0]]
    assert {line.name: line.reached for line in explanation.layers} == {"left": False, "right": True}
    assert all(line.closes for line in explanation.layers)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.__name__)
@pytest.mark.parametrize("model", BIAS_FREE)
def test_a_batch_is_its_rows(model: str, preset: Any) -> None:
    network, x = with_biases(BIAS_FREE[model]), picture(4)
    targets = [0, 3, 1, 1]
    together = lw.Explainer(network).explain(x, targets, lw.LRP(preset()))
    explainer = lw.Explainer(network)
    for i, target in enumerate(targets):
        alone = explainer.explain(x[i : i + 1], target, lw.LRP(preset()))
        scale = float(alone.relevance.abs().max())
        assert torch.allclose(together.relevance[i], alone.relevance[0], rtol=0, atol=2e-4 * scale)
        assert float(together.explained[i]) == pytest.approx(float(alone.explained), rel=1e-5)


def test_targets() -> None:
    model, x = cnn(), picture()
    explainer = lw.Explainer(model)
    scores = model(x).detach()
    method = lw.LRP(lw.epsilon(0.0))
    top = tuple(scores.argmax(1).tolist())
    one = explainer.explain(x, 1, method)
    assert one.target == (1, 1, 1)
    assert torch.allclose(one.explained, scores[:, 1].double())
    several = [explainer.explain(x, target, method) for target in ([2, 0, 1], (2, 0, 1), torch.tensor([2, 0, 1]))]
    several.append(explainer.explain(x, np.array([2, 0, 1]), method))
    for explanation in several:
        assert explanation.target == (2, 0, 1)
        assert torch.allclose(explanation.explained, scores[range(3), [2, 0, 1]].double())
    assert explainer.explain(x, None, method).target == top
    assert explainer.explain(x, np.int64(3), method).target == (3, 3, 3)
    assert torch.equal(explainer.explain(x, None, method).relevance, explainer.explain(x, top, method).relevance)
