"""Faults in concepts: what a layer's channels are for."""

from __future__ import annotations

from mutants.fault import Fault

C = "lrp_widgets/concepts"
T = "tests/concepts"

FAULTS = (
    Fault(
        "channels of a layer are its positions",
        f"{C}/layer_maps.py",
        "return tensor.detach().movedim(axis, 1)",
        "return tensor.detach()",
        T,
    ),
    Fault(
        "a dictionary is sorted by activation",
        f"{C}/semantic_dictionary.py",
        "sorted(entries, key=lambda entry: -entry.relevance)",
        "sorted(entries, key=lambda entry: -entry.activation)",
        T,
    ),
    Fault(
        "a position is taken for its mirror image",
        f"{C}/semantic_dictionary.py",
        "return place\n",
        "return place[::-1]\n",
        T,
    ),
    Fault(
        "groups take more than there is",
        f"{C}/neuron_groups.py",
        "whole = torch.maximum(rows.clamp(min=0), torch.stack(of_groups).sum(0))",
        "whole = torch.stack(of_groups).sum(0)",
        T,
    ),
    Fault(
        "the remainder is left out",
        f"{C}/neuron_groups.py",
        "(relevance.sum() - groups.sum())[None]",
        "groups.sum()[None] * 0",
        T,
    ),
    Fault(
        "the least relevant samples come first",
        f"{C}/relevant_samples.py",
        "of_all.sort(descending=True, stable=True)",
        "of_all.sort(stable=True)",
        T,
    ),
    Fault(
        "every node of the graph is fed by the class",
        f"{C}/concept_graph.py",
        "children.append(node((*filters, filter_), float(below[at]), None))",
        "children.append(node((filter_,), float(below[at]), None))",
        T,
    ),
    Fault(
        "layers of a graph are taken as they are named",
        f"{C}/concept_graph.py",
        "return tuple(sorted(layers, key=lambda name: -places[name]))",
        "return tuple(layers)",
        T,
    ),
    Fault(
        "an atlas takes other positions than it says",
        f"{C}/activation_atlas.py",
        "positions.append(places.flatten())",
        "positions.append(places.flatten() * 0)",
        T,
    ),
    Fault(
        "the explainer forgets what it was asked last",
        f"{C}/checks.py",
        'return fresh_explainer("explainer", explainer)',
        "return explainer",
        T,
    ),
)
