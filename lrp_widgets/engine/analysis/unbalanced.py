"""Why a line of the ledger does not close: the likeliest cause, from the numbers of the lines around it."""

from __future__ import annotations

from math import isfinite

import torch

from lrp_widgets.engine.analysis.doctor import Finding
from lrp_widgets.engine.propagation.explanation import Explanation, LayerRelevance
from lrp_widgets.engine.rules import RULES
from lrp_widgets.engine.trace.step import flat_tensors

__all__ = ["unbalanced"]

ROUNDING = 16.0  # rounding errors of the largest sum that a step may add up to
CANCELS = 4.0  # Σ|R| below against what arrives: from there on both signs cancel
ATTENTION = ("softmax", "attention", "bmm")


def unbalanced(explanation: Explanation, row: int = 0) -> dict[str, Finding]:
    """What is missing in each line of the ledger that does not close, why, and what to try; by the line's name.

    It reads the ledger of one batch row and calculates nothing again. The causes, the most certain first: numbers that
    are not finite, rounding where large relevance of both signs cancels, an operation that is approximated, a rule of
    one's own, the treatment of attention or of another operation.
    """
    lines = [line for line in explanation.layers if line.reached]
    if all(line.closes for line in lines):
        return {}
    inputs = [t[row] if row < len(t) else t for t in flat_tensors(explanation.relevance)]
    sizes = [sum(float(t.double().abs().sum()) for t in inputs)]  # Σ|R| that each line hands on
    sizes += [float(line.positive[row] - line.negative[row]) for line in lines[:-1]]
    return {
        line.name: _finding(line, row, size, line.name in explanation.fallbacks)
        for line, size in zip(lines, sizes, strict=True)
        if not line.closes
    }


def _finding(line: LayerRelevance, row: int, size: float, approximated: bool) -> Finding:
    rest, out = float(line.unexplained[row]), float(line.relevance_out[row])
    cause, remedy = _cause(line, row, size, approximated)
    missing = f"{rest:.2g} of {out:.4g}" if isfinite(rest) else "The relevance is not finite, and all of it"
    return Finding("error", line.name, f"{missing} unexplained; likely cause: {cause}.".replace("-", "−"), remedy)


def _cause(line: LayerRelevance, row: int, size: float, approximated: bool) -> tuple[str, str]:
    rest, out, passed = (float(t[row]) for t in (line.unexplained, line.relevance_out, line.relevance_in))
    rule = "" if line.rule is None else f"rule {type(line.rule).__name__}"
    who = rule or f"operation {line.op}"
    if not isfinite(out):
        return "NaN or infinite relevance arrives from above", "Look at the uppermost red line: it begins there."
    if not isfinite(passed) or not isfinite(rest):
        if approximated:
            said = f"operation {line.op} is approximated, and its derivative is not finite here"
            return said, "Try to register how relevance passes it, for instance as lw.operators.routing."
        dtype = next((d for d in (torch.float16, torch.bfloat16) if torch.finfo(d).eps == _close(line.eps)), None)
        ends = f", and {dtype} ends at {torch.finfo(dtype).max:.3g}".replace("torch.", "") if dtype else ""
        return f"{who} makes NaN or infinite numbers{ends}", "Try a larger ε, or the model in float32."
    above = float(line.positive[row] - line.negative[row])
    if size > CANCELS * max(above, abs(passed)) and abs(rest) <= ROUNDING * line.eps * size:
        said = (
            f"rounding, where relevance of both signs cancels (Σ|R| is {size / max(above, 1e-30):.3g} times as large)"
        )
        return said, "Try γ or αβ here, a larger ε, or the model in a wider floating-point type."
    hands_on = f"it hands on {100 * (out - rest) / out:.4g} %" if out else f"it hands on {out - rest:.2g} of nothing"
    if approximated:
        said = f"operation {line.op} is approximated to first order ({hands_on})"
        return said, "Try to register how relevance passes it, for instance as lw.operators.routing."
    if rule and type(line.rule) not in RULES:
        said = f"{rule} does not conserve ({hands_on})"
        return said, "Try another rule here, or let its pullback name what it keeps as absorbed."
    if rule:
        said = f"the layer calculates something else than its weights say ({hands_on})"
        return said, "Try lw.examine(model, x), and report it with the model."
    if any(part in line.op for part in ATTENTION):
        said = f"the treatment of attention, here {line.op} ({hands_on})"
        return said, 'Try attention="held constant" in the composite.'
    said = f"the treatment of {who} does not conserve ({hands_on})"
    return said, "Try lw.operators.identity or routing for it, or let its treatment name what it keeps as absorbed."


def _close(eps: float) -> float:
    """The power of two that eps is but for rounding."""
    return float(2.0 ** round(torch.tensor(eps, dtype=torch.float64).log2().item()))
