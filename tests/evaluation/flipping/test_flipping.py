"""Pixel flipping against the obvious slow loop: one patch after the other, one forward pass each."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.evaluation import Curve, pixel_flipping, random_flipping, stream_flipping


def network(channels: int, height: int, width: int, classes: int = 4) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, 8), nn.Tanh(), nn.Linear(8, classes)).eval()


def patches(height: int, width: int, patch: int) -> list[list[tuple[int, int]]]:
    """The pixels of each patch, patch by patch, the last ones smaller."""
    rows, columns = range(0, height, patch), range(0, width, patch)
    return [
        [(y, x) for y in range(top, min(top + patch, height)) for x in range(left, min(left + patch, width))]
        for top, left in itertools.product(rows, columns)
    ]


def slow_curve(
    model: nn.Module, x: Tensor, heatmap: np.ndarray, target: int, patch: int, baseline: tuple[float, ...], order: str
) -> list[float]:
    """f(x) before the first and after each removal."""
    x = x.clone()
    there = patches(*x.shape[-2:], patch)
    there.sort(key=lambda pixels: sum(float(heatmap[p]) for p in pixels), reverse=order == "most")
    scores = [float(model(x)[0, target])]
    for pixels in there:
        for y, column in pixels:
            for channel, value in enumerate(baseline):
                x[0, channel, y, column] = value
        scores.append(float(model(x)[0, target]))
    return scores


@pytest.mark.parametrize("order", ["most", "least"])
@pytest.mark.parametrize(
    ("patch", "size"), [(1, (4, 5)), (2, (6, 4)), (4, (10, 7)), (3, (3, 8)), (5, (4, 4)), (20, (6, 6))]
)
def test_against_the_slow_loop(order: str, patch: int, size: tuple[int, int]) -> None:
    model, x = network(3, *size), torch.rand(1, 3, *size)
    heatmap, baseline = np.random.default_rng(0).standard_normal(size), (0.5, -1.0, 2.0)
    curve = pixel_flipping(model, x, heatmap, 2, patch=patch, baseline=baseline, order=order)
    with torch.no_grad():
        expected = slow_curve(model, x, heatmap, 2, patch, baseline, order)
    assert curve.values.tolist() == pytest.approx(expected, abs=1e-6)
    assert curve.removed.tolist() == pytest.approx(np.linspace(0, 1, len(expected)).tolist())
    assert (curve.order, curve.unit) == (f"{order} relevant first", "f(x)" if curve.unit == "f(x)" else "logit")
    assert curve.low is None and curve.high is None


def test_features_go_in_groups() -> None:
    torch.manual_seed(0)
    model, x = nn.Linear(7, 3), torch.rand(1, 7)
    heatmap = np.array([[0.0, 1, 5, 5, 0, 0, 4]])  # groups of two: 1, 10, 0, 4
    curve = pixel_flipping(model, x, heatmap, 1, patch=2, baseline=0.25)
    removed, expected = [[], [2, 3], [2, 3, 6], [2, 3, 6, 0, 1], [0, 1, 2, 3, 4, 5, 6]], []
    for gone in removed:
        changed = x.clone()
        changed[0, gone] = 0.25
        expected.append(float(model(changed).detach()[0, 1]))
    assert curve.values.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("spelled", ["pixels", "row of pixels", "relevance", "tensor", "explanation"])
def test_heatmaps_in_every_form(spelled: str) -> None:
    model, x = network(2, 6, 6), torch.rand(1, 2, 6, 6)
    explanation = lw.Explainer(model).explain(x, 1, lw.LRP(lw.epsilon()))
    heatmap: Any = {
        "pixels": explanation.heatmap(),
        "row of pixels": explanation.heatmap()[None],
        "relevance": explanation.relevance,
        "tensor": explanation.relevance[0],
        "explanation": explanation.relevance.detach().double().requires_grad_(),
    }[spelled]
    curve = pixel_flipping(model, x, heatmap, 1, patch=2)
    with torch.no_grad():
        expected = slow_curve(model, x, explanation.relevance[0].double().sum(0).numpy(), 1, 2, (0.0, 0.0), "most")
    assert curve.values.tolist() == pytest.approx(expected, abs=1e-6)


def test_ties_go_in_reading_order() -> None:
    model, x = network(1, 4, 4), torch.rand(1, 1, 4, 4)
    for order in ("most", "least"):
        curve = pixel_flipping(model, x, np.zeros((4, 4)), 0, patch=2, order=order)
        with torch.no_grad():
            expected = slow_curve(model, x, np.zeros((4, 4)), 0, 2, (0.0,), "least")  # sort() leaves ties as they are
        assert curve.values.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("steps", "counts"), [(1, [0, 9]), (3, [0, 3, 6, 9]), (4, [0, 2, 4, 7, 9]), (9, range(10)), (99, range(10))]
)
def test_steps_pick_points_of_the_whole_curve(steps: int, counts: list[int]) -> None:
    model, x = network(1, 6, 6), torch.rand(1, 1, 6, 6)
    heatmap = np.random.default_rng(1).standard_normal((6, 6))
    whole = pixel_flipping(model, x, heatmap, 0, patch=2)
    curve = pixel_flipping(model, x, heatmap, 0, patch=2, steps=steps)
    assert curve.values.tolist() == pytest.approx([whole.values[i] for i in counts], abs=1e-6)
    assert curve.removed.tolist() == pytest.approx([i / 9 for i in counts])


def test_probability_is_a_softmax_over_the_classes() -> None:
    model, x = network(1, 4, 4), torch.rand(1, 1, 4, 4)
    heatmap = np.random.default_rng(1).standard_normal((4, 4))
    curves = [pixel_flipping(model, x, heatmap, c, patch=2, unit="probability") for c in range(4)]
    assert sum(curve.values for curve in curves).tolist() == pytest.approx([1.0] * 5)
    logits = np.stack([pixel_flipping(model, x, heatmap, c, patch=2).values for c in range(4)])
    expected = np.exp(logits[2]) / np.exp(logits).sum(0)
    assert curves[2].values.tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_without_a_target_the_class_of_the_whole_input_is_followed() -> None:
    model, x = nn.Sequential(nn.Flatten(), nn.Linear(36, 2)), torch.rand(1, 1, 6, 6)
    nn.init.constant_(model[1].weight[0], 1.0)
    nn.init.constant_(model[1].weight[1], -1.0)
    heatmap = np.random.default_rng(2).standard_normal((6, 6))
    top = int(model(x).argmax())
    how: Any = {"patch": 2, "baseline": -3.0, "batch": 4}
    expected = pixel_flipping(model, x, heatmap, top, **how)
    assert int(model(torch.full_like(x, -3.0)).argmax()) != top  # it is another class in the end
    for target in (None, [top], torch.tensor([top])):
        assert pixel_flipping(model, x, heatmap, target, **how).values.tolist() == expected.values.tolist()


def test_a_contrast_is_the_difference() -> None:
    model, x = network(1, 4, 4), torch.rand(1, 1, 4, 4)
    heatmap = np.random.default_rng(2).standard_normal((4, 4))
    a, b = (pixel_flipping(model, x, heatmap, c, patch=2).values for c in (3, 1))
    got = pixel_flipping(model, x, heatmap, lw.contrast(3, 1), patch=2)
    assert got.values.tolist() == pytest.approx((a - b).tolist(), abs=1e-6)


@pytest.mark.parametrize("batch", [1, 3, 10, 64])
def test_the_stream_grows_into_the_whole(batch: int) -> None:
    model, x = network(1, 6, 6), torch.rand(1, 1, 6, 6)
    heatmap = np.random.default_rng(3).standard_normal((6, 6))
    whole = pixel_flipping(model, x, heatmap, 0, patch=2)
    curves = list(stream_flipping(model, x, heatmap, 0, patch=2, batch=batch))
    assert [len(curve.values) for curve in curves] == [*range(batch, 10, batch), 10]
    for curve in curves:
        assert curve.values.tolist() == pytest.approx(whole.values[: len(curve.values)].tolist(), abs=1e-6)
        assert curve.removed.tolist() == whole.removed[: len(curve.values)].tolist()
    assert curves[-1].removed[-1] == 1


def test_random_orders_are_the_same_every_time() -> None:
    model, x = network(1, 6, 6), torch.rand(1, 1, 6, 6)
    heatmap = np.random.default_rng(3).standard_normal((6, 6))
    one, again, other = (pixel_flipping(model, x, heatmap, 0, order="random", patch=2, seed=s) for s in (4, 4, 5))
    assert one.values.tolist() == again.values.tolist()
    assert one.values.tolist() != other.values.tolist()
    assert one.order == "random"
    torch.manual_seed(0)
    before = torch.rand(1)
    torch.manual_seed(0)
    pixel_flipping(model, x, heatmap, 0, order="random", patch=2)
    assert torch.equal(torch.rand(1), before)  # nobody else's random numbers are used up


@pytest.mark.parametrize("size", [(6, 6), (5, 7)])
def test_a_random_order_removes_each_patch_once_and_whole(size: tuple[int, int]) -> None:
    there = patches(*size, 2)
    weights = torch.zeros(size)
    for number, pixels in enumerate(there):  # what is missing from the sum tells which patch has gone
        for pixel in pixels:
            weights[pixel] = 2.0**number / len(pixels)
    model = nn.Sequential(nn.Flatten(), nn.Linear(weights.numel(), 1, bias=False)).double()
    with torch.no_grad():
        model[1].weight.copy_(weights.flatten()[None])
    x = torch.ones(1, 1, *size).double()
    seen = set()
    for seed in range(5):
        curve = pixel_flipping(model, x, np.zeros(size), 0, patch=2, order="random", seed=seed)
        gone = np.log2(-np.diff(curve.values))
        assert sorted(gone.round(9).tolist()) == list(range(len(there)))
        seen.add(tuple(gone.round().astype(int).tolist()))
    assert len(seen) == 5


def test_a_contrast_of_probabilities_is_their_difference() -> None:
    model, x = network(1, 4, 4), torch.rand(1, 1, 4, 4)
    heatmap = np.random.default_rng(2).standard_normal((4, 4))
    how: Any = {"patch": 2, "unit": "probability"}
    a, b = (pixel_flipping(model, x, heatmap, c, **how).values for c in (3, 1))
    got = pixel_flipping(model, x, heatmap, lw.contrast(3, 1), **how)
    assert got.values.tolist() == pytest.approx((a - b).tolist(), abs=1e-6)


def test_the_random_band_holds_its_curves() -> None:
    model, x = network(1, 6, 6), torch.rand(1, 1, 6, 6)
    band = random_flipping(model, x, 0, patch=2, seeds=5)
    curves = [pixel_flipping(model, x, np.zeros((6, 6)), 0, patch=2, order="random", seed=s).values for s in range(5)]
    assert band.values.tolist() == pytest.approx(np.mean(curves, 0).tolist())
    assert band.low is not None and band.high is not None
    assert band.low.tolist() == np.min(curves, 0).tolist()
    assert band.high.tolist() == np.max(curves, 0).tolist()
    assert band.low[0] == band.high[0] and band.low[-1] == pytest.approx(band.high[-1])
    again = random_flipping(model, x, 0, patch=2, seeds=5)
    assert again.values.tolist() == band.values.tolist()


def test_model_and_input_are_left_as_they_were() -> None:
    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network(1, 4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x.mul_(2.0))

    model, x = InPlace(), torch.rand(1, 1, 4, 4)
    before, heatmap = x.clone(), np.random.default_rng(0).standard_normal((4, 4))
    got = pixel_flipping(model, x, heatmap, None, patch=2)
    assert torch.equal(x, before)
    expected = pixel_flipping(model.inner, 2 * x, heatmap, None, patch=2)
    assert got.values.tolist() == pytest.approx(expected.values.tolist(), abs=1e-6)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_area_is_small_where_evidence_goes_first() -> None:
    weights = torch.tensor([[8.0, 4.0, 2.0, 1.0]])
    model = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(weights)
    x = torch.ones(1, 4)
    most = pixel_flipping(model, x, weights.numpy(), 0, patch=1)
    least = pixel_flipping(model, x, weights.numpy(), 0, patch=1, order="least")
    assert most.values.tolist() == [15, 7, 3, 1, 0]
    assert least.values.tolist() == [15, 14, 12, 8, 0]
    assert most.area == pytest.approx((15 / 2 + 7 + 3 + 1 + 0 / 2) / 4)
    assert most.area < random_flipping(model, x, 0, patch=1).area < least.area
    assert Curve(np.array([0.0, 0.5, 1.0]), np.array([2.0, 2.0, 2.0]), "most").area == 2


def test_the_output_that_is_meant_is_scored() -> None:
    class Several(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.one, self.other = nn.Linear(6, 3), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"one": self.one(x), "other": self.other(x)}

    model, x = Several().eval(), torch.rand(1, 6)
    for order in ("most", "random"):
        meant = pixel_flipping(model, x, x, 1, patch=1, order=order, output="other")
        alone = pixel_flipping(model.other, x, x, 1, patch=1, order=order)
        assert np.array_equal(meant.values, alone.values)
    band, alone_band = (random_flipping(m, x, 1, patch=1, output=o) for m, o in ((model, "one"), (model.one, None)))
    assert np.array_equal(band.low, alone_band.low)


@pytest.mark.parametrize("order", ["most", "least"])
def test_what_is_gone_does_not_go_again_whatever_is_said_of_it_then(order: str) -> None:
    """A heatmap that stays the same while patches go ranks the gone ones where they were."""
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Flatten(), nn.Linear(16, 2)).eval(), torch.rand(1, 1, 4, 4) + 1
    heatmap = torch.arange(16.0).reshape(4, 4)
    once = lw.pixel_flipping(model, x, heatmap, 0, patch=1, order=order)
    again = lw.pixel_flipping(model, x, heatmap, 0, patch=1, order=order, explain=lambda left: heatmap)
    np.testing.assert_allclose(again.values, once.values, rtol=1e-5, atol=1e-6)


def test_the_probability_of_a_single_output_is_its_sigmoid():
    torch.manual_seed(0)
    model, x = torch.nn.Linear(6, 1).eval(), torch.rand(1, 6)
    scores = pixel_flipping(model, x, x[0], patch=2)
    shares = pixel_flipping(model, x, x[0], patch=2, unit="probability")
    np.testing.assert_allclose(shares.values, 1 / (1 + np.exp(-scores.values)), rtol=1e-6)
    assert np.ptp(shares.values) > 0.01
    metric = lw.metrics.Selectivity(patch=2, unit="probability", ranking="again")
    (row,) = lw.evaluate(model, lw.Samples(x), {"taylor": lw.SimpleTaylor()}, {"area": metric}, target="top")
    assert 0 < row.value < 1 and row.value != pytest.approx(1.0)
