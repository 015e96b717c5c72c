"""One explainer, several threads: whoever comes while an explanation runs has to wait until it is done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.propagation.explainer import Explainer
from tests.waiting import Other, WatchedLock

X, OTHER = torch.rand(1, 4, generator=torch.Generator().manual_seed(0)), torch.ones(1, 4)


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> WatchedLock:
    """The lock of every explainer that a test makes."""
    lock = WatchedLock()
    monkeypatch.setattr(threading, "RLock", lambda: lock)
    return lock


@pytest.fixture
def explainer(lock: WatchedLock, monkeypatch: pytest.MonkeyPatch) -> Explainer:
    torch.manual_seed(0)
    explainer = lw.Explainer(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).eval())
    monkeypatch.undo()
    return explainer


ACTS: dict[str, Callable[[Explainer], Any]] = {
    "explain": lambda e: e.explain(OTHER, 1),
    "explain by another method": lambda e: e.explain(OTHER, 1, lw.Gradient()),
    "remembers": lambda e: e.remembers(X),
    "tape": lambda e: e.tape(OTHER),
    "recording": lambda e: e.recording(OTHER),
    "recording aside": lambda e: e.recording(OTHER, aside=True),
    "propagate": lambda e: e.propagate(OTHER, lw.epsilon(), 1),
    "forget": lambda e: e.forget(),
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("method", [lw.LRP(lw.epsilon()), lw.SmoothGrad(samples=2)], ids=["LRP", "SmoothGrad"])
def test_who_comes_in_the_middle_of_an_explanation_waits(
    explainer: Explainer, lock: WatchedLock, act: str, method: Any
) -> None:
    expected = lw.Explainer(explainer.model).explain(X, 0, lw.LRP(lw.epsilon())).relevance
    other = Other(lambda: ACTS[act](explainer), lock)
    waited: list[bool] = []

    def in_the_middle() -> bool:
        if not waited:
            waited.append(other.had_to_wait())
        return False

    got = explainer.explain(X, 0, method, in_the_middle)
    other.end()
    assert waited == [True]
    if isinstance(method, lw.LRP):
        assert torch.equal(got.relevance, expected)


@pytest.mark.parametrize("begin", ["tape", "recording", "propagate"])
def test_who_comes_while_the_model_is_recorded_waits(explainer: Explainer, lock: WatchedLock, begin: str) -> None:
    other = Other(lambda: explainer.explain(OTHER, 1), lock)
    waited: list[bool] = []

    def in_the_middle(model: nn.Module, inputs: tuple[Tensor, ...], scores: Tensor) -> None:
        if not waited:
            waited.append(other.had_to_wait())

    hook = explainer.model.register_forward_hook(in_the_middle)
    begins: dict[str, Callable[[], Any]] = {
        "tape": lambda: explainer.tape(X).scores,
        "recording": lambda: explainer.recording(X).tape.scores,
        "propagate": lambda: explainer.propagate(X, lw.epsilon(), 0)[0].scores,
    }
    scores = begins[begin]()
    hook.remove()
    explained = other.end()
    assert waited == [True]
    with torch.no_grad():
        assert torch.equal(scores, explainer.model(X))
    assert torch.equal(explained.inputs, OTHER)


def test_two_that_begin_and_end_recording_together_leave_torch_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch of the fused attention belongs to the process: the last who records turns it back."""
    from lrp_widgets.engine.trace import tape

    lock = WatchedLock()
    monkeypatch.setattr(tape, "_fastpath_lock", lock)
    mha = torch.backends.mha
    assert mha.get_fastpath_enabled()
    go = threading.Event()
    inside: list[bool] = []

    def records() -> None:
        with tape._no_attention_fastpath():
            inside.append(mha.get_fastpath_enabled())
            assert go.wait(60)

    other, switch, waited = Other(records, lock), mha.set_fastpath_enabled, list[bool]()

    def in_the_middle(value: bool) -> None:
        switch(value)
        if not waited:
            waited.append(other.had_to_wait(lambda: bool(inside)))  # without the lock it would be inside by now

    monkeypatch.setattr(mha, "set_fastpath_enabled", in_the_middle)
    with tape._no_attention_fastpath():
        inside.append(mha.get_fastpath_enabled())
        go.set()
        other.end()
        assert not mha.get_fastpath_enabled()  # one still records
    assert waited == [True] and inside == [False, False]
    assert mha.get_fastpath_enabled()


def test_the_last_who_leaves_turns_the_switch_back_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who leaves holds the lock until the switch is back: who comes meanwhile must not find it half turned."""
    from lrp_widgets.engine.trace import tape

    lock, mha = WatchedLock(), torch.backends.mha
    monkeypatch.setattr(tape, "_fastpath_lock", lock)
    inside: list[bool] = []

    def records() -> None:
        with tape._no_attention_fastpath():
            inside.append(mha.get_fastpath_enabled())

    other, switch, waited = Other(records, lock), mha.set_fastpath_enabled, list[bool]()

    def in_the_middle(value: bool) -> None:
        if value and not waited:
            waited.append(other.had_to_wait())
        switch(value)

    monkeypatch.setattr(mha, "set_fastpath_enabled", in_the_middle)
    with tape._no_attention_fastpath():
        pass
    other.end()
    assert waited == [True] and inside == [False]
    assert mha.get_fastpath_enabled()
