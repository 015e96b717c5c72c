"""Formatting: an explanation as the captions, rows, maps and equations that the views show."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from lrp_widgets.engine.analysis.doctor import Finding
from lrp_widgets.engine.analysis.unbalanced import unbalanced
from lrp_widgets.engine.composites.composite import Depth, Entry
from lrp_widgets.engine.propagation.explanation import Explanation, pooled
from lrp_widgets.engine.propagation.target import Contrast
from lrp_widgets.params import params_of
from lrp_widgets.samples import Samples

__all__ = [
    "channel_maps", "class_names", "class_text", "equations", "findings", "folded_shape", "ledger_rows", "number",
    "params_text", "picture_of", "stamp", "status", "subject_text", "target_text",
]  # fmt: skip

CAUSES = {"epsilon": "ε"}  # names of causes in the ledger, as the literature writes them


def class_names(explanation: Explanation, samples: Samples) -> tuple[str, ...]:
    """The name of each class that the model scores; a single output without a name is no class.

    Of a logit with two classes, the second is the one that a positive score speaks for.
    """
    if explanation.scores[0].numel() == 1 and samples.classes is None:
        return ("output",)
    if samples.task == "logit" and len(samples.classes or ()) == 2:
        return (samples.name(1),)
    return tuple(samples.name(index) for index in range(explanation.scores[0].numel()))


def class_text(target: int | Contrast, name: Callable[[int], str]) -> str:
    """A class by name, or one against another."""
    return f"{name(target.a)} against {name(target.b)}" if isinstance(target, Contrast) else name(target)


def target_text(explanation: Explanation, names: tuple[str, ...], row: int = 0) -> str:
    """The class that is explained, by name."""
    target = explanation.target
    return class_text(target[row] if isinstance(target, tuple) else target, names.__getitem__)


def subject_text(explanation: Explanation, samples: Samples) -> str:
    """What is explained, in words: class 4, or the output."""
    names = class_names(explanation, samples)
    if len(names) == 1:
        return "the output" if samples.classes is None else f"the output {names[0]}"
    return f"{'output' if samples.task == 'regression' else 'class'} {target_text(explanation, names)}"


def stamp(explanation: Explanation, row: int = 0) -> str:
    """ΣR, f(x) and what the layers absorbed: the caption of a heatmap."""
    total, score = float(explanation.total[row]), float(explanation.explained[row])
    text = f"ΣR = {_amount(total)} · f(x) = {_amount(score)}"
    if explanation.layers:
        amounts = {CAUSES.get(cause, cause): float(amount[row]) for cause, amount in explanation.absorbed.items()}
        causes = ", ".join(
            f"{cause} {_share(amount, score)}" for cause, amount in amounts.items() if abs(amount) > 5e-4
        )
        text += f"\nabsorbed {_share(sum(amounts.values()), score)}" + (f" ({causes})" if causes else "")
    return text


def _amount(value: float) -> str:
    """A number with three decimals; with two significant digits where the decimals would all be zero."""
    return _minus(f"{value:.3f}" if value == 0 or abs(value) >= 5e-4 else f"{value:.1e}")


def _minus(text: str) -> str:
    """A number with a minus sign, which is as wide as a digit, in place of the hyphen."""
    return text.replace("-", "−")


def _share(amount: float, score: float) -> str:
    return _minus(f"{100 * amount / score:.1f} %" if score else f"{amount:.3f}")


def status(explanation: Explanation) -> str:
    """How much was recomputed, how long it took, and whether relevance is conserved at every layer."""
    milliseconds = f"{1000 * explanation.seconds:.0f} ms"
    if not explanation.layers:
        what = "no ledger: this method does not propagate through layers"
        return " · ".join((explanation.method.title, milliseconds, *explanation.notes, what))
    parts = [f"{explanation.recomputed} of {explanation.steps} steps recomputed", milliseconds]
    open_layers = [layer for layer in explanation.layers if not layer.closes]
    if open_layers:
        worst = max(open_layers, key=lambda layer: float(layer.unexplained.abs().max()))
        missing = number(float(worst.unexplained.abs().max()), 2)
        parts.append(f"the ledger does not close at {worst.name}: {missing} is missing")
    else:
        parts.append(f"every layer closes to {_minus(f'{_error(explanation):.0e}')}")
    if explanation.fallbacks:
        parts.append(f"approximated: {', '.join(explanation.fallbacks)}")
    return " · ".join((*parts, *explanation.notes))


def _error(explanation: Explanation) -> float:
    """The largest unexplained amount of a layer, relative to the score."""
    worst = explanation.worst
    size = float(explanation.explained.abs().max()) or 1.0
    return 0.0 if worst is None else float(worst.unexplained.abs().max()) / size


def ledger_rows(explanation: Explanation, row: int = 0) -> list[dict[str, Any]]:
    """The ledger for a LayersView: the output on top, the input map as the last row."""
    causes = unbalanced(explanation, row)
    rows = [
        {
            "name": layer.name,
            "op": layer.op,
            "out": float(layer.relevance_out[row]),
            "in": float(layer.relevance_in[row]),
            "positive": float(layer.positive[row]),
            "negative": float(layer.negative[row]),
            "absorbed": {CAUSES.get(cause, cause): float(amount[row]) for cause, amount in layer.absorbed.items()},
            "unexplained": 0.0 if layer.closes else float(layer.unexplained[row]),
            "fault": f"{cause.message} {cause.remedy}" if (cause := causes.get(layer.name)) else "",
        }
        for layer in reversed(explanation.layers)
        if layer.reached
    ]
    below = explanation.relevance[row].double()
    total, positive = float(below.sum()), float(below.clamp(min=0).sum())
    rows.append(
        {"name": "", "op": "input", "out": total, "in": total, "positive": positive, "negative": total - positive}
    )
    return rows


def picture_of(explanation: Explanation, layer: str, channel: int = -1, row: int = 0) -> np.ndarray:
    """The map to show: of the input, of a layer, or of one channel of it.

    A long vector is folded into the squarest rectangle it fills.
    """
    relevance = explanation.layer(layer) if layer else explanation.relevance
    if channel >= 0:
        return channel_maps(relevance[row])[channel]
    if not layer:
        return explanation.heatmap(row)
    values = pooled(relevance[row])
    return values if values.shape[0] > 1 else values.reshape(folded_shape(values.size))


def channel_maps(relevance: Tensor) -> np.ndarray:
    """Relevance of a layer's output (without the batch) as maps (channels, h, w); of a volume, its slices added up."""
    maps = relevance.detach().float().cpu()
    maps = maps[(...,) + (None,) * max(0, 3 - maps.ndim)]
    return maps.sum(tuple(range(1, maps.ndim - 2))).numpy() if maps.ndim > 3 else maps.numpy()


def folded_shape(n: int) -> tuple[int, int]:
    """(rows, n / rows) with the divisor of n that is nearest to its root from below."""
    rows = next(r for r in range(int(n**0.5), 0, -1) if n % r == 0)
    return rows, n // rows


def equations(explanation: Explanation) -> str:
    """The rules in force with the numbers in them, from the output down, as HTML."""
    composite = getattr(explanation.method, "composite", None)
    if composite is None:
        return _equation(explanation.method.title, explanation.method.equation)
    used = {layer.rule for layer in explanation.layers}
    entries = [entry for entry in composite.entries if entry.rule in used]
    entries.sort(key=lambda entry: entry.where == "input")
    return "".join(
        _equation(_where(entry, len(entries) > 1), entry.rule.equation, params_text(entry.rule)) for entry in entries
    )


def _where(entry: Entry, others: bool) -> str:
    if isinstance(entry.where, Depth):
        return f"depth {entry.where.start:.0%} to {entry.where.stop:.0%}"
    texts = {"any": "the other layers" if others else "all layers", "input": "at the input"}
    return texts.get(entry.where, f"{entry.where} layers")


def params_text(rule: Any) -> str:
    """The parameters of a rule in force: α = 2, β = 1.00."""
    texts = [
        f"{param.label} = {_minus(f'{getattr(rule, param.name):.4g}')}"
        for param in params_of(rule)
        if param.kind == "number"
    ]
    texts += [note for param in params_of(rule) if (note := rule.note(param.name))]
    if getattr(rule, "relative", False):
        texts[0] += " · rms z"
    if hasattr(rule, "low"):
        texts += [f"l = {rule.low}", f"h = {rule.high}"]
    return ", ".join(texts)


def findings(report: Sequence[Finding]) -> str:
    """The findings of the model doctor as HTML; where there are none, that all is well."""
    if not report:
        said = "All is well: nothing in this model makes its explanations less than they could be."
        return f'<div class="lrp-well">{said}</div>'
    lines = "".join(_finding(finding) for finding in report)
    return f'<div class="lrp-heading">Doctor</div><ul class="lrp-findings">{lines}</ul>'


def _finding(finding: Finding) -> str:
    layer, message, remedy = (html.escape(text) for text in (finding.layer, finding.message, finding.remedy))
    remedy = f'<div class="lrp-remedy">{remedy}</div>' if remedy else ""
    return f'<li class="lrp-finding-{finding.severity}"><b>{layer}</b> {message}{remedy}</li>'


def _equation(where: str, equation: str, numbers: str = "") -> str:
    numbers = f'<span class="lrp-numbers">{html.escape(numbers)}</span>' if numbers else ""
    return (
        f'<div class="lrp-equation"><span class="lrp-where">{html.escape(where)}</span>{numbers}'
        f"<div>{_typeset(equation)}</div></div>"
    )


def _typeset(equation: str) -> str:
    """Subscripts as subscripts: a_j, w_jk."""
    out, subscript = [], False
    for letter in html.escape(equation):
        if letter == "_":
            out.append("<sub>")
            subscript = True
        elif subscript and not letter.isalpha():
            out.append("</sub>" + letter)
            subscript = False
        else:
            out.append(letter)
    return "".join(out) + ("</sub>" if subscript else "")


def number(value: float, digits: int = 3) -> str:
    """A number for a caption; – where there is none."""
    if not np.isfinite(value):
        return "–" if np.isnan(value) else "∞"
    text = f"{value:.{digits}g}".replace("-", "−")
    return text.replace("e−0", "e−").replace("e+0", "e").replace("e+", "e")
