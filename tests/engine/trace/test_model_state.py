"""Whatever changes what a model answers is noticed: the scores of the next explanation are the model's."""

from __future__ import annotations

import functools
import os
import sys
from collections import deque
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.trace.bits import SMALL
from lrp_widgets.engine.trace.model_state import model_state

FACTOR = 1.0
BOX = SimpleNamespace(factor=1.0)
TABLE = {"factor": [1.0]}


def scaled(z: Tensor, factor: float = 1.0) -> Tensor:
    return z * factor * FACTOR


class Config:
    factor = 1.0

    class Inner:
        factor = 1.0


# Code of one's own beside the model's, as in a file that a script imports.
HELPERS: Any = ModuleType("helpers_of_a_script")
HELPERS.__file__ = "helpers_of_a_script.py"
sys.modules[HELPERS.__name__] = HELPERS
exec(compile("factor = 1.0\ndef times(z): return z * factor", "<helpers>", "exec"), HELPERS.__dict__)


class Slotted:
    __slots__ = ("factor",)

    def __init__(self) -> None:
        self.factor = 1.0


class Changing(nn.Module):
    """Everything that an answer can depend on besides weights."""

    rate = 1.0

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 2)
        self.scale = 1.0
        self.config = {"factors": [1.0], "names": {"a"}}
        self.array = np.ones(2, np.float32)
        self.mask = torch.ones(2)
        self.slotted = Slotted()
        self.after: Callable[[Tensor], Tensor] = functools.partial(scaled, factor=1.0)
        self.queue = deque([1.0])  # it keeps what it holds where its attributes do not tell

    def forward(self, x: Tensor) -> Tensor:
        z = self.layer(x) * self.scale * self.config["factors"][0] * self.rate * BOX.factor * TABLE["factor"][0]
        from helpers_of_a_script import factor  # type: ignore[import-not-found]

        z = HELPERS.times(z) * factor * Config.factor * Config.Inner.factor
        return self.after(z * torch.as_tensor(self.array) * self.mask) * self.slotted.factor


class Readable(Changing):
    def __init__(self) -> None:
        super().__init__()
        del self.queue


def set_global(name: str, value: Any) -> Callable[[Changing], None]:
    return lambda model: globals().__setitem__(name, value)


def hooked(model: Changing) -> None:
    model.layer.register_forward_hook(lambda module, args, output: output * 2)


def with_numpy(model: Changing) -> None:
    model.layer.weight.detach().numpy()[0, 0] += 1


def of_class(model: Changing) -> None:
    type(model).rate = 2.0


CHANGES: dict[str, Callable[[Any], Any]] = {
    "an attribute": lambda m: setattr(m, "scale", 5.0),
    "inside of a dict": lambda m: m.config["factors"].__setitem__(0, 3.0),
    "a global number": set_global("FACTOR", 2.0),
    "a global object": lambda m: setattr(BOX, "factor", 3.0),
    "a global table": lambda m: TABLE["factor"].__setitem__(0, 2.0),
    "a class attribute": of_class,
    "a class for settings": lambda m: setattr(Config, "factor", 2.0),
    "a class inside of a class": lambda m: setattr(Config.Inner, "factor", 2.0),
    "a number of a module": lambda m: setattr(HELPERS, "factor", 2.0),
    "a function of a module": lambda m: setattr(HELPERS, "times", torch.square),
    "a slot": lambda m: setattr(m.slotted, "factor", 2.0),
    "an array": lambda m: m.array.__setitem__(0, 4.0),
    "a tensor that is no buffer": lambda m: m.mask.__setitem__(1, 0.5),
    "a function": lambda m: setattr(m, "after", torch.tanh),
    "a partial": lambda m: setattr(m, "after", functools.partial(scaled, factor=7.0)),
    "a hook": hooked,
    "a replaced forward": lambda m: setattr(m, "forward", lambda x: m.layer(x) * 7),
    "a weight": lambda m: torch.nn.init.ones_(m.layer.weight),
    "a weight behind torch's back": lambda m: m.layer.weight.data.__setitem__((0, 0), 9.0),
    "a weight through numpy": with_numpy,
    "a bias behind torch's back": lambda m: m.layer.bias.data.mul_(3),
}


@pytest.fixture(autouse=True)
def as_before() -> Any:
    times = HELPERS.times
    yield
    HELPERS.times, HELPERS.factor, Config.factor, Config.Inner.factor = times, 1.0, 1.0, 1.0
    globals()["FACTOR"], BOX.factor, TABLE["factor"][0], Changing.rate, Readable.rate = 1.0, 1.0, 1.0, 1.0, 1.0


@pytest.mark.parametrize("kind", [Readable, Changing])
@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_the_answer_is_noticed(change: str, kind: type[Changing]) -> None:
    model, x = kind().eval(), torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.5, 2.0]])
    explainer = lw.Explainer(model)
    before = explainer.explain(x, 0).scores
    CHANGES[change](model)
    now = model(x).detach()
    assert not torch.allclose(now, before)
    assert kind is Changing or model_state(model).readable
    assert not explainer.remembers(x)
    explanation = explainer.explain(x, 0)
    torch.testing.assert_close(explanation.scores, now)
    torch.testing.assert_close(explanation.start[:, 0], now[:, 0])


def test_what_cannot_be_read_is_tried() -> None:
    class Queued(Changing):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * self.queue[0]

    model, x = Queued().eval(), torch.rand(2, 3)
    explainer = lw.Explainer(model)
    explainer.explain(x, 0)
    model.queue[0] = 4.0
    torch.testing.assert_close(explainer.explain(x, 0).scores, model(x).detach())


def test_the_environment_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    class OfEnvironment(Readable):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * float(os.environ.get("FACTOR_OF_A_TEST", "1"))

    model, x = OfEnvironment().eval(), torch.rand(2, 3)
    explainer = lw.Explainer(model)
    explainer.explain(x, 0)
    monkeypatch.setenv("FACTOR_OF_A_TEST", "3")
    torch.testing.assert_close(explainer.explain(x, 0).scores, model(x).detach())


def test_a_hook_that_goes_is_noticed_too() -> None:
    model, x = Readable().eval(), torch.rand(1, 3)
    handle = model.layer.register_forward_hook(lambda module, args, output: output * 2)
    explainer = lw.Explainer(model)
    explainer.explain(x, 0)
    handle.remove()
    torch.testing.assert_close(explainer.explain(x, 0).scores, model(x).detach())


class Counting(Readable):
    """Notes down what it does: nothing of that changes an answer."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.last = 0, None

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.last = x
        return super().forward(x)


@pytest.mark.parametrize("kind", [Readable, Changing, Counting])
def test_what_changes_no_answer_costs_no_recording(kind: type[Changing]) -> None:
    model, x = kind().eval(), torch.rand(2, 3)
    explainer = lw.Explainer(model)
    explainer.explain(x, 0)
    tape = explainer.tape(x)
    for _ in range(3):
        explainer.scores(torch.rand(2, 3))
        assert explainer.tape(x) is tape


def test_a_readable_model_is_not_run_to_be_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its class is of a library, and its attributes are plain."""
    explainer, x = lw.Explainer(nn.Sequential(nn.Linear(3, 3), nn.ReLU()).eval()), torch.rand(2, 3)
    explainer.explain(x, 0)
    monkeypatch.setattr(explainer, "scores", lambda x: pytest.fail("the model ran again"))
    assert explainer.explain(x, 1).recomputed > 0


def test_rows_of_weights_that_change_places_are_noticed() -> None:
    layer = nn.Linear(512, 512)
    assert layer.weight.nbytes > SMALL
    before = model_state(layer)
    layer.weight.data[:2] = layer.weight.data[:2].flip(0)
    assert not model_state(layer).same_weights(before)
    layer.weight.data[:2] = layer.weight.data[:2].flip(0)
    assert model_state(layer).proves(before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.complex64])
def test_weights_of_any_dtype_and_order_in_memory(dtype: torch.dtype) -> None:
    module = nn.Module()
    module.register_buffer("wide", torch.zeros(301, 101, dtype=dtype).t())
    module.register_buffer("part", torch.zeros(30_011, dtype=dtype)[1:])
    before = model_state(module)
    for name in ("wide", "part"):
        tensor = getattr(module, name)
        tensor.data.view(-1)[-1:].fill_(1) if tensor.is_contiguous() else tensor.data[0, -1:].fill_(1)
        assert not model_state(module).same_weights(before), name
        before = model_state(module)
    assert model_state(module).proves(before)


def test_a_list_that_holds_itself_ends() -> None:
    model = Readable()
    model.config["self"] = model.config
    loop: list[Any] = []
    loop.append(loop)
    model.loop = loop
    state = model_state(model)
    assert not state.readable


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_attributes_of_torchscript_cannot_be_read() -> None:
    assert not model_state(torch.jit.trace(nn.Linear(3, 2), torch.rand(1, 3))).readable


class Remembering(nn.Module):
    """Answers otherwise each time, by a buffer or an attribute."""

    def __init__(self, by: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.by, self.runs = nn.Linear(4, 3), by, 0
        self.register_buffer("mean", torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        if self.by == "buffer":
            self.mean += 1
        elif self.by == "attribute":
            self.runs += 1
        else:
            self.last = x.sum()  # changes no answer
        return self.layer(x) + self.mean + self.runs


@pytest.mark.parametrize("by", ["buffer", "attribute", "nothing"])
def test_a_model_that_changes_itself_is_named(by: str) -> None:
    x = torch.rand(2, 4, generator=torch.Generator().manual_seed(0))
    notes = lw.Explainer(Remembering(by).eval()).explain(x, 0, lw.LRP(lw.epsilon())).notes
    said = "The model changes what it holds while it runs, and answers otherwise the next time, by up to 1: one run"
    assert [note.startswith(said) for note in notes] == ([] if by == "nothing" else [True])


def test_what_changes_no_answer_is_run_once_more_once():
    model = Remembering("nothing").eval()
    runs: list[int] = []
    model.register_forward_hook(lambda *_: runs.append(1))
    explainer = lw.Explainer(model)
    for row in range(4):
        explainer.explain(torch.rand(1, 4, generator=torch.Generator().manual_seed(row)), 0)
    assert len(runs) == 4 + 1
    model.layer.weight.data *= 2
    explainer.explain(torch.rand(1, 4), 0)
    assert len(runs) == 7  # with other weights, once again
