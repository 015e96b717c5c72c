"""Explainer and Explanation: contrasts, outputs, precision, threads, and the golden case of the paper."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.composites.composite import resolve
from lrp_widgets.engine.composites.presets import PRESETS
from tests.engine.networks.running import Function
from tests.engine.propagation.explainer_cases import BIAS_FREE, cnn, picture, residual, with_biases


@pytest.mark.parametrize(
    "method", [lw.LRP(lw.epsilon(0.0)), lw.LRP(lw.alpha_beta(2.0)), lw.Gradient(), lw.SimpleTaylor()]
)
def test_a_contrast_is_the_difference(method: Any) -> None:
    model, x = cnn(), picture()
    explainer = lw.Explainer(model)
    got = explainer.explain(x, lw.contrast(2, 0), method)
    a, b = explainer.explain(x, 2, method), explainer.explain(x, 0, method)
    assert torch.allclose(got.relevance, a.relevance - b.relevance, atol=1e-6)
    assert torch.allclose(got.explained, a.explained - b.explained)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.__name__)
def test_linear_in_the_relevance(preset: Any) -> None:
    model, x = with_biases(residual).double(), picture().double()
    explainer = lw.Explainer(model)
    tape = explainer.tape(x)
    from lrp_widgets.engine.propagation.propagate import propagate

    def down(start: Tensor) -> Tensor:
        from lrp_widgets.engine.trace.memo import Memo

        with torch.no_grad():
            return propagate(tape, preset(), start, Memo()).relevance[tape.inputs[0]]

    torch.manual_seed(0)
    one, other = torch.randn(3, 4).double(), torch.randn(3, 4).double()
    expected = 2 * down(one) - 3 * down(other)
    assert torch.allclose(down(2 * one - 3 * other), expected, rtol=0, atol=1e-10 * float(expected.abs().max()))
    assert not down(torch.zeros(3, 4).double()).any()


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.__name__)
@pytest.mark.parametrize("model", BIAS_FREE)
def test_single_precision_agrees_with_double(model: str, preset: Any) -> None:
    network, x = BIAS_FREE[model](), picture()
    single = lw.Explainer(network).explain(x, 1, lw.LRP(preset()))
    assert single.relevance.dtype == torch.float32
    double = lw.Explainer(network.double()).explain(x.double(), 1, lw.LRP(preset()))
    assert double.relevance.dtype == torch.float64
    scale = float(double.relevance.abs().max())
    assert torch.allclose(single.relevance.double(), double.relevance, rtol=0, atol=1e-3 * scale)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.__name__)
def test_half_precision_runs_and_says_how_far_it_closes(preset: Any, dtype: torch.dtype) -> None:
    model, x = cnn().to(dtype), picture().to(dtype)
    explanation = lw.Explainer(model).explain(x, 1, lw.LRP(preset()))
    assert explanation.relevance.dtype == dtype
    assert bool(torch.isfinite(explanation.relevance).all())
    assert all(line.closes for line in explanation.layers)
    assert explanation.heatmap().dtype == np.float32


class Several(nn.Module):
    """Returns what some networks return: a dict, a tuple, a named tuple of them."""

    def __init__(self, how: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two, self.how = nn.Linear(3, 2), nn.Linear(3, 4), how

    def forward(self, x: Tensor) -> Any:
        one, two = self.one(x), self.two(x)
        return {"dict": {"logits": one, "extra": two, "nothing": None}, "tuple": (one, two), "list": [one, two]}[
            self.how
        ]


@pytest.mark.parametrize("method", [lw.LRP(lw.epsilon()), lw.Gradient()])
@pytest.mark.parametrize(("how", "output"), [("dict", "extra"), ("tuple", 1), ("list", -1)])
def test_output_chooses(how: str, output: Any, method: Any) -> None:
    model, x = Several(how), torch.rand(2, 3)
    explanation = lw.Explainer(model, output=output).explain(x, 3, method)
    assert torch.equal(explanation.scores, model.two(x).detach())
    assert torch.equal(explanation.relevance, lw.Explainer(model.two).explain(x, 3, method).relevance)
    assert torch.equal(lw.Explainer(model, output=output).scores(x), model.two(x).detach())


class GoldenMax(nn.Module):
    """max(x₁, x₂) = max(0, ½ [max(0, x₁ − x₂) + max(0, x₂ − x₁) + max(0, x₁ + x₂)]) for x ≥ 0."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.top = nn.Linear(2, 3, bias=False).double(), nn.Linear(3, 1, bias=False).double()
        with torch.no_grad():
            self.hidden.weight.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]))
            self.top.weight.fill_(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.top(torch.relu(self.hidden(x))))


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ((2.0, 1.0), (1.5, 0.5)),
        ((1.0, 1.0), (0.5, 0.5)),
        ((3.0, 0.5), (2.75, 0.25)),
        ((1.0, 2.0), (0.5, 1.5)),
        ((0.5, 3.0), (0.25, 2.75)),
        ((4.0, 0.0), (4.0, 0.0)),
    ],
)
def test_the_golden_case(x: tuple[float, float], expected: tuple[float, float]) -> None:
    explainer, given = lw.Explainer(GoldenMax()), torch.tensor([x]).double()
    deep_taylor = explainer.explain(given, 0, lw.LRP(lw.deep_taylor()))
    assert deep_taylor.relevance[0].tolist() == pytest.approx(list(expected), abs=1e-14)
    if x[0] != x[1]:
        wins = (1.0, 0.0) if x[0] > x[1] else (0.0, 1.0)
        sensitivity = explainer.explain(given, 0, lw.Sensitivity())
        assert sensitivity.relevance[0].tolist() == pytest.approx(list(wins))
        taylor = explainer.explain(given, 0, lw.SimpleTaylor())
        assert taylor.relevance[0].tolist() == pytest.approx([max(x) * w for w in wins])
    assert float(deep_taylor.total) == pytest.approx(max(x))


def test_only_deep_taylor_is_continuous_where_the_golden_case_ties() -> None:
    explainer = lw.Explainer(GoldenMax())
    near = torch.tensor([[1.0 + 1e-9, 1.0], [1.0, 1.0 + 1e-9]], dtype=torch.float64)

    def jump(method: Any) -> float:
        r = explainer.explain(near, 0, method).relevance
        return float((r[0] - r[1]).abs().sum())

    assert jump(lw.LRP(lw.deep_taylor())) < 1e-8
    assert jump(lw.SimpleTaylor()) == pytest.approx(2)
    assert jump(lw.Sensitivity()) == pytest.approx(2)


# Deep Taylor: R_j = c_k max(0, Σ_i x_i w_ij + b_j), expanded at a root found on a segment. The closed forms of the root
# and the rule that follows from each must agree: R_i = ∂R_j/∂x_i · (x_i − x̃_i) with the root's step.
DOMAINS = {
    "real values": (
        lambda x, w, low, high: w,
        lw.rules.WSquare(),
    ),
    "x >= 0": (lambda x, w, low, high: x * (w > 0), lw.rules.ZPlus()),
    "pixels": (lambda x, w, low, high: x - (w > 0) * low - (w < 0) * high, lw.rules.ZBox(-1.0, 2.0)),
}


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("seed", range(5))
def test_the_roots_of_deep_taylor(domain: str, seed: int) -> None:
    direction, rule = DOMAINS[domain]
    torch.manual_seed(seed)
    low, high = -1.0, 2.0
    x = torch.rand(6).double() if domain == "x >= 0" else torch.rand(6).double() * (high - low) + low
    w = torch.randn(6).double()
    w = w if float(x @ w) > 0 else -w
    b = -0.3 * (x @ w)  # negative, and the neuron is active
    z = x @ w + b
    v = direction(x, w, low, high)
    root = x - v * z / (v @ w)
    assert float(root @ w + b) == pytest.approx(0, abs=1e-12)  # f(x̃) = 0
    if domain == "x >= 0":
        assert bool((root >= 0).all())  # never leaves the domain: it moves towards x · 1[w < 0]
    if domain == "pixels":
        assert bool(((root >= low - 1e-12) & (root <= high + 1e-12)).all())
    layer = nn.Linear(6, 1).double()
    with torch.no_grad():
        layer.weight.copy_(w[None])
        layer.bias.copy_(b[None])
    composite = lw.Composite((lw.Entry(rule),))
    got = lw.Explainer(layer).explain(x[None], 0, lw.LRP(composite))
    assert got.relevance[0].tolist() == pytest.approx((w * (x - root)).tolist(), rel=1e-9)


def test_threads_share_one_explainer() -> None:
    model = cnn()
    explainer = lw.Explainer(model)
    inputs = [picture(2), picture(3).flip(2)]
    jobs = [
        (x, target, lw.LRP(composite))
        for x in inputs
        for target in (0, None)
        for composite in (lw.alpha_beta(2.0), lw.epsilon_plus_flat())
    ]
    expected = [lw.Explainer(model).explain(*job).relevance for job in jobs]
    problems: list[Any] = []

    def work(offset: int) -> None:
        try:
            for i in range(3 * len(jobs)):
                which = (i * 3 + offset) % len(jobs)
                if not torch.equal(explainer.explain(*jobs[which]).relevance, expected[which]):
                    problems.append(which)
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_heatmaps_pool_over_channels() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 3, 4, 5)
    model = Function(lambda x: x.flatten(1).sum(1, keepdim=True) * 1.0)
    explanation = lw.Explainer(model).explain(x, 0, lw.LRP(lw.epsilon(0.0)))
    assert np.allclose(explanation.heatmap(), x[0].sum(0).numpy())
    assert np.allclose(explanation.heatmap(row=1), x[1].sum(0).numpy())
    volume = lw.Explainer(model).explain(torch.rand(1, 2, 3, 4, 5), 0).heatmap()
    assert volume.shape == (4, 5)
    assert lw.Explainer(model).explain(torch.rand(1, 7), 0).heatmap().shape == (1, 7)


def test_an_explanation_says_where_it_comes_from() -> None:
    model, x = cnn(), picture()
    method = lw.LRP(lw.alpha_beta(2.0))
    explanation = lw.Explainer(model).explain(x, 1, method)
    assert explanation.method == method
    assert torch.equal(explanation.inputs, x)
    assert torch.equal(explanation.scores, model(x).detach())
    assert explanation.relevance.shape == x.shape
    assert not explanation.relevance.requires_grad
    assert explanation.seconds > 0
    assert explanation.steps == len(explanation.layers) == explanation.recomputed
    assert [line.rule for line in explanation.layers if line.rule] == [lw.rules.AlphaBeta(2.0)] * 3
    worst = explanation.worst
    assert worst is not None and worst.closes
    assert lw.Explainer(model).explain(x, 1, lw.Gradient()).worst is None


def test_entries_pick_layers_by_kind_name_depth_and_order() -> None:
    model, x = residual(), picture()
    explainer = lw.Explainer(model)
    r = lw.rules

    def rules_of(*entries: lw.Entry) -> dict[str, Any]:
        explanation = explainer.explain(x, 0, lw.LRP(lw.Composite(entries)))
        return {line.name: line.rule for line in explanation.layers if line.rule is not None}

    names = ["0.0", "1.one.0", "1.two.0", "3.one.0", "3.two.0", "6"]
    assert list(rules_of(lw.Entry(r.Zero()))) == names
    assert rules_of(lw.Entry(r.Flat(), "input"), lw.Entry(r.Zero()))["0.0"] == r.Flat()
    kinds = rules_of(lw.Entry(r.Epsilon(), "dense"), lw.Entry(r.ZPlus(), "convolution"))
    assert [type(rule) for rule in kinds.values()] == [r.ZPlus] * 5 + [r.Epsilon]
    assert [
        n for n, rule in rules_of(lw.Entry(r.Gamma(), "1.*"), lw.Entry(r.Zero())).items() if rule == r.Gamma()
    ] == names[1:3]
    assert [
        n for n, rule in rules_of(lw.Entry(r.Gamma(), "*.1"), lw.Entry(r.Zero())).items() if rule == r.Gamma()
    ] == names[:5]
    depth = rules_of(lw.Entry(r.Gamma(), lw.Depth(0.0, 0.5)), lw.Entry(r.Zero()))
    assert [type(rule) for rule in depth.values()] == [r.Gamma] * 3 + [r.Zero] * 3
    first = rules_of(lw.Entry(r.Flat(), "0.0"), lw.Entry(r.Gamma(), "0.0"), lw.Entry(r.Zero()))
    assert first["0.0"] == r.Flat()


def test_every_layer_that_sees_the_input_is_an_input_layer() -> None:
    torch.manual_seed(0)

    class TwoEyes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right, self.head = nn.Linear(4, 3), nn.Linear(4, 3), nn.Linear(7, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.cat([torch.relu(self.left(x)) + self.right(x.flip(1)), x], 1))

    explanation = lw.Explainer(TwoEyes()).explain(torch.rand(1, 4), 0, lw.LRP(lw.epsilon(input="flat")))
    assert {line.name: line.rule for line in explanation.layers if line.rule} == {
        "left": lw.rules.Flat(),
        "right": lw.rules.Flat(),
        "head": lw.rules.Epsilon(),  # it reads the input too, but not only
    }


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.__name__)
@pytest.mark.parametrize("make", ["digits_cnn", "digits_mlp"])
def test_every_preset_can_be_written_layer_by_layer(preset, make) -> None:
    model = getattr(lw.demo.models, make)()
    tape = lw.Explainer(model).tape(lw.demo.data.digits().inputs[:1])
    other = dataclasses.replace(preset(), max_pooling="proportional")
    written = lw.by_depth.like(other, tape)
    assert resolve(written, tape) == resolve(other, tape)
    assert written.max_pooling == "proportional"
    assert len(written.overrides) == 0


def test_a_layer_that_is_not_as_its_part_gets_an_override() -> None:
    tape = lw.Explainer(lw.demo.models.digits_cnn()).tape(lw.demo.data.digits().inputs[:1])
    mixed = lw.Composite(
        (
            lw.Entry(lw.rules.Zero(), "features.0"),
            lw.Entry(lw.rules.Flat(), "features.3"),
            lw.Entry(lw.rules.Gamma(), "features.6"),
            lw.Entry(lw.rules.WSquare()),
        )
    )
    written = lw.by_depth.like(mixed, tape)
    assert resolve(written, tape) == resolve(mixed, tape)
    assert len(written.overrides) == 1
