"""Clusters of heatmaps: a planted tag is found, and where there is no structure that is said."""

from __future__ import annotations

import pytest
import torch

import lrp_widgets as lw
from tests.validation.planted import SIDE, TAG, Reader, bars

SAMPLES, TAGGED = bars()
METHOD = lw.LRP(lw.epsilon())


def test_the_cluster_of_a_tag_is_found():
    done: list[tuple[int, int]] = []
    found = lw.spray(
        lw.Explainer(Reader(True)),
        SAMPLES,
        target=1,
        method=METHOD,
        neighbours=8,
        progress=lambda *numbers: done.append(numbers),
    )
    assert torch.equal(found.indices, (torch.as_tensor(SAMPLES.labels) == 1).nonzero().flatten())
    assert int(found.labels.max()) == 1 and found.notes == () and found.gap > 0.1
    small = TAGGED[found.indices[found.labels == 1]]
    assert float(small.double().mean()) >= 0.95  # purity
    assert int(small.sum()) >= 0.9 * int(TAGGED.sum())  # recall
    assert found.means.shape == (2, SIDE, SIDE)
    assert float(found.means[1][TAG].sum()) > 0.5 > float(found.means[0][TAG].sum())
    assert bool(TAGGED[found.medoids[1]]) and not bool(TAGGED[found.medoids[0]])
    assert found.embedding.shape == (200, 2) and len(found.eigenvalues) == 12
    assert done[-1] == (200, 200) and done == sorted(done)
    again = lw.spray(lw.Explainer(Reader(True)), SAMPLES, target=1, method=METHOD, neighbours=8)
    assert torch.equal(again.labels, found.labels) and torch.equal(again.embedding, found.embedding)


def test_a_model_that_does_not_use_the_tag_has_no_such_cluster():
    explainer = lw.Explainer(Reader(False))
    found = lw.spray(explainer, SAMPLES, target=1, method=METHOD, neighbours=8)
    assert int(found.labels.max()) == 0 and found.notes[0].startswith("No structure: the widest gap")
    asked = lw.spray(explainer, SAMPLES, target=1, method=METHOD, neighbours=8, clusters=2)
    assert int(asked.labels.max()) == 1
    shares = [float(TAGGED[asked.indices[asked.labels == cluster]].double().mean()) for cluster in (0, 1)]
    assert max(shares) < 0.3


def test_many_samples_take_the_sparse_way():
    samples, tags = bars(1000)
    found = lw.spray(lw.Explainer(Reader(True)), samples, target=1, method=METHOD)
    small = tags[found.indices[found.labels == 1]]
    assert len(found.indices) == 500 and float(small.double().mean()) >= 0.95


def test_an_outlier_is_told():
    x = SAMPLES.inputs.clone()
    x[1] = 0
    x[1, 0, 11, 8] = 1.0  # of the bar, one pixel
    samples = lw.Samples(x, labels=SAMPLES.labels, low=0, high=2)
    found = lw.spray(lw.Explainer(Reader(False)), samples, target=1, method=METHOD)
    assert int(found.outliers[0]) == 1


def test_clusters_in_the_channels_of_a_layer():
    samples = lw.demo.data.digits()
    few = lw.Samples(samples.inputs[:60], low=samples.low, high=samples.high)
    explainer = lw.Explainer(lw.demo.models.digits_cnn())
    found = lw.spray(explainer, few, target=3, layer="features.4", neighbours=5, embedding="tsne")
    assert found.means.shape[1:] == (48,) and len(found.indices) == 60 and found.embedding.shape == (60, 2)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"neighbours": 200}, "spray needs more samples than neighbours"),
        ({"target": 7}, r"No sample has the label 7\. The labels are: 0, 1\."),
        ({"target": None}, "spray needs a target"),
        ({"clusters": 0}, "clusters must lie in"),
        ({"embedding": "map"}, "embedding must be one of"),
        ({"layer": "nowhere"}, "No recorded layer"),
        ({"samples": SAMPLES.inputs}, r"samples must be lw\.Samples"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_what_cannot_be_clustered(more, said):
    arguments = {"explainer": lw.Explainer(Reader(True)), "samples": SAMPLES, "target": 1} | more
    with pytest.raises((KeyError, TypeError, ValueError), match=said):
        lw.spray(**arguments)
