"""What leaves torch on its way is named; what does not come back is not."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw

X = torch.tensor([[1.0, 2.0, -3.0], [0.5, -1.0, 4.0]])


class Model(nn.Module):
    def __init__(self, way: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 2)
        self.inner = Inner(way)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.inner(x)


class Inner(nn.Module):
    def __init__(self, way: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        return self.way(x)


def in_a_thread(x: Tensor) -> Tensor:
    answers: list[Tensor] = []
    thread = threading.Thread(target=lambda: answers.append(x.detach()[:, :2] * 3))
    thread.start()
    thread.join()
    return answers[0]


def written_through_numpy(x: Tensor) -> Tensor:
    buffer = torch.zeros(2, 2)
    buffer.numpy()[:] = x.detach().numpy()[:, :2]
    return buffer


def written_behind(x: Tensor) -> Tensor:
    own = x[:, :2] * 2
    own.detach().numpy()[:] = 1.0
    return own


LEAVES: dict[str, Callable[[Tensor], Tensor]] = {
    "numpy": lambda x: torch.from_numpy(x.detach().numpy()[:, :2].copy()),
    "numpy by another name": lambda x: torch.as_tensor(np.sin(np.asarray(x.detach())))[:, :2],
    "a list": lambda x: torch.tensor(x.tolist())[:, :2],
    "a number": lambda x: x[:, :2] * 0 + x.max().item(),
    "a float": lambda x: x[:, :2] * float(x[0, 0]),
    "a number in a tensor": lambda x: torch.full((2, 2), x.abs().sum().item()),
    "a number as a factor of a summand": lambda x: torch.add(x[:, :2], x[:, 1:], alpha=x.max().item()),
    "a text": lambda x: x[:, :2] * float(f"{x.max():.4f}"),
    "a printed number": lambda x: x[:, :2] * float(str(x.max())[7:-1]),
    "a complex number": lambda x: x[:, :2] * complex(x.max()).real,
    "another thread": in_a_thread,
    "a write through numpy": written_through_numpy,
    "a write through numpy into what depends on the input": written_behind,
    "dlpack": lambda x: torch.from_dlpack(np.from_dlpack(x.detach()).copy())[:, :2],
}


@pytest.mark.parametrize("how", LEAVES)
def test_what_leaves_torch_is_named(how: str) -> None:
    model = Model(LEAVES[how]).eval()
    explanation = lw.Explainer(model).explain(X, 0, lw.LRP(lw.epsilon()))
    (note,) = explanation.notes
    where = "The model itself" if how == "another thread" else "The layer 'inner'"  # nobody sees what a thread reads
    assert note.startswith(f"{where} leaves torch (") and "held constant" in note
    torch.testing.assert_close(explanation.scores, model(X).detach())
    warnings = [finding for finding in lw.examine(model, X) if finding.severity == "warning"]
    assert note in [finding.message for finding in warnings]


def branches(x: Tensor) -> Tensor:
    return x[:, :2] if x.max().item() > 0 else x[:, 1:]


def answers_in_memory(x: Tensor) -> Tensor:
    product, total = torch.empty(2, 2), torch.empty(2, 2)
    torch.mm(x, torch.ones(3, 2), out=product)
    return torch.add(product, x[:, :2], out=total)


STAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "a branch": branches,
    "a length": lambda x: x[:, : int((x > 0).sum().item() > 1) + 1].expand(2, 2),
    "a print": lambda x: [str(x.tolist()), x[:, :2]][1],  # type: ignore[return-value]
    "a text": lambda x: [f"{x} {x.max():.2f}", x[:, :2]][1],  # type: ignore[return-value]
    "memory for answers": answers_in_memory,
    "a log": lambda x: [x.detach().numpy().mean(), x[:, :2]][1],
    "a constant": lambda x: x[:, :2] * torch.tensor([1.0, 2.0]).max().item(),
    "a constant of numpy": lambda x: x[:, :2] * torch.from_numpy(np.ones(2, np.float32)),
    "a mask": lambda x: x[:, :2] * (x[:, :2] > 0).float(),
    "its own memory": lambda x: torch.zeros(2, 2).copy_(x[:, :2]).mul_(torch.ones_like(x[:, :2])),
}


@pytest.mark.parametrize("how", STAYS)
def test_what_does_not_come_back_is_not(how: str) -> None:
    assert lw.Explainer(Model(STAYS[how]).eval()).explain(X, 0, lw.LRP(lw.epsilon())).notes == ()


def test_recurrent_layers_stay_in_torch() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(3, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([4, 2]), batch_first=True)
            return nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True)[0].sum(1)

    explanation = lw.Explainer(Packed().eval()).explain(torch.randn(2, 4, 3), 0, lw.LRP(lw.epsilon()))
    assert explanation.notes == () and explanation.fallbacks == ()
    assert all(line.closes for line in explanation.layers)
    assert not explanation.relevance[1, 2:].any()  # what the packed sequence leaves out
