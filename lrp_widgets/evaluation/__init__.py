"""How good is an explanation? Functions and generators that end in a Curve or Score; METRICS is what is offered."""

from collections.abc import Callable

from lrp_widgets.evaluation import neighbourhoods, removal
from lrp_widgets.evaluation.axioms import Limits, axioms, stream_axioms
from lrp_widgets.evaluation.bootstrap import bootstrap, mean_curve
from lrp_widgets.evaluation.continuity import Path, continuity, stream_continuity
from lrp_widgets.evaluation.curve import Curve, area_between
from lrp_widgets.evaluation.flipping import pixel_flipping, random_flipping, stream_flipping
from lrp_widgets.evaluation.randomization import Randomization, randomization, stream_randomization
from lrp_widgets.evaluation.referee import Comparison, Verdict, compare_with
from lrp_widgets.evaluation.regions import superpixels
from lrp_widgets.evaluation.score import Score
from lrp_widgets.evaluation.sparsity import gini
from lrp_widgets.evaluation.sweep import Swept, pareto, sweep

METRICS: tuple[Callable[..., Curve | Path | tuple[Score, ...] | Randomization], ...] = (
    pixel_flipping,
    continuity,
    axioms,
    randomization,
)

__all__ = [
    "METRICS",
    "Comparison",
    "Curve",
    "Limits",
    "Path",
    "Randomization",
    "Score",
    "Swept",
    "Verdict",
    "area_between",
    "axioms",
    "bootstrap",
    "compare_with",
    "continuity",
    "gini",
    "mean_curve",
    "neighbourhoods",
    "pareto",
    "pixel_flipping",
    "random_flipping",
    "randomization",
    "removal",
    "stream_axioms",
    "stream_continuity",
    "stream_flipping",
    "stream_randomization",
    "superpixels",
    "sweep",
]
