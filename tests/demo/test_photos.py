"""The photographs: real, small or whole, in the classes of CIFAR-10 where they have one."""

from __future__ import annotations

import importlib.util
import sys
from types import SimpleNamespace

import pytest
import torch

from lrp_widgets.demo import data
from lrp_widgets.demo.data.photos import CLASSES, PICTURES, WHOLE


def test_small_ones() -> None:
    samples = data.photos()
    assert samples.inputs.shape == (13, 3, 32, 32) and samples.inputs.dtype == torch.float32
    assert samples.inputs.min() >= 0 and samples.inputs.max() <= 1
    assert samples.classes == CLASSES and len(CLASSES) == 10
    assert (samples.low, samples.high) == (0.0, 1.0)
    names = [samples.name(int(label)) for label in torch.as_tensor(samples.labels)]
    assert names == ["cat"] * 3 + ["horse"] + ["unknown"] * 9
    assert len({bytes(picture.numpy()) for picture in samples.inputs}) == 13


def test_a_pixel_is_the_mean_of_what_it_covers() -> None:
    whole, small = data.photos("china").inputs[0], data.photos().inputs[11]
    assert PICTURES[11] == ("china", 0, 0, 427, None)
    assert float(small.mean()) == pytest.approx(float(whole[:, :427, :427].mean()), abs=2e-3)
    assert torch.allclose(small[:, 0, 0], whole[:, :14, :14].mean((1, 2)), atol=1e-6)


@pytest.mark.parametrize("name", WHOLE)
def test_whole_ones(name: str) -> None:
    samples = data.photos(name)
    assert samples.inputs.shape[:2] == (1, 3) and min(samples.inputs.shape[2:]) >= 300
    assert samples.inputs.min() >= 0 and samples.inputs.max() <= 1 and samples.inputs.std() > 0.1
    expected = {"chelsea": "cat", "horse": "horse"}.get(name, "unknown")
    assert samples.name(int(torch.as_tensor(samples.labels)[0])) == expected


def test_what_is_transparent_is_white() -> None:
    horse = data.photos("horse").inputs[0]
    assert horse.shape == (3, 328, 400)
    assert horse[:, 0, 0].tolist() == [1, 1, 1] and horse[:, 150, 200].max() < 0.1
    square = data.photos().inputs[3]
    assert square[:, 0].min() == 1 and square[:, -1].min() == 1  # white where the square reaches beyond


def test_squares_lie_in_their_photographs() -> None:
    for name, left, top, side, _ in PICTURES:
        height, width = data.photos(name).inputs.shape[2:]
        if name != "horse":
            assert left >= 0 and top >= 0 and left + side <= width and top + side <= height, name


def test_another_name() -> None:
    with pytest.raises(ValueError) as caught:
        data.photos("dog")
    assert str(caught.value) == (
        "photos.whole must be one of 'chelsea', 'horse', 'astronaut', 'camera', 'rocket', 'motorcycle', 'coffee', "
        "'china', 'flower' or None, got 'dog'."
    )


def test_without_scikit_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError) as caught:
        data.photos()
    assert str(caught.value) == (
        "demo.data.photos reads photographs that come with scikit-image, which is not installed: "
        "pip install scikit-image."
    )


def test_without_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(FileNotFoundError) as caught:
        data.photos("flower")
    assert str(caught.value) == (
        "demo.data.photos must find datasets/images/flower.jpg inside scikit-learn, got nothing at "
        f"{tmp_path / 'datasets/images/flower.jpg'}. Reinstall scikit-learn."
    )


def test_needs_no_slow_import(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sklearn.datasets", "sklearn.utils", "scipy", "pandas", "skimage.data", "skimage.io"):
        monkeypatch.setitem(sys.modules, name, None)
    assert len(data.photos()) == 13 and len(data.faces()) == 40
