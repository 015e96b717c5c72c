"""What the apps offer of samples is what their modality says, guessed or said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from lrp_widgets.apps.inputs.source import Source
from lrp_widgets.apps.quality.data_set import _first
from lrp_widgets.apps.scan.photos import photos_of
from lrp_widgets.apps.session.offered import image_of, thumbnails
from lrp_widgets.modalities import Modality, Picture
from lrp_widgets.modalities.modality import Bound
from lrp_widgets.samples import Samples


@dataclass(frozen=True)
class Board(Modality):
    """A kind of a user's own: (n, 9), a board of three by three, which may be uploaded as a picture."""

    name: ClassVar[str] = "board"

    def fits(self, inputs: Tensor) -> bool:
        return inputs.shape[1:] == (9,)

    def image(self, x: Tensor, low: Bound, high: Bound) -> np.ndarray | None:
        return x.reshape(3, 3).numpy()

    def thumbnails(self, inputs: Tensor, low: Bound, high: Bound) -> np.ndarray:
        return inputs.reshape(-1, 3, 3).numpy()

    def uploads(self, inputs: Tensor) -> tuple[str, ...]:
        return ("picture",)


def test_a_kind_of_a_users_own_says_how_it_is_shown() -> None:
    inputs = torch.rand(4, 9)
    plain, boards = Samples(inputs), Samples(inputs, modality=Board())
    assert image_of(inputs[0], plain) is None
    shown = image_of(inputs[0], boards)
    assert shown is not None and shown.shape == (3, 3)
    assert np.asarray(thumbnails(plain)).shape == (4, 8, 9)
    assert np.asarray(thumbnails(boards)).shape == (4, 3, 3)


@pytest.mark.parametrize(
    ("samples", "pages"),
    [
        (Samples(torch.rand(2, 9)), ["Samples"]),
        (Samples(torch.rand(2, 9), modality=Board()), ["Samples", "Upload"]),
        (Samples(torch.rand(2, 3, 8, 8)), ["Samples", "Upload"]),
        (Samples(torch.rand(2, 5, 8, 8)), ["Samples"]),
        (Samples(torch.rand(2, 3, 8)), ["Samples"]),
    ],
    ids=["features", "board", "picture", "five channels", "signal"],
)
def test_what_may_be_uploaded(samples: Samples, pages: list[str]) -> None:
    assert list(Source(samples).pages.pages) == pages


def test_some_of_the_samples_are_what_all_are() -> None:
    samples = Samples(torch.rand(4, 9), [0, 1, 2, 0], ["a", "b", "c"], -1.0, 2.0, Board())
    some = _first(samples, 3)
    assert (len(some), some.modality, some.low, some.high, some.classes) == (3, Board(), -1, 2, ("a", "b", "c"))
    assert torch.as_tensor(some.labels).tolist() == [0, 1, 2]
    photos = photos_of(Samples(torch.rand(2, 3, 8, 8), [1, 0], ["a", "b"], -1.0, 2.0))
    assert [(len(photo), photo.modality, photo.low) for photo in photos] == [(1, Picture(), -1)] * 2
    assert [torch.as_tensor(photo.labels).tolist() for photo in photos] == [[1], [0]]
