"""What a climb promises: the same again, the domain kept, the model untouched, an end in words."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw

O, E, P, T = lw.objectives, lw.experts, lw.parameterizations, lw.transformations


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3), nn.ReLU6(), nn.Flatten(), nn.Linear(4 * 64, 3)
    ).eval()


SAMPLES = lw.Samples(torch.rand(30, 2, 12, 12, generator=torch.Generator().manual_seed(1)), low=0.0, high=1.0)
SETTINGS: dict[str, dict[str, Any]] = {
    "pixels": {"expert": E.L2(0.1)},
    "squashed": {"image": P.Pixels(bound="squash")},
    "a spectrum": {"image": P.Fourier(), "expert": E.TotalVariation(0.01)},
    "phases": {"image": P.PhaseOnly(SAMPLES)},
    "a Gaussian": {"expert": E.Gaussian.fit(SAMPLES)},
    "robust": {"image": P.Fourier(), "robust": T.standard(12)},
    "robust, whitened": {"expert": E.Gaussian.fit(SAMPLES, 0.1), "robust": (T.Jitter(1), T.Rotate(5.0))},
    "unlike each other": {"diversity": lw.Diversity("2", 0.5)},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_it_goes_up_inside_of_the_domain_and_the_same_again(name: str) -> None:
    model, settings = network(), SETTINGS[name]
    before = {key: item.clone() for key, item in model.state_dict().items()}
    found = lw.prototype(model, O.Logit(1), SAMPLES, steps=30, count=2, **settings)
    assert found.inputs.shape == (2, 2, 12, 12) and found.scores.shape == (30, 2)
    assert float(found.inputs.min()) >= 0 and float(found.inputs.max()) <= 1
    total = (found.scores + found.densities)[:, 0]
    assert float(total[-3:].mean()) > float(total[0])
    again = lw.prototype(model, O.Logit(1), SAMPLES, steps=30, count=2, **settings)
    assert torch.equal(found.inputs, again.inputs) and torch.equal(found.scores, again.scores)
    other = lw.prototype(model, O.Logit(1), SAMPLES, steps=30, count=2, seed=1, **settings)
    assert not torch.equal(found.inputs, other.inputs)
    assert all(torch.equal(item, before[key]) for key, item in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


def test_a_channel_behind_a_clipped_unit_is_climbed_before_it() -> None:
    """ReLU6 has no gradient above 6; the channel goes on growing."""
    model = network()
    with torch.no_grad():
        model[2].bias += 20.0
    found = lw.prototype(model, O.Channel("3", 2), SAMPLES, steps=20, count=1)
    assert float(found.scores[-1]) > float(found.scores[0]) > 6


def test_a_dead_layer_does_not_end_in_grey() -> None:
    model = network()
    with torch.no_grad():
        model[0].bias -= 0.5  # on noise, no unit is above 0
    found = lw.prototype(model, O.Channel("2", 1), SAMPLES, image=P.Fourier(), steps=60, count=1, rate=0.2)
    assert float(found.scores[-1]) > float(found.scores[0]) + 1e-3
    assert float(found.inputs.std()) > 0.05


def test_a_living_channel_goes_up_from_the_start() -> None:
    """Silent units are woken up where nothing else moves, and only there."""
    samples = lw.demo.data.digits()
    model = lw.demo.models.digits_cnn()
    found = lw.prototype(model, O.Channel("features.3", 5), samples, image=P.Fourier(), count=2, steps=12)
    assert bool((found.scores[-1] > found.scores[0] + 0.1).all())


class TwoModes(nn.Module):
    """One class, shown by either of two pictures."""

    def __init__(self) -> None:
        super().__init__()
        modes = torch.zeros(2, 1, 4, 4)
        modes[0, 0, :2], modes[1, 0, 2:] = 1.0, 1.02
        self.register_buffer("modes", modes)
        self.halves = nn.Conv2d(1, 2, 4, bias=False)
        self.halves.weight.data.copy_(modes)

    def forward(self, x: Tensor) -> Tensor:
        self.halves(x)
        answers = torch.stack([(x * mode).sum((1, 2, 3)) - (x * (1 - mode)).sum((1, 2, 3)) for mode in self.modes], 1)
        return answers.logsumexp(1, keepdim=True)


def test_diversity_finds_both_modes_and_without_it_there_is_one() -> None:
    like = lw.Samples(torch.rand(4, 1, 4, 4), low=0.0, high=1.0)

    def upper(found: lw.Prototypes) -> list[bool]:
        halves = found.inputs[:, 0, :2].sum((1, 2)) > found.inputs[:, 0, 2:].sum((1, 2))
        return sorted(halves.tolist())

    model = nn.Sequential(TwoModes()).eval()
    assert len(set(upper(lw.prototype(model, O.Logit(0), like, count=2, steps=120)))) == 1
    apart = lw.prototype(model, O.Logit(0), like, count=2, steps=200, diversity=lw.Diversity("0.halves", 20.0))
    assert upper(apart) == [False, True]


def test_every_step_can_be_the_last() -> None:
    model = network()
    steps = list(lw.ascend(model, O.Logit(0), SAMPLES, E.L2(0.1), steps=5))
    assert [now.steps for now in steps] == [1, 2, 3, 4, 5]
    asked = iter([False, False, True])
    assert lw.prototype(model, O.Logit(0), SAMPLES, steps=50, abandoned=lambda: next(asked)).steps == 3
    further = lw.prototype(model, O.Logit(0), SAMPLES, E.L2(0.1), steps=5, start=steps[-1])
    assert bool((further.scores[0] >= steps[-1].scores[0] - 1e-4).all())


def test_numbers_that_are_not_finite_end_it_with_the_last_good_picture() -> None:
    class Breaking(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (0.9 - x.reshape(len(x), -1)[:, :1]).log() * -1.0

    with pytest.raises(lw.ClimbError, match=r"came to NaN or infinity at step \d+") as error:
        lw.prototype(Breaking(), O.Logit(0), SAMPLES, count=1)
    assert error.value.last is not None and bool(error.value.last.inputs.isfinite().all())


def test_experts_are_kept_in_files(tmp_path: Any) -> None:
    for expert in (E.Gaussian.fit(SAMPLES, 0.5), E.RBM.fit(SAMPLES, 2.0, hidden=4, epochs=1)):
        path = tmp_path / "expert.safetensors"
        expert.save(path)
        same = type(expert).load(path)
        assert same.strength == expert.strength and same.shape == expert.shape
        torch.testing.assert_close(same.log_density(SAMPLES.inputs), expert.log_density(SAMPLES.inputs))
    with pytest.raises(ValueError, match="holds RBM, not Gaussian"):
        E.Gaussian.load(path)


class Silent(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.detach().reshape(len(x), -1)[:, :2]


def climbed(model: Any, objective: Any, like: Any, *settings: Any, **named: Any) -> Any:
    return lw.prototype(model, objective, like, *settings, **named)


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "a class": (lambda m: climbed(m, O.Logit(3), SAMPLES), IndexError, r"must lie in \[0, 2\]"),
    "a channel": (lambda m: climbed(m, O.Channel("0", 4), SAMPLES), IndexError, r"channel of '0' must lie in \[0, 3\]"),
    "a neuron": (lambda m: climbed(m, O.Neuron("0", (0, 99, 0)), SAMPLES), IndexError, "A neuron of '0' has 3 indices"),
    "a layer": (lambda m: climbed(m, O.Layer("conv9"), SAMPLES), KeyError, "no layer 'conv9'. Its layers are: 0, 1"),
    "a direction": (lambda m: climbed(m, O.Direction("0", [1.0]), SAMPLES), ValueError, "has 4 numbers, one a channel"),
    "an expert of another shape": (
        lambda m: climbed(m, O.Logit(0), SAMPLES, E.Gaussian.fit(torch.rand(9, 5))),
        ValueError,
        "was fitted on inputs of shape",
    ),
    "a generator of another shape": (
        lambda m: climbed(m, O.Logit(0), SAMPLES, image=P.Code(nn.Linear(3, 7))),
        ValueError,
        "The generator makes inputs of shape",
    ),
    "a generator that says no size": (lambda m: P.Code(nn.ReLU()), ValueError, "does not say how long a code is"),
    "a strength": (lambda m: E.L2(-1.0), ValueError, "L2.strength must be a finite number of at least 0, got -1.0"),
    "a strength that is none": (lambda m: E.TotalVariation(math.nan), ValueError, "must be a finite number"),
    "no gradient": (lambda m: lw.prototype(Silent(), O.Logit(0), SAMPLES), ValueError, "The objective has no gradient"),
    "features in a spectrum": (
        lambda m: lw.prototype(nn.Linear(5, 2), O.Logit(0), torch.rand(2, 5), image=P.Fourier()),
        ValueError,
        "needs inputs with positions",
    ),
    "no objective": (lambda m: climbed(m, 3, SAMPLES), TypeError, "objective must be one of lw.objectives"),
    "no samples": (lambda m: climbed(m, O.Logit(0), 3), TypeError, "like must be lw.Samples or a tensor"),
    "steps": (
        lambda m: climbed(m, O.Logit(0), SAMPLES, steps=10**9),
        ValueError,
        "steps must be a whole number from 1",
    ),
    "too many numbers": (lambda m: E.Gaussian.fit(torch.rand(3, 5000)), ValueError, "which is too many"),
    "training mode": (
        lambda m: lw.prototype(
            nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(288, 2)).train(), O.Logit(0), SAMPLES
        ),
        ValueError,
        "must be in evaluation mode",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_error(name: str) -> None:
    call, kind, text = BAD[name]
    with pytest.raises(kind, match=text):
        call(network())


def test_digits_are_named_by_a_network_that_was_not_asked() -> None:
    """The network's own probability says nothing; another one's does. With the Gaussian, all ten are named."""
    samples = lw.demo.data.digits()
    model, judge = lw.demo.models.digits_cnn(), lw.demo.models.digits_mlp()
    expert = lw.experts.Gaussian.fit(samples, 0.1)
    for digit in range(10):
        found = lw.prototype(model, O.LogProbability(digit), samples, expert, count=1, steps=60)
        assert int(judge(found.inputs).argmax(1)) == digit
