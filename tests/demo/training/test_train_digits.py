"""The training script learns, keeps biases at most zero, and writes a file that loads and a card that tells of it."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import pytest
import torch

from lrp_widgets.demo.data import digits
from lrp_widgets.demo.models.digits_cnn import DigitsCNN
from lrp_widgets.demo.models.digits_mlp import DigitsMLP
from lrp_widgets.demo.training import train_digits
from lrp_widgets.demo.training.train_digits import accuracy, augment, main, read_mnist, train
from lrp_widgets.demo.weights import checksum, describe, load_weights


def write_idx(path: Path, values: torch.Tensor) -> None:
    head = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(gzip.compress(head + values.to(torch.uint8).numpy().tobytes()))


@pytest.fixture
def mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twenty pictures in MNIST's form: a bright column whose place is the label. Few digits of scikit-learn's, too."""
    few = digits("test").inputs[:40], torch.as_tensor(digits("test").labels)[:40]
    monkeypatch.setattr(train_digits, "_pair", lambda split: few)
    folder = tmp_path / "mnist"
    folder.mkdir()
    labels = torch.arange(20) % 10
    pictures = torch.zeros(20, 28, 28)
    for picture, label in zip(pictures, labels.tolist(), strict=True):
        picture[4:24, 4 + 2 * label : 6 + 2 * label] = 255
    write_idx(folder / "t10k-images-idx3-ubyte.gz", pictures)
    write_idx(folder / "t10k-labels-idx1-ubyte.gz", labels)
    return folder


def test_reads_idx(mnist: Path) -> None:
    pictures, labels = read_mnist(mnist)
    assert pictures.shape == (20, 1, 28, 28)
    assert labels.tolist() == [*range(10), *range(10)]
    assert pictures[3, 0, 10, 9:13].tolist() == [0.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize(("choice", "make"), [("cnn", DigitsCNN), ("mlp", DigitsMLP)])
def test_writes_a_file_that_loads_and_its_card(mnist: Path, tmp_path: Path, choice: str, make, capsys) -> None:
    threads = torch.get_num_threads()
    out = tmp_path / "out"
    main(["--mnist", str(mnist), "--model", choice, "--seed", "3", "--epochs", "1", "--out", str(out)])
    name = f"digits_{choice}"
    assert sorted(path.name for path in out.iterdir()) == [f"{name}.md", f"{name}.safetensors"]
    model = load_weights(make, name, out)
    assert all(value.max() <= 0 for key, value in model.named_parameters() if key.endswith("bias"))
    said, card = describe(name, out), (out / f"{name}.md").read_text(encoding="utf-8")
    assert said["command"] == (
        f"python -m lrp_widgets.demo.training.train_digits --mnist path/to/mnist --model {choice} --seed 3 --epochs 1"
    )
    assert said["command"] in card
    assert said["sha256"] in card
    assert "16 pictures to train, 4 held out" in card
    assert str(tmp_path) not in card + str(said)
    assert f"{name}: MNIST held out" in capsys.readouterr().out
    assert torch.get_num_threads() == threads


def test_a_seed_gives_the_same_weights(mnist: Path) -> None:
    sums = set()
    for _ in range(2):
        torch.manual_seed(5)
        model = DigitsMLP()
        train(model, read_mnist(mnist), epochs=2, seed=5, say=lambda line: None)
        sums.add(checksum(model.state_dict()))
    assert len(sums) == 1


def test_training_learns(mnist: Path) -> None:
    torch.manual_seed(0)
    model, data = DigitsMLP(), read_mnist(mnist)
    before = accuracy(model, data)
    train(model, data, epochs=30, seed=0, say=lambda line: None)
    assert not model.training
    assert accuracy(model, data) > max(before, 0.4)


def test_augmenting_moves_ink_and_stays_in_range() -> None:
    pictures = torch.zeros(64, 1, 28, 28)
    pictures[:, :, 8:20, 12:16] = 1
    moved = augment(pictures, torch.Generator().manual_seed(0))
    assert moved.shape == pictures.shape
    assert 0 <= moved.min() <= moved.max() <= 1 + 1e-6
    assert (moved - pictures).abs().flatten(1).sum(1).min() > 1  # every one has changed
    ink = moved.sum((1, 2, 3)) / pictures.sum((1, 2, 3))
    assert ink.min() > 0.6
    assert ink.max() < 1.5
    assert torch.equal(moved, augment(pictures, torch.Generator().manual_seed(0)))


def test_a_folder_without_mnist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError) as caught:
        main(["--mnist", str(tmp_path)])
    assert str(caught.value) == (
        f"--mnist must be a folder that holds t10k-images-idx3-ubyte.gz, got {tmp_path} without it."
    )


def test_a_file_that_is_not_idx_is_named(mnist: Path) -> None:
    path = mnist / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(bytes(100)))
    with pytest.raises(ValueError) as caught:
        read_mnist(mnist)
    assert str(caught.value) == f"{path} must be an IDX file of bytes in 3 dimensions. Fetch it again."
    path.write_bytes(b"no gzip")
    with pytest.raises(ValueError) as caught:
        read_mnist(mnist)
    assert str(caught.value) == f"{path} must be a gzipped IDX file, got Not a gzipped file (b'no'). Fetch it again."


def test_labels_that_do_not_fit_are_named(mnist: Path) -> None:
    write_idx(mnist / "t10k-labels-idx1-ubyte.gz", torch.zeros(19))
    with pytest.raises(ValueError) as caught:
        read_mnist(mnist)
    assert str(caught.value) == (
        f"The MNIST files in {mnist} must hold pictures of 28×28 and one label each, "
        "got pictures (20, 28, 28) and labels (19,). Fetch the two files again."
    )
