"""The page Prototype of the explore app: what the chosen class or channel looks for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

import lrp_widgets as lw

PATIENCE = 120.0  # s


@pytest.fixture
def dashboard(opened, few):
    return opened(lw.explore, few)


def test_it_shows_the_prototypes_of_the_chosen_class_and_then_of_the_channel(dashboard, few) -> None:
    view = dashboard.sought.prototypes
    assert view.shape[0] == 0  # nothing is climbed before it is looked at
    dashboard.views.selected = "Prototype"
    assert dashboard.settled(PATIENCE)
    top = int(dashboard.explanation.scores[0].argmax())
    assert f"class {top}" in dashboard.sought.caption.value
    gaussian = lw.experts.Gaussian.fit(few, 0.03)
    found = lw.prototype(
        dashboard.explainer.model, lw.objectives.Logit(top), few, gaussian, count=4, steps=100, rate=0.1
    )
    shown = np.frombuffer(view.pictures, np.uint8).reshape(4, 28, 28)
    np.testing.assert_array_equal(shown, (found.inputs[:, 0] * 255).round().numpy().astype(np.uint8))
    sequence = view.sequence
    dashboard.source.value = 1  # another sample
    assert dashboard.settled(PATIENCE)
    dashboard.classes.set_state({"selected": 8, "auto": False})
    assert dashboard.settled(PATIENCE)
    assert "class 8" in dashboard.sought.caption.value and view.sequence > sequence
    dashboard.settings = dataclasses.replace(dashboard.settings, layer="features.3", channel=2)
    assert dashboard.settled(PATIENCE)
    assert "channel 2 of features.3" in dashboard.sought.caption.value
    sequence = view.sequence
    dashboard.methods.value = lw.LRP(lw.epsilon())  # another method changes nothing of what is looked for
    assert dashboard.settled(PATIENCE)
    assert view.sequence == sequence


def test_what_cannot_be_climbed_is_said_and_the_app_lives(opened, few) -> None:
    class Detached(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = lw.demo.models.digits_cnn()
            self.silent = False

        def forward(self, x):
            return self.inner(x.detach() if self.silent else x)

    dashboard = opened(lw.explore, few, Detached().eval())
    dashboard.explainer.model.silent = True
    assert list(dashboard.sought.of(dashboard.settings, 3, lambda: False))[-1].pictures is None
    dashboard.explainer.model.silent = False
    dashboard.views.selected = "Prototype"
    assert dashboard.settled(PATIENCE) and dashboard.status.level == "ok"
