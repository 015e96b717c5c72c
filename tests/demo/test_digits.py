"""The digits come out like MNIST, the same every time, split once and for all."""

from __future__ import annotations

import importlib.util
import sys
from types import SimpleNamespace

import pytest
import torch

from lrp_widgets.demo import data
from lrp_widgets.demo.data.digits import CLASSES, like_mnist
from lrp_widgets.samples import Samples


@pytest.fixture(scope="module")
def whole() -> Samples:
    return data.digits("all")


def labels_of(samples: Samples) -> torch.Tensor:
    return torch.as_tensor(samples.labels)


def test_what_it_returns() -> None:
    samples = data.digits()
    assert isinstance(samples, Samples)
    assert samples.inputs.shape == (359, 1, 28, 28)
    assert samples.inputs.dtype == torch.float32
    assert samples.inputs.min() == 0
    assert samples.inputs.max() == 1
    assert samples.classes == CLASSES == tuple("0123456789")
    assert (samples.low, samples.high) == (0.0, 1.0)
    assert set(labels_of(samples).tolist()) == set(range(10))


def test_the_tuple_is_complete() -> None:
    assert list(data.DATA) == [data.digits, data.faces, data.photos]


def test_splits_part_the_whole(whole: Samples) -> None:
    train, test = data.digits("train"), data.digits("test")
    assert (len(whole), len(train), len(test)) == (1797, 1438, 359)
    together = torch.cat([train.inputs, test.inputs]).flatten(1)
    assert sorted(map(hash, map(bytes, together.numpy()))) == sorted(
        map(hash, map(bytes, whole.inputs.flatten(1).numpy()))
    )


def test_the_same_every_time() -> None:
    one, other = data.digits(), data.digits()
    assert torch.equal(one.inputs, other.inputs)
    assert torch.equal(labels_of(one), labels_of(other))
    # Worked once and written down: the split must not move, or the networks would be tested on what they have seen.
    assert labels_of(one)[:12].tolist() == [4, 5, 6, 9, 4, 7, 8, 9, 9, 6, 9, 9]


def test_agrees_with_scikit_learn(whole: Samples) -> None:
    # The first digit as scikit-learn prints it, and how many of each it counts: importing it would take seconds.
    first = [
        [0, 0, 5, 13, 9, 1, 0, 0],
        [0, 0, 13, 15, 10, 15, 5, 0],
        [0, 3, 15, 2, 0, 11, 8, 0],
        [0, 4, 12, 0, 0, 8, 8, 0],
        [0, 5, 8, 0, 0, 9, 8, 0],
        [0, 4, 11, 0, 1, 12, 7, 0],
        [0, 2, 14, 5, 10, 12, 0, 0],
        [0, 0, 6, 13, 10, 0, 0, 0],
    ]
    assert torch.allclose(whole.inputs[:1], like_mnist(torch.tensor([first]) / 16), atol=1e-6)
    assert torch.bincount(labels_of(whole)).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_ink_lies_where_mnist_has_it(whole: Samples) -> None:
    pictures = whole.inputs[:, 0]
    middle = torch.arange(28) + 0.5
    for axis in (1, 2):
        mass = pictures.sum(3 - axis)
        centre = (mass * middle).sum(1) / mass.sum(1)
        assert (centre - 14.5).abs().max() < 0.3
    tall = (pictures > 0.5).any(2).sum(1)
    wide = (pictures > 0.5).any(1).sum(1)
    longest = torch.maximum(tall, wide)
    assert longest.float().mean() == pytest.approx(20, abs=0.7)
    assert longest.max() <= 22


def test_aspect_is_kept() -> None:
    bar = torch.zeros(2, 8, 8)
    bar[0, 1:7, 3:5] = 1  # three times as tall as wide
    bar[1, 3:5, 1:7] = 1
    upright, lying = like_mnist(bar)[:, 0]
    assert torch.allclose(upright, lying.T, atol=1e-6)
    tall, wide = int((upright > 0.5).any(1).sum()), int((upright > 0.5).any(0).sum())
    assert tall == pytest.approx(20, abs=1)
    assert wide == pytest.approx(20 / 3, abs=1)


def test_blank_paper_stays_blank() -> None:
    assert torch.equal(like_mnist(torch.zeros(1, 8, 8)), torch.zeros(1, 1, 28, 28))


def test_a_wrong_split_is_named() -> None:
    with pytest.raises(ValueError) as caught:
        data.digits("validation")
    assert str(caught.value) == "digits.split must be one of 'all', 'train', 'test', got 'validation'."


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError) as caught:
        data.digits()
    assert str(caught.value) == (
        "demo.data.digits reads the digits that come with scikit-learn, which is not installed: "
        "pip install scikit-learn."
    )


def test_without_the_file_in_scikit_learn(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(FileNotFoundError) as caught:
        data.digits()
    assert str(caught.value) == (
        "demo.data.digits must find datasets/data/digits.csv.gz inside scikit-learn, got nothing at "
        f"{tmp_path / 'datasets' / 'data' / 'digits.csv.gz'}. Reinstall scikit-learn."
    )


def test_needs_no_slow_import(monkeypatch: pytest.MonkeyPatch) -> None:
    # Importing them takes seconds, which a person would wait for before the first picture.
    for name in ("sklearn.datasets", "sklearn.utils", "scipy", "pandas", "PIL"):
        monkeypatch.setitem(sys.modules, name, None)
    assert len(data.digits()) == 359
