"""Quick work stays on one core, slow work gets all, and nobody else notices."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from lrp_widgets.apps.cores import SLOW, Cores


@pytest.fixture
def several() -> Iterator[int]:
    """More than one thread for this test's thread, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


def test_quick_work_has_one_thread(several: int) -> None:
    cores = Cores()
    with cores.few():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == several


def test_other_threads_keep_theirs(several: int) -> None:
    inside, done, seen = threading.Event(), threading.Event(), []

    def work() -> None:
        with Cores().few():
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


def test_slow_work_gets_them_all(several: int) -> None:
    cores = Cores()
    cores.took(10 * SLOW)  # the first one may only have been cold
    cores.took(SLOW / 2)
    cores.took(10 * SLOW)
    with cores.few():
        assert torch.get_num_threads() == 1
    cores.took(10 * SLOW)
    cores.took(SLOW / 2)  # that is with all of them: no reason to go back
    with cores.few():
        assert torch.get_num_threads() == several
