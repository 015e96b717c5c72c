"""The tape holds what the run did: in-place ops, views, buffers, branches; and recording leaves the model as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.engine.canonize import canonize
from lrp_widgets.engine.memo import Memo
from lrp_widgets.engine.step import replay
from lrp_widgets.engine.tape import RecordingError, Tape, record

Function = Callable[[nn.ModuleDict, Tensor], Tensor]


class Wired(nn.Module):
    """A few layers, wired by a function."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.l = nn.ModuleDict({"a": nn.Linear(6, 4), "b": nn.Linear(6, 4), "c": nn.Linear(4, 4), "d": nn.Linear(4, 3)})
        self.function = function
        self.eval()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.l, x)


def plain(result: Any) -> Any:
    return result


def tape_of(model: nn.Module, x: Tensor) -> Tape:
    return record(model, (x,), plain)


def wrongly_replayed(tape: Tape) -> list[str]:
    """The steps that, run again on their recorded inputs, do not give what was recorded."""
    wrong = []
    for step in tape.steps:
        with torch.no_grad():
            made = replay(step, [tape.values[value].clone() for value in step.inputs])
        for tensor, value in zip(made, step.outputs, strict=True):
            if value is not None and not torch.equal(tensor, tape.values[value]):
                wrong.append(step.name)
    return wrong


@torch.library.custom_op("lrp_widgets_tests::double_into", mutates_args={"out"})
def double_into(x: Tensor, out: Tensor) -> None:
    """An operation that writes without returning anything."""
    out.copy_(2 * x)


# Each entry: what a model does with memory, and the same without touching any twice.
def relu_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = l["a"](x)
    F.relu_(h)
    return l["d"](h)


def relu_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"](F.relu(l["a"](x)))


def residual_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = l["a"](x)
    y = F.relu(l["c"](F.relu(h)))
    y += h
    return l["d"](y)


def residual_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = l["a"](x)
    return l["d"](F.relu(l["c"](F.relu(h))) + h)


def column_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    h[:, 0] += 1
    return l["d"](h)


def column_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](torch.cat([h[:, :1] + 1, h[:, 1:]], 1))


def buffer_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    out = torch.zeros(len(x), 8, dtype=x.dtype)
    out[:, :4] = l["a"](x)
    out[:, 4:] = F.relu(l["b"](x))
    return l["d"](out[:, 2:6])


def buffer_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"](torch.cat([l["a"](x), F.relu(l["b"](x))], 1)[:, 2:6])


def half_filled_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    out = torch.full((len(x), 4), 0.5, dtype=x.dtype)
    out[:, 1:3] = l["a"](x)[:, :2]
    return l["d"](out)


def half_filled_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    half = torch.full((len(x), 1), 0.5, dtype=x.dtype)
    return l["d"](torch.cat([half, l["a"](x)[:, :2], half], 1))


def loop_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    out = torch.empty(len(x), 4, dtype=x.dtype)
    for i in range(4):
        out[:, i] = F.linear(x, l["a"].weight[i : i + 1], l["a"].bias[i])[:, 0]
    return l["d"](out.relu_())


def masked_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = l["a"](x)
    h[h < 0] = 0
    return l["d"](h)


def masked_fill_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = l["a"](x)
    return l["d"](h.masked_fill_(h < 0, 0.0))


def data_alias_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = l["a"](x)
    h.data.relu_()
    return l["d"](h)


def detached_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = l["a"](x)
    h.detach().relu_()
    return l["d"](h)


def accumulated_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    total = torch.zeros(len(x), 4, dtype=x.dtype)
    for name in ("a", "b"):
        total += F.relu(l[name](x))
    return l["d"](total)


def accumulated_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"](F.relu(l["a"](x)) + F.relu(l["b"](x)))


def put_out_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    a, b = F.relu(l["a"](x)), F.relu(l["b"](x))
    out = torch.empty_like(a)
    torch.add(a, b, out=out)
    torch.mul(out, 2.0, out=out)
    return l["d"](out)


def put_out_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"](2 * (F.relu(l["a"](x)) + F.relu(l["b"](x))))


def constant_put_out_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    torch.add(torch.ones(len(x), dtype=x.dtype), 1.0, out=h[:, 1])
    return l["d"](h)


def constant_put_out_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](torch.cat([h[:, :1], torch.full_like(h[:, :1], 2.0), h[:, 2:]], 1))


def expanded_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    wide = h.unsqueeze(1).expand(-1, 3, -1)
    h.add_(1.0)
    return l["d"](wide.mean(1))


def expanded_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"]((F.relu(l["a"](x)) + 1.0).unsqueeze(1).expand(-1, 3, -1).mean(1))


def windows_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    windows = h.unfold(1, 2, 1)
    h[:, 1] *= 2
    return l["d"](F.pad(windows.sum(2), (0, 1)))


def windows_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x)) * torch.tensor([1.0, 2.0, 1.0, 1.0], dtype=x.dtype)
    return l["d"](F.pad(h[:, :-1] + h[:, 1:], (0, 1)))


def nested_views_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    tail = h[:, 1:]
    last = tail[:, 1:]
    last.mul_(3.0)
    tail.add_(1.0)
    return l["d"](h)


def nested_views_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](torch.cat([h[:, :1], h[:, 1:2] + 1.0, 3.0 * h[:, 2:] + 1.0], 1))


def transposed_write_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    h.T[1].add_(2.0)
    return l["d"](h)


def transposed_write_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](torch.cat([h[:, :1], h[:, 1:2] + 2.0, h[:, 2:]], 1))


def swapped_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = l["a"](x)
    left = h[:, :2].clone()
    h[:, :2] = h[:, 2:]
    h[:, 2:] = left
    return l["d"](h)


def swapped_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"](l["a"](x).roll(2, 1))


def read_between_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    before = l["c"](h)
    h.add_(1.0)
    return l["d"](before + l["c"](h))


def read_between_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](l["c"](h) + l["c"](h + 1.0))


def old_view_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    view = h.view(-1, 2, 2)
    h.mul_(2.0)
    return l["d"](view.flip(1).reshape(-1, 4))


def old_view_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"]((2.0 * F.relu(l["a"](x))).view(-1, 2, 2).flip(1).reshape(-1, 4))


def chunks_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    left, right = h.chunk(2, 1)
    left.add_(right)
    return l["d"](h)


def chunks_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](torch.cat([h[:, :2] + h[:, 2:], h[:, 2:]], 1))


def copied_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    copy = h.T.contiguous()
    copy.add_(1.0)
    return l["d"](h + copy.T)


def copied_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](h + (h + 1.0))


def erased_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    h[:, 0] = 3.0
    h[:, 1].zero_()
    return l["d"](h)


def erased_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](torch.cat([torch.full_like(h[:, :1], 3.0), torch.zeros_like(h[:, :1]), h[:, 2:]], 1))


def reshaped_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    h.unsqueeze_(1).transpose_(1, 2)
    return l["d"](h.squeeze_(2))


def scratch_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    scratch = torch.ones(4, dtype=x.dtype)
    h = F.relu(l["a"](x)) + scratch
    scratch.fill_(5.0)  # what the sum above has read is gone
    return l["d"](h + scratch)


def scratch_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"](F.relu(l["a"](x)) + torch.ones(4, dtype=x.dtype) + torch.full((4,), 5.0, dtype=x.dtype))


def several_at_once_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    a, b = F.relu(l["a"](x)), F.relu(l["b"](x))
    torch._foreach_mul_([a, b], 2.0)
    return l["d"](a + b)


def several_at_once_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"](torch._foreach_mul([F.relu(l["a"](x))], 2.0)[0] + torch._foreach_mul([F.relu(l["b"](x))], 2.0)[0])


def written_without_return_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    out = torch.empty_like(h)
    double_into(h, out)
    return l["d"](out)


def written_without_return_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return l["d"](2 * F.relu(l["a"](x)))


def input_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    x.mul_(2.0)
    x[:, 0] = 0.25
    return l["d"](F.relu(l["a"](x)))


def input_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    x = 2.0 * x
    return l["d"](F.relu(l["a"](torch.cat([torch.full_like(x[:, :1], 0.25), x[:, 1:]], 1))))


def gathered_in_place(l: nn.ModuleDict, x: Tensor) -> Tensor:
    out = torch.zeros(len(x), 6, dtype=x.dtype)
    out.index_copy_(1, torch.tensor([4, 1, 2, 0]), F.relu(l["a"](x)))
    return l["d"](out[:, :5:1][:, 1:])


def gathered_plain(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](torch.cat([h[:, 1:3], torch.zeros_like(h[:, :1]), h[:, :1]], 1))


IN_PLACE: dict[str, tuple[Function, Function]] = {
    "relu_": (relu_in_place, relu_plain),
    "+= on a residual": (residual_in_place, residual_plain),
    "x[:, 0] += 1": (column_in_place, column_plain),
    "a buffer filled through views": (buffer_in_place, buffer_plain),
    "a buffer filled in part": (half_filled_in_place, half_filled_plain),
    "a buffer filled column by column": (loop_in_place, relu_plain),
    "masked assignment": (masked_in_place, relu_plain),
    "masked_fill_": (masked_fill_in_place, relu_plain),
    ".data": (data_alias_in_place, relu_plain),
    ".detach()": (detached_in_place, relu_plain),
    "a running sum": (accumulated_in_place, accumulated_plain),
    "out=": (put_out_in_place, put_out_plain),
    "out= of a constant": (constant_put_out_in_place, constant_put_out_plain),
    "a write behind an expanded view": (expanded_in_place, expanded_plain),
    "a write behind sliding windows": (windows_in_place, windows_plain),
    "views of views": (nested_views_in_place, nested_views_plain),
    "a write through a transpose": (transposed_write_in_place, transposed_write_plain),
    "halves swapped": (swapped_in_place, swapped_plain),
    "read before and after": (read_between_in_place, read_between_plain),
    "a view older than the write": (old_view_in_place, old_view_plain),
    "a chunk added to its neighbour": (chunks_in_place, chunks_plain),
    "a write to a copy": (copied_in_place, copied_plain),
    "constants written": (erased_in_place, erased_plain),
    "axes changed in place": (reshaped_in_place, relu_plain),
    "a constant that changes": (scratch_in_place, scratch_plain),
    "several at once": (several_at_once_in_place, several_at_once_plain),
    "written, not returned": (written_without_return_in_place, written_without_return_plain),
    "the input": (input_in_place, input_plain),
    "index_copy_": (gathered_in_place, gathered_plain),
}


@pytest.mark.parametrize("case", IN_PLACE)
def test_in_place_is_recorded_as_what_it_computes(case: str) -> None:
    in_place, out_of_place = (Wired(function).double() for function in IN_PLACE[case])
    x = torch.randn(3, 6).double()
    before = x.clone()
    tape = tape_of(in_place, x)
    assert torch.equal(tape.scores, in_place(x.clone()))
    assert torch.allclose(tape.scores, out_of_place(x.clone()), atol=1e-14)
    assert wrongly_replayed(tape) == []
    assert torch.equal(x, before)


@pytest.mark.parametrize("composite", [lw.epsilon(0.0), lw.epsilon(0.1), lw.alpha_beta(2.0)], ids=["0", "ε", "αβ"])
@pytest.mark.parametrize("case", [case for case in IN_PLACE if case != "written, not returned"])  # it has no derivative
def test_in_place_explains_the_same(case: str, composite: lw.Composite) -> None:
    in_place, out_of_place = (Wired(function).double() for function in IN_PLACE[case])
    x = torch.randn(3, 6).double()
    got, expected = (lw.Explainer(m).explain(x, 1, lw.LRP(composite)) for m in (in_place, out_of_place))
    scale = float(expected.relevance.abs().max())
    assert torch.allclose(got.relevance, expected.relevance, rtol=0, atol=1e-9 * scale)
    assert all(line.closes for line in got.layers)
    assert got.absorbed.get("bias", torch.zeros(3)).tolist() == pytest.approx(
        expected.absorbed.get("bias", torch.zeros(3)).tolist(), abs=1e-8
    )


def shared_twice(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    return l["d"](F.relu(l["c"](F.relu(l["c"](h)))))


def branch_on_data(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = l["a"](x)
    return l["d"](F.relu(h) if float(h.sum()) > 0 else -h)


def only_functional(l: nn.ModuleDict, x: Tensor) -> Tensor:
    return torch.relu(x @ l["a"].weight.T + l["a"].bias) @ l["d"].weight.T


def cat_and_split(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = torch.cat([l["a"](x), l["b"](x)], 1)
    first, second = h.split([3, 5], 1)
    pieces = [*first.chunk(3, 1), *second.unbind(1)[:1]]
    return l["d"](torch.cat([piece.reshape(-1, 1) for piece in pieces], 1))


def moved_about(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.pad(F.relu(l["a"](x)), (1, 2), value=0.0)
    return l["d"](h.roll(1, 1).flip(1).unflatten(1, (7, 1)).movedim(2, 1).flatten(1)[:, 1:5])


def padded_every_way(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))[:, None]
    padded = [F.pad(h, (1, 1), mode=mode) for mode in ("reflect", "replicate", "circular", "constant")]
    return l["d"](torch.cat(padded, 1).sum(1)[:, 1:5])


def picked(l: nn.ModuleDict, x: Tensor) -> Tensor:
    h = F.relu(l["a"](x))
    top = h.topk(2, dim=1).values
    rows = torch.stack(
        [h[:, [2, 0]], h.gather(1, torch.zeros(len(x), 2, dtype=torch.long)), top, h.sort(1).values[:, 1:3]]
    )
    return l["d"](rows.amax(0).repeat(1, 2).where(torch.ones(4) > 0, torch.zeros(4, dtype=x.dtype)))


def checkpointed(l: nn.ModuleDict, x: Tensor) -> Tensor:
    import torch.utils.checkpoint

    return l["d"](torch.utils.checkpoint.checkpoint(lambda x: F.relu(l["a"](x)), x, use_reentrant=False))


RUNS = {
    function.__name__: function
    for function in (
        shared_twice,
        branch_on_data,
        only_functional,
        cat_and_split,
        moved_about,
        padded_every_way,
        picked,
        checkpointed,
    )
}


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_runs_is_recorded_and_conserved(name: str, sign: float) -> None:
    model = Wired(RUNS[name]).double()
    for layer in model.l.values():
        nn.init.zeros_(layer.bias)
    x = sign * torch.rand(3, 6).double()
    tape = tape_of(model, x)
    assert torch.equal(tape.scores, model(x))
    assert wrongly_replayed(tape) == []
    explanation = lw.Explainer(model).explain(x, 2, lw.LRP(lw.epsilon(0.0)))
    assert explanation.total.tolist() == pytest.approx(explanation.explained.tolist(), rel=1e-9)
    assert explanation.fallbacks == ()
    assert all(line.closes and not set(line.absorbed) - {"no input"} for line in explanation.layers)


def test_each_call_of_a_shared_layer_is_a_step_of_its_own() -> None:
    tape = tape_of(Wired(shared_twice), torch.rand(2, 6))
    names = [step.name for step in tape.steps]
    assert len(set(names)) == len(names)
    assert [name for name in names if name.startswith("l.c")] == ["l.c.addmm", "l.c.addmm#2"]


def test_the_branch_taken_is_the_one_recorded() -> None:
    model = Wired(branch_on_data)
    for x in (torch.rand(2, 6), -torch.rand(2, 6)):
        ops = {step.op for step in tape_of(model, x).steps}
        assert ("relu" in ops) == (float(model.l["a"](x).detach().sum()) > 0)
        assert ("neg" in ops) == ("relu" not in ops)


def test_canonical_steps_replay_as_well() -> None:
    for in_place, _ in IN_PLACE.values():
        tape = canonize(tape_of(Wired(in_place).double(), torch.randn(3, 6).double()), Memo())
        for step in tape.steps:
            if step.affine is None:
                made = replay(step, [tape.values[value].clone() for value in step.inputs])
                for tensor, value in zip(made, step.outputs, strict=True):
                    assert value is None or torch.equal(tensor, tape.values[value]), step.name
            else:
                a, z = tape.values[step.inputs[0]], tape.values[step.outputs[0]]
                again = step.affine.forward(a, step.affine.weight)
                again = again if step.affine.bias is None else again + step.affine.bias
                assert torch.allclose(again, z, atol=1e-12)


class LeavesTorch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(np.tanh(x.detach().numpy()))


class NumbersOnly(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tensor([[row.sum().item()] for row in x])


@pytest.mark.parametrize("model", [LeavesTorch(), NumbersOnly()])
@pytest.mark.parametrize("method", [lw.LRP(), lw.Gradient()])
def test_data_that_leaves_torch_is_a_clear_error(model: nn.Module, method: Any) -> None:
    with pytest.raises(RecordingError, match=r"it left torch, for instance through \.numpy\(\) or \.item\(\)"):
        lw.Explainer(model).explain(torch.rand(2, 3), 0, method)


def test_complex_numbers_are_a_clear_error() -> None:
    model = Wired(lambda l, x: l["d"](torch.fft.rfft(l["a"](x)).abs().repeat(1, 2)[:, :4]))
    with pytest.raises(RecordingError, match=r"computes with complex numbers \(torch.complex64\)"):
        lw.Explainer(model).explain(torch.rand(2, 6), 0)


class Busy(nn.Module):
    """Everything that recording could disturb: buffers, hooks, gradients, an in-place op, frozen weights."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2))
        self.attention = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        self.head = nn.Linear(4, 3)
        self.fails = fails
        self.calls: list[str] = []
        self.head.register_forward_hook(lambda module, args, out: self.calls.append("forward hook"))
        self.head.register_forward_pre_hook(lambda module, args: self.calls.append("pre-hook"))
        self.head.weight.requires_grad_(False)
        self.train()
        out = self(torch.rand(3, 2, 8, 8))  # running statistics
        out.sum().backward()
        self.eval()
        self.fails = fails

    def forward(self, x: Tensor) -> Tensor:
        h = self.features(x)
        if self.fails and not self.training:
            raise RuntimeError("half-way")
        h = self.attention(h.flatten(2).transpose(1, 2))
        return self.head(h.mean(1))


def state_of(model: nn.Module) -> dict[str, Any]:
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        "identity": {name: id(t) for name, t in tensors.items()},
        "content": {name: t.detach().clone().flatten().tolist() for name, t in tensors.items()},
        "version": {name: t._version for name, t in tensors.items()},
        "address": {name: t.data_ptr() for name, t in tensors.items()},
        "requires_grad": {name: t.requires_grad for name, t in tensors.items()},
        "grad": {
            name: None if t.grad is None else (id(t.grad), t.grad.flatten().tolist()) for name, t in tensors.items()
        },
        "training": [module.training for module in model.modules()],
        "hooks": [
            [len(hooks) for name, hooks in sorted(vars(module).items()) if "hooks" in name]
            for module in model.modules()
        ],
        "attributes": [sorted(vars(module)) for module in model.modules()],
    }


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    before = state_of(model)
    fastpath, grad_mode = torch.backends.mha.get_fastpath_enabled(), torch.is_grad_enabled()
    yield
    after = state_of(model)
    for aspect in before:
        assert before[aspect] == after[aspect], aspect
    assert torch.backends.mha.get_fastpath_enabled() == fastpath
    assert torch.is_grad_enabled() == grad_mode
    assert torch.utils._python_dispatch._get_current_dispatch_mode() is None


METHODS_AND_PRESETS = [lw.LRP(preset()) for preset in lw.engine.presets.PRESETS] + [
    lw.Gradient(),
    lw.Sensitivity(),
    lw.SimpleTaylor(),
]


@pytest.mark.parametrize("method", METHODS_AND_PRESETS, ids=str)
def test_the_model_is_left_as_it_was(method: Any) -> None:
    model, x = Busy(), torch.rand(2, 2, 8, 8)
    given, scores = x.clone(), model(x).detach()
    with untouched(model):
        explanation = lw.Explainer(model).explain(x, 1, method)
    assert torch.equal(x, given)
    assert x.grad is None
    assert torch.allclose(explanation.scores, scores, atol=1e-5)
    assert torch.equal(model(x), scores)


@pytest.mark.parametrize("method", [lw.LRP(), lw.Gradient()])
def test_the_model_is_left_as_it_was_when_it_raises(method: Any) -> None:
    model = Busy(fails=True)
    explainer = lw.Explainer(model)
    with untouched(model), pytest.raises(RecordingError, match=r"Busy raised RuntimeError .*: half-way"):
        explainer.explain(torch.rand(2, 2, 8, 8), 0, method)
    model.fails = False
    assert explainer.explain(torch.rand(2, 2, 8, 8), 0, method).relevance.abs().sum() > 0


def test_hooks_run_while_recording_as_they_do_otherwise() -> None:
    model = Busy()
    model.calls.clear()
    tape_of(model, torch.rand(1, 2, 8, 8))
    assert model.calls == ["pre-hook", "forward hook"]


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
@pytest.mark.parametrize("method", [lw.LRP(), lw.Gradient()])
def test_the_callers_grad_mode_changes_nothing(mode: Any, method: Any) -> None:
    torch.manual_seed(1)
    layers = nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(3, 2)
    model, x = nn.Sequential(*layers).eval(), torch.rand(2, 1, 6, 6)
    expected = lw.Explainer(model).explain(x, 0, method)
    with mode():
        got = lw.Explainer(model).explain(x.clone(), 0, method)
        assert torch.is_inference_mode_enabled() == (mode is torch.inference_mode)
    assert torch.equal(got.relevance, expected.relevance)
    assert expected.relevance.any()


def test_two_threads_record_the_same_model_at_once() -> None:
    model = Busy()
    inputs = [torch.rand(2, 2, 8, 8), torch.rand(2, 2, 10, 10)]
    expected = [[step.op for step in tape_of(model, x).steps] for x in inputs]
    problems: list[Any] = []
    start = threading.Barrier(2)

    def work(x: Tensor, ops: list[str]) -> None:
        try:
            start.wait()
            for _ in range(15):
                tape = tape_of(model, x)
                if [step.op for step in tape.steps] != ops or wrongly_replayed(tape):
                    problems.append("another tape")
        except Exception as error:
            problems.append(error)

    with untouched(model):
        model.calls = model.calls[:]
        threads = [threading.Thread(target=work, args=pair) for pair in zip(inputs, expected, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert problems == []


def test_another_thread_may_use_the_model_meanwhile() -> None:
    model, x = Busy(), torch.rand(2, 2, 8, 8)
    with torch.no_grad():
        expected = model(x)
    stop, problems = threading.Event(), []

    def serve() -> None:
        while not stop.is_set():
            with torch.no_grad():
                if not torch.allclose(model(x), expected, atol=1e-5):
                    problems.append("another answer")

    thread = threading.Thread(target=serve)
    thread.start()
    for _ in range(10):
        lw.Explainer(model).explain(x, 0, lw.LRP(lw.alpha_beta(2.0)))
    stop.set()
    thread.join()
    assert problems == []


def test_scores_leave_the_input_as_it_was() -> None:
    model, x = Wired(input_in_place), torch.rand(2, 6)
    before = x.clone()
    assert torch.equal(lw.Explainer(model).scores(x), model(before.clone()))
    assert torch.equal(x, before)


WRAPPED: dict[str, Callable[[nn.Module, Tensor], nn.Module]] = {
    "scripted": lambda model, x: torch.jit.script(model),
    "traced": lambda model, x: torch.jit.trace(model, x),
    "torch.fx": lambda model, x: torch.fx.symbolic_trace(model),
    "DataParallel": lambda model, x: nn.DataParallel(model),
    "vmap": lambda model, x: Wired(lambda l, x: torch.func.vmap(lambda row: model(row[None])[0])(x)),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning", "ignore:.*torch.jit.*:FutureWarning")
@pytest.mark.parametrize("how", WRAPPED)
@pytest.mark.parametrize("composite", [lw.epsilon(0.1), lw.alpha_beta(2.0)], ids=["ε", "αβ"])
def test_a_wrapped_model_explains_the_same(how: str, composite: lw.Composite) -> None:
    torch.manual_seed(0)
    # vmap takes BatchNorm apart and moves the axes between it and its layer: there it has nothing to fold into.
    norm = nn.Identity() if how == "vmap" else nn.BatchNorm2d(4)
    convolutions = nn.Conv2d(1, 4, 3), norm, nn.ReLU(inplace=True), nn.MaxPool2d(2)
    model = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(36, 3)).eval()
    x = torch.rand(2, 1, 8, 8)
    expected = lw.Explainer(model).explain(x, 1, lw.LRP(composite))
    got = lw.Explainer(WRAPPED[how](model, x)).explain(x, 1, lw.LRP(composite))
    assert torch.allclose(got.relevance, expected.relevance, atol=1e-6 * float(expected.relevance.abs().max()))
    assert got.fallbacks == ()


def test_weights_that_are_computed_are_constants_of_the_run() -> None:
    from torch.nn.utils import parametrizations

    torch.manual_seed(0)
    linear = parametrizations.weight_norm(nn.Linear(6, 5))
    model = nn.Sequential(linear, nn.ReLU(), parametrizations.spectral_norm(nn.Linear(5, 3))).eval()
    explainer, x = lw.Explainer(model), torch.rand(2, 6)
    for _ in range(2):
        got = explainer.explain(x, 1, lw.LRP(lw.epsilon(0.0)))
        expected = explainer.explain(x, 1, lw.SimpleTaylor())  # the same, on a network of ReLUs
        assert torch.allclose(got.relevance, expected.relevance, atol=1e-6)
        with torch.no_grad():
            linear.parametrizations.weight.original0.mul_(2)


def test_a_layer_that_ends_with_a_write_through_a_view_has_its_shape() -> None:
    class Marked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x[:, 0] += 1.0
            return x

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), Marked(), nn.Flatten(), nn.Linear(8, 2)).eval()
    explanation = lw.Explainer(model).explain(torch.rand(2, 1, 4, 4), 1, lw.LRP(lw.epsilon(0.0)))
    assert explanation.layer("1").shape == (2, 2, 2, 2)
    assert torch.allclose(explanation.layer("1"), explanation.layer("2").reshape(2, 2, 2, 2))


def test_a_model_that_returns_its_input() -> None:
    explanation = lw.Explainer(nn.Identity()).explain(torch.tensor([[1.0, 2.0]]), 1)
    assert explanation.relevance.tolist() == [[0.0, 2.0]]
    assert explanation.layers == ()


def test_one_score_a_row_without_a_class_axis() -> None:
    explanation = lw.Explainer(Wired(lambda l, x: l["a"](x)[:, 0])).explain(torch.rand(3, 6))
    assert explanation.target == (0, 0, 0)
    assert explanation.explained.tolist() == pytest.approx(explanation.scores.tolist())
