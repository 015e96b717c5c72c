"""Is a model right for the right reasons, and what to do if it is not.

spray finds clusters among heatmaps, object_share tells object from context, comparing sets two models side by side;
nearest, counterfactual and surrogate explain by examples, by small changes and by a tree; repair mends.
"""

from lrp_widgets.validation.comparing import ModelComparison, compare_models
from lrp_widgets.validation.counterfactual import Counterfactual, counterfactual
from lrp_widgets.validation.nearest import Nearest, nearest
from lrp_widgets.validation.object_share import ObjectShare, object_share
from lrp_widgets.validation.repair import Epoch, Retrained, retrain, retraining, without
from lrp_widgets.validation.spray import Spray, spray
from lrp_widgets.validation.surrogate import SurrogateTree, surrogate_tree

__all__ = [
    "Counterfactual",
    "Epoch",
    "ModelComparison",
    "Nearest",
    "ObjectShare",
    "Retrained",
    "Spray",
    "SurrogateTree",
    "compare_models",
    "counterfactual",
    "nearest",
    "object_share",
    "retrain",
    "retraining",
    "spray",
    "surrogate_tree",
    "without",
]
