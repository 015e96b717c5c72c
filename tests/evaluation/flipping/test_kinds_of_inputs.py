"""Pixel flipping, continuity, axioms, sweeps and data sets of every kind of input: each has regions of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.evaluation import random_flipping
from lrp_widgets.evaluation.flipping.imputation import imputed
from lrp_widgets.modalities import Graph, named


class Adding(nn.Module):
    """f = Σ w x, so that the curve tells what has gone; notes what it is asked."""

    def __init__(self, weights: Any) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.as_tensor(weights, dtype=torch.float64))
        self.asked: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.asked.append(x.detach().clone())
        return (x * self.w).flatten(1).sum(1, keepdim=True)


def last_of(model: Adding, count: int) -> Tensor:
    """The inputs of a curve."""
    return torch.cat(model.asked)[-count:]


SHAPES = {
    "signal": (1, 3, 10),
    "sequence": (1, 4, 10),
    "graph": (1, 7, 3),
    "volume": (1, 2, 4, 3, 5),
    "picture": (1, 3, 4, 6),
    "features": (1, 11),
}


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("side", [1, 2, 3])
def test_a_region_has_all_channels_of_its_elements_and_ends_with_the_input(kind: str, side: int) -> None:
    """Each step takes one block of elements along the kind's own axes away, in all channels."""
    torch.manual_seed(0)
    shape, modality = SHAPES[kind], named(kind)
    x, model = torch.rand(shape).double() + 1, Adding(torch.rand(shape) + 1)
    relevance = x * model.w.detach()
    curve = lw.pixel_flipping(model, x, relevance, 0, patch=side, modality=kind)
    labels = modality.regions(x, side)
    regions = int(labels.max()) + 1
    assert len(curve.values) == regions + 1 and curve.values[-1] == pytest.approx(0)
    lengths = [x.shape[axis] for axis in modality.space(x)]
    assert regions == np.prod([-(-length // side) for length in lengths])  # rounded up: no block runs over an end
    frames = last_of(model, regions + 1)
    before = torch.cat([x, frames[1:-1]])
    for left, was in zip(frames[1:], before, strict=True):
        gone = (left == 0) & (was != 0)
        places = gone.nonzero()
        channel = modality.channel_axis - 1
        for axis in range(places.shape[1]):
            span = int(places[:, axis].max() - places[:, axis].min()) + 1
            whole = kind != "features" and axis == channel
            assert span == x.shape[axis + 1] if whole else span <= side
    # The most relevant region first: its share of f is what the first step loses.
    shares = torch.zeros(regions, dtype=torch.float64)
    shares.index_add_(0, labels.flatten(), modality.grid(relevance)[0].sum(0).flatten())
    assert -np.diff(curve.values) == pytest.approx(shares.sort(descending=True).values.numpy())


def test_a_patch_of_a_signal_does_not_run_into_the_next_channel() -> None:
    """Two channels of five samples, patches of two: the third is the last sample alone, in both channels."""
    x, model = torch.ones(1, 2, 5).double(), Adding(torch.ones(1, 2, 5))
    relevance = torch.tensor([[[0.0, 0, 0, 0, 9], [0, 0, 1, 1, 0]]])
    curve = lw.pixel_flipping(model, x, relevance, 0, patch=2)
    assert curve.values.tolist() == [10, 8, 4, 0]
    first = last_of(model, 4)[1]
    assert first.tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 0]]
    per_channel = lw.pixel_flipping(model, x, relevance, 0, patch=2, baseline=(5.0, -1.0))
    assert per_channel.values.tolist() == [10, 12, 16, 20]


def test_nodes_of_a_graph_go_and_not_features() -> None:
    x = torch.arange(1.0, 7).reshape(1, 3, 2).double()
    model = Adding(torch.ones(1, 3, 2))
    said = lw.pixel_flipping(model, x, x, 0, patch=1, modality="graph")
    assert said.values.tolist() == [21, 10, 3, 0]
    assert last_of(model, 4)[1].tolist() == [[1, 2], [3, 4], [0, 0]]
    by_node = lw.pixel_flipping(model, x, np.array([3.0, 2.0, 1.0]), 0, patch=1, modality=Graph())
    assert by_node.values.tolist() == [21, 18, 11, 0]
    guessed = lw.pixel_flipping(model, x, x, 0, patch=1)  # a signal of three channels
    assert guessed.values.tolist() == [21, 9, 0]
    band = random_flipping(model, x, 0, patch=1, modality="graph", seeds=2)
    assert len(band.values) == 4


def test_a_volume_in_cubes_by_hand() -> None:
    x = torch.ones(1, 1, 2, 2, 3).double()
    weights = torch.zeros(1, 1, 2, 2, 3)
    weights[..., :2], weights[..., 2] = 1.0, 10.0  # a cube of eight, and a block of four at its end
    model = Adding(weights)
    explanation = lw.Explainer(model).explain(x, 0, lw.LRP(lw.epsilon(epsilon=0.0)))
    curve = lw.pixel_flipping(model, x, explanation.relevance, 0, patch=2)
    assert curve.values.tolist() == [48, 8, 0]
    again = lw.pixel_flipping(
        model, x, explanation.relevance, 0, patch=2, explain=lambda left: left * model.w.detach(), removal="mean"
    )
    assert again.values.tolist() == pytest.approx([48, 48, 48])
    labels = np.zeros((2, 2, 3), int)
    labels[..., 2] = 1
    own = lw.pixel_flipping(model, x, explanation.relevance, 0, regions=labels)
    assert own.values.tolist() == [48, 8, 0] and own.removed.tolist() == [0, 4 / 12, 1]


@pytest.mark.parametrize("how", ["mean", "blur", "noise", "imputation"])
@pytest.mark.parametrize("kind", ["volume", "signal", "sequence"])
def test_every_removal_of_every_kind(kind: str, how: str) -> None:
    torch.manual_seed(0)
    x = torch.rand(SHAPES[kind]).double()
    model = Adding(torch.rand(SHAPES[kind]))
    curve = lw.pixel_flipping(model, x, x, 0, patch=2, removal=how, modality=kind)
    assert np.isfinite(curve.values).all()
    frames = last_of(model, len(curve.values))
    assert torch.equal(frames[0], x[0])
    assert bool((frames[-1] != x[0]).all())
    assert float(frames.min()) >= -0.1 and float(frames.max()) <= 1.1


def test_imputation_in_three_dimensions() -> None:
    """One missing voxel is the weighted mean of the 26 around it, 4 along an axis, 2 and 1 at the corners."""
    x = torch.rand(1, 2, 3, 3, 3).double()
    gone = torch.zeros(1, 1, 3, 3, 3, dtype=torch.bool)
    gone[..., 1, 1, 1] = True
    line = torch.tensor([1.0, 2, 1]).double()
    weights = line[:, None, None] * line[:, None] * line
    weights[1, 1, 1] = 0
    expected = (x[0] * weights).sum((1, 2, 3)) / 56
    torch.testing.assert_close(imputed(x, gone)[0, :, 1, 1, 1], expected)


def error_of(make: Callable[[], Any]) -> str:
    with pytest.raises(Exception) as caught:
        make()
    return f"{type(caught.value).__name__}: {caught.value}"


def test_refusals() -> None:
    x, model = torch.ones(1, 3, 2).double(), Adding(torch.ones(1, 3, 2))
    assert error_of(lambda: lw.pixel_flipping(model, x, x, 0, modality="graph", removal="blur")) == (
        "ValueError: removal 'blur' fills in what is missing from what is beside it, and nodes have no order. "
        'Take removal="mean" or a baseline.'
    )
    assert error_of(lambda: lw.pixel_flipping(model, x, x, 0, modality="picture")) == (
        "ValueError: pixel_flipping.modality 'picture' needs inputs (n, channels, height, width), got (1, 3, 2)."
    )
    volume = torch.ones(1, 1, 2, 2, 3).double()
    flat = lw.Explainer(Adding(torch.ones(1, 1, 2, 2, 3))).explain(volume, 0).heatmap()
    assert error_of(lambda: lw.pixel_flipping(Adding(torch.ones(1, 1, 2, 2, 3)), volume, flat, 0)) == (
        "ValueError: The heatmap must have one value a voxel (2 x 2 x 3), or the shape of the input (1, 1, 2, 2, 3), "
        "got shape (2, 3)."
    )
    with pytest.raises(ValueError, match="modality must be one of 'picture', "):
        lw.pixel_flipping(model, x, x, 0, modality="graf")


class OverNodes(nn.Module):
    """A graph network on a ring: each node and its neighbours, then the mean over nodes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.out = nn.Linear(3, 8), nn.Linear(8, 2)
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        around = (x + x.roll(1, 1) + x.roll(-1, 1)) / 3
        return self.out(self.one(around).relu().mean(1))


GRAPHS = torch.rand(4, 7, 3, generator=torch.Generator().manual_seed(1))


def test_what_is_said_reaches_continuity_axioms_sweep_and_data_sets() -> None:
    model, x = OverNodes(), GRAPHS[:1]
    r = lw.Explainer(model).explain(x, 0).relevance
    area = lw.pixel_flipping(model, x, r, 0, patch=1, modality="graph", baseline=(0.1, 0.2, 0.3)).area
    card = {row.name: row for row in lw.axioms(model, x, target=0, modality="graph", baseline=(0.1, 0.2, 0.3))}
    assert card["selectivity"].value == pytest.approx(area)
    start = float(model(torch.tensor([0.1, 0.2, 0.3]).expand(1, 7, 3))[0, 0])
    assert f"f(x) − f(x₀) = {float(model(x)[0, 0]) - start:.4g}" in card["completeness"].note
    (result, *_) = lw.sweep(
        model, x, lw.epsilon(), {"epsilon": [1e-6]}, 0, modality="graph", baseline=(0.1, 0.2, 0.3), neighbours=0
    )
    r = lw.Explainer(model).explain(x, 0, lw.LRP(lw.epsilon(epsilon=1e-6))).relevance
    own = lw.pixel_flipping(model, x, r, 0, patch=1, modality="graph", baseline=(0.1, 0.2, 0.3))
    assert result.area == pytest.approx(own.area)
    path = lw.continuity(model, x, target=0, kind="noise", modality="graph", fill=(0.1, 0.2, 0.3))
    assert np.isfinite(path.value)
    with pytest.raises(ValueError, match=r"continuity.fill must be one number or one per channel \(3\), got 7"):
        lw.continuity(model, x, target=0, kind="noise", modality="graph", fill=(0.1,) * 7)
    samples = lw.Samples(GRAPHS, [0, 1, 0, 1], modality="graph")
    metric = lw.metrics.Selectivity(patch=1, removal=lw.evaluation.removal.Baseline((0.1, 0.2, 0.3)))
    again = lw.metrics.Selectivity(patch=1, removal=metric.removal, ranking="again")
    methods = {"ε": lw.LRP(lw.epsilon(epsilon=1e-6)), "occlusion": lw.Occlusion(patch=1, stride=1)}
    table = lw.evaluate(model, samples, methods, {"area": metric, "again": again}, progress=False)
    values = {(row.sample, row.method, row.metric): row.value for row in table.rows}
    assert values[0, "ε", "area"] == pytest.approx(own.area)
    by_hand = lw.pixel_flipping(
        model,
        x,
        lw.Explainer(model).explain(x, 0, lw.Occlusion(patch=1, stride=1, modality="graph")).relevance,
        0,
        patch=1,
        modality="graph",
        baseline=(0.1, 0.2, 0.3),
    )
    assert values[0, "occlusion", "area"] == pytest.approx(by_hand.area)
    assert all(np.isfinite(value) for value in values.values())


def test_occlusion_of_nodes() -> None:
    """A node loses what f loses without it, the same in all of its features."""
    model, x = OverNodes(), GRAPHS[:2]
    got = lw.Explainer(model).explain(x, 1, lw.Occlusion(patch=1, stride=1, modality="graph")).relevance
    assert got.shape == x.shape
    for node in range(7):
        without = x.clone()
        without[:, node] = 0
        lost = (model(x) - model(without))[:, 1].detach()
        torch.testing.assert_close(got[:, node], lost[:, None].expand(2, 3))
