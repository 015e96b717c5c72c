"""Training the face detector: folds, windows of scenes, changed pictures, and a file that loads with its card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lrp_widgets.demo import data
from lrp_widgets.demo.data.digits import held_out
from lrp_widgets.demo.models.faces_cnn import FacesCNN
from lrp_widgets.demo.training import train_faces
from lrp_widgets.demo.training.train_faces import SCENES, changed, folds, main, windows
from lrp_widgets.demo.weights import describe, load_weights


def test_folds_part_the_rows_and_the_first_is_held_out() -> None:
    masks = folds(200)
    assert len(masks) == 5 and [int(mask.sum()) for mask in masks] == [40] * 5
    assert np.array_equal(masks[0], held_out(200))
    assert np.array_equal(np.sum(masks, axis=0), np.ones(200))
    assert np.array_equal(np.sum(folds(len(SCENES)), axis=0), np.ones(len(SCENES)))


def test_windows_are_squares_of_the_scenes() -> None:
    ramp = torch.arange(100.0)[None, None, :, None].expand(1, 1, 100, 140) / 100
    flat = torch.full((1, 1, 30, 60), 0.25)
    made = windows([ramp, flat], 40, torch.Generator().manual_seed(0))
    assert made.shape == (40, 1, 25, 25)
    assert torch.allclose(made[1::2], torch.tensor(0.25))
    heights = made[::2, 0, -1, 0] - made[::2, 0, 0, 0]  # a window that sees twice as much has twice the slope
    assert heights.min() > 0.2 and heights.max() > 0.5
    assert torch.equal(made, windows([ramp, flat], 40, torch.Generator().manual_seed(0)))


def test_changed_pictures_stay_pictures() -> None:
    pictures = data.faces("test").inputs
    new = changed(pictures, torch.Generator().manual_seed(0))
    assert new.shape == pictures.shape and new.min() >= 0 and new.max() <= 1
    assert (new - pictures).abs().flatten(1).mean(1).min() > 0.005
    white = changed(torch.ones(50, 1, 25, 25), torch.Generator().manual_seed(0))
    assert white.min() > 0.8  # no black border comes in, which would tell faces from others


def test_writes_a_file_that_loads_and_its_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("FACES", 1), ("OTHERS", 1), ("WINDOWS", 20), ("HARD", 5), ("SEARCHED", 30)):
        monkeypatch.setattr(train_faces, name, value)
    threads = torch.get_num_threads()
    main(["--seed", "2", "--epochs", "1", "--out", str(tmp_path)])
    assert torch.get_num_threads() == threads
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces_cnn.md", "faces_cnn.safetensors"]
    model, said = load_weights(FacesCNN, "faces_cnn", tmp_path), describe("faces_cnn", tmp_path)
    assert all(value.max() <= 0 for key, value in model.named_parameters() if key.endswith("bias"))
    samples = data.faces("test")
    right = int((model(samples.inputs).argmax(1) == torch.as_tensor(samples.labels)).sum())
    assert float(said["accuracy_held_out"]) == pytest.approx(right / 0.4, abs=0.01)
    card, told = (tmp_path / "faces_cnn.md").read_text(encoding="utf-8"), capsys.readouterr().out
    assert said["command"] == "python -m lrp_widgets.demo.training.train_faces --seed 2 --epochs 1"
    assert (
        said["command"] in card
        and said["sha256"] in card
        and f"| {right} of 40 ({said['accuracy_held_out']} %) |" in card
    )
    assert [line[:6] for line in told.splitlines() if line.startswith("fold")] == [f"fold {i}" for i in range(1, 6)]
    assert str(tmp_path) not in card + str(said)


def test_no_scene_is_one_that_the_result_is_shown_on() -> None:
    names = " ".join(path for _, path in SCENES)
    assert "astronaut" not in names and "camera" not in names
