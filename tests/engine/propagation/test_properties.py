"""What holds for any network and any settings, on random small ones.

Other ones, and many more: pytest tests/engine/test_properties.py --hypothesis-profile=deep
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, reject, settings
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.layers.canonize import canonize
from lrp_widgets.engine.propagation.propagate import Propagation, propagate
from lrp_widgets.engine.trace.memo import Memo
from lrp_widgets.engine.trace.step import Step, replay
from lrp_widgets.engine.trace.tape import Tape
from tests.engine.networks.networks import EVERY, Network, composites, networks
from tests.engine.networks.wired import tape_of

few = settings(max_examples=max(1, settings().max_examples // 15))
UNKNOWN = ("addcmul", "lerp", "var")  # no rule is known for these, so that the fallback is seen too


def taped(model: nn.Module, x: Tensor) -> Tape:
    return canonize(tape_of(model, x), Memo())


def pulled(tape: Tape, composite: lw.Composite, start: Tensor, memo: Memo | None = None) -> Propagation:
    with torch.no_grad():
        return propagate(tape, composite, start, Memo() if memo is None else memo)


def largest(passed: Propagation) -> float:
    return max(float(r.abs().max()) for r in passed.relevance.values() if r.numel())


def check_ledger(network: Network, composite: lw.Composite) -> None:
    """Every step hands on what arrives, but for what it says that it keeps."""
    tape = taped(network.build(), network.inputs())
    passed = pulled(tape, composite, network.start())
    known = {value: r.abs().sum() for value, r in passed.relevance.items()}
    least = 1e-13 * float(network.start().abs().sum())
    for step, line in zip(tape.steps, passed.ledger, strict=True):
        size = sum(float(known[value]) for value in {*step.inputs, *step.outputs} & known.keys())
        missing = float(line.unexplained.abs().max())
        if not missing <= least:  # relevance that is itself a rounding error (the mean of what is centred) may be lost
            assert line.closes, f"{step.name}: {line.unexplained.tolist()} is missing"
            assert missing <= 1e-9 * size, f"{step.name}: {missing} of {size} is missing"
        assert "fallback" not in line.absorbed or step.op in UNKNOWN, step.name
    assert all(bool(torch.isfinite(passed.relevance[value]).all()) for value in tape.inputs)


@given(networks(), composites())
def test_the_ledger_closes(network: Network, composite: lw.Composite):
    check_ledger(network, composite)


def check_lines(one: Any, other: Any, i: int, j: int, bound: float) -> None:
    """Row i of a line of the ledger is row j of another."""
    for name in ("relevance_out", "relevance_in", "positive", "negative"):
        difference = getattr(one, name)[i] - getattr(other, name)[j]
        assert float(difference.abs()) <= bound, f"{one.name}: {name} of row {i}"
    for cause in {*one.absorbed, *other.absorbed}:
        amounts = [line.absorbed[cause][row] if cause in line.absorbed else 0.0 for line, row in ((one, i), (other, j))]
        assert abs(float(amounts[0] - amounts[1])) <= bound, f"{one.name}: {cause} of row {i}"


@given(networks(), composites())
def test_a_batch_is_its_rows(network: Network, composite: lw.Composite):
    model, x, start = network.build(), network.inputs(), network.start()
    tape = taped(model, x)
    whole = pulled(tape, composite, start)
    bound = 1e-8 * largest(whole)
    for i in range(len(x)):
        row = taped(model, x[i : i + 1])
        alone = pulled(row, composite, start[i : i + 1])
        for value, at in zip(tape.inputs, row.inputs, strict=True):
            torch.testing.assert_close(whole.relevance[value][i : i + 1], alone.relevance[at], rtol=0, atol=bound)
        # One row alone may be moved about in other steps (a view where many are copied), but by the same layers.
        of_all, of_one = ([line for line in passed.ledger if line.rule] for passed in (whole, alone))
        for line, one in zip(of_all, of_one, strict=True):
            check_lines(line, one, i, 0, 100 * bound)


@given(networks(), composites())
def test_no_row_of_the_ledger_knows_of_the_others(network: Network, composite: lw.Composite):
    model, x, start = network.build(), network.inputs(), network.start()
    whole = pulled(taped(model, x), composite, start)
    for i in range(len(x)):
        only = torch.arange(len(x)) == i
        others = torch.where(only.reshape(-1, *[1] * (x.ndim - 1)), x, network.inputs(1))
        passed = pulled(taped(model, others), composite, torch.where(only[:, None], start, 0))
        for line, one in zip(whole.ledger, passed.ledger, strict=True):
            check_lines(line, one, i, i, 1e-6 * largest(whole))
            assert not one.relevance_out[~only].any() and not one.relevance_in[~only].any(), f"{one.name}: other rows"


@given(networks(), composites())
def test_linear_in_the_relevance(network: Network, composite: lw.Composite):
    tape, memo = taped(network.build(), network.inputs()), Memo()
    one, other = (pulled(tape, composite, network.start(i), memo) for i in (0, 1))
    both = pulled(tape, composite, 2 * network.start(0) - 0.5 * network.start(1), memo)
    bound = 1e-10 * (largest(one) + largest(other))
    for value, relevance in both.relevance.items():
        expected = 2 * one.relevance[value] - 0.5 * other.relevance[value]
        torch.testing.assert_close(relevance, expected, rtol=0, atol=bound)


def state(model: nn.Module, x: Tensor) -> list[Any]:
    """Everything that an explanation could have touched, in a form that compares with ==."""
    tensors = [*model.parameters(), *model.buffers(), x]
    told: list[Any] = [(id(t), t._version, t.requires_grad, id(t.grad), t.tolist()) for t in tensors]
    told += [t.grad.tolist() for t in tensors if t.grad is not None]
    for module in model.modules():
        told.append((id(module), module.training, sorted(vars(module))))
        told += [(name, dict(hooks)) for name, hooks in vars(module).items() if name.endswith("hooks")]
    return [*told, torch.get_rng_state().tolist(), torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled()]


@given(networks(), composites())
def test_the_model_is_only_read(network: Network, composite: lw.Composite):
    model, x = network.build(), network.inputs().requires_grad_()
    for parameter in list(model.parameters())[:2]:
        parameter.grad = torch.full_like(parameter, 7)
    before = state(model, x)
    lw.Explainer(model).explain(x, None, lw.LRP(composite))
    assert state(model, x) == before


def answer(step: Step, a: Tensor, tape: Tape) -> Tensor:
    """What a layer answers, laid out in memory as it was recorded: the step behind it may look at it by a view."""
    z = step.affine.forward(a, step.affine.weight)
    z = z if step.affine.bias is None else z + step.affine.bias
    recorded = tape.values[next(value for value in step.outputs if value is not None)]
    return torch.empty_strided(z.shape, recorded.stride(), dtype=z.dtype).copy_(z)


def run_again(tape: Tape, x: Tensor) -> Tensor:
    """The scores that the steps of a tape, one behind the other, make of another input."""
    values = dict.fromkeys(tape.inputs, x.clone())
    for step in tape.steps:
        entering = [values[value] for value in step.inputs]
        made = replay(step, entering) if step.affine is None else [answer(step, entering[0], tape)]
        values |= {value: t for value, t in zip(step.outputs, made, strict=False) if value is not None}
    return values[tape.output]


def check_tape(network: Network) -> None:
    """Every step gives again what was recorded, and all of them the model's scores, before and after folding."""
    model, x = network.build(), network.inputs()
    tape = tape_of(model, x)
    with torch.no_grad():
        for step in tape.steps:
            for made, value in zip(replay(step, [tape.values[v] for v in step.inputs]), step.outputs, strict=True):
                if value is not None:
                    torch.testing.assert_close(made, tape.values[value], rtol=1e-12, atol=1e-12, equal_nan=True)
        for given_x in (x, network.inputs(1)):  # at another input too: no step took for a constant what is none
            scores = model(given_x.clone())
            atol = 1e-11 * float(scores.abs().max())
            torch.testing.assert_close(run_again(tape, given_x), scores, rtol=1e-11, atol=atol)
            torch.testing.assert_close(run_again(canonize(tape, Memo()), given_x), scores, rtol=1e-9, atol=100 * atol)


class Ordered(torch.autograd.Function):
    """The same numbers in the plain order, forwards and backwards.

    torch 2.13 mixes up the channels of BatchNorm's gradient where an image of one column lies in memory in two orders.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone(memory_format=torch.contiguous_format)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0].clone(memory_format=torch.contiguous_format)


@given(networks(straight=True))
def test_lrp_0_is_gradient_times_input(network: Network):
    model, x, start = network.build(), network.inputs(), network.start()
    for norm in [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]:
        norm.register_forward_pre_hook(lambda _, given: Ordered.apply(given[0]))
        norm.register_forward_hook(lambda _, given, made: Ordered.apply(made))
    leaf = x.clone().requires_grad_()
    try:
        scores = model(leaf.clone())
        (gradient,) = torch.autograd.grad(scores, leaf, start)
    except RuntimeError:  # autograd cannot follow everything that is written in place
        reject()
    tape = taped(model, x)
    passed = pulled(tape, lw.epsilon(epsilon=0.0), start * scores.detach())
    relevance = passed.relevance[tape.inputs[0]]
    torch.testing.assert_close(relevance, x * gradient, rtol=0, atol=1e-9 * largest(passed))


@given(networks())
def test_the_tape_is_the_model(network: Network):
    check_tape(network)


@pytest.mark.parametrize("kind", EVERY)
def test_every_kind_of_layer(kind: str):
    few(given(networks(kind, 2), composites())(check_ledger))()
    few(given(networks(kind, 1))(check_tape))()


def test_a_network_is_built_the_same_twice():
    network = Network((3, 4), (("dense", {"spelled": "linear", "outputs": 2}),))
    one, other = network.build(), copy.deepcopy(network).build()
    assert torch.equal(one(network.inputs()), other(network.inputs()))
