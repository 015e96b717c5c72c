"""Concepts of planted networks: what carries a class is found, and everything adds up to the layer's relevance."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from tests.concepts.planted import COLOURS, PARENTS, UNREAD, Planted, pictures

PLAIN = lw.LRP(lw.epsilon(epsilon=0.0))


@pytest.fixture(scope="module")
def explainer() -> lw.Explainer:
    return lw.Explainer(Planted())


@pytest.fixture(scope="module")
def samples() -> lw.Samples:
    x, labels = pictures()
    return lw.Samples(x, labels=labels, low=0, high=4)


@pytest.mark.parametrize("label", range(COLOURS))
def test_the_channel_of_a_class_is_found(explainer, samples, label):
    x = samples.inputs[label : label + 1]
    entries = lw.semantic_dictionary(explainer, x, "high", target=label, method=PLAIN)
    assert entries.entries[0].channel == label and entries.entries[0].share == pytest.approx(1)
    assert entries.by("activation")[0].channel == UNREAD and entries.by("relevance") == entries.entries
    assert entries.total == pytest.approx(float(explainer.scores(x)[0, label]), rel=1e-12)
    explanation = explainer.explain(x, label, PLAIN)
    of_channels = lw.channel_attribution(explanation, "low")
    assert of_channels.shape == (1, COLOURS + 1) and int(of_channels.argmax()) == PARENTS[label]
    torch.testing.assert_close(of_channels.sum(1), explanation.explained, rtol=1e-12, atol=0)
    of_places = lw.spatial_attribution(explanation, "low")
    assert of_places.shape == (1, 4, 4)
    torch.testing.assert_close(of_places[0], explanation.relevance[0].sum(0), rtol=1e-12, atol=0)


def test_one_position(explainer, samples):
    x = samples.inputs[:1]
    whole = lw.semantic_dictionary(explainer, x, "high", target=0, method=PLAIN)
    places = [
        lw.semantic_dictionary(explainer, x, "high", at=(row, column), target=0, method=PLAIN)
        for row in range(4)
        for column in range(4)
    ]
    assert sum(place.by("relevance")[0].relevance for place in places) == pytest.approx(whole.total)
    assert sum(place.by("relevance")[0].share for place in places) == pytest.approx(1)
    maps = explainer.tape(x).values[explainer.tape(x).value_at("high")]
    assert places[6].at == (1, 2)
    assert {e.channel: e.activation for e in places[6].entries} == dict(enumerate(maps[0, :, 1, 2].tolist()))


@pytest.mark.parametrize("label", range(COLOURS))
def test_the_samples_of_a_channel(explainer, samples, label):
    by_relevance = lw.relevant_samples(explainer, samples, "high", label, method=PLAIN, count=4, batch=5)
    rows = [row for row in reversed(range(12)) if row % COLOURS == label]
    assert by_relevance.indices.tolist() == rows
    scores = explainer.scores(samples.inputs)[rows, label]
    torch.testing.assert_close(by_relevance.values, scores, rtol=1e-12, atol=0)
    by_activation = lw.relevant_samples(explainer, samples, "high", label, by="activation", count=4)
    assert by_activation.indices.tolist() == rows
    other = lw.relevant_samples(explainer, samples, "high", label, target=(label + 1) % COLOURS, method=PLAIN)
    assert float(other.values.abs().max()) == 0


def test_a_channel_that_nobody_reads_ranks_by_activation_alone(explainer, samples):
    assert float(lw.relevant_samples(explainer, samples, "high", UNREAD, method=PLAIN).values.abs().max()) == 0
    active = lw.relevant_samples(explainer, samples, "high", UNREAD, by="activation")
    assert float(active.values.min()) > 1 and active.values.tolist() == sorted(active.values.tolist(), reverse=True)
    assert len(active.indices) == 8


@pytest.mark.parametrize("label", range(COLOURS))
def test_the_graph_of_a_class(explainer, samples, label):
    x = samples.inputs[label : label + 1]
    graph = lw.concept_graph(explainer, x, label, ["low", "high"], width=(3, 2), method=PLAIN)
    assert graph.layers == ("high", "low") and graph.root.layer == "" and graph.root.channel == -1
    (high,) = graph.root.children  # the others carry nothing
    assert (high.layer, high.channel) == ("high", label)
    (low,) = high.children
    assert (low.layer, low.channel, low.children) == ("low", PARENTS[label], ())
    for node in graph.root.walk():
        assert node.relevance == pytest.approx(sum(child.relevance for child in node.children) + node.others, rel=1e-12)
    assert abs(high.others) < 1e-12 and abs(high.absorbed) < 1e-12
    expected = explainer.explain(x, label, lw.LRP(PLAIN.composite, (lw.Filter("high", channels=(label,)),)))
    torch.testing.assert_close(high.explanation.relevance, expected.relevance, rtol=0, atol=0)
    assert graph.nodes == (high, low)


class Biased(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(2, 6, 3)
        self.second = nn.Conv2d(6, 5, 3)
        self.head = nn.Linear(5, 3)
        self.double().eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.second(self.first(x).relu()).relu().mean((2, 3)))


X = torch.randn(3, 2, 9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("layer", ["first", "second"])
@pytest.mark.parametrize("composite", [lw.epsilon(), lw.alpha_beta(alpha=2), lw.deep_taylor()], ids=str)
def test_everything_adds_up_to_the_relevance_of_the_layer(layer, composite):
    explainer, method = lw.Explainer(Biased()), lw.LRP(composite)
    explanation = explainer.explain(X, 1, method)
    of_layer = explanation.layer(layer).sum((1, 2, 3))
    torch.testing.assert_close(lw.channel_attribution(explanation, layer).sum(1), of_layer, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(lw.spatial_attribution(explanation, layer).sum((1, 2)), of_layer, rtol=1e-10, atol=1e-12)
    for over in ("positions", "channels"):
        groups = lw.neuron_groups(explainer, X, layer, count=3, over=over)
        relevance = groups.relevance(explanation)
        assert relevance.shape == (4,)
        torch.testing.assert_close(relevance.sum(), of_layer.sum(), rtol=1e-10, atol=1e-12)
    dictionary = lw.semantic_dictionary(explainer, X[:1], layer, target=1, method=method)
    assert sum(entry.relevance for entry in dictionary.entries) == pytest.approx(float(of_layer[0]), rel=1e-10)
    graph = lw.concept_graph(explainer, X[:1], 1, ("first", "second"), (2, 3), method=method)
    assert len(graph.nodes) == 2 + 2 * 3
    for node in graph.root.walk():
        assert node.relevance == pytest.approx(sum(child.relevance for child in node.children) + node.others, rel=1e-10)


class Matrix(nn.Module):
    """Hands its input on to a layer that changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Identity()
        self.layer = nn.Conv2d(8, 8, 1, bias=False, dtype=torch.float64)
        self.layer.weight.data = torch.eye(8, dtype=torch.float64)[..., None, None]
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).sum((2, 3))


def test_planted_groups_are_recovered():
    generator = torch.Generator().manual_seed(1)
    directions = torch.zeros(3, 8, dtype=torch.float64)
    for group in range(3):
        directions[group, 2 * group : 2 * group + 3] = 0.5 + torch.rand(3, generator=generator, dtype=torch.float64)
    maps = torch.rand(3, 2 * 6 * 5, generator=generator, dtype=torch.float64)
    maps *= torch.rand(3, 60, generator=generator) < 0.4
    x = (maps.T @ directions).reshape(2, 6, 5, 8).movedim(3, 1)
    explainer = lw.Explainer(Matrix())
    groups = lw.neuron_groups(explainer, x, "layer", count=3)
    assert groups.maps.shape == (3, 2, 6, 5) and groups.directions.shape == (3, 8)
    assert groups.error < 1e-2 and groups.notes == ()
    torch.testing.assert_close(groups.directions.norm(dim=1), torch.ones(3, dtype=torch.float64))
    matched = nn.functional.cosine_similarity(groups.directions[:, None], directions[None], dim=2)
    assert float(matched.amax(0).min()) >= 0.95 and sorted(matched.argmax(0).tolist()) == [0, 1, 2]
    again = lw.neuron_groups(explainer, x, "layer", count=3)
    torch.testing.assert_close(again.maps, groups.maps, rtol=0, atol=0)
    relevance = groups.relevance(explainer.explain(x, 0, PLAIN))  # class 0 is channel 0, which group 0 alone has
    own = int(matched.argmax(0)[0])
    assert float(relevance[own]) == pytest.approx(float(relevance.sum()), rel=1e-2)


def test_what_no_group_accounts_for_is_the_remainders():
    """One group for two inputs that have no channel in common: it accounts for the stronger one."""
    x = torch.zeros(2, 8, 3, 3, dtype=torch.float64)
    x[0, :4], x[1, 4:] = 3.0, 1.0
    explainer = lw.Explainer(Matrix())
    groups = lw.neuron_groups(explainer, x, "layer", count=1)
    assert groups.error == pytest.approx((36 / 360) ** 0.5, rel=1e-3)  # what the weaker one has of the squares
    of_group, remainder = groups.relevance(explainer.explain(x, (0, 4), PLAIN)).tolist()
    assert (of_group, remainder) == (pytest.approx(27, rel=1e-3), pytest.approx(9, rel=1e-3))


def test_layers_without_positions():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)).double().eval()
    x, explainer = torch.rand(7, 5, dtype=torch.float64), lw.Explainer(model)
    explanation = explainer.explain(x, 0, PLAIN)
    torch.testing.assert_close(lw.spatial_attribution(explanation, "1"), explanation.layer("1").sum(1))
    torch.testing.assert_close(lw.channel_attribution(explanation, "1"), explanation.layer("1"))
    groups = lw.neuron_groups(explainer, x, "1", count=2)
    assert groups.maps.shape == (2, 7) and groups.notes[0].startswith("The layer '1' has no positions")
    assert lw.neuron_groups(explainer, x, "0", count=2).notes[0].endswith("are negative and count as 0.")
    with pytest.raises(ValueError, match="has no positions: leave at out"):
        lw.semantic_dictionary(explainer, x[:1], "1", at=(0, 0))


def test_channels_that_come_last():
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.last = nn.Linear(4, 6, bias=False), nn.Linear(6, 3, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.first(x).relu()).mean(1)

    x = torch.rand(2, 5, 4)
    explanation = lw.Explainer(Tokens().eval()).explain(x, 0, lw.LRP(lw.epsilon()))
    assert lw.channel_attribution(explanation, "first").shape == (2, 6)
    assert lw.spatial_attribution(explanation, "first").shape == (2, 5)
    torch.testing.assert_close(lw.spatial_attribution(explanation, "first"), explanation.layer("first").double().sum(2))


@pytest.mark.parametrize("by", ["pca", "tsne"])
def test_cells_of_planted_classes_are_pure(explainer, by):
    x, labels = pictures(60, seed=2)
    atlas = lw.activation_atlas(explainer, lw.Samples(x, labels=labels, low=0, high=8), "head", by=by, grid=8)
    assert len(atlas.activations) == 60 and len(atlas.cells) > 6
    majority = sum(int(labels[list(cell.samples)].bincount().max()) for cell in atlas.cells)
    assert majority >= 0.95 * 60


@pytest.mark.parametrize("by", ["pca", "tsne"])
def test_every_point_of_an_atlas_is_in_its_cell(explainer, by):
    x, labels = pictures(60, seed=2)
    samples = lw.Samples(x, labels=labels, low=0, high=8)
    atlas = lw.activation_atlas(explainer, samples, "high", by=by, grid=6, target=1, method=PLAIN, per_sample=2)
    assert atlas.embedding.shape == (120, 2) and atlas.activations.shape == (120, COLOURS + 1)
    assert float(atlas.embedding.min()) == 0 and float(atlas.embedding.max()) == 1
    assert sorted(sum((cell.members for cell in atlas.cells), ())) == list(range(120))
    for cell in atlas.cells:
        torch.testing.assert_close(cell.direction, atlas.activations[list(cell.members)].mean(0))
        assert cell.relevance == pytest.approx(float(atlas.relevance[list(cell.members)].mean()))
    again = lw.activation_atlas(explainer, samples, "high", by=by, grid=6, target=1, method=PLAIN, per_sample=2)
    torch.testing.assert_close(again.embedding, atlas.embedding, rtol=0, atol=0)
    maps = explainer.tape(x).values[explainer.tape(x).value_at("high")]
    found = maps.flatten(2)[atlas.samples, :, atlas.positions]
    torch.testing.assert_close(atlas.activations, found)


def test_what_the_explainer_remembers_is_left_alone(explainer, samples):
    explainer.explain(samples.inputs[:1], 0, PLAIN)
    lw.relevant_samples(explainer, samples, "high", 0)
    lw.concept_graph(explainer, samples.inputs[1:2], 1, ["high"])
    lw.neuron_groups(explainer, samples.inputs, "high", 2)
    lw.activation_atlas(explainer, samples, "high")
    assert explainer.remembers(samples.inputs[:1])


def test_two_explanations_do_not_mix(explainer, samples):
    one = explainer.explain(samples.inputs[:1], 0, PLAIN)
    before = lw.channel_attribution(one, "high")
    groups = lw.neuron_groups(explainer, samples.inputs, "high", 2)
    of_one = groups.relevance(one)
    other = explainer.explain(samples.inputs[1:2], 1, PLAIN)
    assert not torch.equal(groups.relevance(other), of_one)
    torch.testing.assert_close(groups.relevance(one), of_one, rtol=0, atol=0)
    torch.testing.assert_close(lw.channel_attribution(one, "high"), before, rtol=0, atol=0)


def test_abandoned(explainer, samples):
    for act in (lw.relevant_samples, lw.activation_atlas):
        more: dict[str, Any] = {"channel": 0} if act is lw.relevant_samples else {}
        with pytest.raises(Exception, match=r"^$") as caught:
            act(explainer, samples, layer="high", abandoned=lambda: True, **more)
        assert type(caught.value).__name__ == "Abandoned"


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda e, s: lw.semantic_dictionary(e, s.inputs[:1], "nowhere"), "No recorded layer is called 'nowhere'"),
        (lambda e, s: lw.channel_attribution(e.explain(s.inputs, 0), "nowhere"), "No recorded layer is called"),
        (lambda e, s: lw.channel_attribution(e.explain(s.inputs, 0), 3), "layer must be the name of a layer, got 3."),
        (lambda e, s: lw.channel_attribution(e.explain(s.inputs, 0, lw.Gradient()), "high"), "does not propagate"),
        (lambda e, s: lw.semantic_dictionary(e, s.inputs[:2], "high"), "takes one input with its batch dimension"),
        (lambda e, s: lw.semantic_dictionary(e, s.inputs[:1], "high", at=(4, 0)), r"at must lie in \(4, 4\)"),
        (lambda e, s: lw.semantic_dictionary(e, s.inputs[:1], "high", at="left"), "at must be a position such as"),
        (
            lambda e, s: lw.semantic_dictionary(e, s.inputs[:1], "high", method=lw.Gradient()),
            "method must be an lw.LRP",
        ),
        (lambda e, s: lw.semantic_dictionary(e, s.inputs[:1], "high").by("size"), "The order must be one of"),
        (lambda e, s: lw.neuron_groups(e, s.inputs, "high", 5), r"count must lie in \[1, 4\]"),
        (lambda e, s: lw.neuron_groups(e, s.inputs[:1], "head", 2), r"count must lie in \[1, 1\]"),
        (lambda e, s: lw.neuron_groups(e, s.inputs, "high", 0), "count must lie in"),
        (lambda e, s: lw.neuron_groups(e, s.inputs, "high", 2.5), "count must be a whole number"),
        (lambda e, s: lw.neuron_groups(e, s.inputs, "high", 2, over="all"), "over must be one of"),
        (lambda e, s: lw.neuron_groups(e, s.inputs, "high", 2, seed=-1), "seed must be a whole number"),
        (lambda e, s: lw.neuron_groups(e, s.inputs[:, :2], "high", 2), "on an input of shape"),
        (lambda e, s: lw.neuron_groups(e, s.inputs * float("nan"), "high", 2), "must be finite"),
        (lambda e, s: lw.relevant_samples(e, s, "high", 4), r"channel must lie in \[0, 3\]"),
        (lambda e, s: lw.relevant_samples(e, s, "high", "a"), "channel must be a whole number"),
        (lambda e, s: lw.relevant_samples(e, s, "high", 0, by="size"), "by must be one of"),
        (lambda e, s: lw.relevant_samples(e, s, "high", 0, count=0), "count must lie in"),
        (lambda e, s: lw.relevant_samples(e, s.inputs, "high", 0), "samples must be lw.Samples"),
        (lambda e, s: lw.relevant_samples(e.model, s, "high", 0), "explainer must be an lw.Explainer"),
        (lambda e, s: lw.concept_graph(e, s.inputs[:1], 0, "high"), "layers must be a sequence of names"),
        (lambda e, s: lw.concept_graph(e, s.inputs[:1], 0, ["high", "high"]), "layers must be different ones"),
        (lambda e, s: lw.concept_graph(e, s.inputs[:1], 0, ["nowhere"]), "No recorded layer is called"),
        (lambda e, s: lw.concept_graph(e, s.inputs[:1], 0, []), "The number of layers must lie in"),
        (lambda e, s: lw.concept_graph(e, s.inputs[:1], 0, ["high"], width=0), "width must lie in"),
        (lambda e, s: lw.concept_graph(e, s.inputs[:1], 0, ["high"], width=()), "width must be whole numbers"),
        (lambda e, s: lw.concept_graph(e, s.inputs[:1], 7, ["high"]), "target"),
        (lambda e, s: lw.activation_atlas(e, s, "high", by="map"), "by must be one of"),
        (lambda e, s: lw.activation_atlas(e, s, "high", grid=10**6), "grid must lie in"),
        (lambda e, s: lw.activation_atlas(e, s, "nowhere"), "No recorded layer is called"),
    ],
)
def test_bad_input_has_one_clear_error(explainer, samples, act, said):
    with pytest.raises((LookupError, TypeError, ValueError, RuntimeError), match=said):
        act(explainer, samples)
