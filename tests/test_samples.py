"""Images in a folder become samples: upright, cut to size, labelled by their folders, and refused with a reason."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lrp_widgets.images import _evenly
from lrp_widgets.modalities import Features, Graph, Modality, Picture, Sequence, Signal
from lrp_widgets.samples import Samples


def paint(path: Path, colour: Any = (255, 0, 0), size: tuple[int, int] = (8, 6), mode: str = "RGB", **how: Any) -> Path:
    """An image of one colour; size: width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **how)
    return path


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """Two cats (red), three dogs (blue), and what is no image."""
    for name in ("cat/b.png", "cat/a.JPG"):
        paint(tmp_path / name, (255, 0, 0))
    for name in ("dog/1.png", "dog/2.webp", "dog/3.bmp"):
        paint(tmp_path / name, (0, 0, 255))
    (tmp_path / "cat/notes.txt").write_text("meow")
    paint(tmp_path / ".ipynb_checkpoints/x.png")
    paint(tmp_path / "cat/._a.png")
    return tmp_path


def test_folders_are_classes(zoo: Path) -> None:
    samples = Samples.from_folder(zoo)
    assert samples.inputs.shape == (5, 3, 6, 8) and samples.inputs.dtype == torch.float32
    assert samples.classes == ("cat", "dog")
    assert torch.as_tensor(samples.labels).tolist() == [0, 0, 1, 1, 1]
    assert samples.inputs[1].amax((1, 2)).tolist() == [1, 0, 0]
    assert samples.inputs[2].amin((1, 2)).tolist() == [0, 0, 1]
    assert (samples.low, samples.high) == (0.0, 1.0)


def test_the_order_of_the_outputs_may_be_given(zoo: Path) -> None:
    samples = Samples.from_folder(str(zoo), classes=["bird", "dog", "cat"])
    assert samples.classes == ("bird", "dog", "cat")
    assert torch.as_tensor(samples.labels).tolist() == [2, 2, 1, 1, 1]


def test_a_flat_folder_has_no_labels(zoo: Path) -> None:
    samples = Samples.from_folder(zoo / "dog")
    assert len(samples) == 3 and samples.labels is None and samples.classes is None
    assert Samples.from_folder(zoo / "dog", classes=["cat", "dog"]).classes == ("cat", "dog")


def test_black_and_white_become_low_and_high(tmp_path: Path) -> None:
    paint(tmp_path / "a.png", (0, 255, 51))
    samples = Samples.from_folder(tmp_path, low=-1, high=1)
    assert samples.inputs[0, :, 0, 0].tolist() == pytest.approx([-1, 1, -0.6])
    samples = Samples.from_folder(tmp_path, low=(-1, -2, 0), high=(1.0, 4.0, 5.0))
    assert samples.inputs[0, :, 0, 0].tolist() == pytest.approx([-1, 4, 1])
    assert samples.low == (-1.0, -2.0, 0.0) and samples.high == (1.0, 4.0, 5.0)


def test_size_covers_and_cuts_around_the_middle(tmp_path: Path) -> None:
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 20:60] = 255  # the middle square is white
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert Samples.from_folder(tmp_path, size=40).inputs.shape == (1, 3, 40, 40)
    assert Samples.from_folder(tmp_path, size=40).inputs.amin() == 1
    assert Samples.from_folder(tmp_path, size=10).inputs[..., 1:-1].amin() > 0.99
    wide = Samples.from_folder(tmp_path, size=(20, 40)).inputs
    assert wide.shape == (1, 3, 20, 40)
    assert wide[0, 0, 10, 0] == 0 and wide[0, 0, 10, 20] == 1


def test_exif_orientation_is_followed(tmp_path: Path) -> None:
    picture = Image.new("RGB", (16, 8), "black")
    picture.paste("white", (0, 0, 16, 4))  # stored lying: the white half is on top
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    picture.save(tmp_path / "a.png", exif=exif)
    (turned,) = Samples.from_folder(tmp_path, channels=1).inputs
    assert turned.shape == (1, 16, 8)
    assert turned[0, :, 4:].amin() == 1 and turned[0, :, :4].amax() == 0


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 51, [0.2, 0.2, 0.2]),
        ("1", 1, [1, 1, 1]),
        ("RGBA", (255, 0, 0, 0), [1, 1, 1]),
        ("RGBA", (255, 0, 0, 255), [1, 0, 0]),
        ("LA", (0, 0), [1, 1, 1]),
        ("P", 0, [0, 0, 0]),
        ("I;16", 13107, [0.2, 0.2, 0.2]),
    ],
)
def test_every_kind_of_pixel(tmp_path: Path, mode: str, colour: Any, expected: list[float]) -> None:
    paint(tmp_path / "a.png", colour, mode=mode)
    assert Samples.from_folder(tmp_path).inputs[0, :, 2, 2].tolist() == pytest.approx(expected, abs=1 / 255)


def test_grey(tmp_path: Path) -> None:
    paint(tmp_path / "a.png", (255, 0, 0))
    grey = Samples.from_folder(tmp_path, channels=1).inputs
    assert grey.shape == (1, 1, 6, 8) and float(grey[0, 0, 0, 0]) == pytest.approx(0.299, abs=2 / 255)


def test_a_photograph_is_decoded_small_and_looks_the_same(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 512).astype(np.uint8)
    Image.fromarray(np.broadcast_to(ramp[None, :, None], (512, 512, 3)).copy()).save(tmp_path / "a.jpg", quality=95)
    (small,) = Samples.from_folder(tmp_path, size=16).inputs
    assert small[0, 8].tolist() == pytest.approx(np.linspace(1 / 32, 31 / 32, 16).tolist(), abs=0.02)


def test_more_than_the_limit_are_left_out_evenly_and_said(zoo: Path) -> None:
    with pytest.warns(UserWarning) as said:
        samples = Samples.from_folder(zoo, limit=3)
    assert [str(warning.message) for warning in said] == [
        f"{zoo} holds 5 images, and 3 of them are read, as many of each class: limit=3. "
        "Set limit higher, or None for all."
    ]
    assert torch.as_tensor(samples.labels).tolist() == [0, 0, 1]
    with pytest.warns(UserWarning, match="holds 3 images, and 2 of them are read: limit=2"):
        assert len(Samples.from_folder(zoo / "dog", limit=2)) == 2
    assert len(Samples.from_folder(zoo, limit=None)) == len(Samples.from_folder(zoo, limit=5)) == 5


def test_evenly() -> None:
    assert _evenly([0, 0, 0, 0, 1, 2, 2], 5) == [0, 1, 4, 5, 6]
    assert _evenly([0, 0], None) == [0, 1]


def test_an_image_beyond_the_limit_is_not_opened(tmp_path: Path) -> None:
    paint(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"broken")
    with pytest.warns(UserWarning):
        assert len(Samples.from_folder(tmp_path, limit=1)) == 1


def test_unknown_labels() -> None:
    samples = Samples(torch.rand(2, 4), [-1, 1], ["a", "b"])
    assert [samples.name(int(label)) for label in torch.as_tensor(samples.labels)] == ["unknown", "b"]


def error(*args: Any, **kwargs: Any) -> str:
    with pytest.raises((TypeError, ValueError, OSError)) as caught:
        Samples.from_folder(*args, **kwargs)
    return f"{caught.type.__name__}: {caught.value}"


def test_no_folder(tmp_path: Path) -> None:
    file = paint(tmp_path / "a.png")
    assert error(tmp_path / "no") == (
        f"FileNotFoundError: from_folder must be given a folder of images, got {tmp_path / 'no'}, which is not there."
    )
    assert error(file) == f"NotADirectoryError: from_folder must be given a folder of images, got the file {file}."


def test_no_images(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "a.txt").touch()
    assert error(tmp_path) == (
        f"ValueError: {tmp_path} must hold images (.bmp .gif .jpeg .jpg .png .tif .tiff .webp) or one folder of them "
        "for each class, got none."
    )


def test_images_beside_folders(zoo: Path) -> None:
    paint(zoo / "loose.png")
    assert error(zoo) == (
        f"ValueError: {zoo} must hold either images or one folder of images for each class, got both "
        "(loose.png and cat/a.JPG). Move one of them away."
    )


def test_a_folder_that_is_no_class(zoo: Path) -> None:
    assert error(zoo, classes=["cat", "bird"]) == (
        f"ValueError: The folders in {zoo} must be named after classes (cat, bird), got dog. "
        "Rename it, or leave classes out."
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "UnidentifiedImageError: cannot identify image file"),
        (b"<html>404</html>", "UnidentifiedImageError: cannot identify image file"),
        (None, "OSError: "),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes | None, why: str) -> None:
    rng = np.random.default_rng(0)
    file = tmp_path / "a.png"
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[:4000] if content is None else content)
    said = error(tmp_path)
    assert said.startswith(f"ValueError: {file} must be a whole image, got {why}")
    assert said.endswith(". Replace it, or move it away.")


def test_images_of_several_sizes(tmp_path: Path) -> None:
    paint(tmp_path / "a.png", size=(8, 6))
    paint(tmp_path / "b.png", size=(9, 6))
    assert error(tmp_path) == (
        "ValueError: The images must be of one size, got 6×8 (a.png) and 6×9 (b.png). Say which with size=…."
    )
    assert Samples.from_folder(tmp_path, size=6).inputs.shape == (2, 3, 6, 6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"limit": 0}, "ValueError: limit must be a whole number, at least 1, got 0."),
        ({"limit": True}, "ValueError: limit must be a whole number, at least 1, got True."),
        ({"channels": 4}, "ValueError: channels must be 3 (RGB) or 1 (grey), got 4."),
        ({"size": 0}, "ValueError: size must be one side or (height, width) in pixels, or None, got 0."),
        (
            {"size": (3, 4, 5)},
            "ValueError: size must be one side or (height, width) in pixels, or None, got (3, 4, 5).",
        ),
        ({"low": 2}, "ValueError: Samples.low must be below Samples.high, got 2.0 and 1.0."),
        ({"low": (0, 0)}, "ValueError: Samples.low must be one number or one per channel (3), got 2."),
        ({"high": "white"}, "TypeError: Samples.high must be a number or one number per channel, got 'white'."),
    ],
    ids=str,
)
def test_what_the_arguments_may_be(zoo: Path, change: dict[str, Any], said: str) -> None:
    assert error(zoo, **change) == said


def test_samples_guess_what_they_are() -> None:
    assert Samples(torch.rand(2, 3, 4, 4)).modality == Picture()
    assert Samples(torch.rand(2, 5)).modality == Features()
    assert Samples(torch.rand(2, 3, 30)).modality == Signal()
    assert Samples(torch.rand(2, 1, 1, 1, 1, 1)).modality == Modality()


def test_samples_are_what_is_said() -> None:
    inputs = torch.eye(4).repeat(3, 1, 1)
    assert Samples(inputs, modality="sequence").modality == Sequence()
    assert Samples(inputs, modality=Graph()).modality == Graph()
    assert Samples(inputs, [0, 1, 2], ["a", "b", "c"], -1, 1, "signal").modality == Signal()
    kept = dataclasses.replace(Samples(inputs, modality="sequence"), inputs=inputs[:1])
    assert kept.modality == Sequence()


def test_bounds_are_one_a_channel_wherever_channels_lie() -> None:
    inputs = torch.rand(2, 7, 3)
    assert Samples(inputs, low=(0.0,) * 3, modality="graph").low == (0, 0, 0)
    assert Samples(inputs, low=(0.0,) * 7).low == (0.0,) * 7
    with pytest.raises(ValueError, match=r"one per channel \(3\), got 7"):
        Samples(inputs, low=(0.0,) * 7, modality="graph")


@pytest.mark.parametrize(
    ("modality", "said"),
    [
        (
            "volume",
            "ValueError: Samples.modality 'volume' needs inputs (n, channels, depth, height, width), "
            "got (8, 3, 32, 32).",
        ),
        (Features(), "ValueError: Samples.modality 'features' needs inputs (n, features), got (8, 3, 32, 32)."),
        (
            "image",
            "ValueError: Samples.modality must be one of 'picture', 'volume', 'signal', 'features', 'sequence', "
            "'tokens', 'graph', or a modality, got 'image'.",
        ),
        (
            Picture,
            "TypeError: Samples.modality must be one of 'picture', 'volume', 'signal', 'features', 'sequence', "
            "'tokens', 'graph', or a modality, got <class 'lrp_widgets.modalities.picture.Picture'>.",
        ),
    ],
    ids=str,
)
def test_what_a_modality_may_be(modality: Any, said: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        Samples(torch.rand(8, 3, 32, 32), modality=modality)
    assert f"{caught.type.__name__}: {caught.value}" == said


def test_a_task_says_what_scores_are_as_probabilities() -> None:
    inputs, several, one = torch.rand(2, 3), torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0.7])
    for task in (None, "classes"):
        assert torch.equal(Samples(inputs, task=task).probabilities(several), several.softmax(0))  # type: ignore[arg-type]
    assert Samples(inputs).probabilities(one) is None
    assert torch.equal(Samples(inputs, task="logit").probabilities(one), one.sigmoid())  # type: ignore[arg-type]
    assert Samples(inputs, task="regression").probabilities(one) is None
    assert Samples(inputs, task="regression").probabilities(several) is None
    with pytest.raises(
        ValueError, match=r"^Samples\.task 'classes' needs a model with several outputs, this one has 1\."
    ):
        Samples(inputs, task="classes").probabilities(one)
    with pytest.raises(ValueError, match=r"^Samples\.task 'logit' needs a model with one output, this one has 3\."):
        Samples(inputs, task="logit").probabilities(several)
    said = r"^Samples\.task must be one of 'classes', 'logit', 'regression' or None, got 'logits'\.$"
    with pytest.raises(ValueError, match=said):
        Samples(inputs, task="logits")


def test_a_folder_has_a_task(zoo: Path) -> None:
    assert Samples.from_folder(zoo, 4, task="logit").task == "logit"
