"""The referee against the peers themselves: where they agree with us, and why where they do not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw

for peer in ("captum", "torchvision", "zennit"):
    pytest.importorskip(peer, reason="needs the extra `peers`")


class Net(nn.Module):
    """A small network in the spelling that both peers take; with or without BatchNorm and a residual sum."""

    def __init__(self, residual: bool = False, norm: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.residual = residual
        self.one, self.other = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4) if norm else None
        self.first, self.second, self.pool, self.out = nn.ReLU(), nn.ReLU(), nn.MaxPool2d(2), nn.Linear(64, 3)
        if self.norm is not None:
            with torch.no_grad():
                for tensor in (self.norm.running_mean, self.norm.bias):
                    tensor.uniform_(-0.5, 0.5)
                for tensor in (self.norm.running_var, self.norm.weight):
                    tensor.uniform_(0.5, 2)
        self.eval().double()

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.one(x)
        hidden = self.first(hidden if self.norm is None else self.norm(hidden))
        above = self.other(hidden)
        hidden = self.pool(self.second(hidden + above if self.residual else above))
        return self.out(hidden.flatten(1))


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(1)
    return torch.rand(2, 1, 8, 8).double()


EPSILON, DEEP = lw.LRP(lw.epsilon(epsilon=1e-3)), lw.LRP(lw.alpha_beta(alpha=1))
GAMMA = lw.LRP(lw.Composite(entries=(lw.Entry(lw.rules.Gamma(0.25)),)))


def verdicts(model: nn.Module, x: Tensor, method: lw.LRP) -> dict[str, lw.Verdict]:
    return {verdict.peer.split()[0]: verdict for verdict in lw.compare_with(model, x, 1, method).verdicts}


@pytest.mark.parametrize("method", [EPSILON, lw.Gradient(), lw.Sensitivity(), lw.SimpleTaylor()], ids=str)
def test_where_all_agree(x: Tensor, method: lw.LRP) -> None:
    comparison = lw.compare_with(Net(), x, 1, method)
    assert [verdict.peer.split()[0] for verdict in comparison.verdicts] == ["zennit", "captum"]
    for verdict in comparison.verdicts:
        assert verdict.number <= 1e-6 and verdict.conventions == () and "agrees to" in verdict.message
        assert verdict.relevance is not None and verdict.difference is not None
        assert verdict.difference.shape == x.shape
        assert torch.equal(comparison.ours.relevance - verdict.relevance, verdict.difference)
    assert str(comparison).count("\n") == 1


@pytest.mark.parametrize("method", [EPSILON, DEEP, GAMMA], ids=["ε", "α1β0", "γ"])
def test_a_batch_norm_that_is_not_folded(x: Tensor, method: lw.LRP) -> None:
    verdict = verdicts(Net(norm=True), x, method)["zennit"]
    assert verdict.number > 0.01 and verdict.conventions[0] == "BN folding" and verdict.remaining <= 1e-5
    assert set(verdict.conventions) <= {"BN folding", "stabilizer"}  # the latter at neurons that are all but zero


@pytest.mark.parametrize("method", [EPSILON, DEEP, GAMMA], ids=["ε", "α1β0", "γ"])
def test_a_sum_that_is_not_shared(x: Tensor, method: lw.LRP) -> None:
    verdict = verdicts(Net(residual=True), x, method)["zennit"]
    assert verdict.number > 0.5 and verdict.conventions[0] == "residual sum" and verdict.remaining <= 1e-5
    assert set(verdict.conventions) <= {"residual sum", "stabilizer"}


def test_captum_folds_no_batch_norm_either(x: Tensor) -> None:
    verdict = verdicts(Net(norm=True), x, DEEP)["captum"]
    assert set(verdict.conventions) == {"BN folding", "bias"} and verdict.remaining <= 1e-5


def test_both_at_once(x: Tensor) -> None:
    verdict = verdicts(Net(residual=True, norm=True), x, EPSILON)["zennit"]
    assert set(verdict.conventions) == {"BN folding", "residual sum"} and verdict.remaining <= 1e-5


def test_pooling_in_proportion(x: Tensor) -> None:
    shared = lw.LRP(lw.epsilon(epsilon=1e-3, max_pooling="proportional"))
    for verdict in verdicts(Net(), x, shared).values():
        assert verdict.number > 0.1 and verdict.conventions == ("pooling",) and verdict.remaining <= 1e-6


def test_the_stabilizer(x: Tensor) -> None:
    small = lw.LRP(lw.alpha_beta(alpha=2))
    model = Net()
    with torch.no_grad():
        for parameter in model.one.parameters():
            parameter.mul_(1e-4)  # so that 1e-6 in a denominator counts
    verdict = verdicts(model, x, small)["zennit"]
    assert verdict.number > 1e-3 and verdict.conventions == ("stabilizer",) and verdict.remaining <= 1e-9


def test_the_bias_and_the_split_of_signs(x: Tensor) -> None:
    assert verdicts(Net(), x, DEEP)["captum"].conventions == ("bias",)
    signed = verdicts(Net(), x - 0.5, DEEP)["captum"]
    assert set(signed.conventions) == {"bias", "sign split"} and signed.remaining <= 1e-5
    assert "those of the products" in signed.message


def test_what_a_peer_does_not_have(x: Tensor) -> None:
    said = {name: verdict.message for name, verdict in verdicts(Net(), x, lw.LRP(lw.alpha_beta(alpha=2))).items()}
    assert said["captum"] == "captum has no rule like AlphaBeta(alpha=2)"
    relative = verdicts(Net(), x, lw.LRP(lw.epsilon(epsilon=0.1, relative=True)))
    assert all("has no rule like Epsilon" in verdict.message for verdict in relative.values())
    contrast = lw.compare_with(Net(), x, lw.contrast(0, 1), EPSILON).verdicts
    assert contrast[0].number <= 1e-6 and contrast[1].message == "captum explains one class a row, and no contrast"


def test_what_a_peer_raises(x: Tensor) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval().double()
    zennit, captum = lw.compare_with(model, x, 1, EPSILON).verdicts
    assert zennit.number <= 1e-6
    assert captum.message.startswith("raised TypeError") and "Flatten" in captum.message and captum.relevance is None


def test_the_model_is_untouched(x: Tensor) -> None:
    model = Net(residual=True, norm=True)
    before = {key: (item.clone(), item._version) for key, item in model.state_dict().items()}
    lw.compare_with(model, x, 1, DEEP)
    for key, item in model.state_dict().items():
        assert torch.equal(item, before[key][0]) and item._version == before[key][1]
    for module in model.modules():
        assert not module._forward_hooks and not module._forward_pre_hooks and not hasattr(module, "rule")
    assert all(parameter.grad is None for parameter in model.parameters()) and not model.training
