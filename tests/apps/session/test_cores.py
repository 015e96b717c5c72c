"""What is small stays on one core, what is large gets all, and nobody else notices."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.apps.session.cores import SMALL, cores_for


@pytest.fixture
def several() -> Iterator[int]:
    """More than one thread for this test's thread, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


SMALL_NET, SMALL_X = nn.Conv2d(1, 2, 3), torch.rand(1, 1, 28, 28)


def test_a_small_network_has_one_thread(several: int) -> None:
    with cores_for(SMALL_NET, SMALL_X):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == several
    for load in (lw.demo.models.digits_cnn, lw.demo.models.digits_mlp):
        with cores_for(load(), SMALL_X):
            assert torch.get_num_threads() == 1


def test_a_large_one_has_them_all(several: int) -> None:
    weights = nn.Conv2d(3, 64, 9)  # 15,616
    side = int((SMALL / 15_616) ** 0.5)
    for size, threads in ((side, 1), (side + 1, several)):
        with cores_for(weights, torch.empty(1, 3, size, size)):
            assert torch.get_num_threads() == threads
    with cores_for(nn.Linear(4, 5), torch.rand(2, 4)):
        assert torch.get_num_threads() == 1


def test_an_error_gives_the_threads_back(several: int) -> None:
    with pytest.raises(RuntimeError, match="on the way"), cores_for(SMALL_NET, SMALL_X):
        raise RuntimeError("on the way")
    assert torch.get_num_threads() == several


def test_other_threads_keep_theirs(several: int) -> None:
    inside, done, seen = threading.Event(), threading.Event(), []

    def work() -> None:
        with cores_for(SMALL_NET, SMALL_X):
            SMALL_NET(SMALL_X)
            seen.append(torch.get_num_threads())
            inside.set()
            done.wait(10)

    worker = threading.Thread(target=work)
    worker.start()
    assert inside.wait(10)
    assert torch.get_num_threads() == several
    done.set()
    worker.join()
    assert seen == [1]
