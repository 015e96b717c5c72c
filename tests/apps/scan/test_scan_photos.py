"""What can be scanned: photos of any size, a visitor's file, and what the arguments of lw.scan may be."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lrp_widgets as lw
from lrp_widgets.apps.scan.photos import MOST_PIXELS, photo_from_file, photos_of
from lrp_widgets.apps.scan.request import Windows

SIDE = 6
NETWORK = nn.Sequential(nn.Flatten(), nn.Linear(36, 3)).eval()


def file_of(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_a_huge_file_is_reduced():
    given = photo_from_file(file_of(np.full((1500, 1200), 51, np.uint8)), "big.png", lw.Samples(torch.rand(1, 1, 9, 9)))
    assert given.shape == (1, 1, 1118, 894) and given.shape[2] * given.shape[3] <= MOST_PIXELS
    assert given.said == "big.png: 1200 × 1500, grey → reduced to 894 × 1118"
    assert np.frombuffer(given.values, "<f4") == pytest.approx(np.full(1118 * 894, 0.2))


def test_photos_come_one_by_one_with_what_is_known_of_them():
    rows = photos_of([lw.Samples(torch.rand(2, 3, 8, 9), [1, 0], ("a", "b"), 0.0, 2.0), torch.rand(1, 1, 5, 5)])
    assert [tuple(row.inputs.shape) for row in rows] == [(1, 3, 8, 9), (1, 3, 8, 9), (1, 1, 5, 5)]
    assert [row.high for row in rows] == [2.0, 2.0, 1.0] and rows[0].classes == ("a", "b")
    assert [int(torch.as_tensor(row.labels)[0]) for row in rows[:2]] == [1, 0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": None}, "scan() needs a model and photos, or neither for the examples, got NoneType."),
        ({"photos": None}, "scan() needs a model and photos, or neither for the examples, got Sequential."),
        (
            {"photos": np.zeros((1, 1, 9, 9))},
            "scan() needs photos as lw.Samples, tensors or a list of these, got ndarray.",
        ),
        ({"photos": []}, "scan() needs at least one photo, got none."),
        (
            {"photos": torch.rand(1, 9, 9)},
            "scan() needs photos (n, channels, height, width), got shape (1, 9, 9). "
            "Add a batch dimension with x[None].",
        ),
        (
            {"photos": torch.zeros(1, 1, 1200, 1001)},
            "scan() needs photos of at most 1,200,000 pixels, got 1200×1001. "
            'Reduce them with torch.nn.functional.interpolate(x, scale_factor=0.5, mode="area").',
        ),
        ({"side": None}, "side must be a whole number, at least 1, got None."),
        ({"target": "cat"}, "target must be a class, lw.contrast(a, b) or None, got 'cat'."),
        ({"window": (0.5, 2)}, "Windows.window must be two rising numbers in [0.05, 1.0], got (0.5, 2)."),
        ({"stride": 0}, "Windows.stride must lie in [1, 4096], got 0."),
        ({"stride": 7}, "Windows.stride must lie in [1, 6], got 7."),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_the_arguments_may_be(given, said):
    arguments: dict[str, Any] = {"model": NETWORK, "photos": torch.rand(1, 1, 9, 9), "side": SIDE} | given
    with pytest.raises((TypeError, ValueError)) as caught:
        lw.scan(arguments.pop("model"), arguments.pop("photos"), **arguments)
    assert str(caught.value) == said


def test_windows_are_parts_of_the_shorter_side():
    windows, photo = Windows(1, (0.25, 1.0), 3), torch.zeros(1, 1, 80, 300)
    assert windows.sides(photo) == pytest.approx([20, 40, 80])
    assert windows.scales(photo, 10) == pytest.approx((0.5, 0.25, 0.125))
