"""What the Explainer remembers is never stale: abandoned runs, changed weights, modes and inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.engine.trace.memo import Memo
from tests.engine.trace.memo_cases import straight

NAMES = ["0", "1", "2", "3", "4", "5", "6"]


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(1)
    return torch.rand(2, 1, 6, 6)


@pytest.mark.parametrize("after", range(8))
def test_abandoned_anywhere_leaves_the_next_result_right(x: Tensor, after: int) -> None:
    model = straight()
    explainer = lw.Explainer(model)
    explainer.explain(x, 1, lw.LRP(lw.alpha_beta(2.0)))
    asked = iter(range(100))
    if after < 7:
        with pytest.raises(Abandoned):
            explainer.explain(x, 2, lw.LRP(lw.alpha_beta(1.5)), abandoned=lambda: next(asked) >= after)
    else:
        explainer.explain(x, 2, lw.LRP(lw.alpha_beta(1.5)), abandoned=lambda: next(asked) >= after)
    for target, composite in ((1, lw.alpha_beta(2.0)), (2, lw.alpha_beta(1.5)), (0, lw.epsilon_plus_flat())):
        got = explainer.explain(x, target, lw.LRP(composite))
        fresh = lw.Explainer(model).explain(x, target, lw.LRP(composite))
        assert torch.equal(got.relevance, fresh.relevance)
        assert [line.name for line in got.layers] == NAMES


def test_abandoned_on_a_new_input_leaves_the_next_result_right(x: Tensor) -> None:
    model = straight()
    explainer = lw.Explainer(model)
    explainer.explain(x, 1, lw.LRP(lw.epsilon()))
    for after in range(7):
        other, asked = x + 0.1 * (after + 1), []
        with pytest.raises(Abandoned):
            explainer.explain(
                other, 1, lw.LRP(lw.epsilon()), abandoned=lambda a=asked, n=after: a.append(1) or len(a) > n
            )
        got = explainer.explain(other, 1, lw.LRP(lw.epsilon()))
        assert got.recomputed == 7 - after  # what was done before the stop is not done again
        assert torch.equal(got.relevance, lw.Explainer(model).explain(other, 1, lw.LRP(lw.epsilon())).relevance)


def test_a_composite_that_does_not_fit_leaves_the_next_result_right(x: Tensor) -> None:
    explainer = lw.Explainer(straight())
    expected = explainer.explain(x, 1, lw.LRP(lw.epsilon())).relevance
    with pytest.raises(ValueError, match="matches no layer"):
        explainer.explain(x, 1, lw.LRP(lw.Composite((lw.Entry(lw.rules.Zero(), "features.*"),))))
    with pytest.raises(ValueError, match="one per channel"):
        explainer.explain(x, 1, lw.LRP(lw.epsilon(input="zB", low=(0, 0), high=1)))
    assert torch.equal(explainer.explain(x, 1, lw.LRP(lw.epsilon())).relevance, expected)


def trained_a_step(model: nn.Module, x: Tensor) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    model(x).sum().backward()
    optimizer.step()


def loaded(model: nn.Module, x: Tensor) -> None:
    model.load_state_dict({name: tensor + 0.1 for name, tensor in model.state_dict().items()})


def replaced(model: nn.Module, x: Tensor) -> None:
    model[3].weight = nn.Parameter(model[3].weight.detach() + 0.1)


def data_replaced(model: nn.Module, x: Tensor) -> None:
    model[3].weight.data = model[3].weight.data + 0.1


def layer_replaced(model: nn.Module, x: Tensor) -> None:
    model[1] = nn.Tanh()


def written(model: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        model[0].bias.add_(0.3)


@pytest.mark.parametrize("change", [trained_a_step, loaded, replaced, data_replaced, layer_replaced, written])
@pytest.mark.parametrize("method", [lw.LRP(lw.alpha_beta(2.0)), lw.Gradient()])
def test_changed_weights_are_noticed(x: Tensor, change: Callable[[nn.Module, Tensor], None], method: Any) -> None:
    model = straight()
    explainer = lw.Explainer(model)
    before = explainer.explain(x, 1, method)
    change(model, x)
    got = explainer.explain(x, 1, method)
    fresh = lw.Explainer(model).explain(x, 1, method)
    assert torch.equal(got.scores, fresh.scores)
    assert torch.equal(got.relevance, fresh.relevance)
    assert not torch.equal(got.relevance, before.relevance)


def test_changed_statistics_of_a_folded_batch_norm_are_noticed(x: Tensor) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2)).eval()
    explainer = lw.Explainer(model)
    explainer.explain(x, 1)
    model[1].running_mean.add_(0.2)
    got = explainer.explain(x, 1)
    assert torch.equal(got.relevance, lw.Explainer(model).explain(x, 1).relevance)


class Moody(nn.Module):
    """Computes something else in training mode, without any layer that is known to."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if self.training else x * 3


def test_a_changed_mode_is_noticed() -> None:
    model, x = Moody(), torch.ones(1, 2)
    explainer = lw.Explainer(model)
    assert explainer.explain(x, 0).scores.tolist() == [[2, 2]]
    model.eval()
    assert explainer.explain(x, 0).scores.tolist() == [[3, 3]]


def test_an_input_changed_in_place_is_noticed(x: Tensor) -> None:
    explainer = lw.Explainer(straight())
    before = explainer.explain(x, 1)
    given = before.inputs.clone()
    x.mul_(0.5)
    got = explainer.explain(x, 1)
    assert torch.equal(got.relevance, lw.Explainer(explainer.model).explain(x, 1).relevance)
    assert torch.equal(before.inputs, given)


def test_weights_changed_behind_torchs_back_need_forget(x: Tensor) -> None:
    model = straight()
    explainer = lw.Explainer(model)
    explainer.explain(x, 1)
    model[3].weight.data.mul_(2.0)
    explainer.forget()
    got = explainer.explain(x, 1)
    assert torch.equal(got.relevance, lw.Explainer(model).explain(x, 1).relevance)


def test_what_is_done_to_a_result_does_not_reach_the_next(x: Tensor) -> None:
    explainer = lw.Explainer(straight())
    first = explainer.explain(x, 1, lw.LRP(lw.epsilon()))
    kept = {name: getattr(first, name).clone() for name in ("relevance", "scores", "start", "inputs")}
    layer = first.layer("3").clone()
    for name in kept:
        getattr(first, name).mul_(0).add_(7)
    first.layer("3").zero_()
    again = explainer.explain(x, 1, lw.LRP(lw.epsilon()))
    assert again.recomputed == 0
    for name, expected in kept.items():
        assert torch.equal(getattr(again, name), expected), name
    assert torch.equal(again.layer("3"), layer)
    assert torch.equal(explainer.explain(x, 2, lw.LRP(lw.epsilon())).scores, kept["scores"])


def test_memo_compares_tensors_by_identity_and_the_rest_by_value() -> None:
    memo, made = Memo(), []

    def make(*inputs: Any) -> int:
        made.append(inputs)
        return len(made)

    one, other = torch.zeros(2), torch.zeros(2)
    assert [memo("cell", make, one, 1.0), memo("cell", make, one, 1.0)] == [1, 1]
    assert memo("cell", make, other, 1.0) == 2
    assert memo("cell", make, other, 2.0) == 3
    assert memo("cell", make, other, 2) == 4  # 2 and 2.0 are equal, but not the same setting
    assert memo("another", make, other, 2) == 5
    assert memo("cell", make, other, 2) == 4
    assert (len(memo), memo.computed) == (2, 5)
    memo.clear()
    assert memo("cell", make, other, 2) == 6


def test_a_cell_that_raises_keeps_what_it_had() -> None:
    memo = Memo()
    memo("cell", lambda x: x, 1)
    with pytest.raises(ZeroDivisionError):
        memo("cell", lambda x: 1 // 0, 2)
    assert memo("cell", lambda x: 1 // 0, 1) == 1
