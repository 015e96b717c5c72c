"""Processes and clusters give the table that one process gives, also where a worker dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from serving import running

import lrp_widgets as lw
from lrp_widgets.evaluation import EvaluationError
from lrp_widgets.evaluation.dataset.measuring import Measuring
from lrp_widgets.evaluation.dataset.workers import LIVES, _Worker, pack
from tests.evaluation.dataset.evaluate_cases import METHODS, METRICS, Brittle, Deadly, evaluate, network, samples, whole

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]


def workers() -> list[psutil.Process]:
    return running("spawn_main")


def test_processes_give_the_same_table(tmp_path):
    assert evaluate(jobs=2, store=tmp_path / "store") == whole()
    assert evaluate(jobs=2, store=tmp_path / "store") == whole()
    assert not workers()


def test_a_process_that_is_killed_is_replaced():
    killed: list[int] = []

    def kill_one(done: int, total: int, left: float | None) -> None:
        if done == total // 3:
            killed.extend(one.pid for one in workers()[:1])
            os.kill(killed[0], signal.SIGKILL)

    assert evaluate(jobs=2, progress=kill_one) == whole()
    assert killed


@pytest.mark.parametrize("times", [1, LIVES])
def test_a_process_that_is_killed_before_it_begins(monkeypatch, times):
    begun: list[_Worker] = []

    def begin(worker: _Worker, begins: Callable[[_Worker], None] = _Worker.__init__) -> None:
        begins(worker)
        begun.append(worker)
        if len(begun) <= times:
            worker.process.kill()

    monkeypatch.setattr(_Worker, "__init__", begin)
    if times < LIVES:
        assert evaluate(jobs=2) == whole()
        assert len(begun) == 2 + times
        return
    with pytest.raises(RuntimeError, match=r"^3 processes of evaluate ended \(exit code -9\) before they began\. "):
        evaluate(jobs=2)


def test_a_process_that_dies_over_a_sample(tmp_path):
    metrics = {"sparsity": METRICS["sparsity"], "deadly": Deadly(str(tmp_path / "mark"), os.getpid())}
    one = evaluate(metrics, {"LRP": METHODS["LRP"]})
    assert evaluate(metrics, {"LRP": METHODS["LRP"]}, jobs=2) == one
    assert (tmp_path / "mark").exists()
    always = {"deadly": Deadly(str(tmp_path / "mark"), os.getpid(), always=True)}
    with pytest.raises(RuntimeError) as caught:
        evaluate(always, {"LRP": METHODS["LRP"]}, batch=2, jobs=2, samples=samples(4))
    assert str(caught.value) == (
        "3 processes of evaluate ended (exit code -9) over samples 2 to 3 with method 'LRP'. "
        "Most often memory runs out: take fewer jobs or a smaller batch."
    )


def test_a_failure_in_a_process_names_the_sample(tmp_path):
    first = samples().inputs[:, 0, 0, 0]
    limit, worst = float(first.sort().values[-2:].mean()), int(first.argmax())
    with pytest.raises(EvaluationError, match=f"^Sample {worst} could not be evaluated by method 'LRP' and") as caught:
        evaluate({"brittle": Brittle(limit)}, {"LRP": lw.LRP()}, batch=2, jobs=2, store=tmp_path / "store")
    assert caught.value.sample == worst
    assert "in measure" in caught.value.__notes__[0]  # the trace of the other process
    done = [row.sample for row in caught.value.table]
    assert (tmp_path / "store").read_text().count('"value"') == len(done)
    assert not workers()


def test_what_cannot_be_sent_is_an_error_at_once():
    class Here:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        def measure(self, *_: Any) -> float:
            return 0.0

    with pytest.raises(
        TypeError, match=r"^The model, methods and metrics must go to other processes, and pickle says "
    ):
        pack(Measuring(network(), None, METHODS, {"here": Here()}, 0))


def test_a_script_without_a_guard_is_told(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from tests.evaluation.dataset.evaluate_cases import evaluate\nevaluate(jobs=2)\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment)
    assert run.stderr.splitlines()[-1] == (
        "RuntimeError: A process of evaluate ended before it began (exit code 1). In a script, call lw.evaluate under "
        'if __name__ == "__main__": where jobs is more than 1.'
    )


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Of a cluster with two workers."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(2, threads_per_worker=2, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_a_cluster_gives_the_same_table(client):
    assert evaluate(client=client) == whole()


def test_a_cluster_that_loses_a_worker_gives_the_same_table(client):
    # Asked now: a worker may take its time to answer while it is busy.
    workers, killed = list(client.run(os.getpid).values()), []

    def kill_one(done: int, total: int, left: float | None) -> None:
        if done >= total // 3 and not killed:
            killed.append(workers[0])
            os.kill(workers[0], signal.SIGKILL)

    assert evaluate(client=client, progress=kill_one) == whole()
    assert killed


def test_a_failure_on_a_cluster_names_the_sample(client):
    first = samples().inputs[:, 0, 0, 0]
    limit, worst = float(first.sort().values[-2:].mean()), int(first.argmax())
    with pytest.raises(EvaluationError, match=f"^Sample {worst} could not be evaluated by method 'LRP' and"):
        evaluate({"brittle": Brittle(limit)}, {"LRP": lw.LRP()}, batch=2, client=client)


def test_who_is_no_client_is_named():
    with pytest.raises(TypeError, match=r"^evaluate\.client must be a dask\.distributed\.Client that is not async"):
        evaluate(client=3)


def test_without_distributed_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError) as caught:
        evaluate(client=3)
    assert str(caught.value) == (
        "evaluate.client needs dask.distributed, which is not installed. "
        "Install it with pip install lrp_widgets[distributed]."
    )
