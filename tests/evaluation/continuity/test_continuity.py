"""Continuity by hand on the network that takes a maximum, and against a slow loop of single explanations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.evaluation import neighbourhoods as near
from lrp_widgets.evaluation import stream_continuity


def maximum() -> nn.Module:
    """max(x₁, x₂) as max(0, ½ (max(0, x₁ − x₂) + max(0, x₂ − x₁) + max(0, x₁ + x₂)))."""
    layers = nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 1, bias=False), nn.ReLU()
    model = nn.Sequential(*layers).double().eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]))
        model[2].weight.fill_(0.5)
    return model


def seeing() -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 4 * 5, 3)
    return nn.Sequential(*layers).double().eval(), torch.rand(1, 1, 6, 7).double()


A, B = torch.tensor([[2.0, 1.0]]).double(), torch.tensor([[1.0, 2.0]]).double()


def test_the_golden_case_by_hand() -> None:
    """From (2, 1) to (1, 2) in three steps of length √2/3."""
    how: Any = {"kind": near.Between(3), "other": B}
    deep = lw.continuity(maximum(), A, lw.LRP(lw.deep_taylor()), 0, **how)
    assert deep.relevance.tolist() == [pytest.approx(r) for r in ([1.5, 0.5], [1, 2 / 3], [2 / 3, 1], [0.5, 1.5])]
    assert deep.ratios.tolist() == pytest.approx([2**0.5] * 3)
    assert deep.scores.tolist() == pytest.approx([2, 5 / 3, 5 / 3, 2])
    assert deep.value == pytest.approx(2**0.5) and deep.jumps == ()
    taylor = lw.continuity(maximum(), A, lw.SimpleTaylor(), 0, **how, jump=9)
    assert taylor.relevance.tolist() == [pytest.approx(r) for r in ([2, 0], [5 / 3, 0], [0, 5 / 3], [0, 2])]
    assert taylor.ratios.tolist() == pytest.approx([0.5**0.5, 10 * 0.5**0.5, 0.5**0.5])
    assert taylor.running.tolist() == pytest.approx([0.5**0.5, 10 * 0.5**0.5, 10 * 0.5**0.5])
    assert taylor.median == pytest.approx(0.5**0.5)
    assert taylor.jumps == (1,)
    assert lw.continuity(maximum(), A, lw.SimpleTaylor(), 0, **how, jump=11).jumps == ()


def test_the_default_method_is_deep_taylor() -> None:
    how: Any = {"kind": near.Between(3), "other": B}
    one, other = (lw.continuity(maximum(), A, method, 0, **how) for method in (None, lw.LRP()))
    assert np.array_equal(one.relevance, other.relevance)


@pytest.mark.parametrize("kind", ["translation", "noise", "rotation", "brightness", "between"])
@pytest.mark.parametrize("method", [lw.LRP(lw.epsilon(0.1)), lw.Gradient()], ids=lambda method: type(method).__name__)
def test_against_one_explanation_after_the_other(kind: str, method: Any) -> None:
    model, x = seeing()
    other = torch.rand(1, 1, 6, 7).double() if kind == "between" else None
    path = lw.continuity(model, x, method, 2, kind=kind, other=other, batch=3)
    explainer, inputs = lw.Explainer(model), [torch.from_numpy(one)[None] for one in path.inputs]
    relevance = [explainer.explain(one, 2, method).relevance for one in inputs]
    assert np.abs(path.relevance - torch.cat(relevance).numpy()).max() < 1e-12
    assert path.scores.tolist() == pytest.approx([float(model(one)[0, 2].detach()) for one in inputs])
    expected = []
    for i in range(1, len(inputs)):
        j = 0 if kind == "noise" else i - 1
        moved = float((inputs[i] - inputs[j]).norm())
        expected.append(float((relevance[i] - relevance[j]).abs().sum()) / moved)
    assert path.ratios.tolist() == pytest.approx(expected)
    assert path.value == pytest.approx(max(expected))
    assert len(path.places) == len(inputs) == len(path.kind.places())


def test_the_class_of_x_is_explained_all_the_way() -> None:
    model = nn.Linear(2, 2, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.eye(2))
    path = lw.continuity(model, A, lw.SimpleTaylor(), kind="between", other=B)
    assert path.scores.tolist() == pytest.approx(np.linspace(2, 1, 17).tolist())  # class 0, also where 1 is the top
    both = lw.continuity(model, A, lw.SimpleTaylor(), lw.contrast(0, 1), kind="between", other=B)
    assert both.scores.tolist() == pytest.approx(np.linspace(1, -1, 17).tolist())


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_the_stream_grows_into_the_whole(batch: int) -> None:
    model, x = seeing()
    whole = lw.continuity(model, x, lw.Gradient(), 0, kind="rotation")
    paths = list(stream_continuity(model, x, lw.Gradient(), 0, kind="rotation", batch=batch))
    assert [len(path.inputs) for path in paths] == [*range(batch, 11, batch), 11]
    for path in paths:
        n = len(path.inputs)
        assert path.ratios.tolist() == pytest.approx(whole.ratios[: n - 1].tolist(), abs=1e-12)
        assert path.places.tolist() == whole.places[:n].tolist()
    assert np.isnan(next(stream_continuity(model, x, lw.Gradient(), 0, batch=1)).value)


def test_an_explainer_keeps_what_it_remembers() -> None:
    model, x = seeing()
    explainer = lw.Explainer(model)
    explainer.explain(x, 0)
    path = lw.continuity(explainer, x, None, 0)
    assert explainer.remembers(x)
    assert np.array_equal(path.ratios, lw.continuity(model, x, None, 0).ratios)


def test_whole_pixels_are_moved_as_they_are() -> None:
    x = torch.arange(12.0).reshape(1, 1, 3, 4) + 1
    moved = torch.cat(list(near.Translation(1.0, 1.0).inputs(x, torch.tensor(-5.0), None)))[:, 0]
    left, still, right = (m.round(decimals=4).tolist() for m in moved)
    assert still == x[0, 0].tolist()
    assert right == [[-5, 1, 2, 3], [-5, 5, 6, 7], [-5, 9, 10, 11]]
    assert left == [[2, 3, 4, -5], [6, 7, 8, -5], [10, 11, 12, -5]]
    down = list(near.Translation(1.0, 1.0, "vertical").inputs(x, torch.tensor(0.0), None))[2][0, 0]
    assert down.round(decimals=4).tolist() == [[0, 0, 0, 0], [1, 2, 3, 4], [5, 6, 7, 8]]
    aslant = list(near.Translation(1.0, 1.0, "diagonal").inputs(x, torch.tensor(0.0), None))[2][0, 0]
    assert aslant.round(decimals=4).tolist() == [[0, 0, 0, 0], [0, 1, 2, 3], [0, 5, 6, 7]]
    half = list(near.Translation(0.5, 0.5).inputs(x, torch.tensor(0.0), None))[2][0, 0, 0]
    assert half.tolist() == pytest.approx([0.5, 1.5, 2.5, 3.5])


def test_a_quarter_turn() -> None:
    x = torch.arange(9.0).reshape(1, 1, 3, 3)
    back, still, turned = near.Rotation(90.0, 90.0).inputs(x, torch.tensor(0.0), None)
    assert torch.allclose(still, x, atol=1e-6)
    assert torch.allclose(turned[0, 0], torch.rot90(x[0, 0]), atol=1e-5)  # counter-clockwise, as numpy turns
    assert torch.allclose(back[0, 0], torch.rot90(x[0, 0], -1), atol=1e-5)
    wide = torch.zeros(1, 1, 5, 9)
    wide[0, 0, 2, 6] = 1  # two pixels to the right of the centre
    up = list(near.Rotation(90.0, 90.0).inputs(wide, torch.tensor(0.0), None))[2]
    assert float(up[0, 0, 0, 4]) == pytest.approx(1, abs=1e-5)  # two above it


def test_brightness_and_noise() -> None:
    x = torch.tensor([[1.0, 3.0]])
    assert torch.cat(list(near.Brightness(0.5, 0.5).inputs(x, x, None))).tolist() == [[0, 2], [1, 3], [2, 4]]
    first, *rest = near.Noise(500, 0.1, 1).inputs(x, x, None)
    assert torch.equal(first, x)
    assert float((torch.cat(rest) - x).std()) == pytest.approx(0.1 * 2, rel=0.1)
    again, other = (list(near.Noise(500, 0.1, seed).inputs(x, x, None)) for seed in (1, 2))
    assert torch.equal(again[3], rest[2]) and not torch.equal(other[3], rest[2])
    assert near.Brightness().places().tolist() == pytest.approx([0.04 * i for i in range(-5, 6)])
    assert near.Translation(2.5, 1.0).places().tolist() == [-2, -1, 0, 1, 2]


def test_places_without_a_distance_do_not_count() -> None:
    x = torch.zeros(1, 1, 6, 7).double()
    x[0, 0, 2, 0] = 1.0  # gone after a step to the left; nothing but darkness is moved from there on
    model, _ = seeing()
    path = lw.continuity(model, x, lw.SimpleTaylor(), 0, kind=near.Translation(3.0, 1.0))
    assert np.isnan(path.ratios).tolist() == [True, True, False, False, False, False]
    assert path.value == pytest.approx(np.nanmax(path.ratios)) and np.isnan(path.running[1])


def refused(**changes: Any) -> None:
    model, x = seeing()
    lw.continuity(**{"model": model, "x": x, "method": lw.Gradient()} | changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "net"}, "TypeError: continuity needs a torch.nn.Module, got str. Wrap a function in a Module."),
        (
            {"x": torch.rand(2, 1, 6, 7).double()},
            "ValueError: continuity takes one input with its batch dimension, got shape (2, 1, 6, 7). "
            "Take one with x[i : i + 1].",
        ),
        (
            {"kind": "shear"},
            "ValueError: kind must be one of 'translation', 'noise', 'rotation', 'brightness', 'between', or a setting "
            "such as neighbourhoods.Noise(8), got 'shear'.",
        ),
        (
            {"model": maximum(), "x": A},
            "ValueError: Translation needs a picture (1, channels, height, width), got shape (1, 2). "
            'Take kind="noise" or "brightness".',
        ),
        (
            {"kind": "between"},
            'ValueError: kind="between" needs the input where the way ends. Give other=…, of the shape of x.',
        ),
        (
            {"kind": "between", "other": torch.rand(1, 1, 7, 6)},
            "ValueError: other must have the shape of x, (1, 1, 6, 7), got (1, 1, 7, 6).",
        ),
        (
            {"other": torch.rand(1, 1, 6, 7)},
            "ValueError: other is where a way from x ends, and Translation(reach=4.0, step=1.0, along='horizontal') "
            'has none. Take kind="between".',
        ),
        ({"fill": (0, 0)}, "ValueError: continuity.fill must be one number or one per channel (1), got 2. Give one."),
        ({"jump": 0}, "ValueError: jump must be a number above 0, got 0."),
        ({"batch": 0}, "ValueError: batch must be a whole number, at least 1, got 0."),
        (
            {"x": torch.zeros(1, 1, 6, 7).double()},
            "AllTheSame: continuity needs inputs that differ, and all 9 of "
            "Translation(reach=4.0, step=1.0, along='horizontal') are the same. "
            "Choose another kind, or one that reaches further.",
        ),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_messages(changes: Any, said: str) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        refused(**changes)
    assert f"{type(caught.value).__name__}: {caught.value}" == said
