"""A model run, written down: `record()` notes every ATen step that depends on the input.

If it runs, it can be explained: functional calls, in-place ops, shared modules and branches on data are all just steps.
Nothing is hooked or edited, so the model stays as it was and other threads may use it meanwhile.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lrp_widgets.engine.trace.aliases import storage_of
from lrp_widgets.engine.trace.channels_last import ChannelsLast, Noticed, without_copies
from lrp_widgets.engine.trace.draws import Generator, kept_generators, note_of_draws, outside_state, same_draws
from lrp_widgets.engine.trace.inputs import Inputs, copied, floating, inputs_of
from lrp_widgets.engine.trace.leaving import Leaving, outside_constants, text_of
from lrp_widgets.engine.trace.memory_budget import MemoryBudget
from lrp_widgets.engine.trace.recorder import Recorder
from lrp_widgets.engine.trace.recording_error import LostTokensError, RecordingError, layer_in_words
from lrp_widgets.engine.trace.step import Ref, Step, flat_tensors, replay
from lrp_widgets.engine.trace.unbatched import with_batch
from lrp_widgets.wording import in_words

__all__ = ["RecordingError", "Ref", "Step", "Tape", "record", "replay", "telling", "without_attention_fastpath"]


@dataclass(frozen=True, eq=False)
class Tape:
    """The steps of one run in order, and every value that depends on the input.

    inputs: the value of each tensor of the input, in order.  batch: how many rows it has.
    notes: what a reader of the explanation must know of the run.  random: whether it drew random numbers.
    writes: whether the model wrote into a tensor that it holds.
    """

    steps: tuple[Step, ...]
    values: dict[int, Tensor]
    inputs: tuple[int, ...]
    output: int
    batch: int
    notes: tuple[str, ...] = ()
    random: bool = False
    writes: bool = False

    @property
    def scores(self) -> Tensor:
        """What the model returned."""
        return self.values[self.output]

    def value_at(self, layer: str) -> int:
        """The value that the module (or step) `layer` hands on. Raises KeyError with the known names."""
        for step in reversed(self.steps):
            paths = step.modules or (step.module,)
            inside = any(path == layer or path.startswith(layer + ".") for path in paths)
            if step.name == layer or (layer and inside):
                return self._shaped(step.output)
        names = ", ".join(step.name for step in self.steps)
        raise KeyError(f"No recorded layer is called {layer!r}. The recorded ones are: {names}.")

    def _shaped(self, value: int) -> int:
        """Where a layer ends with a write through a view, its value is flat memory: the first reading of the whole."""
        for step in self.steps:
            if step.op == "as_strided" and step.inputs == (value,) and step.outputs[0] is not None:
                whole = (
                    self.values[value].ndim == 1 and self.values[step.outputs[0]].numel() == self.values[value].numel()
                )
                return step.outputs[0] if whole else value
        return value


def _named(steps: list[Step]) -> tuple[Step, ...]:
    """Give each step a unique name: its module's path where that says it, path.op otherwise."""
    in_module = Counter(step.module for step in steps)
    seen: Counter[str] = Counter()
    named = []
    for step in steps:
        alone = step.module and in_module[step.module] == 1
        name = step.module if alone else f"{step.module}.{step.op}".lstrip(".")
        seen[name] += 1
        name = name if seen[name] == 1 else f"{name}#{seen[name]}"
        named.append(step.but(name=name))
    return tuple(named)


_fastpath_lock = threading.Lock()
_fastpath_users = 0
_fastpath_before = True


@contextmanager
def _no_attention_fastpath() -> Iterator[None]:
    """Multi-head attention's fused kernel is one opaque op: have torch spell it out while anyone records."""
    global _fastpath_users, _fastpath_before
    with _fastpath_lock:
        if _fastpath_users == 0:
            _fastpath_before = torch.backends.mha.get_fastpath_enabled()
            torch.backends.mha.set_fastpath_enabled(False)
        _fastpath_users += 1
    try:
        yield
    finally:
        with _fastpath_lock:
            _fastpath_users -= 1
            if _fastpath_users == 0:
                torch.backends.mha.set_fastpath_enabled(_fastpath_before)


without_attention_fastpath = _no_attention_fastpath


@contextmanager
def telling(model: nn.Module, inputs: Any) -> Iterator[None]:
    """What a model raises inside becomes a RecordingError that says on which input."""
    try:
        with with_batch(model, inputs_of(inputs)):
            yield
    except RecordingError:
        raise
    except Exception as error:
        tensors = inputs_of(inputs).tensors
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
        raise RecordingError(
            f"{type(model).__name__} raised {type(error).__name__} on an input of shape {shapes}: {in_words(error)}"
            + (_dtype_hint(model, tensors) or _layer_hint(model, error))
        ) from error


def _dtype_hint(model: nn.Module, inputs: tuple[Tensor, ...]) -> str:
    weights = next((p.dtype for p in model.parameters() if p.is_floating_point()), None)
    wrong = next((x.dtype for x in inputs if floating(x) and x.dtype != weights), None)
    if weights is None or wrong is None:
        return ""
    return f" (The weights are {weights}, the input is {wrong}: convert it with x.to({weights}).)"


def _layer_hint(model: nn.Module, error: BaseException) -> str:
    """In which layer it happened, and what that layer says it takes."""
    paths = {id(module): path for path, module in model.named_modules() if path}
    at, traceback = None, error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code is nn.Module._call_impl.__code__:
            at = traceback.tb_frame.f_locals.get("self")
        traceback = traceback.tb_next
    if at is None or id(at) not in paths:
        return ""
    text = type(at).__name__ if any(True for _ in at.children()) else repr(at)
    return f" (The layer {paths[id(at)]!r} raised it: {text}.)"


def record(
    model: nn.Module,
    inputs: Any,
    select: Callable[[Any], Tensor],
    channels_last: ChannelsLast | None = None,
    own_memories: frozenset[int] | None = None,
    generators: Sequence[Generator] = (),
) -> Tape:
    """Run a model once, without gradients, and write down what depends on the inputs.

    inputs: what the model takes, tensors with the batch first: one, a tuple of arguments, or a dict of named ones. They
    are copied, so that an in-place model cannot change the caller's.
    select: picks the tensor to explain from what the model returns.
    channels_last: how convolutions run; it remembers their weights from one run to the next.
    own_memories: the memories of the tensors that the model holds; by default, its parameters and buffers.
    generators: what the model draws random numbers from; they stand afterwards where they stood.
    A model that draws random numbers is recorded with the same draw each time, and the tape has a note of it.
    Raises RecordingError where the model raises, or returns something that does not depend on the inputs.
    """
    inputs = inputs_of(inputs)
    channels_last = channels_last or ChannelsLast(MemoryBudget())
    if own_memories is None:
        own_memories = frozenset(map(storage_of, (*model.parameters(), *model.buffers())))
    run = partial(_recorded, model, inputs, select, channels_last, own_memories, generators)
    try:
        with kept_generators(generators):
            tape = run()
        if not tape.random:
            return tape
        with same_draws(0, generators):
            tape = run()
        for seed in (1, 2, 3):  # some numbers that are drawn go nowhere, or come from a fixed seed
            with torch.no_grad(), _no_attention_fastpath(), same_draws(seed, generators), with_batch(model, inputs):
                scores = select(inputs.call(model, copied(inputs).tensors))
            if not torch.equal(tape.scores, scores):
                return tape
        return dataclasses.replace(tape, notes=tape.notes[:-1], random=False)
    except Noticed:
        channels_last.wanted = False
        return record(model, inputs, select, channels_last, own_memories, generators)


_QUANTIZED = " It has quantized layers, which compute with whole numbers: explain the floating-point model."


def _recorded(
    model: nn.Module,
    inputs: Inputs,
    select: Callable[[Any], Tensor],
    channels_last: ChannelsLast,
    own_memories: frozenset[int],
    generators: Sequence[Generator],
) -> Tape:
    recorder, leaving, starts, value = _run(model, inputs, select, channels_last, own_memories, generators)
    if recorder.random_layer and any(module.training for module in model.modules()):
        raise RecordingError(
            f"{recorder.random_layer} draws random numbers in training mode: no two runs would agree. "
            "Call model.eval() first."
        )
    if value is None and recorder.lost_tokens:
        where, (op, _) = next(iter(recorder.lost_tokens.items()))
        raise LostTokensError(
            f"{where} makes other numbers of the tokens ({op}): relevance does not follow them there, and the output "
            "of the model depends on them by no other way. Whole numbers carry relevance where they are moved about "
            "and until an nn.Embedding, a table or a one-hot code is looked up by them. If they are numbers and no "
            "tokens, convert them with .float()."
        )
    if value is None:
        raise RecordingError(
            f"The output of {type(model).__name__} does not depend on the input by any operation that torch dispatches "
            "(it left torch, for instance through .numpy() or .item()). Keep the computation in torch."
            + (
                " Whole numbers carry relevance only through nn.Embedding, a table or a one-hot code."
                if inputs.tokens
                else ""
            )
            + (_QUANTIZED if any("quantized" in type(m).__module__ for m in model.modules()) else "")
        )
    notes: list[str] = []
    if leaving.numbers or leaving.arrays or any(_has_foreign(step, recorder) for step in recorder.steps):
        again = partial(
            _run,
            model,
            select=select,
            channels_last=channels_last,
            own_memories=own_memories,
            generators=generators,
        )
        with kept_generators(generators):
            notes += _notes_of_return(recorder, leaving, inputs, again)
    notes += [
        f"{where} computes with the numbers of the tokens as such ({op}): what comes of that is held constant, and "
        "gets no relevance."
        for where, (op, floating) in recorder.lost_tokens.items()
        if floating
    ]
    if recorder.random_layer:
        notes.append(note_of_draws(recorder.random_layer))
    steps = without_copies(recorder.steps, recorder.values) if channels_last.used else recorder.steps
    random = recorder.random_layer is not None
    return Tape(_named(steps), recorder.values, starts, value, inputs.rows, tuple(notes), random, recorder.wrote_model)


def _run(
    model: nn.Module,
    inputs: Inputs,
    select: Callable[[Any], Tensor],
    channels_last: ChannelsLast,
    own_memories: frozenset[int],
    generators: Sequence[Generator],
) -> tuple[Recorder, Leaving, tuple[int, ...], int | None]:
    """Run a model under a recorder: the recorder, what left torch, the values of the inputs and of the output."""
    channels_last.begin()
    paths = {id(module): path for path, module in model.named_modules(remove_duplicate=False)}
    recorder = Recorder(paths, channels_last, own_memories)
    leaving = Leaving(recorder.tracks, recorder.where)
    copies = tuple(tensor.detach().clone() for tensor in inputs.tensors)
    starts = tuple(recorder.new(tensor) for tensor in copies)
    recorder.torch_memories.update(map(storage_of, copies))
    before = outside_state(generators)
    with torch.no_grad(), _no_attention_fastpath():
        with telling(model, inputs), leaving, recorder:
            result = inputs.call(model, copies)
        with recorder:
            chosen = select(result)
        if recorder.random_layer is None and outside_state(generators) != before:
            recorder.random_layer = layer_in_words("")
        return recorder, leaving, starts, recorder.find(chosen)


def _has_foreign(step: Step, recorder: Recorder) -> bool:
    return any(recorder.is_foreign(tensor) for tensor in flat_tensors((step.args, step.kwargs)))


def _notes_of_return(
    recorder: Recorder, leaving: Leaving, inputs: Inputs, again: Callable[[Inputs], tuple[Recorder, Any, Any, Any]]
) -> list[str]:
    """Notes on the layers where a number that left torch came back as a constant: another input gives another one."""
    try:
        with same_draws():
            others = again(inputs.moved())[0].steps
    except Exception:  # the model does not run there: what left may have come back
        return [text_of(where, how) for where, how in (leaving.arrays | leaving.numbers).items()]
    changed = outside_constants(recorder.steps, others, recorder.is_fixed)
    if leaving.arrays or leaving.numbers:  # what was read out for a log or an `if` has not come back
        came_back = changed or leaving.written
        return [text_of(where, how) for where, how in (leaving.numbers | leaving.arrays).items()] if came_back else []
    layers = dict.fromkeys(layer_in_words(step.module) for step in changed)
    return [text_of(where, "through numpy, a list or another thread") for where in layers]
