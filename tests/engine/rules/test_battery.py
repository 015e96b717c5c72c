"""What holds for every rule, preset and method, also for those still to come: the tuples themselves are the list."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.composites.presets import PRESETS
from lrp_widgets.engine.layers.layer import Layer
from lrp_widgets.engine.layers.reciprocal import reciprocal
from lrp_widgets.engine.propagation.method import Method
from lrp_widgets.engine.propagation.propagate import propagate
from lrp_widgets.engine.rules import RULES, Absorbed, Pullback, Rule
from lrp_widgets.engine.trace.memo import Memo
from lrp_widgets.methods import METHODS, WRAPPERS
from lrp_widgets.params import Param, Setting, param, params_of


@dataclass(frozen=True)
class Power(Rule):
    """R_j = Σ_k |w_jk|^p / Σ_j |w_jk|^p · R_k: a rule that someone adds; w² at p = 2, flat at p = 0."""

    equation: ClassVar[str] = "R_j = Σ_k |w_jk|^p / Σ_j |w_jk|^p · R_k"
    reference: ClassVar[str] = "this test, 2025"

    power: float = param(1.0, low=0, high=4, step=0.1, symbol="p", help="How much large weights count.")

    def linearize(self, layer: Layer, a: Tensor) -> Pullback:
        w = layer.w.abs().pow(self.power)
        one_over_z = reciprocal(layer.forward(torch.ones_like(layer.one_row), w))

        def pullback(relevance: Tensor) -> tuple[Tensor, Absorbed]:
            return layer.adjoint(relevance * one_over_z, w), {}

        return pullback


def with_rule(rule: Rule) -> lw.LRP:
    return lw.LRP(lw.Composite([lw.Entry(rule)]))


def named(methods: dict[str, Method]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("method", list(methods.values()), ids=list(methods))


COMPOSITES: dict[str, Method] = {
    **{kind.__name__: with_rule(kind()) for kind in (*RULES, Power)},
    **{kind.__name__: lw.LRP(kind()) for kind in PRESETS},
}
EVERYONE: dict[str, Method] = COMPOSITES | {kind.__name__: kind() for kind in (*METHODS, *WRAPPERS)}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """For tensors as small as these, waking a second thread costs more than the work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Plain(nn.Sequential):
    """Two convolutions, two dense layers: 2 × 6 × 6 inputs, five classes, the last of which is always 0."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__(
            nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=bias),
            nn.ReLU(),
            nn.Conv2d(4, 4, 2, bias=bias),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(16, 8, bias=bias),
            nn.ReLU(),
            nn.Linear(8, 5, bias=bias),
        )


class Joined(nn.Module):
    """A residual sum, a BatchNorm that folds and one that cannot, max and average pooling, concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.folds, self.stays = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.out = nn.Linear(72, 5)
        for norm in (self.folds, self.stays):
            for tensor in (norm.running_mean, norm.bias, norm.weight):
                nn.init.normal_(tensor)
            nn.init.uniform_(norm.running_var, 0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        a = torch.relu_(self.folds(self.first(x)))
        a = a + self.second(self.stays(a).relu())
        pooled = nn.functional.max_pool2d(a, 2)
        return self.out(torch.cat([pooled, nn.functional.avg_pool2d(a, 2)], 1).flatten(1))


def made(kind: Callable[[], nn.Module], dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(24)  # every row reaches the scores, and without biases no neuron on the way is one-signed
    model = kind()
    last = list(model.modules())[-1]
    with torch.no_grad():
        for parameter in last.parameters():
            parameter[4] = 0
    return model.to(dtype).eval()


NETS = {"plain": Plain, "joined": Joined}
net = pytest.mark.parametrize("kind", list(NETS.values()), ids=list(NETS))


def inputs(dtype: torch.dtype = torch.float64) -> Tensor:
    torch.manual_seed(4)
    return torch.rand(3, 2, 6, 6).to(dtype)


TARGETS = [3, 0, 3]  # classes that Grad-CAM's maps speak for, in every row


@cache
def expected(kind: Callable[[], nn.Module], method: Method) -> lw.Explanation:
    """The explanation in float64 of all rows at once: what the others are held against."""
    return lw.Explainer(made(kind)).explain(inputs(), TARGETS, method)


def far(got: Tensor, expected: Tensor) -> float:
    """The largest difference as a part of the largest value."""
    assert got.shape == expected.shape
    assert bool(torch.isfinite(got).all())
    return float((got.double() - expected.double()).abs().max() / expected.double().abs().max().clamp(min=1e-30))


@net
@named(EVERYONE)
def test_zero_stays_zero(kind, method):
    model, x = made(kind), inputs()
    explanation = lw.Explainer(model).explain(x, [4, 4, 4], method)
    assert not explanation.scores[:, 4].any()
    assert not explanation.relevance.any()
    assert not any(line.relevance_in.any() or line.absorbed for line in explanation.layers)


@net
@named(EVERYONE)
def test_a_batch_is_its_rows(kind, method):
    model, x, whole = made(kind), inputs(), expected(kind, method)
    assert bool(whole.relevance.flatten(1).any(1).all())
    for i, target in enumerate(TARGETS):
        row = lw.Explainer(model).explain(x[i : i + 1], target, method)
        assert far(whole.relevance[i : i + 1], row.relevance) <= 1e-11
        assert far(whole.scores[i : i + 1], row.scores) <= 1e-12
        assert (whole.target[i],) == row.target
        for line, alone in zip(whole.layers, row.layers, strict=True):
            torch.testing.assert_close(line.relevance_in[i : i + 1], alone.relevance_in, rtol=1e-9, atol=1e-12)
            for cause, amount in alone.absorbed.items():
                torch.testing.assert_close(line.absorbed[cause][i : i + 1], amount, rtol=1e-9, atol=1e-12)


@net
@named(COMPOSITES)
def test_linear_in_the_relevance_and_without_a_memory(kind, method):
    tape, memo = lw.Explainer(made(kind)).tape(inputs()), Memo()
    one, other = torch.randn_like(tape.scores), torch.randn_like(tape.scores)

    def pulled(start: Tensor) -> dict[int, Tensor]:
        with torch.no_grad():  # the memo keeps what was linearized, so only pulling is done again
            return propagate(tape, method.composite, start, memo).relevance

    first, second = pulled(one), pulled(other)
    both, again = pulled(2 * one - 0.5 * other), pulled(one)
    for value in first:
        assert far(both[value], 2 * first[value] - 0.5 * second[value]) <= 1e-9
        assert torch.equal(again[value], first[value])


@net
@named(EVERYONE)
def test_dtype_and_shape_are_kept(kind, method):
    exact = expected(kind, method)
    for dtype, bound in ((torch.float32, 2e-3), (torch.float64, 0.0), (torch.bfloat16, None)):
        x, explanation = inputs(dtype), exact
        if dtype != torch.float64:
            explanation = lw.Explainer(made(kind, dtype)).explain(x, TARGETS, method)
        assert (explanation.relevance.dtype, explanation.relevance.device) == (dtype, x.device)
        assert (explanation.scores.dtype, explanation.start.dtype) == (dtype, dtype)
        assert explanation.relevance.shape == x.shape
        assert bool(torch.isfinite(explanation.relevance).all())
        assert bound is None or far(explanation.relevance, exact.relevance) <= bound
        assert explanation.total.dtype == torch.float64
        assert all(line.relevance_in.dtype == torch.float64 for line in explanation.layers)


def state(model: nn.Module, x: Tensor) -> list[Any]:
    """Everything that an explanation could have touched, in a form that compares with ==."""
    tensors = [*model.parameters(), *model.buffers(), x]
    told: list[Any] = [(id(t), t._version, t.requires_grad, id(t.grad)) for t in tensors]
    told += [t.detach().clone().flatten().view(torch.uint8).tolist() for t in tensors if t.numel()]
    told += [t.grad.tolist() for t in tensors if t.grad is not None]
    for module in model.modules():
        told.append((id(module), module.training, sorted(vars(module))))
        told += [(name, dict(hooks)) for name, hooks in vars(module).items() if name.endswith("hooks") and hooks]
    return [*told, torch.get_rng_state().tolist(), torch.is_grad_enabled(), torch.get_default_dtype()]


@net
@named(EVERYONE)
def test_the_model_is_only_read(kind, method):
    model, x = made(kind, torch.float32), inputs(torch.float32).requires_grad_()
    parameters = list(model.parameters())
    parameters[0].grad = torch.full_like(parameters[0], 7)
    parameters[-1].requires_grad_(False)
    called = []
    next(model.children()).register_forward_hook(lambda *_: called.append(1))
    model.training = True  # the outermost alone, which does nothing else then
    before = state(model, x)
    explanation = lw.Explainer(model).explain(x, None, method)
    assert called
    assert state(model, x) == before
    assert not explanation.relevance.requires_grad and not explanation.scores.requires_grad
    explanation.relevance.zero_()  # nor does it share memory with anything of ours
    explanation.inputs.zero_()
    assert state(model, x) == before


@net
@named(EVERYONE)
def test_the_layout_in_memory_does_not_matter(kind, method):
    model, x, relevance = made(kind), inputs(), expected(kind, method).relevance
    strided = torch.stack([x, -x], -1)[..., 0]
    for laid_out in (strided, x.contiguous(memory_format=torch.channels_last)):
        assert not laid_out.is_contiguous()
        assert far(lw.Explainer(model).explain(laid_out, TARGETS, method).relevance, relevance) <= 1e-11
    one = x[:1].expand(2, -1, -1, -1)  # rows that share their memory
    assert far(lw.Explainer(model).explain(one, TARGETS[0], method).relevance[1:], relevance[:1]) <= 1e-11


@net
@named(COMPOSITES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_ledger_closes(kind, method, dtype):
    explanation = lw.Explainer(made(kind, dtype)).explain(inputs(dtype), TARGETS, method)
    assert explanation.layers and not explanation.fallbacks
    for line in explanation.layers:
        assert line.reached and line.closes, f"{line.name}: {line.unexplained.tolist()} is missing"
        torch.testing.assert_close(line.positive + line.negative, line.relevance_out)
        assert bool((line.positive >= 0).all()) and bool((line.negative <= 0).all())
        assert all(bool(torch.isfinite(amount).all()) for amount in line.absorbed.values())
    torch.testing.assert_close(explanation.layers[-1].relevance_out, explanation.explained)
    sizes = [line.positive.max() - line.negative.min() for line in explanation.layers]
    kept = sum(explanation.absorbed.values(), torch.zeros(3).double())
    missing = (explanation.total + kept - explanation.explained).abs().max() / max(sizes)
    assert float(missing) <= 1e3 * torch.finfo(dtype).eps


# Which rules hand on everything, as their docstrings say: on networks without biases, or on all.
WITHOUT_BIAS: dict[type[Rule], tuple[Rule, ...]] = {
    lw.rules.Zero: (lw.rules.Zero(),),
    lw.rules.Epsilon: (lw.rules.Epsilon(0.0), lw.rules.Epsilon(1e-14), lw.rules.Epsilon(1e-14, relative=True)),
    lw.rules.Gamma: (lw.rules.Gamma(), lw.rules.Gamma(1.0), lw.rules.Gamma(0.0)),
    lw.rules.ZPlus: (lw.rules.ZPlus(),),
    lw.rules.AlphaBeta: (lw.rules.AlphaBeta(1.0), lw.rules.AlphaBeta(1.5), lw.rules.AlphaBeta(3.0)),
}
ALWAYS: dict[type[Rule], tuple[Rule, ...]] = {
    lw.rules.Flat: (lw.rules.Flat(),),
    lw.rules.WSquare: (lw.rules.WSquare(),),
    lw.rules.ZBox: (lw.rules.ZBox(), lw.rules.ZBox(-5.0, 9.0)),
    Power: (Power(), Power(0.0), Power(4.0)),
}


def conserves(explanation: lw.Explanation) -> None:
    torch.testing.assert_close(explanation.total, explanation.explained, rtol=1e-8, atol=0)
    assert all(float(amount.abs().max()) <= 1e-9 for amount in explanation.absorbed.values())


@pytest.mark.parametrize("rule", [rule for rules in (WITHOUT_BIAS | ALWAYS).values() for rule in rules], ids=str)
def test_nothing_is_lost_where_there_is_no_bias(rule):
    conserves(lw.Explainer(made(partial(Plain, bias=False))).explain(inputs(), 0, with_rule(rule)))


@pytest.mark.parametrize("rule", [rule for rules in ALWAYS.values() for rule in rules], ids=str)
def test_nothing_is_lost_where_the_bias_does_not_count(rule):
    conserves(lw.Explainer(made(Plain)).explain(inputs(), 0, with_rule(rule)))


def test_epsilon_keeps_less_the_smaller_it_is():
    explainer = lw.Explainer(made(partial(Plain, bias=False)))
    kept = [
        float(explainer.explain(inputs(), 0, with_rule(lw.rules.Epsilon(e))).absorbed["epsilon"].abs().max())
        for e in (1e-4, 1e-6, 1e-8)
    ]
    assert kept[0] > 50 * kept[1] > 2500 * kept[2] > 0


@pytest.mark.parametrize("kind", RULES, ids=lambda kind: kind.__name__)
def test_what_a_rule_keeps_has_a_name(kind):
    for model in (made(Plain), made(Joined)):
        layers = lw.Explainer(model).explain(inputs(), 0, with_rule(kind())).layers
        named = {cause for line in layers if line.rule for cause in line.absorbed}
        assert named <= {"bias", "epsilon", "no input", "one-signed"}
        assert kind not in WITHOUT_BIAS | ALWAYS or ("bias" in named) == (kind in WITHOUT_BIAS)


def values_of(known: Param) -> list[Any]:
    """The ends of a slider, every choice, both sides of a switch, and the default."""
    low, high = known.shown
    if known.kind in ("number", "integer"):
        assert math.isfinite(low) and math.isfinite(high), f"{known.name} has no ends for a slider"
        assert known.low <= low < high <= known.high and low <= known.default <= high
        assert (known.step is None or 0 < known.step < high - low) and (low > 0 or not known.log)
        return [int(low), int(high), known.default] if known.kind == "integer" else [low, high, known.default]
    if known.kind == "range":
        return [(low, high), (low, low), (high, high), known.default]
    return [*known.choices, known.default] if known.kind == "choice" else [True, False]


@pytest.mark.parametrize("kind", [*RULES, Power, *PRESETS, *METHODS, *WRAPPERS], ids=lambda kind: kind.__name__)
def test_every_position_of_every_control(kind: type[Setting]):
    explainer, x = lw.Explainer(made(Plain)), inputs()
    for known in params_of(kind):
        for value in values_of(known):
            setting = kind(**{known.name: value})
            assert getattr(setting, known.name) == value
            assert isinstance(setting.note(known.name), str)
            method = setting if isinstance(setting, Method) else None
            method = method or (with_rule(setting) if isinstance(setting, Rule) else lw.LRP(setting))
            explanation = explainer.explain(x, 0, method)
            assert bool(torch.isfinite(explanation.relevance).all()), f"{setting}"
            assert all(line.closes for line in explanation.layers), f"{setting}"


def test_a_rule_that_someone_adds_is_a_rule_like_any_other():
    explainer, x = lw.Explainer(made(Joined)), inputs()
    for power, known in ((2.0, lw.rules.WSquare()), (0.0, lw.rules.Flat())):
        own = explainer.explain(x, 0, with_rule(Power(power))).relevance
        assert far(own, explainer.explain(x, 0, with_rule(known)).relevance) <= 1e-12
    assert [known.name for known in params_of(Power)] == ["power"]
    assert copy.copy(Power(2.0)) == Power(2.0) != Power(1.0)
    with pytest.raises(ValueError, match=r"^Power\.power must lie in \[0\.0, 4\.0\], got 5\.$"):
        Power(5)
