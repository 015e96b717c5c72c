"""How good is an explanation? Of one input, functions and generators; over a data set, evaluate() with METRICS."""

from lrp_widgets.evaluation.axioms.axioms import Limits, axioms, stream_axioms
from lrp_widgets.evaluation.axioms.randomization import RandomizationCurve, randomization, stream_randomization
from lrp_widgets.evaluation.continuity import neighbourhoods
from lrp_widgets.evaluation.continuity.continuity import ContinuityPath, continuity, stream_continuity
from lrp_widgets.evaluation.dataset import metrics
from lrp_widgets.evaluation.dataset.bootstrap import bootstrap, mean_curve
from lrp_widgets.evaluation.dataset.evaluate import EvaluationError, Stopped, evaluate
from lrp_widgets.evaluation.dataset.metrics import METRICS, Metric
from lrp_widgets.evaluation.dataset.sparsity import gini
from lrp_widgets.evaluation.dataset.sweep import SweepResult, pareto, sweep
from lrp_widgets.evaluation.dataset.table import Summary, Table
from lrp_widgets.evaluation.flipping import removal
from lrp_widgets.evaluation.flipping.curve import Curve, area_between
from lrp_widgets.evaluation.flipping.flipping import pixel_flipping, random_flipping, stream_flipping
from lrp_widgets.evaluation.flipping.regions import superpixels
from lrp_widgets.evaluation.flipping.setting import Flipping
from lrp_widgets.evaluation.referee.referee import Comparison, Verdict, compare_with
from lrp_widgets.evaluation.score import Score

__all__ = [
    "METRICS",
    "Comparison",
    "ContinuityPath",
    "Curve",
    "EvaluationError",
    "Flipping",
    "Limits",
    "Metric",
    "RandomizationCurve",
    "Score",
    "Stopped",
    "Summary",
    "SweepResult",
    "Table",
    "Verdict",
    "area_between",
    "axioms",
    "bootstrap",
    "compare_with",
    "continuity",
    "evaluate",
    "gini",
    "mean_curve",
    "metrics",
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
