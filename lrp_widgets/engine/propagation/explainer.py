"""Explainer: tape and memo, the only thing in the engine that remembers."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from lrp_widgets.engine.composites.composite import Composite
from lrp_widgets.engine.layers.canonize import canonize
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.filter import Filter
from lrp_widgets.engine.propagation.lrp import LRP, Recording
from lrp_widgets.engine.propagation.method import Method, never
from lrp_widgets.engine.propagation.output import Output, select
from lrp_widgets.engine.propagation.propagate import Propagation
from lrp_widgets.engine.propagation.target import Target
from lrp_widgets.engine.trace.channels_last import ChannelsLast
from lrp_widgets.engine.trace.draws import same_draws
from lrp_widgets.engine.trace.inputs import Inputs, check_input, copied, inputs_of, same_inputs
from lrp_widgets.engine.trace.memo import Memo
from lrp_widgets.engine.trace.memory_budget import MemoryBudget
from lrp_widgets.engine.trace.model_state import ModelState, model_state
from lrp_widgets.engine.trace.recording_error import LostTokensError
from lrp_widgets.engine.trace.tape import RecordingError, Tape, record, telling, without_attention_fastpath

__all__ = ["Explainer", "Output"]


# Modules that compute something else in training mode: there, an explanation would be of another function.
_MODAL = (
    nn.modules.dropout._DropoutNd,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.RReLU,
    nn.MultiheadAttention,
    nn.RNNBase,
)


_WITH_FASTPATH = (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.MultiheadAttention)


class Explainer:
    """Explains one model, again and again, doing only what has changed since the last time.

    model: any nn.Module that runs; it is only read.
    output: which output to explain where the model returns several: a key of a dict, an index of a tuple, or a function
    that makes a tensor of scores, one row per input, out of what the model returns (`lambda out: out.logits[:, -1]`).
    Safe to use from several threads; one explanation runs at a time.
    """

    def __init__(self, model: nn.Module, output: Output = None) -> None:
        check_model("Explainer", model)
        self.model, self.output = model, output
        self._lock = threading.RLock()
        self._forget_weights()
        self._memo = Memo()  # what depends on the tape
        self._tape: Tape | None = None
        self._x: Inputs | None = None
        self._state: ModelState | None = None
        self._random = False  # whether the model drew random numbers when it was last recorded

    def explain(
        self,
        x: Any,
        target: Target = None,
        method: Method | None = None,
        abandoned: Callable[[], bool] = never,
        *,
        show: Callable[[Tensor], None] | None = None,
        aside: bool = False,
    ) -> Explanation:
        """Explain the output `target` at `x`.

        x: what the model takes, batch first: a tensor, a tuple of its arguments or a dict of the named ones. Floating
        point, or whole numbers that an embedding looks up: each of these tokens has one relevance.
        target: a class, one class a row, None for each row's top class, or lw.contrast(a, b). Of a model that answers
        with maps or for each token, a place: (class, row, column), (position, token).
        method: lw.LRP(composite), lw.Gradient(), …; deep Taylor LRP by default.
        abandoned: asked between steps; where it says True, Abandoned is raised and nothing remembered is lost.
        show: called with the relevance of each value on its way down, for a first, coarse picture of a long one (LRP).
        aside: use what is remembered and leave it as it is, so that the next move from here stays a small one.
        Raises TypeError, ValueError or RecordingError that names what is wrong.
        """
        method = LRP() if method is None else method
        if not hasattr(method, "relevance") or isinstance(method, type):
            raise TypeError(f"method must be a method such as lw.LRP(lw.epsilon()), got {method!r}.")
        with self._lock, torch.inference_mode(False):  # in inference mode there are no derivatives to pull back with
            begun = time.perf_counter()
            if isinstance(method, LRP):  # the one method that is remembered step by step
                recording = self.recording(x, aside)
                explanation = method.relevance(self, x, target, abandoned, recording=recording, show=show)
            else:
                explanation = method.relevance(self, x, target, abandoned)
            return explanation.replace(seconds=time.perf_counter() - begun)

    def remembers(self, x: Any) -> bool:
        """Whether what was last explained was `x`, and the model would answer the same now."""
        with self._lock:
            inputs = inputs_of(x)
            return same_inputs(self._x, inputs) and self._answers_as_before(inputs, model_state(self.model))

    def scores(self, x: Any) -> Tensor:
        """What the model answers at x, without gradients."""
        inputs = inputs_of(x)
        check_mode(self.model)
        with torch.no_grad(), without_attention_fastpath(), telling(self.model, inputs), self._draws():
            result = inputs.call(self.model, copied(inputs).tensors)  # a copy, for models that write in place
        return self.select(result)

    def _draws(self) -> AbstractContextManager[None]:
        """Where the model is known to draw random numbers, the same as were recorded."""
        generators = self._state.generators if self._state is not None else ()
        return same_draws(0, generators) if self._random else nullcontext()

    def check_draws(self, x: Any) -> None:
        """Raise RecordingError where the model draws random numbers at x because parts of it are in training mode."""
        if any(module.training for module in self.model.modules()):
            self.tape(x)

    def tape(self, x: Any) -> Tape:
        """The canonical tape of the model at x: recorded anew only where x or a weight has changed."""
        with self._lock:
            inputs = inputs_of(x)
            check_mode(self.model)
            state = model_state(self.model)
            if not state.same_weights(self._state):
                check_weights(self.model)
                self._tape = None
                self._forget_weights()
            if not same_inputs(self._x, inputs) or not self._answers_as_before(inputs, state):
                with telling_of_tokens(self.model, inputs):
                    tape = record(
                        self.model, inputs, self.select, self._channels_last, state.memories, state.generators
                    )
                    tape = canonize(tape, self._weights, self._budget)
                check_scores(tape.scores)
                self._random = tape.random
                self._state = state.reread(self.model)
                notes = [self._note_of_fastpath(inputs, tape)]
                if self._may_change_itself and (tape.writes or not self._state.proves(state)):
                    notes.append(self._note_of_own_state(inputs, tape))
                    self._state = state.reread(self.model)
                    # Many models note down what they saw. One second run tells whether that changes an answer: a run
                    # more for each new input would be a third of the time.
                    self._may_change_itself = notes[-1] is not None
                tape = dataclasses.replace(tape, notes=(*tape.notes, *filter(None, notes)))
                self._budget.beside(_layers_bytes(tape))
                self._tape, self._memo, self._x = tape, Memo(), copied(inputs)
            assert self._tape is not None
            return self._tape

    def _answers_as_before(self, inputs: Inputs, state: ModelState) -> bool:
        """Whether the tape still holds for a model in this state.

        Where the state proves nothing (an attribute has another value, or something cannot be read), one forward pass
        is compared with what was recorded.
        """
        if self._tape is None or not state.same_weights(self._state):
            return False
        if state.proves(self._state):
            return True
        with without_attention_fastpath():
            now = self.scores(inputs)
        same = _apart(now, self._tape.scores) == 0
        if same:
            self._state = state.reread(self.model)
        return same

    def _note_of_fastpath(self, inputs: Inputs, tape: Tape) -> str | None:
        """Torch has a fast path for attention in evaluation; at positions that a mask leaves out it answers zeros."""
        if not any(isinstance(module, _WITH_FASTPATH) for module in self.model.modules()):
            return None
        with torch.no_grad(), self._draws():
            fast = self.select(inputs.call(self.model, copied(inputs).tensors))
        gap = _apart(fast, tape.scores)
        if gap in (0, float("inf")):
            return None
        return (
            f"In evaluation mode torch runs attention on a fast path that answers otherwise here, by up to {gap:.2g}: "
            "padded positions are zero on it. The model is explained as it was trained, without that path."
        )

    def _note_of_own_state(self, inputs: Inputs, tape: Tape) -> str | None:
        """A model that changes what it holds while it runs may answer otherwise the next time."""
        gap = _apart(self.scores(inputs), tape.scores)
        if gap == 0:
            return None
        return (
            f"The model changes what it holds while it runs, and answers otherwise the next time, by up to {gap:.2g}: "
            "one run is explained."
        )

    def recording(self, x: Any, aside: bool = False) -> Recording:
        """The tape at x with its memo; `aside`: with a memo of its own, which knows the same to begin with."""
        with self._lock, torch.no_grad():
            tape = self.tape(x)
            return Recording(tape, self._memo.fork() if aside else self._memo)

    def propagate(
        self,
        x: Any,
        composite: Composite,
        target: Target = None,
        abandoned: Callable[[], bool] = never,
        filters: tuple[Filter, ...] = (),
    ) -> tuple[Tape, Propagation]:
        """The tape at x and the relevance of each of its values: what an LRP explanation is made of."""
        with self._lock, torch.no_grad():
            recording = self.recording(x)
            return recording.tape, LRP(composite, filters).propagate(recording, target, abandoned)[0]

    def select(self, result: Any) -> Tensor:
        """The tensor to explain out of what the model returns. Raises an error that lists the choices."""
        return select(result, self.output)

    def forget(self) -> None:
        """Drop everything remembered (needed only after weights were changed behind torch's back, through .data)."""
        with self._lock:
            self._tape, self._state, self._x = None, None, None
            self._memo = Memo()
            self._forget_weights()

    def _forget_weights(self) -> None:
        self._weights = Memo()  # what depends on the model alone
        self._may_change_itself = True  # until it was seen that what it notes down changes no answer
        self._budget = MemoryBudget()
        self._channels_last = ChannelsLast(self._budget)


def _apart(now: Tensor, before: Tensor) -> float:
    """The largest difference of two answers: 0 where it is rounding, infinite where their shapes differ."""
    if now.shape != before.shape:
        return float("inf")
    gap, size = float((now - before).abs().max()), float(before.abs().max())
    # The recorded convolutions run in another order in memory, which rounds otherwise.
    return 0.0 if gap <= 1e3 * torch.finfo(before.dtype).eps * size else gap


def _layers_bytes(tape: Tape) -> int:
    """What the answers of the layers take in memory."""
    outputs = [tape.values[value] for step in tape.steps if step.affine for value in step.outputs if value is not None]
    return sum(t.nbytes for t in outputs)


@contextmanager
def telling_of_tokens(model: nn.Module, inputs: Inputs) -> Iterator[None]:
    """Where a model cannot run on whole numbers and has nothing that looks them up, say that they are what is wrong."""
    try:
        yield
    except LostTokensError:
        raise
    except RecordingError:
        looks_up = any(isinstance(m, nn.Embedding | nn.EmbeddingBag) for m in model.modules())
        if isinstance(inputs.form, Tensor) and not looks_up and _runs(model, inputs.form.float()):
            check_input(inputs.form)
        raise


def _runs(model: nn.Module, x: Tensor) -> bool:
    try:
        with torch.no_grad():
            model(x)
    except Exception:
        return False
    return True


def check_model(owner: str, model: Any) -> None:
    """Raise TypeError where `owner` got something else than a Module."""
    if isinstance(model, type):
        raise TypeError(f"{owner} needs a torch.nn.Module, got the class {model.__name__}. Make a network of it first.")
    if not isinstance(model, nn.Module):
        raise TypeError(f"{owner} needs a torch.nn.Module, got {type(model).__name__}. Wrap a function in a Module.")


def check_mode(model: nn.Module) -> None:
    """Raise ValueError where a layer that behaves differently in training is in training mode."""
    modal = [name or type(m).__name__ for name, m in model.named_modules() if m.training and isinstance(m, _MODAL)]
    if modal:
        layer_names = ", ".join(modal[:3]) + (", …" if len(modal) > 3 else "")
        raise ValueError(
            f"The model must be in evaluation mode, got training mode in {layer_names}. Call model.eval() first."
        )


def check_weights(model: nn.Module) -> None:
    """Raise ValueError that names the first parameter or buffer that is not finite."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        # The sum is finite for all but broken (or nearly overflowing) tensors, and needs no memory.
        if not bool(torch.isfinite(tensor.detach().sum())) and not bool(torch.isfinite(tensor.detach()).all()):
            bad = int((~torch.isfinite(tensor)).sum())
            raise ValueError(f"The weights {name!r} must be finite, got {bad} NaN or infinite values. Load them again.")


def check_scores(scores: Tensor) -> None:
    """Raise ValueError where the model's answer is not finite."""
    if not bool(torch.isfinite(scores).all()):
        raise ValueError("The model's scores must be finite, got NaN or infinity. Look for an overflow in its layers.")
