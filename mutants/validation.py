"""Faults in validation: whether a model is right for the right reasons, and what is done if it is not."""

from __future__ import annotations

from mutants.fault import Fault

V = "lrp_widgets/validation"
T = "tests/validation"

FAULTS = (
    Fault(
        "maps are divided by ΣR",
        f"{V}/heatmaps.py",
        "sizes = maps.flatten(1).abs().sum(1)",
        "sizes = maps.flatten(1).sum(1)",
        f"{T}/test_spray.py {T}/test_by_example.py",
    ),
    Fault(
        "the graph of maps goes one way",
        f"{V}/spray.py",
        "graph = graph.maximum(graph.T)",
        "graph = graph * 1",
        f"{T}/test_spray.py",
    ),
    Fault(
        "the smallest cluster comes first",
        f"{V}/spray.py",
        "sizes.sort(descending=True, stable=True)",
        "sizes.sort(stable=True)",
        f"{T}/test_spray.py",
    ),
    Fault(
        "any gap is clear", f"{V}/spray.py", "clear = gap >= CLEAR_GAP and", "clear = gap >= 0 or", f"{T}/test_spray.py"
    ),
    Fault(
        "the likeliest samples are the outliers",
        f"{V}/spray.py",
        "_likelihoods(vectors, count, seed).argsort()",
        "(-_likelihoods(vectors, count, seed)).argsort()",
        f"{T}/test_spray.py",
    ),
    Fault(
        "a box includes its right side",
        f"{V}/object_share.py",
        "(columns < right)",
        "(columns <= right)",
        f"{T}/test_by_example.py",
    ),
    Fault(
        "the share counts what speaks against",
        f"{V}/object_share.py",
        "positive = maps.clamp(min=0).flatten(1)",
        "positive = maps.abs().flatten(1)",
        f"{T}/test_by_example.py",
    ),
    Fault(
        "the first sample is the farthest",
        f"{V}/nearest.py",
        "distances.sort(stable=True)",
        "distances.sort(stable=True, descending=True)",
        f"{T}/test_by_example.py",
    ),
    Fault(
        "each model explains its own class",
        f"{V}/comparing.py",
        "of_class = tops[0] if labels is None else torch.where(labels >= 0, labels, tops[0])",
        "of_class = tops[0]",
        f"{T}/test_by_example.py",
    ),
    Fault(
        "a tree is measured on what it was fitted to",
        f"{V}/surrogate.py",
        "tree.predict(numbers[held_out]) == says[held_out].numpy()",
        "tree.predict(numbers[fitted]) == says[fitted].numpy()",
        f"{T}/test_by_example.py",
    ),
    Fault(
        "a counterfactual leaves its bounds",
        f"{V}/counterfactual.py",
        "torch.clamp(anchor + multiplier * direction, low, high)",
        "anchor + multiplier * direction",
        f"{T}/test_counterfactual.py",
    ),
    Fault(
        "a counterfactual ends where it first arrives",
        f"{V}/counterfactual.py",
        "found = descent.along(found, steps)",
        "pass",
        f"{T}/test_counterfactual.py",
    ),
    Fault(
        "a direction is added",
        f"{V}/repair.py",
        "return h + v * (self.level - (v * h).sum(axis, keepdim=True))",
        "return h + v * self.level",
        f"{T}/test_repair.py",
    ),
    Fault(
        "a retraining ignores its masks",
        f"{V}/repair.py",
        "(loss + strength * penalty).backward()",
        "loss.backward()",
        f"{T}/test_repair.py",
    ),
    Fault(
        "a retraining trains the model itself",
        f"{V}/repair.py",
        "trained = copy.deepcopy(model)",
        "trained = model",
        f"{T}/test_repair.py",
    ),
)
