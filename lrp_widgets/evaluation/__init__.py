"""How good is an explanation? Functions and generators that end in a Curve; METRICS is what a dashboard offers."""

from collections.abc import Callable

from lrp_widgets.evaluation.curve import Curve
from lrp_widgets.evaluation.flipping import pixel_flipping, random_flipping, stream_flipping
from lrp_widgets.evaluation.referee import Comparison, Verdict, compare_with

METRICS: tuple[Callable[..., Curve], ...] = (pixel_flipping,)

__all__ = [
    "METRICS",
    "Comparison",
    "Curve",
    "Verdict",
    "compare_with",
    "pixel_flipping",
    "random_flipping",
    "stream_flipping",
]
