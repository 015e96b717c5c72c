"""Shares of an object, nearest samples, two models side by side, and trees."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.validation.heatmaps import normalized
from tests.validation.planted import SIDE, TAG, Reader, bars

SAMPLES, TAGGED = bars()


def test_the_share_of_an_object():
    explanation = lw.Explainer(Reader(True)).explain(SAMPLES.inputs[[1, 3]], 1, lw.LRP(lw.epsilon(epsilon=0.0)))
    mask = torch.zeros(SIDE, SIDE)
    mask[TAG] = 1
    share = lw.object_share(explanation, mask)
    positive = explanation.relevance[:, 0].clamp(min=0)
    torch.testing.assert_close(share.shares, positive[:, :3, :3].sum((1, 2)) / positive.sum((1, 2)))
    torch.testing.assert_close(share.inside + share.outside, explanation.total)
    torch.testing.assert_close(share.areas, torch.full((2,), 9 / SIDE**2, dtype=torch.float64))
    assert share.low <= share.mean <= share.high and share.ratio == pytest.approx(share.mean * SIDE**2 / 9)
    boxes = lw.object_share(explanation, torch.tensor([[0, 0, 3, 3], [0, 0, 3, 3]]))
    torch.testing.assert_close(boxes.shares, share.shares)
    wide = lw.object_share(explanation, torch.tensor([[0, 0, 12, 1], [8, 0, 9, 12]]))
    torch.testing.assert_close(wide.shares[0], positive[0, :1].sum() / positive[0].sum())
    torch.testing.assert_close(wide.shares[1], positive[1, :, 8:9].sum() / positive[1].sum())
    for masks, said in ((torch.ones(3, 3), "masks must have the shape"), (mask * 2, "masks must be 0 outside")):
        with pytest.raises(ValueError, match=said):
            lw.object_share(explanation, masks)
    with pytest.raises(ValueError, match="left < right"):
        lw.object_share(explanation, torch.tensor([[3, 0, 3, 3], [0, 0, 3, 3]]))
    with pytest.raises(TypeError, match="masks must be a tensor"):
        lw.object_share(explanation, "all")


def test_what_speaks_against_has_no_part_in_the_share():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False)).double().eval()
    model[1].weight.data = torch.tensor([[1.0, 2.0, -3.0, 1.0]]).double()
    explanation = lw.Explainer(model).explain(torch.ones(1, 1, 2, 2).double(), 0, lw.LRP(lw.epsilon(epsilon=0.0)))
    share = lw.object_share(explanation, torch.tensor([[1, 0], [1, 0]]))
    assert share.shares.tolist() == [0.25] and share.inside.tolist() == [-2.0] and share.outside.tolist() == [3.0]


def test_maps_that_add_up_to_nothing_are_compared_by_their_size():
    maps = normalized(torch.tensor([[[1.0, -1.0]], [[3.0, 1.0]], [[0.0, 0.0]]]))
    assert maps.tolist() == [[[0.5, -0.5]], [[0.75, 0.25]], [[0.0, 0.0]]]


def test_both_models_explain_the_label():
    clean, other = Reader(False), Reader(True)
    clean.layer.weight.data = clean.layer.weight.flip(0) + 0.01  # always wrong
    other.layer.weight.data[0] += 0.1
    found = lw.compare_models((clean, other), SAMPLES, method=lw.LRP(lw.epsilon()))
    assert found.accuracies is not None and found.accuracies[0] == 0
    for row in (0, 1):
        of_label = [
            lw.Explainer(model).explain(SAMPLES.inputs[row : row + 1], row, lw.LRP(lw.epsilon())).relevance[:, 0]
            for model in (clean, other)
        ]
        one, two = (normalized(maps.double()) for maps in of_label)
        assert float(found.distances[row]) == pytest.approx(float((one - two).abs().sum()) / 2)


def test_nearest_by_input_activation_and_relevance():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 3), nn.ReLU(), nn.Linear(3, 2)).double().eval()
    explainer, x = lw.Explainer(model), SAMPLES.inputs[7:8]
    for by in ("input", "activation", "relevance"):
        found = lw.nearest(explainer, SAMPLES, x, by=by, count=5)
        assert 7 in found.indices.tolist() and float(found.distances[0]) < 1e-9
        assert found.distances.tolist() == sorted(found.distances.tolist()) and len(found.indices) == 5
    by_input = lw.nearest(explainer, SAMPLES, x, by="input", count=400)
    torch.testing.assert_close(by_input.distances[9], (SAMPLES.inputs[by_input.indices[9]] - x).norm())
    with torch.no_grad():
        hidden = model[:3](SAMPLES.inputs)
    expected = (hidden - hidden[7]).norm(dim=1).sort(stable=True)
    by_activation = lw.nearest(explainer, SAMPLES, x, by="activation", count=400)
    torch.testing.assert_close(by_activation.distances, expected.values, rtol=1e-9, atol=1e-12)
    tagged = int(TAGGED.nonzero()[0])
    of_relevance = lw.nearest(lw.Explainer(Reader(True)), SAMPLES, SAMPLES.inputs[tagged : tagged + 1], by="relevance")
    assert bool(TAGGED[of_relevance.indices].all())
    with pytest.raises(ValueError, match="by must be one of"):
        lw.nearest(explainer, SAMPLES, x, by="name")
    with pytest.raises(ValueError, match="x must be one input of the shape"):
        lw.nearest(explainer, SAMPLES, SAMPLES.inputs[:2])
    with pytest.raises(KeyError, match="No recorded layer"):
        lw.nearest(explainer, SAMPLES, x, by="activation", layer="nowhere")


def test_two_models_differ_most_where_the_tag_is():
    clean, hans = Reader(False), Reader(True)
    found = lw.compare_models((clean, hans), SAMPLES, method=lw.LRP(lw.epsilon()))
    assert found.accuracies is not None and found.accuracies[0] == 1.0
    assert bool(TAGGED[found.order[: int(TAGGED.sum())]].all())
    assert found.agreement == pytest.approx(float((found.tops[0] == found.tops[1]).double().mean()))
    same = lw.compare_models((clean, Reader(False)), SAMPLES, method=lw.LRP(lw.epsilon()))
    assert float(same.distances.max()) == 0 and same.agreement == 1
    of_class = lw.compare_models((clean, hans), SAMPLES, target=1, method=lw.LRP(lw.epsilon()))
    rows = torch.as_tensor(SAMPLES.labels) == 1
    torch.testing.assert_close(of_class.distances[rows], found.distances[rows])
    three = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 3).double()).eval()
    with pytest.raises(ValueError, match="Both models must have the same outputs"):
        lw.compare_models((clean, three), SAMPLES)
    with pytest.raises(ValueError, match="takes two models"):
        lw.compare_models((clean,), SAMPLES)


class Planted(nn.Module):
    """Class 1 where the third feature is above 0.5, and otherwise where the first is below −0.2."""

    def forward(self, x: Tensor) -> Tensor:
        is_one = (x[:, 2] > 0.5) | (x[:, 0] < -0.2)
        return torch.stack([(~is_one).to(x.dtype), is_one.to(x.dtype)], 1)


class Parity(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        odd = (x > 0).sum(1, keepdim=True).remainder(2).to(x.dtype)
        return torch.cat([odd, 1 - odd], 1)


def test_a_planted_rule_is_found_whole():
    x = torch.randn(3000, 4, generator=torch.Generator().manual_seed(0))
    samples = lw.Samples(x, low=-9, high=9)
    found = lw.surrogate_tree(lw.Explainer(Planted()), samples, depth=2, names=["a", "b", "c", "d"])
    assert found.fidelity >= 0.999 and 0.4 < found.majority < 0.7
    assert "c <= 0.50" in found.rules and "a <= -0.20" in found.rules and "b <=" not in found.rules


def test_an_unfaithful_tree_is_refused():
    x = torch.randn(600, 6, generator=torch.Generator().manual_seed(0))
    samples = lw.Samples(x, low=-9, high=9)
    with pytest.raises(ValueError, match=r"says the same as the model on [4-6]\d% of inputs .* below 80%"):
        lw.surrogate_tree(lw.Explainer(Parity()), samples, depth=2)
    with pytest.raises(ValueError, match="below 95%"):  # of what it was fitted to, it knows all
        lw.surrogate_tree(lw.Explainer(Parity()), samples, depth=30, least=0.95)
    planted = lw.Explainer(Planted())
    near = lw.surrogate_tree(planted, samples, depth=2, near=torch.tensor([[0.0, 0, 3, 0, 0, 0]]))
    assert near.fidelity == 1.0 == near.majority
    for more, said in (
        ({"depth": 0}, "depth must lie in"),
        ({"names": ["a"]}, "one name a feature"),
        ({"least": 2}, "least must be a number"),
        ({"near": x[:2]}, "near must be one input"),
    ):
        with pytest.raises(ValueError, match=said):
            lw.surrogate_tree(planted, samples, **more)
