"""A live LRP explainer for PyTorch, and its dashboard."""

from lrp_widgets import demo, widgets
from lrp_widgets.apps.explore.explore import explore
from lrp_widgets.apps.quality.quality import quality
from lrp_widgets.apps.scan.scan import scan
from lrp_widgets.engine import operators, rules
from lrp_widgets.engine.analysis.doctor import Finding, examine
from lrp_widgets.engine.analysis.receptive_field.receptive_field import ReceptiveField, at_input, receptive_field
from lrp_widgets.engine.composites.composite import Composite, Depth, Entry
from lrp_widgets.engine.composites.presets import (
    alpha_beta,
    by_depth,
    deep_taylor,
    epsilon,
    epsilon_alpha2_beta1,
    epsilon_alpha2_beta1_flat,
    epsilon_gamma_box,
    epsilon_plus,
    epsilon_plus_flat,
    layered,
    montavon2019,
)
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation, LayerRelevance
from lrp_widgets.engine.propagation.filter import Filter
from lrp_widgets.engine.propagation.target import contrast
from lrp_widgets.evaluation import (
    Comparison,
    Curve,
    Summary,
    Table,
    Verdict,
    area_between,
    axioms,
    compare_with,
    continuity,
    evaluate,
    mean_curve,
    metrics,
    pixel_flipping,
    sweep,
)
from lrp_widgets.methods import (
    LRP,
    Chance,
    Deconvolution,
    GradCAM,
    Gradient,
    GuidedBackprop,
    GuidedGradCAM,
    IntegratedGradients,
    Occlusion,
    Patch,
    Sensitivity,
    SimpleTaylor,
    Smoothed,
    SmoothGrad,
    Translated,
    WindowMap,
    sliding_window,
    top_patches,
)
from lrp_widgets.preprocessing import Preprocessing
from lrp_widgets.samples import Samples

__all__ = [  # noqa: RUF022 - grouped, for the reader
    # the dashboard
    "explore",
    "quality",
    "scan",
    "Samples",
    "Preprocessing",
    "demo",
    # its parts, for your own notebook
    "widgets",
    # explaining
    "Explainer",
    "Explanation",
    "LayerRelevance",
    "contrast",
    "examine",
    "Finding",
    # methods
    "LRP",
    "Gradient",
    "Sensitivity",
    "SimpleTaylor",
    "SmoothGrad",
    "IntegratedGradients",
    "GuidedBackprop",
    "Deconvolution",
    "GradCAM",
    "GuidedGradCAM",
    "Occlusion",
    "Chance",
    # of any method
    "Smoothed",
    "Translated",
    "Filter",
    # images larger than the network's input
    "sliding_window",
    "WindowMap",
    # hidden layers as pictures
    "receptive_field",
    "ReceptiveField",
    "at_input",
    "top_patches",
    "Patch",
    # composites
    "Composite",
    "Entry",
    "Depth",
    "alpha_beta",
    "by_depth",
    "deep_taylor",
    "epsilon",
    "epsilon_alpha2_beta1",
    "epsilon_alpha2_beta1_flat",
    "epsilon_gamma_box",
    "epsilon_plus",
    "epsilon_plus_flat",
    "layered",
    "montavon2019",
    # rules and operators
    "rules",
    "operators",
    # evaluation
    "Curve",
    "pixel_flipping",
    "area_between",
    "mean_curve",
    "continuity",
    "axioms",
    "sweep",
    # over a data set
    "evaluate",
    "metrics",
    "Table",
    "Summary",
    # the referee
    "compare_with",
    "Comparison",
    "Verdict",
]
