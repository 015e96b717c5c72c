"""Explanation methods, one family a file; METHODS is what a dashboard offers.

WRAPPERS explain by another method, so that there is no picking them by name alone. `sliding_window` (the function from
here on, not the file it lives in) explains images larger than the network's input by any of them.
"""

from lrp_widgets.engine.propagation.lrp import LRP
from lrp_widgets.engine.propagation.method import Method
from lrp_widgets.methods.chance import Chance
from lrp_widgets.methods.grad_cam import GradCAM, GuidedGradCAM
from lrp_widgets.methods.gradient import Gradient, Sensitivity, SimpleTaylor
from lrp_widgets.methods.guided_backprop import Deconvolution, GuidedBackprop
from lrp_widgets.methods.integrated_gradients import IntegratedGradients
from lrp_widgets.methods.occlusion import Occlusion
from lrp_widgets.methods.patches import Patch, stream_patches, top_patches
from lrp_widgets.methods.sliding_window import WindowMap, sliding_window
from lrp_widgets.methods.smoothgrad import Smoothed, SmoothGrad
from lrp_widgets.methods.translated import Translated

METHODS: tuple[type[Method], ...] = (
    LRP,
    Gradient,
    Sensitivity,
    SimpleTaylor,
    SmoothGrad,
    IntegratedGradients,
    GuidedBackprop,
    Deconvolution,
    GradCAM,
    GuidedGradCAM,
    Occlusion,
    Chance,
)
WRAPPERS: tuple[type[Method], ...] = (Smoothed, Translated)

__all__ = [
    "LRP",
    "METHODS",
    "WRAPPERS",
    "Chance",
    "Deconvolution",
    "GradCAM",
    "Gradient",
    "GuidedBackprop",
    "GuidedGradCAM",
    "IntegratedGradients",
    "Method",
    "Occlusion",
    "Patch",
    "Sensitivity",
    "SimpleTaylor",
    "SmoothGrad",
    "Smoothed",
    "Translated",
    "WindowMap",
    "sliding_window",
    "stream_patches",
    "top_patches",
]
