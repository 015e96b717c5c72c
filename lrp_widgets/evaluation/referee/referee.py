"""The rule referee: the same explanation by zennit and captum, how far it is from ours, and which convention it is."""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lrp_widgets.engine.composites.composite import Composite, Entry, parametric_steps, resolve
from lrp_widgets.engine.layers.layer import Layer, Part
from lrp_widgets.engine.layers.reciprocal import reciprocal
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.target import Target
from lrp_widgets.engine.rules import AlphaBeta, Gamma, Rule, ZPlus
from lrp_widgets.engine.trace.inputs import check_input
from lrp_widgets.evaluation.referee.peers import PEERS, NoEquivalent, Peer, Task
from lrp_widgets.methods import LRP, Gradient, Method, Sensitivity, SimpleTaylor
from lrp_widgets.wording import in_words

__all__ = ["Comparison", "Verdict", "compare_with"]

AGREES = 1e-5  # of max |R|: what is closer than that is the same
HELPS = 0.5  # conventions are named where they make the difference at least that much smaller
EXPLAINED = {
    "BN folding": "it treats BatchNorm as a layer of its own; ours folds it into its neighbour",
    "residual sum": "it hands all relevance to every branch of a sum; ours shares it",
    "stabilizer": "it adds a small number to every denominator; ours divides by what is there",
    "sign split": "it splits the signs of the weights alone; ours those of the products a·w",
    "bias": "it leaves the bias whole; ours splits it like a product",
    "pooling": "it gives a max pooling's relevance to the winner; here it is shared in proportion",
}
KINDS: dict[type[Method], str] = {
    LRP: "LRP",
    Gradient: "gradient",
    Sensitivity: "squared",
    SimpleTaylor: "product",
}


@dataclass(frozen=True, eq=False)
class Verdict:
    """What one peer says.

    relevance, difference: its map, and ours minus it (the shape of x); None where it gave none, and `message` says why.
    number: max |difference| / max |ours|.  conventions: what makes the difference, the largest first; each was tried.
    remaining: the number with these brought into line, which is what they do not account for.
    """

    peer: str
    relevance: Tensor | None = None
    difference: Tensor | None = None
    number: float = float("nan")
    conventions: tuple[str, ...] = ()
    remaining: float = float("nan")
    message: str = ""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Our explanation, and a verdict for each peer."""

    ours: Explanation
    verdicts: tuple[Verdict, ...]

    def __str__(self) -> str:
        return "\n".join(f"{verdict.peer}: {verdict.message}" for verdict in self.verdicts)


def compare_with(model: nn.Module, x: Tensor, target: Target = None, method: Method | None = None) -> Comparison:
    """The same explanation by zennit and captum where they are installed, and which convention differs.

    model, x, target, method: as for Explainer.explain, x being one tensor. The model is not touched: peers get copies.
    Raises what Explainer.explain raises; what goes wrong in a peer is its verdict.
    """
    check_input(x)
    method = LRP() if method is None else method
    explainer = Explainer(model)
    ours = explainer.explain(x, target, method)
    task = _task(explainer, ours, method)
    verdicts = []
    for peer in PEERS:
        try:
            package = peer.load()
        except ImportError:
            verdicts.append(Verdict(peer.name, message=f"not installed. pip install {peer.name}"))
            continue
        except Exception as error:
            verdicts.append(
                Verdict(peer.name, message=f"cannot be imported. {type(error).__name__}: {in_words(error)}")
            )
            continue
        verdicts.append(_judged(peer, package, task, explainer, ours, method))
    return Comparison(ours, tuple(verdicts))


def _task(explainer: Explainer, ours: Explanation, method: Method) -> Task | str:
    kind = KINDS.get(type(method))
    if kind is None:
        return f"{type(method).__name__} is not compared"
    rules: dict[str, Rule] = {}
    folded = []
    if isinstance(method, LRP):
        tape = explainer.tape(ours.inputs)
        resolved = resolve(method.composite, tape)
        modules = dict(explainer.model.named_modules(remove_duplicate=False))
        for step in parametric_steps(tape):
            paths = [path for path in step.modules if path and path in modules]
            layers = [p for p in paths if not isinstance(modules[p], nn.modules.batchnorm._BatchNorm)]
            norms = [p for p in paths if isinstance(modules[p], nn.modules.batchnorm._BatchNorm)]
            if not layers and not norms:
                return f"the step {step.name!r} is no module, and peers put their rules on modules"
            rules.setdefault((layers or norms)[0], resolved[step.name])
            folded += [(layers[0], norm) for norm in norms if layers]
    return Task(explainer.model, ours.inputs, ours.target, ours.start, rules, tuple(dict.fromkeys(folded)), kind)


def _judged(
    peer: Peer, package: Any, task: Task | str, explainer: Explainer, ours: Explanation, method: Method
) -> Verdict:
    name = f"{peer.name} {importlib.metadata.version(peer.name)}"
    if isinstance(task, str):
        return Verdict(name, message=task)
    size = max(float(ours.relevance.abs().max()), 1e-30)

    def apart(aligned: frozenset[str]) -> tuple[float, Tensor]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peers warn of their own hooks
            theirs = peer.answer(package, task, aligned)
        mine = _ours_like(explainer, ours, method, aligned)
        return float((mine - theirs).abs().max()) / size, theirs

    try:
        number, relevance = apart(frozenset())
    except NoEquivalent as error:
        return Verdict(name, message=f"{error}")
    except Exception as error:
        return Verdict(name, message=f"raised {type(error).__name__}: {in_words(error)}")
    conventions, remaining = _conventions(peer, apart, number)
    return Verdict(
        name,
        relevance,
        ours.relevance - relevance,
        number,
        conventions,
        remaining,
        _message(number, conventions, remaining),
    )


def _conventions(
    peer: Peer, apart: Callable[[frozenset[str]], tuple[float, Tensor]], number: float
) -> tuple[tuple[str, ...], float]:
    """Bring every convention into line, and let go again those that are not needed: some only show together."""
    if number <= AGREES:
        return (), number

    def without(names: frozenset[str]) -> float:
        try:
            return apart(frozenset(peer.conventions) - names)[0]
        except Exception:  # what breaks the peer explains nothing
            return float("inf")

    dropped: frozenset[str] = frozenset()
    remaining = without(dropped)
    if not remaining <= HELPS * number and number == number:
        return (), number
    losses: dict[str, float] = {}
    for convention in peer.conventions:
        losses[convention] = without(dropped | {convention})
        if losses[convention] <= max(AGREES, remaining / HELPS):
            dropped |= {convention}
    needed = [convention for convention in peer.conventions if convention not in dropped]
    needed.sort(key=lambda convention: losses[convention], reverse=True)
    return tuple(needed), without(dropped)


def _message(number: float, conventions: tuple[str, ...], remaining: float) -> str:
    if number <= AGREES:
        return f"agrees to {number:.0e} of max |R|."
    because = "; ".join(f"{convention} ({EXPLAINED[convention]})" for convention in conventions)
    text = f"differs by {number:.2g} of max |R|"
    if not conventions:
        return f"{text}, and no convention that was tried accounts for it."
    rest = f"they agree to {remaining:.0e}" if remaining <= AGREES else f"{remaining:.2g} is left without a name"
    return f"{text}: {because}. With that in line {rest}."


def _ours_like(explainer: Explainer, ours: Explanation, method: Method, aligned: frozenset[str]) -> Tensor:
    """Our relevance under the peer's convention, for those that are brought into line on our side."""
    mine = aligned & {"sign split", "bias", "pooling"}
    if not mine or not isinstance(method, LRP):
        return ours.relevance
    tape = explainer.tape(ours.inputs)
    entries = [Entry(_like(rule, mine), name) for name, rule in resolve(method.composite, tape).items()]
    composite = Composite(
        entries=tuple(entries),
        max_pooling="winner-take-all" if "pooling" in mine else method.composite.max_pooling,
        product=method.composite.product,
        attention=method.composite.attention,
    )
    return explainer.explain(ours.inputs, ours.target, LRP(composite)).relevance


def _like(rule: Rule, mine: frozenset[str]) -> Rule:
    split, whole = "sign split" in mine, "bias" in mine
    if isinstance(rule, Gamma) and (split or whole):
        return _WeightsOfOneSign(1.0, rule.gamma, split, whole)
    if (isinstance(rule, ZPlus) or (isinstance(rule, AlphaBeta) and rule.beta == 0)) and (split or whole):
        return _WeightsOfOneSign(0.0, 1.0, split, whole)
    return rule


@dataclass(frozen=True)
class _WeightsOfOneSign(Rule):
    """R_j = Σ_k a_j (κ w + γ w⁺)_jk / (Σ_j a_j (κ w + γ w⁺)_jk + bias) · R_k, whatever the sign of a.

    split: of the weights alone (else of the products).  whole: the bias as it is (else κ b + γ b⁺).
    """

    plain: float = 0.0
    extra: float = 1.0
    split: bool = True
    whole: bool = False

    def linearize(self, layer: Layer, a: Tensor) -> Callable[[Tensor], tuple[Tensor, dict[str, Tensor]]]:
        up = Part(self.plain + self.extra, self.plain)
        down = up if self.split else Part(self.plain, self.plain + self.extra)
        a_plus, a_minus = layer.a_parts
        bias = torch.zeros(()).to(a) if layer.b is None else layer.b
        b = bias if self.whole else self.plain * bias + self.extra * bias.clamp(min=0)
        one_over_z = reciprocal(layer.forward(a_plus, up) + layer.forward(a_minus, down) + b)

        def pullback(relevance: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            s = relevance * one_over_z
            handed = a_plus * layer.adjoint(s, up) + a_minus * layer.adjoint(s, down)
            return handed, {"bias": s * b}

        return pullback
