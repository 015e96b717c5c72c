"""The demo's decoder and experts carry their numbers, say how they were made, and do what they are for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import lrp_widgets as lw
from lrp_widgets.demo import experts, generators
from lrp_widgets.demo.experts.digits_gaussian import Factors
from lrp_widgets.demo.experts.digits_rbm import Machine
from lrp_widgets.demo.generators.digits_vae import CODE, DigitsDecoder
from lrp_widgets.demo.weights import FOLDER, describe

NAMES = ("digits_vae", "digits_gaussian", "digits_rbm")


def name_of(load: Any) -> str:
    return load.__module__.rpartition(".")[2]


def test_the_tuples_are_complete() -> None:
    assert [name_of(load) for load in (*generators.GENERATORS, *experts.EXPERTS)] == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_files_are_small_and_their_cards_tell_of_them(name: str) -> None:
    assert (FOLDER / f"{name}.safetensors").stat().st_size < 1_000_000
    said, card = describe(name), (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    for key in ("command", "sha256", *(key for key in said if key.endswith("held_out"))):
        assert said[key] in card, key
    for heading in ("## Data", "## Made by", "## Intended use and limits"):
        assert heading in card


def test_the_decoder_makes_digits() -> None:
    decoder = generators.digits_vae()
    assert not decoder.training and decoder.code_size == CODE and 8 <= CODE <= 16
    codes = torch.randn(400, CODE, generator=torch.Generator().manual_seed(0))
    made = decoder(codes).detach()
    assert made.shape == (400, 1, 28, 28) and float(made.min()) >= 0 and float(made.max()) <= 1
    called = [model()(made).argmax(1) for model in (lw.demo.models.digits_cnn, lw.demo.models.digits_mlp)]
    assert len(called[0].unique()) == 10
    # Two networks agree on what they are more often than on noise of the same brightness.
    noise = made.flatten(1)[:, torch.randperm(784, generator=torch.Generator().manual_seed(0))].reshape(made.shape)
    alike = (called[0] == called[1]).float().mean()
    on_noise = (lw.demo.models.digits_cnn()(noise).argmax(1) == lw.demo.models.digits_mlp()(noise).argmax(1)).float()
    assert alike > 0.75 > on_noise.mean()


@pytest.mark.parametrize("load", experts.EXPERTS)
def test_an_expert_finds_digits_more_plausible_than_their_negatives(load: Callable[..., Any]) -> None:
    x = lw.demo.data.digits().inputs[:50]
    expert = load(1.0)
    expert.check((1, 28, 28))
    assert bool((expert.log_density(x) > expert.log_density(1 - x)).all())
    assert bool((expert.log_density(x) > expert.log_density(torch.rand_like(x))).all())
    torch.testing.assert_close(load(0.5).log_density(x), 0.5 * expert.log_density(x))
    with pytest.raises(ValueError, match="strength must be a finite number"):
        load(-1)


def test_prototypes_are_named_by_a_network_that_was_not_asked() -> None:
    model, judge, samples = lw.demo.models.digits_cnn(), lw.demo.models.digits_mlp(), lw.demo.data.digits()
    small = (lw.transformations.Jitter(1), lw.transformations.Rotate(8.0))
    code = lw.parameterizations.Code(generators.digits_vae(), draws=32, shell=True)
    for expert, image, robust, rate in (
        (experts.digits_gaussian(0.03), None, (), 0.1),
        (experts.digits_rbm(0.1), None, (), 0.1),
        (None, code, small, 0.05),
    ):
        for digit in (2, 7):
            found = lw.prototype(
                model, lw.objectives.Logit(digit), samples, expert, image, 3, 60, robust=robust, rate=rate
            )
            assert judge(found.inputs).argmax(1).tolist() == [digit] * 3


def test_the_kept_numbers_are_of_their_shapes() -> None:
    assert sum(value.numel() for value in DigitsDecoder().parameters()) == 200_384
    assert {name: tuple(value.shape) for name, value in Factors().named_buffers()} == {
        "mean": (784,),
        "factors": (784, 100),
        "deviation": (1,),
    }
    assert tuple(Machine().weight.shape) == (128, 784)
