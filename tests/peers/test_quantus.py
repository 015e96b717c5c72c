"""Pixel flipping under the conventions of Quantus: one feature after another, black, probability, no first score."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.evaluation.flipping.imputation import imputed


def networks() -> list[tuple[nn.Module, torch.Tensor]]:
    torch.manual_seed(0)
    convolutions = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5)).eval()
    dense = nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.Tanh(), nn.Linear(9, 5)).eval()
    return [(model, torch.rand(3, 1, 8, 8)) for model in (convolutions, dense)]


def heatmaps(model: nn.Module, x: torch.Tensor, classes: list[int]) -> np.ndarray:
    """Relevance without ties, which Quantus leaves to an unstable sort."""
    relevance = lw.Explainer(model).explain(x, classes, lw.LRP(lw.epsilon())).relevance.numpy()
    return relevance + 1e-4 * np.random.default_rng(0).normal(size=relevance.shape)


def as_documented(
    model: nn.Module,
    x: np.ndarray,
    classes: list[int],
    relevance: np.ndarray,
    features: int,
    black: float,
    softmax: bool,
) -> np.ndarray:
    """Sort by relevance, the largest first; set the next `features` of them to the baseline; predict; go on."""
    curves = []
    for row, target, r in zip(x, classes, relevance, strict=True):
        left, order, curve = row.copy().reshape(-1), np.argsort(-r.reshape(-1)), []
        for start in range(0, len(order), features):
            left[order[start : start + features]] = black
            with torch.no_grad():
                scores = model(torch.from_numpy(left.reshape(1, *row.shape)))[0]
            curve.append(float((scores.softmax(0) if softmax else scores)[target]))
        curves.append(curve)
    return np.array(curves)


def ours(
    model: nn.Module, x: torch.Tensor, classes: list[int], relevance: np.ndarray, features: int, black: float, unit: str
) -> np.ndarray:
    steps = x[0].numel() // features
    curves = [
        lw.pixel_flipping(model, x[i : i + 1], r, c, patch=1, baseline=black, unit=unit, steps=steps)
        for i, (r, c) in enumerate(zip(relevance, classes, strict=True))
    ]
    return np.array([curve.values[1:] for curve in curves])


CLASSES = [4, 0, 2]


@pytest.mark.parametrize("unit", ["logit", "probability"])
@pytest.mark.parametrize("features", [1, 8, 16])
def test_against_the_algorithm_as_it_is_documented(features: int, unit: str) -> None:
    for model, x in networks():
        r = heatmaps(model, x, CLASSES)
        expected = as_documented(model, x.numpy(), CLASSES, r, features, 0.25, unit == "probability")
        assert np.abs(ours(model, x, CLASSES, r, features, 0.25, unit) - expected).max() < 1e-6


def quantus() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("quantus", reason="Quantus is not installed")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("unit", ["logit", "probability"])
@pytest.mark.parametrize("features", [1, 8])
def test_against_quantus(features: int, unit: str, measured: Any) -> None:
    metric = quantus().PixelFlipping(
        features_in_step=features, perturb_baseline=0.25, normalise=False, disable_warnings=True
    )
    for model, x in networks():
        r = heatmaps(model, x, CLASSES)
        theirs = metric(
            model=model,
            x_batch=x.numpy(),
            y_batch=np.array(CLASSES),
            a_batch=r,
            softmax=unit == "probability",
            channel_first=True,
        )
        apart = float(np.abs(ours(model, x, CLASSES, r, features, 0.25, unit) - np.array(theirs)).max())
        measured("pixel flipping: ours against Quantus", apart)
        assert apart < 1e-6


@pytest.mark.filterwarnings("ignore")
def test_imputation_against_quantus(measured: Any) -> None:
    quantus()
    from quantus.functions.perturb_func import noisy_linear_imputation  # type: ignore[import-not-found]

    draw = np.random.default_rng(0)
    picture, gone = draw.normal(size=(2, 9, 7)), draw.random((9, 7)) < 0.6
    theirs = noisy_linear_imputation(picture, np.flatnonzero(gone), noise=0.0)
    got = imputed(torch.from_numpy(picture)[None], torch.from_numpy(gone)[None, None])[0].numpy()
    measured("linear imputation: ours against Quantus", np.abs(got - theirs).max())
    assert np.abs(got - theirs).max() < 1e-8
