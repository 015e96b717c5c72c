"""The imagine app on other models and other kinds of data, and on what cannot be climbed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.apps.imagine.imagine import Imagine

PATIENCE = 120.0  # s


def imagined(model: nn.Module, samples: lw.Samples | Tensor, **options: Any) -> Imagine:
    torch.manual_seed(0)
    app = lw.imagine(model, samples, **options)
    app.controls.climb["steps"].value = 5
    assert app.settled(PATIENCE)
    return app


def network(*layers: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*layers).eval()


def test_signals() -> None:
    model = network(nn.Conv1d(2, 4, 5, padding=2), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3))
    app = imagined(model, lw.Samples(torch.rand(20, 2, 64), modality="signal"))
    assert app.status.level == "ok"
    assert "Fourier" in app.controls.image.options
    assert app.controls.climb["robust"].layout.display == "none"  # signals are not turned
    app.controls.kind.value = "channel"
    assert app.settled(PATIENCE) and app.status.level == "ok"
    app.close()


def test_colours_begin_with_spectra_that_bear_moves() -> None:
    model = network(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 18 * 18, 2))
    app = imagined(model, torch.rand(5, 3, 20, 20))
    climb = app.asked.settings.climb
    assert (climb.image, climb.expert, climb.robust) == ("Fourier", "none", True)
    assert app.status.level == "ok" and app.results.prototypes.shape == [4, 20, 20, 3]
    app.close()


def test_one_output_has_no_probability() -> None:
    app = imagined(network(nn.Linear(5, 1)), torch.rand(20, 5))
    kinds = [value for _, value in app.controls.kind.inner.options]
    assert "probability" not in kinds and "log-probability" not in kinds and "logit" in kinds
    assert "its output" in app.results.said.value
    app.close()


class _Detached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x).detach()


def test_a_model_without_a_gradient_is_one_error() -> None:
    app = imagined(_Detached().eval(), torch.rand(9, 4))
    assert app.status.text == (
        "ValueError: The objective has no gradient: it does not depend on the input by torch's operations."
    )
    assert app.results.prototypes.stale
    app.close()


def test_a_generator_of_other_inputs_is_one_error_and_the_app_lives() -> None:
    app = imagined(network(nn.Linear(4, 2)), torch.rand(9, 4), generator=nn.Linear(3, 5))
    app.controls.image.value = "code"
    assert app.settled(PATIENCE)
    assert "The generator makes inputs of shape (5,), the model takes (4,)" in app.status.text
    app.controls.image.value = "pixels"
    assert app.settled(PATIENCE) and app.status.level == "ok"
    app.close()


@pytest.mark.parametrize("name", ["strength", "count", "rate", "steps"])
def test_a_forged_slider_is_refused(name: str) -> None:
    app = imagined(network(nn.Linear(4, 2)), torch.rand(9, 4))
    app.controls.climb[name].inner.set_state({"value": -5})
    assert app.settled(PATIENCE)
    assert getattr(app.asked.settings.climb, name) > 0
    app.close()
