"""A real ImageNet network explained on real photographs: the books close, and relevance lies on the object."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import lrp_widgets as lw
from tests.demo import imagenet, mobilenet

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not imagenet.HERE, reason=imagenet.REASON)]

SHEET = (Path(__file__).parents[2] / "docs/imagenet.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(lw\..+)` \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE)
MEASURED = {row[1]: tuple(map(float, row.groups()[1:])) for row in ROW.finditer(SHEET)}
BEST = "lw.epsilon_plus()"


@pytest.fixture(scope="module")
def model() -> mobilenet.MobileNet:
    return mobilenet.load(imagenet.WEIGHTS)


@pytest.fixture(scope="module")
def samples() -> lw.Samples:
    return imagenet.samples()


@pytest.fixture(scope="module")
def ratios(model: mobilenet.MobileNet, samples: lw.Samples) -> Callable[[str], np.ndarray]:
    """By composite: how much more positive relevance is inside of a box (column) than its area, for each map (row)."""
    explainer = lw.Explainer(model)
    rows = [imagenet.names().index(name) for name in imagenet.BOXES]

    def of(composite: str) -> np.ndarray:
        found = []
        for row in rows:
            x, target = samples.inputs[row : row + 1], int(torch.as_tensor(samples.labels)[row])
            (relevance,) = explainer.explain(x, target, lw.LRP(eval(composite))).relevance
            inside = [imagenet.shares(relevance, box) for box in imagenet.BOXES.values()]
            found.append([share / area for share, area in inside])
        return np.array(found)

    return of


def test_what_the_network_finds(model: mobilenet.MobileNet, samples: lw.Samples) -> None:
    labels = torch.as_tensor(samples.labels)
    with torch.no_grad():
        found = model(samples.inputs).argmax(1)
    assert len(samples) == 38 and int((found == labels).sum()) == 28
    assert samples.classes is not None and [samples.name(i) for i in (0, 1, 999)] == [
        "tench",
        "goldfish",
        "toilet tissue",
    ]


@pytest.mark.parametrize("composite", [lw.epsilon(), lw.layered(low=-1, high=1), eval(BEST)], ids=str)
def test_every_step_closes(model: mobilenet.MobileNet, samples: lw.Samples, composite: lw.Composite) -> None:
    for inputs in samples.inputs.split(10):
        explanation = lw.Explainer(model).explain(inputs, None, lw.LRP(composite))
        assert explanation.fallbacks == ()
        assert [layer.name for layer in explanation.layers if not layer.closes] == []
        assert not any(layer.op == "batch_norm" for layer in explanation.layers)  # all of them fold


def test_the_boxes_follow_their_rule(model: mobilenet.MobileNet, samples: lw.Samples) -> None:
    assert len(imagenet.BOXES) == 10 and list(imagenet.BOXES) == sorted(imagenet.BOXES)
    rows = [imagenet.names().index(name) for name in imagenet.BOXES]
    with torch.no_grad():
        found = model(samples.inputs[rows]).argmax(1)
    assert torch.equal(found, torch.as_tensor(samples.labels)[rows])
    for left, top, right, bottom in imagenet.BOXES.values():
        assert 0 <= left < right <= 224 and 0 <= top < bottom <= 224
        assert (right - left) * (bottom - top) < 0.6 * 224**2


@pytest.mark.parametrize("composite", MEASURED)
def test_the_sheet_says_what_is_measured(ratios: Callable[[str], np.ndarray], composite: str) -> None:
    found = ratios(composite)
    own, others = np.diag(found), found[~np.eye(len(found), dtype=bool)]
    assert (own.mean(), own.min(), others.mean()) == pytest.approx(MEASURED[composite], abs=0.02)


def test_the_best_is_on_the_object() -> None:
    """The numbers themselves are held to what is measured above."""
    mean, worst, others = MEASURED[BEST]
    assert mean == max(known for known, _, _ in MEASURED.values())
    assert mean >= 1.5 and worst >= 1.5 and mean > 1.5 * others
    assert len(MEASURED) == 11
