"""In-place operations whose tensor moves: what was overwritten is kept, and whoever sees the memory sees the change."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional

import lrp_widgets as lw
from lrp_widgets.engine.trace import recorder
from lrp_widgets.engine.trace.in_place import TWINS, run_in_new_memory
from lrp_widgets.engine.trace.tape import record

aten = torch.ops.aten


@pytest.mark.parametrize("func", TWINS, ids=str)
def test_the_tensor_holds_the_answer_and_the_old_memory_the_rest(func):
    tensor = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    other = [torch.randn_like(tensor)] if func is aten.add_.Tensor else []
    was, address, expected = tensor.clone(), tensor.data_ptr(), func(tensor.clone(), *other)
    before = run_in_new_memory(func, (tensor, *other), {})
    assert before is not None and before.data_ptr() == address and torch.equal(before, was)
    assert torch.equal(tensor, expected) and tensor.stride() == was.stride() and tensor.data_ptr() != address


@pytest.mark.parametrize("alias", [torch.Tensor.detach, lambda t: t.data, lambda t: t[:1], torch.Tensor.numpy])
def test_memory_that_others_see_is_left_to_be_overwritten(alias):
    tensor = torch.randn(2, 3)
    seen = alias(tensor)
    was = tensor.clone()
    assert run_in_new_memory(aten.relu_.default, (tensor,), {}) is None
    assert torch.equal(tensor, was) and seen is not None


def test_what_has_another_type_or_shape_is_left_too():
    tensor = torch.randn(2, 3, dtype=torch.float16)
    assert run_in_new_memory(aten.add_.Tensor, (tensor, torch.randn(2, 3)), {}) is None
    assert tensor.dtype == torch.float16
    assert run_in_new_memory(aten.sigmoid_.default, (torch.randn(2),), {}) is None  # none of those known


class Looking(nn.Module):
    """Looks at its activations through memory that torch tells nobody about."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = x * 2
        seen = h.data
        functional.relu_(h)
        return h.sum(1, keepdim=True) + seen.sum().item()


def test_a_model_answers_as_it_does_without_being_recorded():
    x = torch.randn(1, 5)
    assert torch.equal(record(Looking(), x, lambda scores: scores).scores, Looking()(x))


def net(inplace: bool) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace), nn.Conv2d(8, 8, 3), nn.Hardtanh(inplace=inplace),
        nn.Flatten(), nn.Linear(8 * 6 * 6, 4),
    ).eval()  # fmt: skip


def test_in_place_and_not_are_the_same_to_the_last_bit(monkeypatch):
    x = torch.randn(2, 3, 10, 10)
    flat = lw.LRP(lw.alpha_beta(alpha=2, input="flat"))
    one, other = (lw.Explainer(net(inplace)).explain(x, 0, flat) for inplace in (True, False))
    monkeypatch.setattr(recorder, "run_in_new_memory", lambda *_: None)
    copied = lw.Explainer(net(True)).explain(x, 0, flat)
    assert torch.equal(one.relevance, other.relevance) and torch.equal(one.relevance, copied.relevance)


def test_what_was_recorded_before_is_gone_without_a_search_for_cycles():
    import torch._dynamo  # torch's compiler, that many a library brings along

    explainer, x = lw.Explainer(net(True)), torch.randn(2, 1, 3, 10, 10)
    explainer.explain(x[0], 0)
    kept = [weakref.ref(value) for value in explainer.tape(x[0]).values.values()]
    gc.disable()
    try:
        explainer.tape(x[1])
        assert len(kept) > 5 and not any(value() is not None for value in kept)
    finally:
        gc.enable()
