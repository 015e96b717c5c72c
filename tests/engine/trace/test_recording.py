"""What runs is recorded, and recording leaves model, hooks, grad mode and other threads as they were."""

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
from lrp_widgets.engine.layers.canonize import canonize
from lrp_widgets.engine.trace.memo import Memo
from lrp_widgets.engine.trace.step import replay
from lrp_widgets.engine.trace.tape import RecordingError
from lrp_widgets.methods import METHODS, WRAPPERS
from tests.engine.networks.wired import Wired, tape_of, wrongly_replayed
from tests.engine.trace.tape_cases import IN_PLACE, input_in_place


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


METHODS_AND_PRESETS = [lw.LRP(preset()) for preset in lw.engine.composites.presets.PRESETS] + [
    kind() for kind in (*METHODS, *WRAPPERS)
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
@pytest.mark.parametrize("method", [kind() for kind in (*METHODS, *WRAPPERS)], ids=str)
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
