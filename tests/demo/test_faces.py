"""The faces: two hundred pictures, split once and for all."""

from __future__ import annotations

import pytest
import torch

from lrp_widgets.demo import data
from lrp_widgets.demo.data.faces import CLASSES


def test_what_it_returns() -> None:
    samples = data.faces()
    assert samples.inputs.shape == (40, 1, 25, 25) and samples.inputs.dtype == torch.float32
    assert samples.inputs.min() >= 0 and samples.inputs.max() <= 1
    assert samples.classes == CLASSES == ("no face", "face")
    assert torch.as_tensor(samples.labels).tolist() == [1] * 18 + [0] * 22


def test_the_same_every_time() -> None:
    # Worked once and written down: the split must not move, or the network would be tested on what it has seen.
    assert torch.equal(data.faces().inputs[:6], data.faces("all").inputs[[4, 5, 7, 12, 16, 18]])


def test_splits_part_the_whole() -> None:
    whole, train, test = data.faces("all"), data.faces("train"), data.faces("test")
    assert (len(whole), len(train), len(test)) == (200, 160, 40)
    assert int(torch.as_tensor(whole.labels).sum()) == 100
    together = torch.cat([train.inputs, test.inputs])
    assert sorted(bytes(x.numpy()) for x in together) == sorted(bytes(x.numpy()) for x in whole.inputs)


def test_faces_are_brighter_in_the_middle_than_around_the_eyes() -> None:
    samples = data.faces("all")
    faces = samples.inputs[torch.as_tensor(samples.labels) == 1].mean(0)[0]
    assert faces[14:17, 11:14].mean() > faces[8:11, 6:9].mean()  # nose and eye


def test_another_split() -> None:
    with pytest.raises(ValueError) as caught:
        data.faces("rest")
    assert str(caught.value) == "faces.split must be one of 'all', 'train', 'test', got 'rest'."
