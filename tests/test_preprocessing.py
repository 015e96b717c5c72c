"""Preprocessing: the geometry of a cut, the input domain, and where it comes from; torchvision's own is in peers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lrp_widgets as lw

PLAIN = lw.Preprocessing(size=2, resize=4, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), interpolation="nearest")
TIMM = {
    "input_size": (3, 224, 224),
    "crop_pct": 0.9,
    "crop_mode": "center",
    "interpolation": "bicubic",
    "mean": (0.5, 0.25, 0.5),
    "std": (0.5, 0.5, 0.25),
    "hf_hub_id": "timm/some_network.in1k",
    "url": "https://example.org/some.pth",
    "license": "apache-2.0",
    "label_names": ["cat", "dog"],
}


def numbered(height: int, width: int) -> Image.Image:
    """A picture whose red is the column and whose green is the row."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    return Image.fromarray(np.stack([columns, rows, 0 * rows], 2))


def test_the_domain_is_that_of_black_and_white() -> None:
    known = lw.Preprocessing()
    assert known.low == tuple((0 - m) / s for m, s in zip(known.mean, known.std, strict=True))
    assert known.high == tuple((1 - m) / s for m, s in zip(known.mean, known.std, strict=True))
    black, white = (known.samples(Image.new("RGB", (300, 300), colour)) for colour in ("black", "white"))
    assert black.inputs.shape == (1, 3, 224, 224)
    for samples, bound in ((black, known.low), (white, known.high)):
        torch.testing.assert_close(samples.inputs[0, :, 0, 0], torch.tensor(bound), atol=0, rtol=2e-7)
        assert (samples.low, samples.high) == (known.low, known.high)


@pytest.mark.parametrize(
    ("size", "corner"),  # height and width; the column and row where the square begins
    [((4, 4), (1, 1)), ((4, 7), (2, 1)), ((7, 4), (1, 2)), ((4, 8), (3, 1))],
)
def test_the_square_is_cut_out_of_the_middle(size: tuple[int, int], corner: tuple[int, int]) -> None:
    (x,) = PLAIN.samples(numbered(*size)).inputs
    assert x.shape == (3, 2, 2)
    assert tuple((255 * x[:2, 0, 0]).tolist()) == corner


def test_around_a_picture_that_is_too_small_there_is_black() -> None:
    (x,) = dataclasses.replace(PLAIN, size=6).samples(Image.new("RGB", (4, 4), "white")).inputs
    assert x[0, 1:5, 1:5].amin() == 1 and x[0].sum() == 16


def test_what_samples_are_made_of(tmp_path: Path) -> None:
    picture = numbered(9, 13)
    picture.save(tmp_path / "a.png")
    expected = PLAIN.samples(picture).inputs
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
    for source in (
        tmp_path,
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        [tmp_path / "a.png"],
        [picture],
        pixels,
        pixels[None],
        [pixels],
        picture.convert("RGBA"),
    ):
        assert torch.equal(PLAIN.samples(source).inputs, expected)
    assert PLAIN.samples([picture, tmp_path / "a.png", pixels]).inputs.shape == (3, 3, 2, 2)
    assert PLAIN.samples(picture, [7]).labels.tolist() == [7]  # type: ignore[union-attr]


def test_exif_orientation_is_followed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    numbered(4, 4).save(tmp_path / "a.png", exif=exif)
    (turned,) = dataclasses.replace(PLAIN, size=4).samples(tmp_path).inputs
    assert (255 * turned[:2, 0, 0]).tolist() == [0, 3]


def test_folders_are_named_after_classes(tmp_path: Path) -> None:
    for name in ("dog", "cat"):
        (tmp_path / name).mkdir()
        numbered(4, 4).save(tmp_path / name / "1.png")
    known = dataclasses.replace(PLAIN, classes=("bird", "cat", "dog"))
    samples = known.samples(tmp_path)
    assert torch.as_tensor(samples.labels).tolist() == [1, 2] and samples.classes == ("bird", "cat", "dog")
    with pytest.warns(UserWarning, match="holds 2 images, and 1 of them are read"):
        assert len(known.samples(tmp_path, limit=1)) == 1
    with pytest.raises(ValueError, match=r"after classes \(0, 1, 2, .*, 11, … 1000 in all\), got cat"):
        dataclasses.replace(PLAIN, classes=tuple(map(str, range(1000)))).samples(tmp_path)


def test_grey() -> None:
    grey = lw.Preprocessing(size=2, resize=2, mean=(0.5,), std=(0.5,))
    samples = grey.samples([Image.new("RGB", (2, 2), "white"), torch.zeros(1, 2, 2, dtype=torch.uint8)])
    assert samples.inputs.shape == (2, 1, 2, 2) and samples.inputs.flatten().tolist() == [1] * 4 + [-1] * 4
    assert (samples.low, samples.high) == ((-1.0,), (1.0,))


@pytest.mark.parametrize("name", ["pretrained_cfg", "default_cfg"])
def test_what_a_network_of_timm_says(name: str) -> None:
    model = nn.Linear(1, 1)
    setattr(model, name, TIMM)
    known = lw.Preprocessing.of(model)
    assert known == lw.Preprocessing(
        224, 248, (0.5, 0.25, 0.5), (0.5, 0.5, 0.25), "bicubic", ("cat", "dog"), "timm/some_network.in1k", "apache-2.0"
    )
    assert (known.low, known.high) == ((-1.0, -0.5, -2.0), (1.0, 1.5, 2.0))


def test_what_of_knows() -> None:
    assert lw.Preprocessing.of(PLAIN) is PLAIN
    assert lw.Preprocessing.of(SimpleNamespace(preprocessing=PLAIN)) is PLAIN
    short = {key: TIMM[key] for key in ("input_size", "mean", "std")}
    assert lw.Preprocessing.of(SimpleNamespace(pretrained_cfg=short)).resize == 256


def error(make: Any) -> str:
    with pytest.raises((TypeError, ValueError, OSError)) as caught:
        make()
    return f"{caught.type.__name__}: {caught.value}"


SOURCES = "a folder or files of images, Pillow images, or a uint8 tensor (3, h, w) or (n, 3, h, w)"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: lw.Preprocessing(size=0),
            "ValueError: Preprocessing.size must be a whole number of pixels, got 0.",
        ),
        (
            lambda: lw.Preprocessing(resize=(256, 256)),  # type: ignore[arg-type]
            "ValueError: Preprocessing.resize must be a whole number of pixels, got (256, 256).",
        ),
        (
            lambda: lw.Preprocessing(std=(1, 1, 0)),
            "ValueError: Preprocessing.mean and .std must have one number per channel (1 or 3), .std above 0, "
            "got (0.485, 0.456, 0.406) and (1.0, 1.0, 0.0).",
        ),
        (
            lambda: lw.Preprocessing(interpolation="best"),
            "ValueError: Preprocessing.interpolation must be one of nearest, bilinear, bicubic, lanczos, box, "
            "hamming, got 'best'.",
        ),
        (
            lambda: lw.Preprocessing.of(nn.Linear(1, 1)),
            "TypeError: Preprocessing.of() needs weights of torchvision (VGG16_Weights.DEFAULT), or a network of "
            "lw.demo.models.torchvision or of timm (with its pretrained_cfg), got Linear. "
            "Say it yourself: lw.Preprocessing(size=…, resize=…, mean=…, std=…, classes=…).",
        ),
        (
            lambda: lw.Preprocessing.of(SimpleNamespace(default_cfg={**TIMM, "crop_mode": "squash"})),
            "ValueError: Preprocessing.of() knows squares cut out of the middle, got input_size (3, 224, 224) and "
            "crop_mode 'squash'. Make the inputs with timm's own transform, and lw.Samples of them.",
        ),
        (lambda: PLAIN.samples([]), f"ValueError: Preprocessing.samples needs {SOURCES}, got none."),
        (lambda: PLAIN.samples(3), f"TypeError: Preprocessing.samples needs {SOURCES}, got int."),
        (
            lambda: PLAIN.samples("no.png"),
            f"FileNotFoundError: Preprocessing.samples needs {SOURCES}, got no.png, which is not there.",
        ),
        (
            lambda: PLAIN.samples(torch.rand(1, 3, 4, 4)),
            f"TypeError: Preprocessing.samples needs {SOURCES}, got torch.float32 (1, 3, 4, 4). "
            "What is floating point already goes to lw.Samples as it is.",
        ),
    ],
)
def test_what_is_wrong_is_said(make: Any, said: str) -> None:
    assert error(make) == said
