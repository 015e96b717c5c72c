"""A model runs with channels last and cannot tell: views, copies and writes do what they did."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.trace.channels_last import ChannelsLast
from lrp_widgets.engine.trace.memory_budget import MemoryBudget
from lrp_widgets.engine.trace.tape import record


class Head(nn.Module):
    """A convolution, then whatever `then` does with its answer."""

    def __init__(self, then) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.then = nn.Conv2d(2, 4, 3), then
        self.dense = nn.Linear(4 * 16, 3)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(self.then(torch.relu(self.conv(x))))


def written_through_a_view(z: Tensor) -> Tensor:
    flat = z.view(len(z), -1)
    flat.mul_(2)
    return z.reshape(len(z), -1) + flat


def written_after_a_copy(z: Tensor) -> Tensor:
    flat = z.flatten(1)  # the same memory in the usual order
    z.add_(1)
    return flat


def bare_memory(z: Tensor) -> Tensor:
    return torch.as_strided(z, (len(z), 64), (64, 1))


def contiguous(z: Tensor) -> Tensor:
    same = z.contiguous()
    same.relu_()
    return z.flatten(1)


QUIET = {
    "view": lambda z: z.view(len(z), -1),
    "flatten": lambda z: z.flatten(1),
    "reshape": lambda z: z.reshape(len(z), -1),
    "view, then in place": lambda z: z.view(len(z), 4, 16).transpose(1, 2).reshape(len(z), -1),
    "permute": lambda z: z.permute(0, 2, 3, 1).reshape(len(z), -1),
}
NOTICED = {f.__name__: f for f in (written_through_a_view, written_after_a_copy, bare_memory, contiguous)}


def recorded(model: nn.Module, x: Tensor) -> tuple[Tensor, bool]:
    layout = ChannelsLast(MemoryBudget())
    tape = record(model, x, lambda result: result, layout)
    return tape.scores, layout.wanted


@pytest.mark.parametrize("then", QUIET)
def test_a_model_that_does_not_notice(then):
    model, x = Head(QUIET[then]), torch.rand(2, 2, 6, 6)
    scores, wanted = recorded(model, x)
    torch.testing.assert_close(scores, model(x).detach())
    assert wanted


@pytest.mark.parametrize("then", NOTICED)
def test_a_model_that_would_notice_runs_in_its_own_order(then):
    model, x = Head(NOTICED[then]), torch.rand(2, 2, 6, 6)
    scores, wanted = recorded(model, x)
    torch.testing.assert_close(scores, model(x).detach())
    assert not wanted


@pytest.mark.parametrize("then", [*QUIET, *NOTICED])
def test_it_is_explained_as_in_double_precision(then):
    """Double precision never runs channels last."""
    model, x = Head({**QUIET, **NOTICED}[then]), torch.rand(2, 2, 6, 6)
    method = lw.LRP(lw.alpha_beta(alpha=2))
    quick = lw.Explainer(model).explain(x, 1, method)
    slow = lw.Explainer(model.double()).explain(x.double(), 1, method)
    torch.testing.assert_close(quick.relevance.double(), slow.relevance, rtol=1e-4, atol=1e-6)
    if then != "permute":  # which is no copy at all where channels are last
        assert [layer.name for layer in quick.layers] == [layer.name for layer in slow.layers]
    assert quick.relevance.is_contiguous()
