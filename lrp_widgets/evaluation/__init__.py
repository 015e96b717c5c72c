"""How good is an explanation? Functions and generators that end in a Curve or Score; METRICS is what is offered."""

from collections.abc import Callable

from lrp_widgets.evaluation import removal
from lrp_widgets.evaluation.bootstrap import bootstrap, mean_curve
from lrp_widgets.evaluation.curve import Curve, area_between
from lrp_widgets.evaluation.flipping import pixel_flipping, random_flipping, stream_flipping
from lrp_widgets.evaluation.referee import Comparison, Verdict, compare_with
from lrp_widgets.evaluation.regions import superpixels

METRICS: tuple[Callable[..., Curve], ...] = (pixel_flipping,)

__all__ = [
    "METRICS",
    "Comparison",
    "Curve",
    "Verdict",
    "area_between",
    "bootstrap",
    "compare_with",
    "mean_curve",
    "pixel_flipping",
    "random_flipping",
    "removal",
    "stream_flipping",
    "superpixels",
]
