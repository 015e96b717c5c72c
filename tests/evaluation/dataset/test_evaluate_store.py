"""The store: nothing measured is lost, nothing is measured twice, nothing of another question is taken."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import lrp_widgets as lw
from lrp_widgets.evaluation.dataset.store import Store
from tests.evaluation.dataset.evaluate_cases import COUNT, METHODS, METRICS, Largest, evaluate, network, samples, whole

ROOT = Path(__file__).parents[3]
TOTAL = COUNT * len(METHODS) * len(METRICS)


def stop_at(count: int, how: Any = KeyboardInterrupt) -> Any:
    def progress(done: int, total: int, left: float | None) -> None:
        if done == count:
            raise how

    return progress


def numbers(path: Path) -> list[dict[str, Any]]:
    """The lines that are numbers."""
    return [read for line in path.read_text().splitlines() if "value" in (read := json.loads(line))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.jsonl"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The metrics that were measured."""
    made: list[str] = []
    for kind in {type(metric) for metric in METRICS.values()}:

        def measure(self: Any, *args: Any, before: Any = kind.measure) -> Any:
            made.append(type(self).__name__)
            return before(self, *args)

        monkeypatch.setattr(kind, "measure", measure)
    return made


@pytest.mark.parametrize("count", [1, 17, TOTAL - 1])
def test_an_interrupted_run_goes_on(path, counted, count):
    with pytest.raises(KeyboardInterrupt):
        evaluate(store=path, progress=stop_at(count))
    assert len(numbers(path)) == count
    counted.clear()
    told: list[int] = []
    assert evaluate(store=path, progress=lambda done, total, left: told.append(done)) == whole()
    assert told == list(range(count, TOTAL + 1))
    assert len(numbers(path)) == TOTAL
    counted.clear()
    assert evaluate(store=path) == whole() and counted == []


def test_what_a_crash_left_of_the_last_line_is_cut_off(path):
    evaluate(store=path)
    complete = path.read_bytes()
    for size in (10, complete.index(b"\n"), len(complete) // 2, len(complete) - 3):
        path.write_bytes(complete[:size])
        assert evaluate(store=path) == whole()
        assert len(numbers(path)) == TOTAL


class FullDisk:
    """A file on a disk that is full after some bytes; `keeps` says whether a half line can be taken back."""

    def __init__(self, file: Any, room: int, keeps: bool) -> None:
        self._file, self._room, self._keeps = file, room, keeps
        self._is_full = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, content: bytes) -> int:
        if not self._room:
            self._is_full = True
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._file.write(content[: self._room])
        self._room -= written
        return written

    def truncate(self, size: int) -> int:
        if self._keeps and self._is_full:
            raise OSError(errno.EIO, "Input/output error")
        return self._file.truncate(size)


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("room", [0, 30, 2000, 3001])
def test_a_full_disk_loses_nothing_that_was_measured(path, monkeypatch, room, keeps):
    opened = open
    with monkeypatch.context() as full:
        full.setattr(
            "builtins.open",
            lambda name, *args, **more: (
                FullDisk(opened(name, *args, **more), room, keeps) if name == path else opened(name, *args, **more)
            ),
        )
        with pytest.raises(OSError) as refused:
            evaluate(store=path)
    assert str(refused.value) == (
        f"evaluate.store {str(path)!r} cannot be written to: No space left on device. All numbers before are in it: "
        "make room, and the same call goes on from there."
    )
    content = path.read_bytes()
    assert len(content) <= room and (keeps or content.endswith(b"\n") or not content)
    before = content[: content.rfind(b"\n") + 1]
    assert evaluate(store=path) == whole()
    assert path.read_bytes().startswith(before) and len(numbers(path)) == TOTAL


def test_a_system_that_takes_a_part_of_a_line_at_a_time(path, monkeypatch):
    opened = open

    class Slow(FullDisk):
        def write(self, content: bytes) -> int:
            return self._file.write(content[:7])

    with monkeypatch.context() as slow:
        slow.setattr("builtins.open", lambda name, *args, **more: Slow(opened(name, *args, **more), 0, keeps=False))
        store = Store(path, {"a": 1}, {"m": "M()"}, {})
        store.close()
    assert [json.loads(line) for line in path.read_text().splitlines()][1] == {"method": "m", "is": "M()"}


def test_a_store_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for path, why in (
        (tmp_path / "file" / "a", "Not a directory"),
        (tmp_path / "no" / "a", "No such file or directory"),
    ):
        with pytest.raises(OSError) as refused:
            evaluate(store=path)
        assert str(refused.value) == f"evaluate.store {str(path)!r} cannot be opened: {why}. Give another path."


@pytest.mark.slow
def test_a_killed_run_goes_on(path):
    command = [sys.executable, "-m", "tests.evaluation.dataset.evaluate_cases", str(path)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        while process.poll() is None and not (path.exists() and path.read_bytes().count(b"\n") > 25):
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    done = len(numbers(path))
    assert 0 < done < TOTAL
    metrics = {**METRICS, "slow": Largest(0.3)}
    told: list[int] = []
    assert evaluate(metrics, store=path, progress=lambda done, total, left: told.append(done)) == evaluate(metrics)
    assert told[0] == done


def test_only_what_is_new_is_measured(path, counted):
    some = {name: METRICS[name] for name in ("selectivity", "drawn")}
    evaluate(some, {"LRP": METHODS["LRP"]}, store=path)
    counted.clear()
    more = {"largest": METRICS["largest"], **some}
    table = evaluate(more, {"LRP": METHODS["LRP"]}, store=path)
    assert counted == ["Largest"] * 3  # one a batch
    assert table == evaluate(more, {"LRP": METHODS["LRP"]})
    before = len(numbers(path))
    assert evaluate(store=path) == whole()
    assert len(numbers(path)) == TOTAL > before
    assert evaluate(some, {"LRP": METHODS["LRP"]}, store=path) == evaluate(
        some, {"LRP": METHODS["LRP"]}
    )  # a part of it


def another_network() -> torch.nn.Module:
    model = network()
    with torch.no_grad():
        model[0].weight[0, 0, 0, 0] += 1e-6  # pyright: ignore
    return model


OTHER: dict[str, dict[str, Any]] = {
    "model differs": {"model": another_network()},
    "samples differs": {"samples": samples(seed=1)},
    "samples, seed differ": {"samples": dataclasses.replace(samples(), labels=[0] * COUNT), "seed": 5},
    "target differs": {"target": "top"},
    "batch differs": {"batch": 4},
    "method 'LRP' differs": {"methods": {"LRP": lw.LRP(lw.epsilon(epsilon=0.1))}},
    "metric 'sparsity' differs": {"metrics": {"sparsity": Largest()}},
}


@pytest.mark.parametrize("said", OTHER)
def test_another_question_is_refused(path, said):
    case = {"metrics": {"sparsity": METRICS["sparsity"]}, "methods": {"LRP": METHODS["LRP"]}}
    evaluate(**case, store=path)
    before = path.read_bytes()
    with pytest.raises(ValueError) as caught:
        evaluate(**{**case, **OTHER[said]}, store=path)
    assert str(caught.value) == (
        f"evaluate.store {str(path)!r} answers another question: its {said}. "
        "Give another path, or delete the file to begin anew."
    )
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"precious", b'{"a": 1}\n', b"a,b\n1,2\n", b'{"lrp_widgets": 3}\n'])
def test_a_file_of_somebody_else_is_left_alone(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        evaluate(store=path)
    assert str(caught.value) == (
        f"evaluate.store {str(path)!r} must be a file that lw.evaluate has written, got "
        f"{content.split(bytes([10]))[0]!r} in line 1. Give another path."
    )
    assert path.read_bytes() == content


def test_a_spoilt_line_in_the_middle_is_named(path):
    evaluate({"sparsity": METRICS["sparsity"]}, store=path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:7], b'{"sample": 1}\n', *lines[7:]]))
    with pytest.raises(ValueError, match=r"got b'\{\"sample\": 1\}' in line 8\. Give another path\."):
        evaluate({"sparsity": METRICS["sparsity"]}, store=path)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such lock")
def test_one_at_a_time(path):
    with Store(path, {}, {}, {}), pytest.raises(ValueError) as caught:
        evaluate(store=path)
    assert str(caught.value) == (
        f"evaluate.store {str(path)!r} is being written to by another evaluation. Wait for its end."
    )


def test_what_prints_its_address_cannot_be_known_again(path):
    class Mine:
        def measure(self, *_: Any) -> float:
            return 0.0

    mine = Mine()
    with pytest.raises(ValueError) as caught:
        evaluate({"mine": mine}, store=path)
    assert str(caught.value) == (
        f"A store needs a metric that prints itself alike in every process, got 'mine': {mine!r}. "
        "Make it a frozen dataclass, or leave out store=."
    )
    assert not path.exists()


def test_numbers_that_are_none_come_back(path):
    @dataclasses.dataclass(frozen=True)
    class Odd:
        def measure(self, explainer: Any, x: Any, target: Any, explanation: Any) -> float:
            return (float("nan"), float("inf"), 1 / 3)[target[0]]

    before = evaluate({"odd": Odd()}, store=path)
    assert evaluate({"odd": Odd()}, store=path, progress=stop_at(0)) == before
    assert "NaN" not in path.read_text() and "Infinity" not in path.read_text()
    assert before.summary().mean("LRP", "odd").samples == 2
