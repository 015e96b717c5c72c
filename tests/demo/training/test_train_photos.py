"""Training the photograph network on pictures made here: it learns, and writes a file that loads, its log and card."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from lrp_widgets.demo.models.photos_cnn import PhotosCNN
from lrp_widgets.demo.training import train_photos
from lrp_widgets.demo.training.train_photos import PHASES, _batches, guess, main, read_cifar10, start, train
from lrp_widgets.demo.weights import describe, load_weights


def write_npz(path: Path, count: int) -> None:
    """Pictures whose hue is their label, as JPEG end to end."""
    random, files, labels = np.random.default_rng(count), [], np.arange(count, dtype=np.uint8) % 10
    for label in labels:
        hue = Image.new("HSV", (32, 32), (int(label) * 25, 200, 200)).convert("RGB")
        noisy = np.asarray(hue, np.int16) + random.integers(-30, 30, (32, 32, 3))
        stream = io.BytesIO()
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=95)
        files.append(stream.getvalue())
    offset = np.cumsum([0, *map(len, files)])
    np.savez(path, jpeg=np.frombuffer(b"".join(files), np.uint8), offset=offset, label=labels)


@pytest.fixture(scope="module")
def cifar10(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cifar10")
    write_npz(folder / "train.npz", 320)
    write_npz(folder / "test.npz", 30)
    return folder


def test_reads_jpeg_end_to_end(cifar10: Path) -> None:
    pictures, labels = read_cifar10(cifar10 / "test.npz")
    assert pictures.shape == (30, 3, 32, 32) and pictures.dtype == torch.uint8
    assert labels.tolist() == [*range(10)] * 3
    red = pictures[0].float().mean((1, 2))
    assert red[0] > 150 and red[1] < 80


def test_writes_weights_log_and_card(
    cifar10: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train_photos, "BATCH", 64)
    out = tmp_path / "out"
    main(["--cifar10", str(cifar10), "--seed", "3", "--epochs", "3", "1", "1", "1", "--out", str(out)])
    assert sorted(path.name for path in out.iterdir()) == ["photos_cnn.md", "photos_cnn.safetensors", "photos_cnn.txt"]
    model, said = load_weights(PhotosCNN, "photos_cnn", out), describe("photos_cnn", out)
    pictures, labels = read_cifar10(cifar10 / "test.npz")
    right = float((guess(model, pictures) == labels).double().mean())
    assert float(said["accuracy_test"]) == pytest.approx(100 * right, abs=0.01)
    card, log = ((out / f"photos_cnn.{kind}").read_text(encoding="utf-8") for kind in ("md", "txt"))
    assert (
        said["command"] == "python -m lrp_widgets.demo.training.train_photos --cifar10 path/to/cifar10"
        " --seed 3 --epochs 3 1 1 1"
    )
    assert said["command"] in card and said["sha256"] in card and f"| {said['accuracy_test']} % |" in card
    lines = log.splitlines()
    assert lines[0] == said["command"] and lines[-1] == f"test: right {right:.4f} of 30"
    assert float(lines[-2].split("right ")[1].split(",")[0]) > 0.5  # it has learnt
    assert [line.split(": ")[1].split(",")[0] for line in lines[1:-1]] == ["24 px", "24 px", "28 px", *["32 px"] * 3]
    assert capsys.readouterr().out.splitlines() == lines[1:]
    assert str(tmp_path) not in card + log + str(said)


def test_whitening_whitens_and_nothing_is_lost_at_the_start(cifar10: Path) -> None:
    pictures, _ = read_cifar10(cifar10 / "train.npz")
    model = PhotosCNN()
    start(model, pictures)
    with torch.no_grad():
        out = model.whiten(pictures.float() / 255)[:, :12, ::2, ::2].transpose(0, 1).flatten(1).double()
        both = model.whiten(pictures[:2].float() / 255)
    assert out.mean(1).abs().max() < 1e-3
    covariance = out @ out.T / out.shape[1]
    assert (covariance - covariance.diag().diag()).abs().max() < 1e-2
    assert covariance.diag().max() < 1.01
    torch.testing.assert_close(both[:, 12:], -both[:, :12])
    first = model.blocks[0].conv1
    assert isinstance(first, nn.Conv2d)
    x = torch.rand(1, 24, 5, 5)
    torch.testing.assert_close(first(x)[:, :24], x)


def test_what_is_frozen_stays(cifar10: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_photos, "BATCH", 160)
    data, said = read_cifar10(cifar10 / "train.npz"), []
    model, fresh = PhotosCNN(), PhotosCNN()
    start(fresh, data[0])
    train(model, data, [replace(PHASES[0], epochs=1)], 0, said.append)
    assert not model.training and len(said) == 1
    assert torch.equal(model.whiten.weight, fresh.whiten.weight)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(bool((norm.weight == 1).all()) for norm in norms)
    assert not torch.equal(model.blocks[0].conv1.weight, fresh.blocks[0].conv1.weight)


def test_a_folder_without_cifar10_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        main(["--cifar10", str(tmp_path)])
    assert str(caught.value) == f"--cifar10 must be a folder that holds train.npz, got {tmp_path} without it."
    np.savez(tmp_path / "train.npz", jpeg=np.zeros(3, np.uint8))
    with pytest.raises(ValueError) as caught:
        main(["--cifar10", str(tmp_path)])
    assert str(caught.value) == f"{tmp_path / 'train.npz'} must hold jpeg, offset and label, got no label, offset."


def test_pictures_are_moved_mirrored_and_have_a_hole(cifar10: Path) -> None:
    white = torch.full((300, 3, 32, 32), 255, dtype=torch.uint8), torch.arange(300)
    phase, random = PHASES[2], torch.Generator().manual_seed(0)
    batches = list(_batches(white, torch.zeros(300, dtype=torch.bool), 32, phase, random))
    pictures, labels = (torch.cat(part) for part in zip(*batches, strict=True))
    assert sorted(labels.tolist()) == list(range(300))
    gone = (pictures[:, 0] != 1).sum((1, 2))
    assert gone.max() == phase.hole**2 and gone.min() < phase.hole**2 and gone.float().mean() > 40
    dot = torch.zeros(300, 3, 32, 32, dtype=torch.uint8)
    dot[:, :, 10, 12] = 255
    found = [
        torch.cat([pictures for pictures, _ in _batches((dot, labels), flipped, 32, PHASES[0], random)]).nonzero()
        for flipped in (torch.zeros(300, dtype=torch.bool), torch.ones(300, dtype=torch.bool))
    ]
    assert {int(place) for place in found[0][:, 2]} == {8, 9, 10, 11, 12}
    assert {int(place) for place in found[0][:, 3]} == {10, 11, 12, 13, 14}
    assert {int(place) for place in found[1][:, 3]} == {17, 18, 19, 20, 21}
