"""Patches, superpixels and label maps, and what is removed when."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.evaluation import random_flipping, stream_flipping, superpixels
from lrp_widgets.evaluation.flipping.regions import regions_of
from lrp_widgets.modalities.modality import patches

MAP = np.array([[7, 7, 7, 2], [7, 5, 5, 2]])  # 2: two pixels, 5: two, 7: four


def adding(weights: Any) -> nn.Module:
    """f = Σ w x, so that the curve tells what has gone."""
    weights = torch.as_tensor(weights, dtype=torch.float64)
    model = nn.Sequential(nn.Flatten(), nn.Linear(weights.numel(), 1, bias=False)).double()
    with torch.no_grad():
        model[1].weight.copy_(weights.reshape(1, -1))
    return model


def test_patches_by_hand() -> None:
    assert patches(3, 5, 2).tolist() == [[0, 0, 1, 1, 2], [0, 0, 1, 1, 2], [3, 3, 4, 4, 5]]
    assert patches(1, 5, 3).tolist() == [[0, 0, 0, 1, 1]]
    assert patches(2, 2, 9).tolist() == [[0, 0], [0, 0]]


def test_a_label_map_is_counted_from_zero() -> None:
    expected = [[2, 2, 2, 0], [2, 1, 1, 0]]
    assert regions_of(MAP, 2, 4).tolist() == regions_of(torch.from_numpy(MAP), 2, 4).tolist() == expected
    assert regions_of([9, 9, 4], 1, 3).tolist() == [[1, 1, 0]]


@pytest.mark.parametrize(("pooling", "first"), [("sum", 7), ("mean", 5)])
def test_regions_go_by_sum_or_mean(pooling: str, first: int) -> None:
    heatmap = np.select([MAP == 7, MAP == 5], [2.0, 3.0], 1.0)  # sums 8, 6, 2; means 2, 3, 1
    model, x = adding(np.select([MAP == 7, MAP == 5], [100.0, 10.0], 1.0)), torch.ones(1, 1, 2, 4).double()
    curve = lw.pixel_flipping(model, x, heatmap, 0, regions=MAP, pooling=pooling)
    if first == 7:
        assert curve.values.tolist() == [422, 22, 2, 0]
        assert curve.removed.tolist() == [0, 4 / 8, 6 / 8, 1]
    else:
        assert curve.values.tolist() == [422, 402, 2, 0]
        assert curve.removed.tolist() == [0, 2 / 8, 6 / 8, 1]
    assert curve.of == "pixels" and curve.ranking == "ranked once"


def test_square_regions_are_patches() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(30, 5), nn.Tanh(), nn.Linear(5, 2))
    x, heatmap = torch.rand(1, 1, 5, 6), np.random.default_rng(0).normal(size=(5, 6))
    for order in ("most", "least", "random"):
        one = lw.pixel_flipping(model, x, heatmap, 1, patch=2, order=order)
        other = lw.pixel_flipping(model, x, heatmap, 1, regions=patches(5, 6, 2), order=order)
        assert one.values.tolist() == other.values.tolist()
    assert (one.of, other.of) == ("patches", "pixels")


def test_the_random_band_of_regions_is_read_at_even_shares() -> None:
    model, x = adding(np.select([MAP == 7, MAP == 5], [100.0, 10.0], 1.0)), torch.ones(1, 1, 2, 4).double()
    band = random_flipping(model, x, 0, regions=MAP, seeds=4)
    curves = [lw.pixel_flipping(model, x, MAP, 0, regions=MAP, order="random", seed=seed) for seed in range(4)]
    expected = [np.interp([0, 1 / 3, 2 / 3, 1], curve.removed, curve.values) for curve in curves]
    assert band.values.tolist() == pytest.approx(np.mean(expected, 0).tolist())
    assert band.low is not None and band.low.tolist() == pytest.approx(np.min(expected, 0).tolist())
    assert band.band == "lowest and highest of 4 orders"


def test_ranked_again_after_each_removal() -> None:
    """f = max(3a, 2b) + c. Ranked once by gradient × input: a c b. Once a is gone, b is worth 2 and goes first."""

    class Larger(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.maximum(3 * x[:, :1], 2 * x[:, 1:2]) + x[:, 2:]

    model, x = Larger(), torch.ones(1, 3)
    explainer, seen = lw.Explainer(model), []

    def explain(left: torch.Tensor) -> torch.Tensor:
        seen.append(left.tolist())
        return explainer.explain(left, 0, lw.SimpleTaylor()).relevance

    heatmap = explain(x)
    seen.clear()
    once = lw.pixel_flipping(model, x, heatmap, 0, patch=1)
    assert once.values.tolist() == [4, 3, 2, 0] and once.ranking == "ranked once"
    again = lw.pixel_flipping(model, x, heatmap, 0, patch=1, explain=explain)
    assert again.values.tolist() == [4, 3, 1, 0] and again.ranking == "ranked again each time"
    assert seen == [[[0, 1, 1]], [[0, 0, 1]]]
    least = lw.pixel_flipping(model, x, heatmap, 0, patch=1, order="least", explain=explain)
    assert least.values.tolist() == [4, 4, 3, 0]


def test_ranked_again_with_a_constant_heatmap_is_ranked_once() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    x, heatmap = torch.rand(1, 1, 6, 6).double(), np.random.default_rng(0).normal(size=(6, 6))
    for steps in (None, 4):
        for how in (None, "imputation"):
            given: Any = {"patch": 2, "steps": steps, "removal": how}
            once = lw.pixel_flipping(model, x, heatmap, 1, **given)
            again = lw.pixel_flipping(model, x, heatmap, 1, explain=lambda left: heatmap, **given)
            assert again.values.tolist() == pytest.approx(once.values.tolist(), abs=1e-12)
            assert again.removed.tolist() == once.removed.tolist()


def test_it_can_be_stopped_anywhere() -> None:
    model, x, asked = adding(np.ones(9)), torch.ones(1, 9).double(), []

    def explain(left: torch.Tensor) -> torch.Tensor:
        asked.append(left)
        return left

    stream = stream_flipping(model, x, x, 0, patch=1, explain=explain)
    first = [next(stream) for _ in range(3)]
    stream.close()
    assert [len(curve.values) for curve in first] == [1, 2, 3]
    assert len(asked) == 1  # nothing is explained ahead
    assert first[-1].values.tolist() == [9, 8, 7]


@pytest.mark.parametrize("how", ["mean", "blur", "noise", "imputation"])
def test_the_removal_is_said_and_done(how: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2)).double()
    x, heatmap = torch.rand(1, 1, 6, 6).double(), np.random.default_rng(0).normal(size=(6, 6))
    kind = lw.evaluation.flipping.removal.removal_of(how)
    whole = lw.pixel_flipping(model, x, heatmap, 1, patch=3, removal=how)
    assert whole.removal == kind.caption
    everything = kind.removed(x, torch.ones(1, 1, 6, 6, dtype=torch.bool))
    assert whole.values[-1] == pytest.approx(float(model(everything)[0, 1].detach()))
    for batch in (1, 3):  # in chunks of any size
        parts = list(stream_flipping(model, x, heatmap, 1, patch=3, removal=kind, batch=batch))
        assert parts[-1].values.tolist() == pytest.approx(whole.values.tolist(), abs=1e-12)


def test_superpixels_of_two_halves() -> None:
    pytest.importorskip("skimage", reason="superpixels need scikit-image")
    for channels in (1, 3):
        x = torch.zeros(1, channels, 16, 16)
        x[..., 8:] = 5.0
        labels = superpixels(x, 4)
        assert labels.shape == (16, 16) and labels.dtype.kind == "i"
        assert not set(np.unique(labels[:, :8])) & set(np.unique(labels[:, 8:]))
        curve = lw.pixel_flipping(adding(x), x.double(), np.arange(256).reshape(16, 16), 0, regions=labels)
        assert curve.values[-1] == 0 and curve.removed[-1] == 1


def test_without_scikit_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ImportError) as caught:
        superpixels(torch.rand(1, 1, 8, 8))
    assert str(caught.value) == (
        "superpixels needs scikit-image, which is not installed. Install it with pip install scikit-image, "
        "or give your own label map."
    )


def flip(**changes: Any) -> lw.Curve:
    given: dict[str, Any] = {
        "model": adding(np.ones(8)),
        "x": torch.ones(1, 1, 2, 4).double(),
        "heatmap": MAP,
        "patch": 2,
    }
    return lw.pixel_flipping(**given | changes)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: flip(regions=MAP + 0.5),
            "TypeError: regions must be a label map, one whole number a pixel (2 x 4), got ndarray of float64. "
            "Make one with superpixels(x).",
        ),
        (
            lambda: flip(regions="slic"),
            "TypeError: regions must be a label map, one whole number a pixel (2 x 4), got str of <U4. "
            "Make one with superpixels(x).",
        ),
        (
            lambda: flip(regions=MAP.T),
            "ValueError: regions must be a label map, one whole number a pixel (2 x 4), got shape (4, 2). "
            "Make one of the size of the input.",
        ),
        (lambda: flip(pooling="max"), "ValueError: pooling must be one of 'sum', 'mean', got 'max'."),
        (
            lambda: flip(explain=MAP),
            "ValueError: explain must be a function that makes a heatmap of an input, and needs an order to rank by, "
            "got ndarray with order='most'. Leave it out to rank once.",
        ),
        (
            lambda: flip(explain=lambda x: x, order="random"),
            "ValueError: explain must be a function that makes a heatmap of an input, and needs an order to rank by, "
            "got function with order='random'. Leave it out to rank once.",
        ),
        (
            lambda: flip(explain=lambda x: x[..., 1:]),
            "ValueError: The heatmap must have one value a pixel (2 x 4), or the shape of the input (1, 1, 2, 4), "
            "got shape (1, 1, 2, 3).",
        ),
        (
            lambda: superpixels(torch.ones(1, 5)),
            "ValueError: superpixels needs a picture (1, channels, height, width), got shape (1, 5). "
            "Give your own label map.",
        ),
        (
            lambda: superpixels(torch.ones(1, 1, 5, 5), compactness=0),
            "ValueError: compactness must be a number above 0, got 0.",
        ),
    ],
)
def test_messages(make: Any, said: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        make()
    assert f"{type(caught.value).__name__}: {caught.value}" == said
