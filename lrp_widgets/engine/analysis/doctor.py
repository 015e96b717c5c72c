"""The model doctor: `examine(model, x)` says what in a model makes its explanations less than they could be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from lrp_widgets.engine.composites.composite import Composite
from lrp_widgets.engine.composites.presets import alpha_beta, epsilon, epsilon_gamma_box
from lrp_widgets.engine.layers.affine import BATCH_NORMS
from lrp_widgets.engine.propagation.explainer import Explainer, Output, check_mode, check_model
from lrp_widgets.engine.propagation.explanation import LayerRelevance
from lrp_widgets.engine.propagation.propagate import Propagation
from lrp_widgets.engine.trace.tape import Step, Tape
from lrp_widgets.wording import in_words

__all__ = ["SEVERITIES", "Finding", "examine"]

SEVERITIES = ("error", "warning", "note")

BIAS_SHARE = 0.2  # of the score: more than that in one layer's bias is worth a word
BLOW_UP = 100.0  # Σ|R| of a layer against the score
SILENT = 0.5  # of a layer's channels
SATURATED = 0.9  # of a layer's values
# What is tried where relevance blows up, mildest first: the first of the best is named.
TAMING: dict[str, Composite] = {
    "ε = 0.25 × rms z (lw.epsilon(epsilon=0.25, relative=True))": epsilon(epsilon=0.25, relative=True),
    "γ = 0.25 (lw.epsilon_gamma_box(input=None))": epsilon_gamma_box(input=None),
    "α1β0 (lw.alpha_beta(alpha=1))": alpha_beta(alpha=1),
}
FLAT_ENDS = {"sigmoid": (0.01, 0.99), "tanh": (-0.99, 0.99), "hardsigmoid": (0.0, 1.0)}


@dataclass(frozen=True)
class Finding:
    """One thing the doctor noticed: how grave, in which layer ("" for the model), what it is and what to do."""

    severity: str
    layer: str
    message: str
    remedy: str


def examine(model: nn.Module, x: Any, output: Output = None) -> list[Finding]:
    """Everything that stands between this model and a faithful explanation at x, the gravest first.

    x: inputs as the model takes them, batch first; more rows make the findings on silent channels surer.
    output: which output is to be explained where there are several, as in lw.Explainer.
    An empty list means that all is well. Raises nothing: what goes wrong is a finding.
    """
    try:
        check_model("examine", model)
    except TypeError as error:
        return [Finding("error", "", str(error), "Hand over the network itself.")]
    found = list(_at_rest(model))
    if not any(finding.severity == "error" for finding in found):
        found += _running(model, x, output)
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def _at_rest(model: nn.Module) -> Iterator[Finding]:
    try:
        check_mode(model)
    except ValueError as error:
        yield Finding("error", "", str(error), "Call model.eval() before you explain.")
    else:
        if model.training and any(True for _ in model.children()):
            said = "The model says it is in training mode, but no layer of it behaves differently there."
            yield Finding("note", "", said, "Call model.eval() to be safe.")
    if not any(True for _ in model.parameters()):
        yield Finding("note", "", "The model has no parameters.", "No rule applies then: is this the whole model?")
    for name, parameter in model.named_parameters():
        if parameter.is_complex():
            said = f"The weights {name!r} are {parameter.dtype}: relevance of complex numbers is not defined."
            yield Finding("error", name.rpartition(".")[0], said, "Split them into real and imaginary parts.")


def _running(model: nn.Module, x: Any, output: Output) -> Iterator[Finding]:
    explainer = Explainer(model, output)
    try:
        tape = explainer.tape(x)
    except Exception as error:
        yield Finding(
            "error", "", f"{type(error).__name__}: {in_words(error)}", "The model must run at x before it is explained."
        )
        return
    for note in tape.notes:
        yield Finding("warning", "", note, "The explanation holds for what it says, and for nothing else.")
    yield from _ending(tape)
    yield from _unfolded(tape)
    yield from _activations(tape)
    yield from _design(model, tape)
    try:
        plain, positive = _propagated(explainer, x, epsilon()), _propagated(explainer, x, alpha_beta(alpha=1))
    except Exception as error:
        said = f"Relevance could not be propagated. {type(error).__name__}: {in_words(error)}"
        yield Finding("error", "", said, "Do what it says; explaining with lw.LRP(lw.epsilon()) shows the traceback.")
        return
    yield from _not_finite(plain)
    yield from _fallbacks(plain)
    yield from _blow_up(explainer, x, plain, tape.scores)
    yield from _biases(positive, tape.scores)


def _propagated(explainer: Explainer, x: Any, composite: Composite) -> Propagation:
    return explainer.propagate(x, composite, None, lambda: False)[1]


def _ending(tape: Tape) -> Iterator[Finding]:
    last = next((step for step in reversed(tape.steps) if tape.output in step.outputs), None)
    if last is not None and last.op in ("_softmax", "_log_softmax", "sigmoid"):
        end = last.op.strip("_")
        said = f"The model ends with {end}: relevance of a probability also says what speaks against others."
        yield Finding("warning", last.name, said, "Explain the logit: leave the last activation out of the model.")


def _unfolded(tape: Tape) -> Iterator[Finding]:
    for step in tape.steps:
        if step.op in BATCH_NORMS:
            why = "runs on batch statistics" if step.affine is None else "has no linear neighbour to fold into"
            said = f"The BatchNorm {why}: it takes a rule of its own, and its shift absorbs relevance."
            yield Finding("note", step.name, said, "Place BatchNorm right behind a convolution or dense layer.")


def _activations(tape: Tape) -> Iterator[Finding]:
    for step in tape.steps:
        made = next((tape.values[value] for value in step.outputs if value is not None), None)
        if made is None:
            continue
        if step.op == "relu" and made.ndim > 1:
            silent = (made.transpose(0, 1).flatten(1) <= 0).all(1).double().mean().item()
            if silent > SILENT:
                said = f"{silent:.0%} of the channels are silent on {len(made)} input(s)."
                remedy = "Examine with more inputs; channels that stay silent are dead and can be cut."
                yield Finding("note", step.name, said, remedy)
        if step.op in FLAT_ENDS:
            low, high = FLAT_ENDS[step.op]
            stuck = ((made <= low) | (made >= high)).double().mean().item()
            if stuck > SATURATED:
                said = f"{stuck:.0%} of the values are saturated: their gradient is close to zero."
                yield Finding("note", step.name, said, "Gradient methods see nothing here; relevance passes.")


def _design(model: nn.Module, tape: Tape) -> Iterator[Finding]:
    """The paper's advice on networks that explain well (section on tricks of the trade)."""
    recurrent = {path for path, module in model.named_modules() if isinstance(module, nn.RNNBase)}
    dense = [step for step in tape.steps if _is(step, "dense") and step.module not in recurrent]
    if len(dense) > 2 and any(_is(step, "convolution") for step in tape.steps):
        said = f"The model has {len(dense)} dense layers: relevance spreads over unrelated features in them."
        yield Finding("note", dense[0].name, said, "Use as few dense layers as needed.")
    if dense and not any(isinstance(module, nn.modules.dropout._DropoutNd) for module in model.modules()):
        said = "The dense layers were not trained with dropout."
        yield Finding("note", dense[0].name, said, "Train with dropout before the dense layers.")
    pooling = [step for step in tape.steps if step.op.startswith("max_pool")]
    if pooling:
        said = f"{len(pooling)} max pooling layer(s): all relevance goes to one winner in each window."
        yield Finding("note", pooling[0].name, said, "Prefer sum or average pooling, or treat them as proportional.")
    positive = [step for step in tape.steps if step.affine is not None and _has_positive_bias(step)]
    if positive:
        layers = {step.module or step.name for step in positive}  # a recurrent one runs at each moment
        said = f"{len(layers)} layer(s) have positive biases: they can create evidence that is in no input."
        yield Finding("note", positive[0].name, said, "Train with biases that are zero or negative.")


def _is(step: Step, kind: str) -> bool:
    return step.affine is not None and step.affine.kind == kind


def _has_positive_bias(step: Step) -> bool:
    bias = step.affine.bias
    return bias is not None and bool((bias > 0).any())


def _not_finite(passed: Propagation) -> Iterator[Finding]:
    for line in reversed(passed.ledger):
        if not bool(line.relevance_in.isfinite().all()):
            text = f"Under LRP-0 the relevance is NaN or infinite from {line.name!r} ({line.op}) on."
            yield Finding("error", line.name, text, "Say how it passes relevance: lw.operators.OPERATORS[…] = ….")
            return


def _fallbacks(passed: Propagation) -> Iterator[Finding]:
    for name in passed.fallbacks:
        said = "The operation is not in lw.operators.OPERATORS: it is approximated to first order."
        yield Finding("warning", name, said, "Register how relevance passes it, for instance as lw.operators.routing.")


def _blow_up(explainer: Explainer, x: Any, passed: Propagation, scores: Tensor) -> Iterator[Finding]:
    score = scores.double().reshape(len(scores), -1).abs().amax(1).cpu().clamp(min=1e-30)
    sizes = [((line.positive - line.negative) / score).max().item() for line in passed.ledger]
    # The layers where it happens, not all below them.
    where = [i for i, (now, above) in enumerate(pairwise([*sizes, 1.0])) if now > BLOW_UP and now > 10 * above]
    if not where:
        return
    tamed: dict[str, list[float]] = {}
    for said, composite in TAMING.items():
        ledger = _propagated(explainer, x, composite).ledger
        tamed[said] = [((line.positive - line.negative) / score).max().item() for line in ledger]
    for i in where:
        best = min(tamed, key=lambda said: tamed[said][i])
        remedy = f"Under {best} it is {tamed[best][i]:.1f} times the score."
        if tamed[best][i] > BLOW_UP:
            remedy = f"No rule tames it here: under {best} it is still {tamed[best][i]:.0f} times the score."
        said = f"Under LRP-ε Σ|R| grows to {sizes[i]:.0f} times the score here."
        yield Finding("warning", passed.ledger[i].name, said, remedy)


def _biases(passed: Propagation, scores: Tensor) -> Iterator[Finding]:
    size = scores.double().reshape(len(scores), -1).abs().amax(1).cpu().clamp(min=1e-30)
    for line in passed.ledger:
        share = _bias_share(line, size)
        if share > BIAS_SHARE:
            what, remedy = "The bias", "train with biases ≤ 0."
            if line.rule is None:
                what, remedy = (
                    "What is added here",
                    "positions that are embedded, for instance, have no share in the map.",
                )
            said = f"{what} absorbs {share:.0%} of the score under LRP-α1β0."
            yield Finding("warning", line.name, said, f"That part of the score is in no input: {remedy}")


def _bias_share(line: LayerRelevance, size: Tensor) -> float:
    amount = line.absorbed.get("bias")
    return 0.0 if amount is None else float((amount.abs() / size).max())
