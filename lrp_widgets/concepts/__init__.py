"""What a layer knows, and how it comes together: its channels, their groups, and the graph of what feeds what.

attribution sums relevance at a layer; semantic_dictionary lists channels at a place, neuron_groups what is active
together, relevant_samples what a channel is for, concept_graph which channels feed which; activation_atlas lays many
samples out in a plane.
"""

from lrp_widgets.concepts.activation_atlas import ActivationAtlas, AtlasCell, activation_atlas
from lrp_widgets.concepts.attribution import channel_attribution, spatial_attribution
from lrp_widgets.concepts.concept_graph import ConceptGraph, ConceptNode, concept_graph
from lrp_widgets.concepts.neuron_groups import NeuronGroups, neuron_groups
from lrp_widgets.concepts.relevant_samples import RelevantSamples, relevant_samples
from lrp_widgets.concepts.semantic_dictionary import ChannelEntry, SemanticDictionary, semantic_dictionary

__all__ = [
    "ActivationAtlas",
    "AtlasCell",
    "ChannelEntry",
    "ConceptGraph",
    "ConceptNode",
    "NeuronGroups",
    "RelevantSamples",
    "SemanticDictionary",
    "activation_atlas",
    "channel_attribution",
    "concept_graph",
    "neuron_groups",
    "relevant_samples",
    "semantic_dictionary",
    "spatial_attribution",
]
