"""Faults in the engine's upper half: composites, propagation, analysis."""

from __future__ import annotations

from mutants.fault import Fault

E = "lrp_widgets/engine"
T = "tests/engine"
TRACE = f"{T}/trace"
ALONE = f"{T}/propagation/test_one_at_a_time.py"
NORMALIZED = f"{T}/propagation/test_normalized_input.py"

FAULTS = (
    # composites
    Fault(
        "the last entry that matches a layer counts",
        f"{E}/composites/composite.py",
        "rules.setdefault(step.name, entry.rule)",
        "rules[step.name] = entry.rule",
        NORMALIZED,
    ),
    Fault(
        "behind a subtraction no layer is the first",
        f"{E}/composites/composite.py",
        'elif step.op != "embedding":',
        'elif step.op not in ("embedding", "sub"):',
        NORMALIZED,
    ),
    Fault(
        "every layer that sees anything fresh is the first",
        f"{E}/composites/composite.py",
        "if not all(value in fresh for value in step.inputs):",
        "if not any(value in fresh for value in step.inputs):",
        f"{T}/composites/test_where.py",
    ),
    Fault(
        "the depth of a layer is where it begins",
        f"{E}/composites/composite.py",
        "(i + 0.5) / count",
        "(i + 1) / count",
        f"{T}/composites/test_where.py",
    ),
    # propagation
    Fault(
        "channels of tokens are taken for tokens",
        f"{E}/propagation/filter.py",
        "1 if like.ndim != 3 else 2",
        "1",
        f"{T}/propagation/test_filter_of_tokens.py",
    ),
    Fault(
        "a blocking filter keeps",
        f"{E}/propagation/filter.py",
        "1 - chosen if self.block else chosen",
        "chosen",
        f"{T}/propagation/test_filter.py",
    ),
    Fault(
        "a filter's channels may be one too many",
        f"{E}/propagation/filter.py",
        "if max(self.channels) >= count:",
        "if max(self.channels) > count:",
        f"{T}/propagation/test_filter_of_tokens.py",
    ),
    Fault(
        "of two filters on a layer the last counts",
        f"{E}/propagation/filter.py",
        "= (*by_value.get(value, ()), ",
        "= (",
        f"{T}/propagation/test_filter.py",
    ),
    Fault(
        "an explanation runs beside another one",
        f"{E}/propagation/explainer.py",
        "with self._lock, torch.inference_mode(False):",
        "with torch.inference_mode(False):",
        ALONE,
    ),
    Fault(
        "a tape is made beside an explanation",
        f"{E}/propagation/explainer.py",
        "        with self._lock:\n            inputs = inputs_of(x)\n            check_mode",
        "        if True:\n            inputs = inputs_of(x)\n            check_mode",
        ALONE,
    ),
    Fault(
        "remembers() looks beside an explanation",
        f"{E}/propagation/explainer.py",
        "        with self._lock:\n            inputs = inputs_of(x)\n            return same_inputs",
        "        if True:\n            inputs = inputs_of(x)\n            return same_inputs",
        ALONE,
    ),
    Fault(
        "forget() forgets in the middle of an explanation",
        f"{E}/propagation/explainer.py",
        "        with self._lock:\n            self._tape, self._state, self._x = None",
        "        if True:\n            self._tape, self._state, self._x = None",
        ALONE,
    ),
    Fault(
        "an explanation aside changes what is remembered",
        f"{E}/propagation/explainer.py",
        "self._memo.fork() if aside else self._memo",
        "self._memo",
        f"{TRACE}/test_fork.py",
    ),
    Fault(
        "the budget is that of all steps",
        f"{E}/propagation/explainer.py",
        "for step in tape.steps if step.affine for value",
        "for step in tape.steps for value",
        f"{TRACE}/test_memory_budget.py",
    ),
    Fault(
        "a changed weight is not noticed",
        f"{E}/trace/model_state.py",
        "before is not None and self.weights == before.weights and self.parts == before.parts",
        "before is not None and self.parts == before.parts",
        f"{TRACE}/test_memo.py {TRACE}/test_recomputed.py",
    ),
    Fault(
        "a model in training mode is explained",
        f"{E}/propagation/explainer.py",
        "    if modal:\n",
        "    if False:\n",
        f"{T}/propagation/test_explainer.py tests/test_messages.py",
    ),
    Fault(
        "what a filter holds back is missing in the ledger",
        f"{E}/propagation/propagate.py",
        "sums_of(relevance - through,",
        "sums_of(through - through,",
        f"{T}/propagation/test_filter.py",
    ),
    Fault(
        "of two readers of a value only one hands relevance on",
        f"{E}/propagation/propagate.py",
        "lambda *p: reduce(torch.add, p)",
        "lambda *p: p[0]",
        f"{T}/propagation/test_conservation.py",
    ),
    Fault(
        "a newer request does not stop the way down",
        f"{E}/propagation/propagate.py",
        "        if abandoned():\n            raise Abandoned",
        "        abandoned()",
        f"{TRACE}/test_memo.py {TRACE}/test_recomputed.py",
    ),
    Fault(
        "an explanation is what the explainer remembers",
        f"{E}/propagation/lrp.py",
        "relevance.clone(memory_format=torch.contiguous_format)",
        "relevance",
        f"{TRACE}/test_memo.py {TRACE}/test_recomputed.py",
    ),
    Fault(
        "the top class is the least one",
        f"{E}/propagation/target.py",
        ".argmax(1)",
        ".argmin(1)",
        f"{T}/propagation/test_explainer.py {T}/propagation/test_conservation.py",
    ),
    # analysis
    Fault(
        "an interpolation in α has whole weights at its ends",
        f"{E}/analysis/alpha_interpolation.py",
        "*= 0.5",
        "*= 1.0",
        f"{T}/analysis/test_alpha_interpolation.py",
    ),
    Fault(
        "an interpolation in α goes beyond its points",
        f"{E}/analysis/alpha_interpolation.py",
        "if not low <= alpha <= high:",
        "if not low <= alpha:",
        f"{T}/analysis/test_alpha_interpolation.py",
    ),
    Fault(
        "the arithmetic of αβ has β = α",
        f"{E}/analysis/neuron.py",
        "(1 - alpha) * aw",
        "-alpha * aw",
        f"{T}/analysis/test_neuron.py",
    ),
    Fault(
        "the arithmetic of z^B swaps its bounds",
        f"{E}/analysis/neuron.py",
        "above, below = p.at_j(a - low), p.at_j(a - high)",
        "above, below = p.at_j(a - high), p.at_j(a - low)",
        f"{T}/analysis/test_neuron.py",
    ),
)
