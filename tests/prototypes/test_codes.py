"""Codes begin where they are told to, at the best of several draws, and stay on their shell."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw

LIKE = torch.zeros(1, 6)


def decoder() -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(3, 6)


def model() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(6, 4).eval()


def climbed(image: lw.parameterizations.Code, steps: int = 1, start: Tensor | None = None) -> lw.Prototypes:
    return lw.prototype(model(), lw.objectives.Logit(2), LIKE, None, image, 5, steps, start=start)


def test_codes_that_are_handed_over_are_where_it_begins() -> None:
    z = torch.arange(15.0).reshape(5, 3) / 10
    found = climbed(lw.parameterizations.Code(decoder()), start=z)
    torch.testing.assert_close(found.parameters, z)
    with pytest.raises(ValueError, match=r"start must be codes of shape \(5, 3\), got \(5, 6\)"):
        climbed(lw.parameterizations.Code(decoder()), start=torch.zeros(5, 6))


def test_each_begins_at_the_best_of_its_draws() -> None:
    one, best = (climbed(lw.parameterizations.Code(decoder(), draws=draws)) for draws in (1, 40))
    assert bool((best.scores[0] > one.scores[0]).all())
    assert len(best.parameters.unique(dim=0)) == 5
    again = climbed(lw.parameterizations.Code(decoder(), draws=40))
    assert torch.equal(best.parameters, again.parameters)


def test_codes_stay_on_their_shell() -> None:
    found = climbed(lw.parameterizations.Code(decoder(), shell=True), 30)
    torch.testing.assert_close(found.parameters.norm(dim=1), torch.full((5,), 3**0.5))
    # Of a linear model the best code of this length points along its weight.
    along = decoder().weight.T @ model().weight[2]
    expected = 3**0.5 * along / along.norm()
    far = climbed(lw.parameterizations.Code(decoder(), shell=True), 400)
    torch.testing.assert_close(far.parameters, expected.expand(5, 3), rtol=1e-2, atol=1e-2)
    assert float(climbed(lw.parameterizations.Code(decoder()), 30).parameters.norm(dim=1).max()) > 3**0.5


@pytest.mark.parametrize("draws", [0, -1, 2.0, True, 10**9])
def test_bad_numbers_of_draws_are_refused(draws) -> None:
    with pytest.raises(ValueError, match=r"Code\.draws must be a whole number from 1 to"):
        lw.parameterizations.Code(decoder(), draws=draws)


def test_a_bad_shell_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Code\.shell must be True or False"):
        lw.parameterizations.Code(decoder(), shell=1)  # type: ignore[arg-type]
