"""The sliding window against one window after the other, and against what can be worked by hand."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets import WindowMap, sliding_window
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.methods.sliding_window import cut_window, shares

SIDE = 6


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    return nn.Sequential(*layers).double().eval()


def bright() -> nn.Module:
    """f = the sum of the window, and its negative."""
    dense = nn.Linear(4, 2, bias=False).double()
    with torch.no_grad():
        dense.weight.copy_(torch.tensor([[1.0], [-1.0]]).expand(2, 4))
    return nn.Sequential(nn.Flatten(), dense)


@pytest.fixture
def image() -> Tensor:
    torch.manual_seed(1)
    return torch.rand(1, 3, 13, 17).double()


def overlap(a: float, b: float, c: float, d: float) -> float:
    return max(0.0, min(b, d) - max(a, c))


def rewritten(
    model: nn.Module, image: Tensor, target: Any, method: Any, stride: int, scales: tuple[float, ...], only_top: bool
) -> tuple[np.ndarray, np.ndarray, float]:
    """Relevance, score map and f: one window after the other, pixel by pixel."""
    _, channels, height, width = image.shape
    relevance, scored, seen, f = np.zeros((channels, height, width)), np.zeros((height, width)), 0.0, 0.0
    seen = np.zeros((height, width))
    for scale in scales:
        rows, columns = round(height * scale), round(width * scale)
        # For each small pixel, the pixels of the image it lies on, and the share of it that each of them is.
        lies_on: dict[tuple[int, int], list[tuple[int, int, float]]] = {}
        small = np.zeros((channels, rows, columns))
        for i, j in itertools.product(range(rows), range(columns)):
            lies_on[i, j] = []
            for r, c in itertools.product(range(height), range(width)):
                down = overlap(i * height / rows, (i + 1) * height / rows, r, r + 1) * rows / height
                right = overlap(j * width / columns, (j + 1) * width / columns, c, c + 1) * columns / width
                if down * right:
                    lies_on[i, j].append((r, c, down * right))
                    small[:, i, j] += down * right * image[0, :, r, c].numpy()
        tops = [t for t in range(rows - SIDE + 1) if t % stride == 0 or t == rows - SIDE]
        lefts = [t for t in range(columns - SIDE + 1) if t % stride == 0 or t == columns - SIDE]
        count = len(tops) * len(lefts) * len(scales)
        for top, left in itertools.product(tops, lefts):
            window = torch.from_numpy(small[None, :, top : top + SIDE, left : left + SIDE])
            found = lw.Explainer(model).explain(window, target, method)
            counts = 0.0 if only_top and int(found.scores.argmax()) != target else 1.0
            f += counts * float(found.explained) / count
            for i, j in itertools.product(range(SIDE), range(SIDE)):
                for r, c, share in lies_on[top + i, left + j]:
                    relevance[:, r, c] += share * counts * found.relevance[0, :, i, j].numpy() / count
                    scored[r, c] += share * counts * float(found.explained) / count
                    seen[r, c] += share / count
    return relevance, scored / seen, f


@pytest.mark.parametrize(
    ("scales", "stride", "batch", "only_top"),
    [
        ((1.0,), 1, 64, False),
        ((0.7,), 2, 5, True),
        ((0.5, 1.0), 4, 1, True),
        ((1.0, 0.5, 1.3), 6, 2, False),
    ],
    ids=str,
)
def test_it_is_one_window_after_the_other(
    image: Tensor, scales: tuple[float, ...], stride: int, batch: int, only_top: bool
) -> None:
    model, method = network(), lw.LRP(lw.epsilon())
    *_, last = sliding_window(
        lw.Explainer(model), image, 1, method, side=SIDE, stride=stride, scales=scales, batch=batch, only_top=only_top
    )
    relevance, score_map, f = rewritten(model, image, 1, method, stride, scales, only_top)
    np.testing.assert_allclose(last.relevance[0].numpy(), relevance, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(last.score_map, score_map, rtol=1e-9, atol=1e-12)
    assert last.f == pytest.approx(f, rel=1e-9, abs=1e-12)
    assert last.stride == stride and last.target == 1
    assert last.heatmap() == pytest.approx(relevance.sum(0))


def test_by_hand() -> None:
    """Windows of two pixels over 1 2 3 (twice): f is 6 and 10; the middle column is seen by both."""
    image = torch.tensor([[[[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]]]).double()
    (only,) = sliding_window(lw.Explainer(bright()), image, 0, lw.SimpleTaylor(), side=2, stride=2)
    assert only.relevance[0, 0].tolist() == [[0.5, 2.0, 1.5]] * 2
    assert only.score_map.tolist() == [[6.0, 8.0, 10.0]] * 2
    assert only.f == 8.0 == float(only.relevance.sum())
    assert only.boxes.tolist() == [[0, 0, 2, 2], [0, 1, 2, 3]]
    assert only.values.tolist() == [6.0, 10.0]


def test_every_map_is_whole_and_the_coarse_ones_come_first(image: Tensor) -> None:
    explainer, method = lw.Explainer(network()), lw.LRP(lw.epsilon())
    maps = list(sliding_window(explainer, image, 2, method, side=SIDE, stride=1))
    assert [found.stride for found in maps] == [4, 2, 1]
    assert [len(found.values) for found in maps] == [3 * 4, 5 * 7, 8 * 12]
    for found in maps:  # each as if it had been asked for alone
        *_, alone = sliding_window(explainer, image, 2, method, side=SIDE, stride=found.stride)
        torch.testing.assert_close(found.relevance, alone.relevance)
        assert (found.score_map == pytest.approx(alone.score_map)) and found.f == pytest.approx(alone.f)


def test_relevance_adds_up_to_f_at_any_scale(image: Tensor) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3, bias=False))
    model = model.double().eval()
    for scales in ((1.0,), (0.5, 0.83), (1.6,)):
        *_, last = sliding_window(
            lw.Explainer(model), image, 0, lw.LRP(lw.epsilon(1e-12)), side=SIDE, stride=2, scales=scales
        )
        assert float(last.relevance.sum()) == pytest.approx(last.f, rel=1e-6)
        assert last.f == pytest.approx(np.mean(last.values) if len(scales) == 1 else last.f)


def test_an_image_of_the_size_of_the_window_is_explained_as_ever() -> None:
    torch.manual_seed(2)
    x, explainer, method = torch.rand(1, 3, SIDE, SIDE).double(), lw.Explainer(network()), lw.LRP(lw.epsilon())
    maps = list(sliding_window(explainer, x, None, method, side=SIDE, stride=3))
    plain = explainer.explain(x, None, method)
    for found in maps:
        torch.testing.assert_close(found.relevance, plain.relevance)
        assert (found.target,) == plain.target
        assert found.score_map == pytest.approx(np.full((SIDE, SIDE), float(plain.explained)))


def test_without_a_target_the_highest_mean_score_is_explained() -> None:
    dark = -torch.ones(1, 1, 5, 5).double()
    (found, *_) = sliding_window(lw.Explainer(bright()), dark, None, lw.SimpleTaylor(), side=2, stride=1)
    assert found.target == 1 and found.f == 4


def test_a_class_that_is_not_there_is_named_before_the_work(image: Tensor) -> None:
    with pytest.raises(IndexError, match=r"target must lie in \[0, 2\], the model's outputs, got 3"):
        next(sliding_window(lw.Explainer(network()), image, 3, side=SIDE))


def test_a_contrast_explains_the_difference(image: Tensor) -> None:
    explainer = lw.Explainer(network())
    said = [
        list(sliding_window(explainer, image, target, lw.SimpleTaylor(), side=SIDE, stride=4))[-1]
        for target in (0, 2, lw.contrast(0, 2))
    ]
    torch.testing.assert_close(said[2].relevance, said[0].relevance - said[1].relevance)
    assert said[2].f == pytest.approx(said[0].f - said[1].f)


def test_the_explainer_keeps_what_it_remembers(image: Tensor) -> None:
    explainer, x = lw.Explainer(network()), image[..., :SIDE, :SIDE]
    explainer.explain(x, 0)
    list(sliding_window(explainer, image, 0, side=SIDE, stride=4))
    assert explainer.remembers(x)


def test_abandoned_between_batches(image: Tensor) -> None:
    maps: list[WindowMap] = []
    explainer = lw.Explainer(network())
    with pytest.raises(Abandoned):
        for found in sliding_window(explainer, image, 0, side=SIDE, stride=1, abandoned=lambda: bool(maps)):
            maps.append(found)
    assert [found.stride for found in maps] == [4]


def test_single_precision_stays(image: Tensor) -> None:
    (found, *_) = sliding_window(lw.Explainer(network().float()), image.float(), torch.tensor(0), side=SIDE)
    assert found.relevance.dtype == torch.float32


@pytest.mark.parametrize(("length", "parts"), [(5, 5), (5, 3), (7, 2), (3, 7), (1, 1)])
def test_shares_take_means_and_lose_nothing(length: int, parts: int) -> None:
    share = shares(length, parts, torch.zeros(()).double())
    assert share.sum(1).tolist() == pytest.approx([1] * parts)
    assert share.sum(0).tolist() == pytest.approx([parts / length] * length)
    assert parts != length or torch.equal(share, torch.eye(length).double())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"image": torch.rand(2, 3, 9, 9)},
            "sliding_window takes one image with its batch dimension, (1, channels, height, width), "
            "got shape (2, 3, 9, 9). Take one with x[i : i + 1].",
        ),
        ({"side": 0}, "side must be a whole number, at least 1, got 0."),
        ({"stride": 2.0}, "stride must be a whole number, at least 1, got 2.0."),
        ({"side": "6"}, "side must be a whole number, at least 1, got '6'."),
        ({"batch": True}, "batch must be a whole number, at least 1, got True."),
        ({"stride": 7}, "stride must be at most side (6), or pixels between the windows are left out, got 7."),
        ({"scales": ()}, "scales must be one or more numbers such as (1.0, 0.5), got ()."),
        ({"scales": 0.5}, "scales must be one or more numbers such as (1.0, 0.5), got 0.5."),
        ({"scales": (1.0, -1)}, "scales must be numbers above 0, got -1."),
        (
            {"scales": (0.25,)},
            "scales must leave the image at least 6 pixels high and wide, the window's side, got 0.25 of 13×17. "
            "Take scales from 0.46 up.",
        ),
        ({"method": lw.rules.Zero()}, "method must be a method such as lw.LRP(lw.epsilon()), got Zero()."),
    ],
    ids=lambda value: str(next(iter(value))) if isinstance(value, dict) else "",
)
def test_what_the_arguments_may_be(image: Tensor, change: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"image": image, "target": 0, "side": SIDE} | change
    with pytest.raises((TypeError, ValueError)) as caught:
        next(sliding_window(lw.Explainer(network()), **given))
    assert str(caught.value) == said


def test_progress_counts_the_windows_of_all_scales(image: Tensor) -> None:
    told: list[tuple[int, int]] = []
    maps = list(
        sliding_window(
            lw.Explainer(network()), image, 0, side=SIDE, stride=3, scales=(0.7, 1.0), batch=4,
            progress=lambda done, total: told.append((done, total)),
        )
    )  # fmt: skip
    total = len(maps[-1].values)
    assert told[-1] == (total, total) and {each[1] for each in told} == {total}
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert len(maps[0].values) in [done for done, _ in told]


def found_at(boxes: Any, values: list[float]) -> WindowMap:
    return WindowMap(torch.zeros(1, 1, 9, 9), np.zeros((9, 9)), 0.0, np.array(boxes), np.array(values), 1, 0)


def test_the_best_windows_show_different_things() -> None:
    boxes = [[0, 0, 4, 4], [0, 1, 4, 5], [0, 3, 4, 7], [5, 5, 9, 9], [5, 0, 9, 4]]
    found = found_at(boxes, [2.0, 3.0, 1.0, -1.0, 0.5])
    assert found.best() == [1, 4]  # the first shares 12 of 20 with the second, and the third 8 of 24: a third
    assert found.best(overlap=0.34) == [1, 2, 4]
    assert found.best(overlap=1.0) == [1, 0, 2, 4]
    assert found.best(1) == [1]
    assert found_at(boxes, [0.0] * 5).best() == []


def test_a_window_is_cut_as_it_was_explained(image: Tensor) -> None:
    model, method = network(), lw.LRP(lw.epsilon())
    *_, last = sliding_window(lw.Explainer(model), image, 1, method, side=SIDE, stride=5, scales=(0.7, 1.3, 0.55))
    for box, value in zip(last.boxes, last.values, strict=True):
        window = cut_window(image, box, SIDE)
        assert window.shape == (1, 3, SIDE, SIDE)
        assert float(model(window).detach()[0, 1]) == pytest.approx(value, rel=1e-9)
