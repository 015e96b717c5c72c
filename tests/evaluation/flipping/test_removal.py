"""What stands in the place of a removed pixel: by hand, and against dense slow rewrites."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from lrp_widgets.evaluation import removal
from lrp_widgets.evaluation.flipping.imputation import imputed
from lrp_widgets.evaluation.flipping.removal import removal_of
from lrp_widgets.params import params_of


def some(*gone: tuple[int, int], size: tuple[int, int] = (1, 4)) -> Tensor:
    mask = torch.zeros(1, 1, *size, dtype=torch.bool)
    for place in gone:
        mask[0, 0][place] = True
    return mask


def dense(picture: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """One equation a missing pixel, written out and solved."""
    missing = list(zip(*np.nonzero(gone), strict=True))
    a, b = np.zeros((len(missing), len(missing))), np.zeros(len(missing))
    for row, (y, x) in enumerate(missing):
        for down, right in itertools.product((-1, 0, 1), repeat=2):
            there = (y + down, x + right)
            inside = 0 <= there[0] < picture.shape[0] and 0 <= there[1] < picture.shape[1]
            if there == (y, x) or not inside:
                continue
            weight = 1 / 6 if 0 in (down, right) else 1 / 12
            a[row, row] += weight
            if there in missing:
                a[row, missing.index(there)] -= weight
            else:
                b[row] += weight * picture[there]
    filled = picture.copy()
    for place, value in zip(missing, np.linalg.solve(a, b), strict=True):
        filled[place] = value
    return filled


def test_imputation_by_hand() -> None:
    row = torch.tensor([1.0, 9.0, 9.0, 4.0]).reshape(1, 1, 1, 4)
    # u₁ = (1 + u₂) / 2, u₂ = (u₁ + 4) / 2
    assert imputed(row, some((0, 1), (0, 2))).flatten().tolist() == pytest.approx([1, 2, 3, 4])
    assert imputed(row, some((0, 3))).flatten().tolist() == pytest.approx([1, 9, 9, 9])
    square = torch.arange(9.0).reshape(1, 1, 3, 3).square()
    diagonal, along = (0 + 4 + 36 + 64) / 12, (1 + 9 + 25 + 49) / 6
    assert float(imputed(square, some((1, 1), size=(3, 3)))[0, 0, 1, 1]) == pytest.approx(diagonal + along)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_imputation_against_a_dense_solver(share: float) -> None:
    draw = np.random.default_rng(0)
    picture, gone = draw.normal(size=(2, 7, 6)), draw.random((3, 7, 6)) < share
    got = imputed(torch.from_numpy(picture)[None], torch.from_numpy(gone)[:, None])
    expected = [[dense(channel, mask) for channel in picture] for mask in gone]
    assert np.abs(got.numpy() - np.array(expected)).max() < 1e-8


def test_with_nothing_left_imputation_is_the_mean() -> None:
    picture = torch.rand(1, 2, 3, 3)
    got = imputed(picture, torch.ones(1, 1, 3, 3, dtype=torch.bool))
    assert torch.allclose(got, picture.double().mean((2, 3), keepdim=True).expand(1, 2, 3, 3))
    untouched = imputed(picture, torch.zeros(1, 1, 3, 3, dtype=torch.bool))
    assert torch.equal(untouched, picture.double())


def test_noise_of_the_imputation() -> None:
    picture, gone = torch.rand(1, 1, 40, 40), torch.zeros(2, 1, 40, 40, dtype=torch.bool)
    gone[0, :, 10:30, 10:30] = True
    gone[1, :, 10:20] = True
    how = removal.Imputation(noise=0.5, seed=3)
    got, clean = how.removed(picture, gone), removal.Imputation(noise=0.0).removed(picture, gone)
    added = got - clean
    assert float(added[gone].std()) == pytest.approx(0.5, rel=0.1)
    assert not added[~gone].any()
    both = gone[:1] & gone[1:]
    assert torch.allclose(added[:1][both], added[1:][both], atol=1e-6)  # whatever else is gone
    assert not torch.equal(removal.Imputation(0.5, 4).removed(picture, gone), got)


def test_mean_and_baseline() -> None:
    picture = torch.tensor([[[[1.0, 3.0]], [[10.0, 20.0]]]])
    gone = torch.tensor([[[[True, False]]]])
    assert removal.Mean().removed(picture, gone).flatten().tolist() == [2, 3, 15, 20]
    assert removal.Baseline((7, 8)).removed(picture, gone).flatten().tolist() == [7, 3, 8, 20]


def test_blur_of_a_point_is_a_gaussian() -> None:
    picture = torch.zeros(1, 1, 31, 31).double()
    picture[0, 0, 15, 15] = 1
    got = removal.Blur(2.0).replacement(picture)[0, 0].numpy()
    places = np.arange(31) - 15
    line = np.where(abs(places) <= 6, np.exp(-(places**2) / 8), 0)
    assert np.abs(got - np.outer(line, line) / line.sum() ** 2).max() < 1e-12
    flat = torch.full((1, 2, 3, 5), 0.7).double()
    assert torch.allclose(removal.Blur(4.0).replacement(flat), flat)  # nothing comes in from outside


def test_noise_lies_between_the_extremes_of_its_channel() -> None:
    picture = torch.linspace(-1, 1, 400).reshape(1, 1, 20, 20) * torch.tensor([1.0, 10.0]).reshape(1, 2, 1, 1)
    got = removal.UniformNoise(2).replacement(picture)
    for channel, edge in ((0, 1), (1, 10)):
        assert (
            edge * 0.95 < float(got[0, channel].max()) <= edge and -edge <= float(got[0, channel].min()) < -edge * 0.95
        )
    assert torch.equal(removal.UniformNoise(2).replacement(picture), got)
    assert not torch.equal(removal.UniformNoise(3).replacement(picture), got)


@pytest.mark.parametrize("kind", removal.REMOVALS, ids=lambda kind: kind.__name__)
def test_what_stays_stays_and_each_row_is_its_own(kind: type[removal.Removal]) -> None:
    picture = torch.rand(1, 3, 6, 5)
    gone = torch.rand(4, 1, 6, 5) < 0.4
    got = kind().removed(picture, gone)
    assert got.shape == (4, 3, 6, 5) and got.dtype == picture.dtype
    keep = ~gone.expand(4, 3, 6, 5)
    assert torch.equal(got[keep], picture.expand(4, 3, 6, 5)[keep])
    for row in range(4):
        assert torch.allclose(kind().removed(picture, gone[row : row + 1])[0], got[row], atol=1e-6)
    assert kind.title and kind().caption and kind.reference
    assert all(known.help for known in params_of(kind))
    assert removal_of(kind.name) == kind()


def test_messages() -> None:
    with pytest.raises(ValueError) as caught:
        removal_of("white")
    assert str(caught.value) == (
        "removal must be one of 'baseline', 'mean', 'blur', 'noise', 'imputation', or a setting such as "
        "removal.Blur(4.0), got 'white'."
    )
    with pytest.raises(ValueError, match=r"^Blur.sigma must lie in \[0.1, 100.0\], got 0.$"):
        removal.Blur(0)
    with pytest.raises(ValueError) as caught:
        removal.Baseline((1, 2)).check(torch.zeros(1, 3, 2, 2))
    assert str(caught.value) == "pixel_flipping.baseline must be one number or one per channel (3), got 2."
