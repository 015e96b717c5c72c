"""Faults in what keeps the engine from being wrong without a word: stale models, tokens, what leaves torch, draws."""

from __future__ import annotations

from mutants.fault import Fault

TRACE = "lrp_widgets/engine/trace"
OPERATORS = "lrp_widgets/engine/operators"
PROPAGATION = "lrp_widgets/engine/propagation"
T = "tests/engine"
STATE = f"{T}/trace/test_model_state.py"
TOKENS = f"{T}/trace/test_tokens.py"
LEAVING = f"{T}/trace/test_leaving.py"

FAULTS = (
    Fault("the state reads no bits", f"{TRACE}/model_state.py", "tensor.dtype, bits_of(tensor)", "tensor.dtype", STATE),
    Fault(
        "the state tells no order of weights",
        f"{TRACE}/bits.py",
        "and len(raw) <= ORDERED",
        "and len(raw) < 0",
        STATE,
    ),
    Fault("the state skips hooks", f"{TRACE}/model_state.py", "if attributes.get(name)", "if False", STATE),
    Fault(
        "the state reads no globals",
        f"{TRACE}/model_state.py",
        "if name in function.__globals__:",
        "if name in ():",
        STATE,
    ),
    Fault(
        "what cannot be read proves all the same",
        f"{TRACE}/model_state.py",
        "before is not None and self.readable and",
        "before is not None and",
        STATE,
    ),
    Fault(
        "one forward pass is not compared",
        f"{PROPAGATION}/explainer.py",
        "same = _apart(now, self._tape.scores) == 0",
        "same = now.shape == self._tape.scores.shape",
        STATE,
    ),
    Fault(
        "tokens are lost where they are written",
        f"{TRACE}/recorder.py",
        "if tokens or tensor.is_floating_point() or tensor.is_complex():",
        "if tensor.is_floating_point() or tensor.is_complex():",
        TOKENS,
    ),
    Fault(
        "two tokens take the whole each",
        f"{OPERATORS}/tokens.py",
        "return [(relevance / len(shapes)).sum_to_size(shape) for shape in shapes], {}",
        "return [relevance.sum_to_size(shape) for shape in shapes], {}",
        TOKENS,
    ),
    Fault("a bag counts its padding", f"{OPERATORS}/tokens.py", "rows = rows * present[:, None]", "pass", TOKENS),
    Fault("a mask is a token", f"{TRACE}/recorder.py", "masks = op_name(func) in ASKS_MASK", "masks = False", TOKENS),
    Fault(
        "what numpy writes is no news",
        f"{TRACE}/tape.py",
        "came_back = changed or leaving.written",
        "came_back = changed",
        LEAVING,
    ),
    Fault(
        "every number that is read is news",
        f"{TRACE}/tape.py",
        "came_back = changed or leaving.written",
        "came_back = True",
        LEAVING,
    ),
    Fault(
        "other threads are no news",
        f"{TRACE}/tape.py",
        "leaving.arrays or any(_has_foreign(step, recorder) for step in recorder.steps):",
        "leaving.arrays:",
        LEAVING,
    ),
    Fault(
        "each draw is another",
        f"{PROPAGATION}/explainer.py",
        "return same_draws(0, generators) if self._random else nullcontext()",
        "return nullcontext()",
        f"{T}/trace/test_draws.py",
    ),
    Fault(
        "a draw is explained without a word",
        f"{TRACE}/tape.py",
        "notes.append(note_of_draws(recorder.random_layer))",
        "pass",
        f"{T}/trace/test_draws.py",
    ),
    Fault(
        "the imaginary part is the real one",
        f"{TRACE}/complex_numbers.py",
        "torch.view_as_complex(tensor.contiguous().clone())",
        "torch.view_as_complex(tensor[..., :1].expand_as(tensor).contiguous())",
        f"{T}/trace/test_complex_numbers.py",
    ),
    Fault(
        "whatever ends like a softmax is one",
        "lrp_widgets/engine/layers/softmax.py",
        "return bool((gap <= rounding * size).all()) and",
        "return True or",
        f"{T}/layers/test_softmax.py",
    ),
    Fault(
        "masked logits count",
        f"{OPERATORS}/attention.py",
        "return None if bool(counted.all()) else counted",
        "return None",
        f"{T}/layers/test_softmax.py {T}/operators/test_attention_paths.py",
    ),
    Fault(
        "mixed rows stay apart",
        f"{PROPAGATION}/ledger.py",
        "for line in mixed.nonzero().flatten().tolist():",
        "for line in ():",
        f"{T}/propagation/test_mixed_rows.py",
    ),
    Fault(
        "open lines are spread",
        f"{PROPAGATION}/ledger.py",
        "mixed = by_row & (rest.sum(1).abs() <= tolerance / batch * whole)",
        "mixed = by_row",
        f"{T}/propagation/test_mixed_rows.py",
    ),
    Fault(
        "the box is not looked at",
        f"{PROPAGATION}/notes.py",
        "(a < low - slack) | (a > high + slack)",
        "a > high + slack",
        f"{T}/propagation/test_notes.py",
    ),
    Fault(
        "an absolute ε",
        f"{OPERATORS}/first_order.py",
        "damped(z, 1e-9 * _size(z))",
        "damped(z, 1e-9)",
        f"{T}/propagation/test_notes.py",
    ),
    Fault(
        "a place is counted from its last axis",
        f"{PROPAGATION}/target.py",
        "number = number * size + index % size",
        "number = number + index % size",
        f"{T}/propagation/test_places.py",
    ),
    Fault(
        "a model that changes itself is not run again",
        f"{PROPAGATION}/explainer.py",
        "and (tape.writes or not self._state.proves(state)):",
        "and tape.writes:",
        STATE,
    ),
    Fault(
        "a buffer that the model writes is not noticed",
        f"{TRACE}/recorder.py",
        "any(storage_of(tensor) in self.own_memories for tensor in written)",
        "False",
        STATE,
    ),
    Fault(
        "a generator of the model's own runs on",
        f"{TRACE}/draws.py",
        "            _bring_back(generator, state)",
        "            pass",
        f"{T}/trace/test_draws.py",
    ),
    Fault(
        "numbers of tokens are held constant without a word",
        f"{TRACE}/recorder.py",
        "self.lost_tokens.setdefault(self.where(), (op_name(func), floating))",
        "pass",
        TOKENS,
    ),
    Fault(
        "a softmax in other steps has no note",
        "lrp_widgets/engine/layers/softmax.py",
        "if inverted and above & below:",
        "if False:",
        f"{T}/layers/test_softmax.py",
    ),
    Fault(
        "one row is always taken for an input without a batch",
        f"{TRACE}/unbatched.py",
        "if not few or (_is_one_row(inputs) and _takes_two_rows(model, inputs)):",
        "if not few:",
        "tests/test_wording.py",
    ),
    Fault(
        "NaN of the model's own is laid to the rule",
        f"{PROPAGATION}/notes.py",
        "if not all(bool(torch.isfinite(tensor).all()) for tensor in around):",
        "if False:",
        f"{T}/propagation/test_notes.py",
    ),
)
