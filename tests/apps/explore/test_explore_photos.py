"""The dashboard on photographs: a thousand classes by name, a domain of its own for each channel, a look that fits."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lrp_widgets as lw
from lrp_widgets.apps.explore.explore import Dashboard
from lrp_widgets.apps.session.formatting import _amount
from lrp_widgets.apps.session.settings import Given
from tests.apps.explore.test_explore import moved

KNOWN = lw.Preprocessing(size=112, resize=128, classes=tuple(f"class {index}" for index in range(1000)))


@pytest.fixture(scope="module")
def photographs() -> lw.Samples:
    rng = np.random.default_rng(0)
    return KNOWN.samples([Image.fromarray(rng.integers(0, 256, (140, 150, 3), dtype=np.uint8)) for _ in range(3)])


@pytest.fixture
def dashboard(opened, photographs) -> Dashboard:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 4, 7, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 1000))
    return opened(lw.explore, photographs, nn.Sequential(*layers).eval())


def test_a_thousand_classes_are_told_by_name(dashboard):
    scores = dashboard.explanation.scores[0]
    assert list(dashboard.classes.names) == list(KNOWN.classes)
    assert dashboard.classes.selected == dashboard.classes.top == int(scores.argmax())
    assert dashboard.classes.shown == 10  # of them have a bar: the best
    assert len(dashboard.against.options) == 1001
    assert f"for class class {int(scores.argmax())}." in dashboard.heatmap.description


def test_every_box_is_that_of_the_samples(dashboard):
    composite = dashboard.settings.method.composite
    assert (composite.low, composite.high) == (KNOWN.low, KNOWN.high)


def test_an_upload_lies_in_the_domain_of_the_samples(dashboard):
    content = io.BytesIO()
    picture = Image.new("RGB", (200, 100), "white")
    picture.paste("black", (0, 0, 100, 100))
    picture.save(content, "PNG")
    moved(dashboard, dashboard.upload, content=content.getvalue(), filename="a.png", sequence=1)
    assert isinstance(dashboard.settings.sample, Given)
    assert dashboard.settings.sample.said.endswith("[0, 1] → [low, high] of each channel")
    (x,) = dashboard.explanation.inputs
    torch.testing.assert_close(x.amin((1, 2)), torch.tensor(KNOWN.low))
    torch.testing.assert_close(x.amax((1, 2)), torch.tensor(KNOWN.high))


def test_the_look_of_many_pixels(dashboard, explored):
    assert (dashboard.heatmap.percentile, dashboard.heatmap.pixelated) == (99.5, False)
    dashboard.look.percentile.value = 95.0
    dashboard.look.reset()
    assert dashboard.heatmap.percentile == 99.5
    digits = explored()
    assert (digits.heatmap.percentile, digits.heatmap.pixelated) == (100.0, True)


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "0.000"), (21.4, "21.400"), (-0.0005, "−0.001"), (-4.2e-5, "−4.2e−05"), (3e-9, "3.0e−09")]
)
def test_a_small_sum_is_not_written_as_zero(value: float, said: str):
    assert _amount(value) == said
