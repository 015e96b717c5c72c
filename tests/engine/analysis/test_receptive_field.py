"""Receptive fields: exact against what moves when a pixel does, and relevance drawn where it belongs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.demo.models.digits_cnn import load as digits_cnn
from lrp_widgets.demo.models.photos_cnn import PhotosCNN
from lrp_widgets.engine.trace.tape import record


def positive(model: nn.Module) -> nn.Module:
    """The model in float64 with weights above zero, so that nothing that is seen cancels."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.rand_like(parameter) + 0.1)
    return model.double().eval()


def seen(model: nn.Module, shape: tuple[int, ...], layers: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Whether an answer of a layer changes with a pixel: (rows, columns, height, width), by trying each pixel."""
    channels, height, width = shape
    x = torch.rand(1, *shape, dtype=torch.float64) + 0.5
    moved = torch.eye(height * width, dtype=torch.float64).reshape(-1, 1, height, width).expand(-1, channels, -1, -1)
    answers: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    for batch in torch.cat([x, x + 1e3 * moved]).split(128):
        tape = record(model, batch, lambda out: out)
        for layer, found in answers.items():
            found.append(tape.values[tape.value_at(layer) if layer else tape.inputs[0]])
    return {layer: _changed(torch.cat(found), height, width) for layer, found in answers.items()}


def _changed(answer: Tensor, height: int, width: int) -> np.ndarray:
    answer = answer[(...,) + (None,) * (4 - answer.ndim)]
    changed = ((answer[1:] - answer[:1]).abs() > 1e-9).any(1)
    return changed.reshape(height, width, *answer.shape[2:]).permute(2, 3, 0, 1).numpy()


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """The smallest box around what is seen."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def check(model: nn.Module, shape: tuple[int, ...], *layers: str) -> list[lw.ReceptiveField]:
    """The field of each layer is what is measured at every position; of positions off the edge, size and centre too."""
    model, fields = positive(model), []
    measured = seen(model, shape, layers)
    x = torch.rand(2, *shape, dtype=torch.float64)
    for layer in layers:
        field = lw.receptive_field(model, x, layer)
        known = measured[layer]
        assert field.grid == known.shape[:2]
        inside, filled = 0, 0
        for row, column in np.ndindex(field.grid):
            box = box_of(known[row, column])
            assert field.box(row, column) == box, (layer, row, column)
            for axis, place in enumerate((row, column)):
                middle = field.centre[axis] + place * field.stride[axis]
                start, stop = middle - field.size[axis] / 2, middle + field.size[axis] / 2
                if start >= 0 and stop <= shape[1 + axis]:  # whole inside of the picture
                    assert box[axis] >= start and box[2 + axis] <= stop
                    inside, filled = inside + 1, filled + ((box[axis], box[2 + axis]) == (start, stop))
        assert filled > 0.8 * inside or not inside  # where padding is near, less may be seen
        assert field.whole == bool(known.all())
        fields.append(field)
    return fields


class Residual(nn.Module):
    """A block of a ResNet that halves: two convolutions beside a 1×1 with stride."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 2, 3, 2, 1), nn.Conv2d(2, 2, 3, 1, 1)
        self.norm, self.short = nn.BatchNorm2d(2), nn.Conv2d(1, 2, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv2(self.conv1(x).relu_())) + self.short(x))


class Inception(nn.Module):
    """Branches of different size, concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.three, self.five = (
            nn.Conv2d(1, 2, 1),
            nn.Conv2d(1, 2, 3, padding=1),
            nn.Conv2d(1, 1, 5, padding=2),
        )
        self.end = nn.Conv2d(6, 1, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat([self.one(x), self.three(x), self.five(x), F.max_pool2d(x, 3, 1, 1)], 1)
        return self.end(joined)


class Gated(nn.Module):
    """Squeeze and excite: every position sees all."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gate = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x * self.gate(F.adaptive_avg_pool2d(x, 1)).mul(1e-3)


class Shuffled(nn.Module):
    """ShuffleNet's way of mixing channels, ConvNeXt's of dense layers per pixel, a crop and a shift."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.dense, self.end = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4, 2), nn.Conv2d(2, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = x.view(len(x), 2, 2, *x.shape[2:]).transpose(1, 2).reshape(x.shape)
        x = self.dense(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.end(F.pad(x[:, :, 1:-2, ::2], (0, 1, 1, -1)))


def test_a_chain_is_what_it_says_on_paper():
    model = nn.Sequential(nn.Conv2d(1, 1, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(1, 1, 5, padding=2, stride=2))
    one, two, three = (lw.receptive_field(model, torch.rand(1, 1, 28, 30), layer) for layer in "023")
    assert (one.centre, one.stride, one.size) == ((2.5, 2.5), (1, 1), (5, 5))
    assert (two.centre, two.stride, two.size, two.grid) == ((3.0, 3.0), (2, 2), (6, 6), (12, 13))
    assert (three.centre, three.stride, three.size, three.grid) == ((3.0, 3.0), (4, 4), (14, 14), (6, 7))
    assert three.box(0, 0) == (0, 0, 10, 10)  # the window begins at −4, in the padding
    assert three.box(2, 2) == (4, 4, 18, 18)
    assert three.position(11.5, 12.9) == (2, 2) and three.position(0, 30) == (0, 6)


def window(*geometry: Any, **more: Any) -> nn.Conv2d:
    """A convolution of one channel."""
    return nn.Conv2d(1, 1, *geometry, **more)


ROUND = nn.ZeroPad2d((0, 1, 0, 1))  # as MobileNet pads: at the right and at the bottom
VGG = nn.Sequential(
    *[m for _ in range(3) for m in (window(3, padding=1), window(3, padding=1), nn.ReLU(), nn.MaxPool2d(2))]
)
CASES = {
    "digits_cnn": (digits_cnn(), (1, 28, 28), ("features.0", "features.3", "features.6", "features.8", "")),
    "photos_cnn": (PhotosCNN((1, 2, 2)), (3, 30, 27), ("whiten", "blocks.0", "blocks.1.conv1", "blocks.1", "blocks.2")),
    "VGG": (VGG, (1, 19, 22), ("5", "7", "9", "11")),
    "ResNet": (
        nn.Sequential(window(7, 2, 3), nn.MaxPool2d(3, 2, 1), Residual(), nn.AdaptiveAvgPool2d(1)),
        (1, 30, 30),
        ("1", "2.conv2", "2", "3"),
    ),
    "dilated": (
        nn.Sequential(window(3, dilation=3, padding=3), window((2, 3), dilation=(1, 2))),
        (1, 12, 11),
        ("0", "1"),
    ),
    "MobileNet": (
        nn.Sequential(ROUND, window(3, 2), window(3, 1, 1), ROUND, window(3, 2)),
        (1, 15, 16),
        ("1", "2", "4"),
    ),
    "Inception": (nn.Sequential(window(2, 2), Inception()), (1, 16, 15), ("1", "1.three")),
    "gated": (nn.Sequential(Gated()), (1, 7, 8), ("0.conv", "0")),
    "shuffled": (Shuffled(), (1, 10, 14), ("conv", "end")),
    "transposed": (
        nn.Sequential(window(3), nn.ConvTranspose2d(1, 1, 3, padding=1), nn.AvgPool2d(3, 2, 1, ceil_mode=True)),
        (1, 12, 11),
        ("1", "2"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_what_moves_when_a_pixel_does(name):
    model, shape, layers = CASES[name]
    check(model, shape, *layers)


@st.composite
def stacks(draw: Any) -> list[nn.Module]:
    """A few convolutions and poolings with any geometry, each axis its own."""
    modules: list[nn.Module] = []
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    for kind in draw(st.lists(st.sampled_from(("conv", "max", "avg", "pad", "relu")), min_size=1, max_size=4)):
        kernel = pair(1, 3)
        if kind == "conv":
            modules.append(nn.Conv2d(1, 1, kernel, pair(1, 2), pair(0, 2), pair(1, 2)))
        elif kind == "pad":
            modules.append(nn.ZeroPad2d((*pair(-1, 2), *pair(-1, 2))))
        elif kind == "relu":
            modules.append(nn.ReLU())
        else:
            padding = tuple(draw(st.integers(0, size // 2)) for size in kernel)
            pool = nn.MaxPool2d if kind == "max" else nn.AvgPool2d
            modules.append(pool(kernel, pair(1, 2), padding, ceil_mode=draw(st.booleans())))
    return modules


@settings(max_examples=60, deadline=None)
@given(stacks(), st.integers(9, 12), st.integers(9, 12))
def test_any_stack_of_windows(modules, height, width):
    model = positive(nn.Sequential(*modules))
    x = torch.rand(1, 1, height, width, dtype=torch.float64)
    try:
        model(x)
    except RuntimeError:  # a window larger than what is left
        return
    layer = str(len(modules) - 1)
    field, known = lw.receptive_field(model, x, layer), seen(model, (1, height, width), (layer,))[layer]
    assert field.grid == known.shape[:2]
    for row, column in np.ndindex(field.grid):
        if known[row, column].any():
            assert field.box(row, column) == box_of(known[row, column])
    maps = torch.randn(3, *field.grid, dtype=torch.float64)
    torch.testing.assert_close(lw.at_input(maps, field).sum((1, 2)), maps.sum((1, 2)))


def test_a_dense_layer_sees_all_and_has_one_position():
    model, x = lw.demo.models.digits_cnn(), torch.rand(1, 1, 28, 28)
    field = lw.receptive_field(lw.Explainer(model), x, "classifier.2")
    assert field.whole and field.grid == (1, 1) and field.box(0, 0) == (0, 0, 28, 28)
    assert field.position(3, 3) == (0, 0)
    assert not lw.receptive_field(model, x, "features.3").whole


@pytest.mark.parametrize("name", ["features.0", "features.3", "features.4", "features.6", "features.8"])
def test_relevance_keeps_its_sum_at_the_input(name):
    model, x = lw.demo.models.digits_cnn().double(), lw.demo.data.digits().inputs[:1].double()
    explainer = lw.Explainer(model)
    relevance = explainer.explain(x, method=lw.LRP(lw.epsilon())).layer(name)
    picture = lw.at_input(relevance, lw.receptive_field(explainer, x, name))
    assert picture.shape == (1, relevance.shape[1], 28, 28)
    torch.testing.assert_close(picture.sum((2, 3)), relevance.sum((2, 3)), rtol=1e-6, atol=1e-9)
    maps = relevance[0].numpy()
    np.testing.assert_allclose(
        lw.at_input(maps, lw.receptive_field(explainer, x, name)), picture[0].numpy(), atol=1e-12
    )


@pytest.mark.parametrize("name", ["blocks.0.conv1", "blocks.0", "blocks.1"])
def test_a_single_position_lies_in_its_window_with_its_middle_at_the_centre(name):
    field = lw.receptive_field(lw.demo.models.photos_cnn(), torch.rand(1, 3, 64, 50), name)
    inner = 0
    for row, column in np.ndindex(field.grid):
        hot = np.zeros(field.grid)
        hot[row, column] = 1
        picture = lw.at_input(hot, field)
        top, left, bottom, right = field.box(row, column)
        assert box_of(picture > 0) == (top, left, bottom, right)
        if (bottom - top, right - left) != field.size:
            continue
        inner += 1
        y, x = ((np.arange(n) + 0.5) @ picture.sum(axis) for n, axis in ((64, 1), (50, 0)))
        expected = [c + s * p for c, s, p in zip(field.centre, field.stride, (row, column), strict=True)]
        np.testing.assert_allclose((y, x), expected, atol=1e-9)
        assert field.position(*expected) == (row, column)
    assert inner > 9


def test_it_spreads_as_the_flat_rule_does():
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.AvgPool2d(2), nn.Conv2d(1, 1, 3, padding=1)).double().eval()
    x = torch.rand(1, 1, 12, 12, dtype=torch.float64) + 0.1
    explainer = lw.Explainer(model, output=lambda out: out.flatten(1))
    flat = lw.LRP(lw.Composite([lw.Entry(lw.rules.Flat())]))
    found = explainer.explain(x, 14, flat)
    pooled = lw.receptive_field(explainer, x, "1")
    expected = lw.at_input(torch.ones(6, 6, dtype=torch.float64), pooled)
    assert expected.sum() == pytest.approx(36)
    # The flat rule has no say in poolings; above the pooling it is the same to the last digit.
    above = found.layer("1")[0, 0] / found.layer("1").sum()
    one = nn.Sequential(model[2])
    field = lw.receptive_field(one, torch.rand(1, 1, 6, 6, dtype=torch.float64), "0")
    hot = torch.zeros(6, 6, dtype=torch.float64)
    hot[14 // 6, 14 % 6] = 1
    torch.testing.assert_close(above, lw.at_input(hot, field))


class Enlarged(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.end = nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(F.interpolate(self.conv(x), scale_factor=2, mode="bilinear"))


def test_what_is_not_known_is_said():
    x = torch.rand(1, 1, 8, 8)
    assert lw.receptive_field(Enlarged(), x, "conv").size == (3, 3)
    with pytest.raises(ValueError) as told:
        lw.receptive_field(Enlarged(), x, "end")
    assert str(told.value) == (
        "The receptive field of 'end' is not known: the step 'upsample_bilinear2d' (upsample_bilinear2d) does not say "
        "what it sees: nobody has said what it sees."
    )
    with pytest.raises(ValueError, match=r"'end' is not known: .* positions lie 1 and 2 pixels apart"):
        lw.receptive_field(Uneven(), x, "end")
    with pytest.raises(KeyError, match="No recorded layer is called 'nowhere'"):
        lw.receptive_field(Enlarged(), x, "nowhere")
    field = lw.receptive_field(Enlarged(), x, "conv")
    with pytest.raises(IndexError) as outside:
        field.box(0, 6)
    assert str(outside.value) == "The map has 6×6 positions, there is no 0, 6."
    with pytest.raises(ValueError) as told:
        lw.at_input(torch.rand(1, 5, 6), field)
    assert str(told.value) == "at_input: maps must end in the 6×6 positions of the field, got shape (1, 5, 6)."
    with pytest.raises(ValueError) as told:
        lw.receptive_field(lw.demo.models.digits_mlp(), torch.rand(1, 784), "")
    assert str(told.value) == (
        "lw.receptive_field needs one picture (batch, channels, height, width), got shape (1, 784)."
    )


class Uneven(nn.Module):
    """Maps of which one has positions twice as far apart, cut to the same size."""

    def __init__(self) -> None:
        super().__init__()
        self.end = nn.Conv2d(1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(x[:, :, :4, :4] + x[:, :, ::2, ::2])
