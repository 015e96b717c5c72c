"""Puts faults into copies of the sources, one at a time, and sees whether the tests notice: make mutants.

    python -m mutants [--trust] [WORD …]    only the faults whose name or place has one of these words

The checkout is not touched: the tracked files are copied to a temporary folder, and the tests run there, one process
at a time. First all of the named tests must pass without any fault (--trust takes that for granted). A fault is killed
where its tests fail, or take longer than PATIENCE. At the end stands a table, and the exit status says whether at least
95 % were killed and every fault still applies. Faults that are known to survive say why (Fault.survives).
The process of each fault is a fork of one that has torch and its like loaded: importing them takes longer than most of
the tests.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from mutants import apps, concepts, engine, evaluation, javascript, methods, propagation, silent, validation, widgets
from mutants.fault import Fault, NoLongerApplies

ROOT = Path(__file__).parents[1]
FAULTS: tuple[Fault, ...] = (
    *engine.FAULTS, *silent.FAULTS,
    *propagation.FAULTS, *methods.FAULTS, *evaluation.FAULTS, *concepts.FAULTS, *validation.FAULTS,
    *apps.FAULTS, *widgets.FAULTS, *javascript.FAULTS,
)  # fmt: skip
QUIET = "ignore::pytest.PytestAssertRewriteWarning"  # what is loaded already
LEAST = 0.95  # of the faults must be killed
PATIENCE = 600  # s for the tests of one fault
FAILED = 1, 2  # pytest's exit status where tests fail, or cannot even be imported
LOADED = (  # what the tests import, none of which reads the sources that a fault is in
    *("torch", "torch.func", "numpy", "scipy.stats", "PIL.Image", "threadpoolctl", "hypothesis", "ipywidgets"),
    *("anywidget", "traitlets", "plotly.graph_objects", "playwright.sync_api", "sklearn"),
)


def main(words: list[str]) -> int:
    trusted, words = "--trust" in words, [word for word in words if word != "--trust"]
    faults = [fault for fault in FAULTS if not words or any(word in f"{fault.name} {fault.place}" for word in words)]
    for name in LOADED:
        with suppress(ImportError):
            importlib.import_module(name)
    with copied() as root:
        gone = list(not_applying(faults, root))
        for problem in gone:
            print(f"error: {problem}")
        faults = [fault for fault in faults if applies(fault, root)]
        every = list(dict.fromkeys(test for fault in faults for test in fault.tests.split()))
        every = [test for test in every if not covered(test, every)]
        print(f"{len(faults)} faults{'' if trusted else '; their tests without any of them …'}", flush=True)
        if faults and not trusted and (status := tested(root, every, 10 * PATIENCE)):
            print(f"error: The tests do not pass without a fault (pytest ended with {status}).")
            return 2
        results = {fault.name: killed(fault, root) for fault in faults}
    report(faults, results)
    enough = sum(results.values()) >= LEAST * len(results)
    unexplained = [fault for fault in faults if not results[fault.name] and not fault.survives]
    return 0 if enough and not gone and not unexplained else 1


def covered(test: str, every: list[str]) -> bool:
    """Whether a test is in a file that is named as a whole."""
    return "::" in test and test.split("::")[0] in every


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the files that git tracks, and of new ones that it does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    with tempfile.TemporaryDirectory(prefix="lrp_widgets-mutants-") as folder:
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (source := ROOT / name).is_file():
                target = Path(folder, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        yield Path(folder)


def applies(fault: Fault, root: Path) -> bool:
    try:
        fault.file(root)
    except NoLongerApplies:
        return False
    return True


def not_applying(faults: list[Fault], root: Path) -> Iterator[str]:
    """What is wrong with the faults themselves."""
    names = [fault.name for fault in faults]
    yield from (f"Two faults are called {name!r}." for name in dict.fromkeys(names) if names.count(name) > 1)
    for fault in faults:
        try:
            fault.file(root)
        except NoLongerApplies as error:
            yield str(error)


def killed(fault: Fault, root: Path) -> bool:
    """Whether the tests notice the fault."""
    path = fault.file(root)
    text = path.read_text(encoding="utf-8")
    began = time.monotonic()
    try:
        path.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
        forget_compiled(path)
        status = tested(root, fault.tests.split(), PATIENCE)
    finally:
        path.write_text(text, encoding="utf-8")
        forget_compiled(path)
    if status not in (0, *FAILED):
        raise SystemExit(f"error: {fault.name}: pytest ended with {status} on {fault.tests}.")
    print(f"{'killed' if status else 'ALIVE '} {time.monotonic() - began:4.0f} s  {fault.name}", flush=True)
    return status != 0


def forget_compiled(path: Path) -> None:
    """Python tells a changed file by its second and its size, and a fault may change neither."""
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def tested(root: Path, tests: list[str], patience: float) -> int:
    """The exit status of pytest in a process of its own; that of a failure where it takes too long."""
    sys.stdout.flush()
    with tempfile.TemporaryFile("w+") as said:
        if (process := os.fork()) == 0:
            run_tests(root, tests, said.fileno())
        ends = time.monotonic() + patience
        while (ended := os.waitpid(process, os.WNOHANG))[0] == 0:
            if time.monotonic() > ends:
                os.killpg(process, signal.SIGKILL)
                os.waitpid(process, 0)
                return FAILED[0]
            time.sleep(0.05)
        status = os.waitstatus_to_exitcode(ended[1])
        if status not in (0, FAILED[0]):
            said.seek(0)
            print("\n".join(said.read().splitlines()[-25:]))
    return status


def run_tests(root: Path, tests: list[str], output: int) -> None:
    """In the forked process: run pytest in the copy, and end."""
    status = 70
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(root)
        os.environ["PYTHONPATH"] = str(root)
        sys.path[:] = [str(root), *(path for path in sys.path if path not in ("", str(ROOT)))]
        status = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-W", QUIET, *tests]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def report(faults: list[Fault], results: dict[str, bool]) -> None:
    """A table by the room that a fault is in, and the survivors with their explanation."""
    rooms: dict[str, list[bool]] = {}
    for fault in faults:
        parts = Path(fault.place).parts
        room = "JavaScript" if "static" in parts else "/".join(parts[1:2])
        rooms.setdefault(room, []).append(results[fault.name])
    print(f"\n{'room':<16} {'faults':>6} {'killed':>6} {'alive':>6}")
    for room, each in (*rooms.items(), ("all", list(results.values()))):
        print(f"{room:<16} {len(each):>6} {sum(each):>6} {len(each) - sum(each):>6}")
    if results:
        print(f"{100 * sum(results.values()) / len(results):.1f} % killed")
    for fault in faults:
        if not results[fault.name]:
            print(f"alive: {fault.name} ({fault.place}): {fault.survives or 'not explained: write a test for it'}")
        elif fault.survives:
            print(f"note: {fault.name} is said to survive and was killed: take the explanation away")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
