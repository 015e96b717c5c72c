"""Explanations as a whole: conservation, ledger, layers, targets, batches, precision, and what the paper works out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.presets import PRESETS
from tests.engine.running import Function


def without_biases(model: nn.Module) -> nn.Module:
    """The model with its biases at zero, in evaluation mode."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if name.endswith(("bias", "running_mean")):
            nn.init.zeros_(tensor)
    return model.eval()


class Block(nn.Module):
    """A residual block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(True))
        self.two = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.two(self.one(x)) + x)


def mlp() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 4)
    return without_biases(nn.Sequential(*layers))


def cnn() -> nn.Module:
    torch.manual_seed(0)
    features = nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(6, 8, 2), nn.ReLU(inplace=True), nn.MaxPool2d(2)
    )  # fmt: skip
    return without_biases(nn.Sequential(features, nn.Flatten(), nn.Dropout(), nn.Linear(8, 4)))


def residual() -> nn.Module:
    torch.manual_seed(0)
    stem = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU())
    return without_biases(
        nn.Sequential(stem, Block(6), nn.AvgPool2d(2), Block(6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    )


def dense_net() -> nn.Module:
    torch.manual_seed(0)

    class Concatenated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(5, 4, 3, padding=1)
            self.head = nn.Linear(9, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.cat([x, torch.relu(self.one(x))], 1)
            x = torch.cat([x, torch.relu(self.two(x))], 1)
            return self.head(x.mean((2, 3)))

    return without_biases(Concatenated())


BIAS_FREE = {"mlp": mlp, "cnn": cnn, "residual": residual, "concatenated": dense_net}


def picture(rows: int = 3) -> Tensor:
    return torch.rand(rows, 1, 8, 8, generator=torch.Generator().manual_seed(5)) + 0.05


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


def with_biases(make: Callable[[], nn.Module]) -> nn.Module:
    model = make()
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if name.endswith(("bias", "running_mean")):
            nn.init.normal_(tensor, std=0.3)
    return model


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
    from lrp_widgets.engine.propagate import propagate

    def down(start: Tensor) -> Tensor:
        from lrp_widgets.engine.memo import Memo

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
