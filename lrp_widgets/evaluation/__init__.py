"""How good is an explanation? Of one input, functions and generators; over a data set, evaluate() with METRICS."""

from lrp_widgets.evaluation import metrics, neighbourhoods, removal
from lrp_widgets.evaluation.axioms import Limits, axioms, stream_axioms
from lrp_widgets.evaluation.bootstrap import bootstrap, mean_curve
from lrp_widgets.evaluation.continuity import Path, continuity, stream_continuity
from lrp_widgets.evaluation.curve import Curve, area_between
from lrp_widgets.evaluation.evaluate import EvaluationError, Stopped, evaluate
from lrp_widgets.evaluation.flipping import pixel_flipping, random_flipping, stream_flipping
from lrp_widgets.evaluation.metrics import METRICS, Metric
from lrp_widgets.evaluation.randomization import Randomization, randomization, stream_randomization
from lrp_widgets.evaluation.referee import Comparison, Verdict, compare_with
from lrp_widgets.evaluation.regions import superpixels
from lrp_widgets.evaluation.score import Score
from lrp_widgets.evaluation.sparsity import gini
from lrp_widgets.evaluation.sweep import Swept, pareto, sweep
from lrp_widgets.evaluation.table import Summary, Table

__all__ = [
    "METRICS",
    "Comparison",
    "Curve",
    "EvaluationError",
    "Limits",
    "Metric",
    "Path",
    "Randomization",
    "Score",
    "Stopped",
    "Summary",
    "Swept",
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
