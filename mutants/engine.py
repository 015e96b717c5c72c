"""Faults in the engine's lower half: trace, layers, operators, rules."""

from __future__ import annotations

from mutants.fault import Fault

E = "lrp_widgets/engine"
T = "tests/engine"
TRACE = f"{T}/trace"
ALONE = f"{T}/propagation/test_one_at_a_time.py"
NORMALIZED = f"{T}/propagation/test_normalized_input.py"
DENSE = f"{T}/rules/test_against_dense.py"
CANONIZE = f"{T}/layers/test_canonize.py"

FAULTS = (
    # trace
    Fault(
        "memo compares no inputs",
        f"{E}/trace/memo.py",
        "if stored is not None and _same(stored[0], inputs):",
        "if stored is not None:",
        f"{TRACE}/test_memo.py",
    ),
    Fault(
        "memo's fork shares its cells",
        f"{E}/trace/memo.py",
        "dict(self._cells)",
        "self._cells",
        f"{TRACE}/test_fork.py",
    ),
    Fault(
        "memo compares tensors by value",
        f"{E}/trace/memo.py",
        "not isinstance(a, Tensor) and not isinstance(b, Tensor) and type(a) is type(b) and a == b",
        "type(a) is type(b) and (a is b or (not isinstance(a, Tensor) and a == b) or isinstance(a, Tensor))",
        f"{TRACE}/test_memo.py {TRACE}/test_recomputed.py",
    ),
    Fault(
        "memory budget forgets the activations",
        f"{E}/trace/memory_budget.py",
        "5 * activations",
        "0 * activations",
        f"{TRACE}/test_memory_budget.py",
    ),
    Fault(
        "memory budget forgets what was taken",
        f"{E}/trace/memory_budget.py",
        " - self.taken)",
        ")",
        f"{TRACE}/test_memory_budget.py",
    ),
    Fault(
        "memory budget may be overdrawn by one",
        f"{E}/trace/memory_budget.py",
        "if bytes_ > self.left:",
        "if bytes_ > self.left + 1:",
        f"{TRACE}/test_memory_budget.py",
    ),
    Fault(
        "an in-place model writes into the caller's input",
        f"{E}/trace/tape.py",
        "tuple(tensor.detach().clone() for tensor in inputs.tensors)",
        "tuple(tensor.detach() for tensor in inputs.tensors)",
        f"{TRACE}/test_tape.py {TRACE}/test_recording.py",
    ),
    Fault(
        "the switch of the fused attention is turned without a lock",
        f"{E}/trace/tape.py",
        "    with _fastpath_lock:\n        if _fastpath_users == 0:\n            _fastpath_before",
        "    if True:\n        if _fastpath_users == 0:\n            _fastpath_before",
        ALONE,
    ),
    Fault(
        "the switch of the fused attention is turned back without a lock",
        f"{E}/trace/tape.py",
        "        with _fastpath_lock:\n            _fastpath_users -= 1",
        "        if True:\n            _fastpath_users -= 1",
        ALONE,
    ),
    Fault(
        "a copied input is the same memory",
        f"{E}/trace/inputs.py",
        "tuple(tensor.detach().clone() for tensor in inputs.tensors)",
        "tuple(tensor.detach() for tensor in inputs.tensors)",
        f"{TRACE}/test_memo.py {TRACE}/test_recomputed.py {TRACE}/test_inputs.py",
    ),
    Fault(
        "the rows of a batch are those of the shortest tensor",
        f"{E}/trace/inputs.py",
        "max(lengths, key=lengths.count)",
        "min(lengths)",
        f"{TRACE}/test_rows.py",
    ),
    # layers
    Fault(
        "a copy that reorders memory is dropped",
        f"{E}/layers/canonize.py",
        "return tape.values[one].stride() == tape.values[other].stride()",
        "return True",
        f"{T}/layers/test_reordering_copies.py",
    ),
    Fault(
        "the shift of BatchNorm is left out of the bias",
        f"{E}/layers/canonize.py",
        "affine.bias.double() * scale + shift",
        "affine.bias.double() * scale",
        CANONIZE,
    ),
    Fault(
        "a bias is not scaled with BatchNorm",
        f"{E}/layers/canonize.py",
        "affine.bias.double() * scale + shift",
        "affine.bias.double() + shift",
        CANONIZE,
    ),
    Fault(
        "BatchNorm folds into a layer that others read too",
        f"{E}/layers/canonize.py",
        "            and reads[step.inputs[0]] == 1\n            and _takes",
        "            and _takes",
        CANONIZE,
    ),
    Fault(
        "a bias that is subtracted is folded as added",
        f"{E}/layers/canonize.py",
        'if step.op != "add" or',
        'if step.op not in ("add", "sub") or',
        f"{T}/layers/test_added_constants.py",
    ),
    Fault(
        "an added bias takes the place of the layer's own",
        f"{E}/layers/canonize.py",
        "constant.tensor if affine.bias is None else affine.bias + constant.tensor",
        "constant.tensor",
        f"{T}/layers/test_added_constants.py",
    ),
    # operators
    Fault(
        "what is subtracted is counted as added",
        f"{E}/operators",
        "return [(first, 1.0), (second, -float(alpha))]",
        "return [(first, 1.0), (second, float(alpha))]",
        NORMALIZED,
    ),
    Fault(
        "rsub is taken the wrong way round",
        f"{E}/operators",
        "return [(first, -float(alpha)), (second, 1.0)]",
        "return [(first, float(alpha)), (second, -1.0)]",
        NORMALIZED,
    ),
    Fault(
        "a mean taken off the input is not absorbed",
        f"{E}/operators",
        'absorbed["bias"] = kept(s, sign * item)',
        'absorbed["bias"] = 0 * kept(s, sign * item)',
        NORMALIZED,
    ),
    Fault(
        "a product of two signals is handed on twice",
        f"{E}/operators",
        "[0.5, 0.5] if",
        "[1.0, 1.0] if",
        f"{T}/operators",
    ),
    Fault(
        "a product hands all to the gate",
        f"{E}/operators",
        "[0.0 if is_constant else 1.0 for is_constant in",
        "[1.0 if is_constant else 0.0 for is_constant in",
        f"{T}/operators",
    ),
    Fault(
        "a quotient hands relevance to the divisor",
        f"{E}/operators",
        "handed[0] = relevance.sum_to_size(shapes[0])\n        return handed, {}",
        "handed[-1] = relevance.sum_to_size(shapes[-1])\n        return handed, {}",
        f"{T}/operators {T}/propagation/test_explainer.py",
    ),
    Fault(
        "pooling shares evenly",
        f"{E}/operators",
        "return [a * adjoint(relevance * one_over_z)[0]], absorbed",
        "return [adjoint(relevance)[0]], absorbed",
        f"{T}/operators",
    ),
    Fault(
        "a token has the mean relevance of its embedding",
        f"{E}/operators",
        "return [relevance.sum(-1)], {}",
        "return [relevance.mean(-1)], {}",
        f"{TRACE}/test_inputs.py",
    ),
    # rules
    Fault(
        "the rest of ε is not absorbed",
        f"{E}/rules",
        "torch.addcmul(relevance, s, q.total, value=-1)",
        "torch.addcmul(relevance, s, q.total, value=1)",
        DENSE,
    ),
    Fault(
        "relative ε is not relative",
        f"{E}/rules",
        "self.epsilon * layer.rms if self.relative and self.epsilon else self.epsilon",
        "self.epsilon",
        f"{T}/rules/test_rules_by_hand.py",
    ),
    Fault(
        "γ counts once too often",
        f"{E}/rules",
        "Part(1 + gamma, 1)",
        "Part(2 + gamma, 1)",
        DENSE,
    ),
    Fault(
        "γ swaps the negative inputs",
        f"{E}/rules",
        "a_plus * split(s_plus, s_minus) + a_minus * split(s_minus, s_plus)",
        "a_plus * split(s_plus, s_minus) + a_minus * split(s_plus, s_minus)",
        DENSE,
    ),
    Fault("β is α", f"{E}/rules", "return self.alpha - 1", "return self.alpha", DENSE),
    Fault(
        "αβ mixes up the signs of negative inputs",
        f"{E}/rules",
        "a_minus * between(minus_plus, plus_minus)",
        "a_minus * between(plus_minus, minus_plus)",
        DENSE,
    ),
    Fault("w² is |w|", f"{E}/rules", "layer.w.square()", "layer.w.abs()", DENSE),
    Fault("z^B swaps its bounds", f"{E}/rules", "a - low, a - high", "a - high, a - low", DENSE),
    Fault(
        "z^B has the bounds of each channel out of order",
        f"{E}/rules",
        ".repeat_interleave(features // channels)",
        ".repeat(features // channels)",
        f"{T}/composites/test_where.py",
    ),
    Fault(
        "flat forgets how many channels there are",
        f"{E}/rules",
        "* w.shape[1]\n",
        "* 1\n",
        DENSE,
    ),
)
