"""Kernels that are forks of one process: alike in numbers, apart in everything else."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from apps.serving.stub import wait_for, write_notebook
from jupyter_client.manager import AsyncKernelManager
from waiting import run_coroutine

from lrp_widgets.apps.serving import warm_up
from lrp_widgets.apps.serving.provisioner import ForkProvisioner, ForkServer, _arguments
from lrp_widgets.apps.serving.warm_up import reason_against_forks

T = TypeVar("T")
linux = pytest.mark.skipif(bool(reason_against_forks()), reason="processes are not forked on this system")

APP = """
import lrp_widgets as lw
lw.explore(lw.demo.models.digits_cnn(), lw.demo.data.digits())
"""
# What must not depend on how the process began.
NUMBERS = """
import hashlib, json
import numpy as np
import threadpoolctl
import torch
import lrp_widgets as lw

x = lw.demo.data.digits().inputs[:1]
explainer = lw.Explainer(lw.demo.models.digits_cnn())
rules = (lw.epsilon(), lw.epsilon_plus(), lw.alpha_beta(alpha=2, input="zB", low=0, high=1), lw.montavon2019())
methods = (*map(lw.LRP, rules), lw.Gradient(), lw.IntegratedGradients(), lw.SmoothGrad(seed=1), lw.Occlusion())
maps = [explainer.explain(x, 3, method).relevance.numpy().tobytes() for method in methods]
square = np.random.RandomState(0).rand(600, 600).astype("float32")
large = torch.from_numpy(square)
told = {
    "maps": [hashlib.sha256(bytes_).hexdigest() for bytes_ in maps],
    "products": [hashlib.sha256(bytes(product)).hexdigest() for product in (square @ square, (large @ large).numpy())],
    "threads": torch.get_num_threads(),
    "pools": sorted((pool["internal_api"], pool["num_threads"]) for pool in threadpoolctl.threadpool_info()),
}
"""


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A process that has loaded the app."""
    server = ForkServer(write_notebook(tmp_path_factory.mktemp("forks") / "app.ipynb", APP))
    yield server
    server.close()


def with_kernel(server: ForkServer, act: Callable[[AsyncKernelManager, Any], Awaitable[T]], **env: str) -> T:
    """Do something with a kernel that Jupyter starts as it does for a page.  env: what its environment has besides."""

    class Provisioner(ForkProvisioner):
        fork_server = server

    async def whole() -> T:
        manager = AsyncKernelManager(kernel_name="python3", transport="ipc")
        manager.provisioner = Provisioner(kernel_id="a", kernel_spec=manager.kernel_spec, parent=manager)
        await manager.start_kernel(env=dict(os.environ) | env)
        client = manager.client()
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=60)
            return await act(manager, client)
        finally:
            client.stop_channels()
            await manager.shutdown_kernel(now=True)

    return run_coroutine(whole())


async def value_of(client: Any, code: str, expression: str) -> Any:
    """What an expression is in a kernel after some code, by way of JSON."""
    content = await execute(client, code, told=f"__import__('json').dumps({expression})")
    assert content["status"] == "ok", content
    text = content["user_expressions"]["told"]["data"]["text/plain"]
    return json.loads(eval(text))


async def execute(client: Any, code: str, **expressions: str) -> dict[str, Any]:
    reply = await client.execute_interactive(
        code, user_expressions=expressions, timeout=120, output_hook=lambda message: None
    )
    return reply["content"]


@linux
@pytest.mark.slow
def test_a_fork_computes_as_a_process_of_its_own(forks):
    alone = subprocess.run(
        [sys.executable, "-c", NUMBERS + "\nprint(json.dumps(told))"], capture_output=True, text=True, check=True
    )
    told = with_kernel(forks, lambda _, client: value_of(client, NUMBERS, "told"))
    expected = json.loads(alone.stdout)
    # Which libraries are loaded differs; how many threads each kind takes must not.
    pools, others = ({tuple(pool) for pool in each.pop("pools")} for each in (told, expected))
    assert told == expected
    assert others <= pools and {api for api, _ in pools} >= {"openblas", "openmp"}
    assert len(told["maps"]) == len({*told["maps"]}) == 8


@linux
@pytest.mark.slow
def test_forks_draw_other_numbers_than_each_other_where_nobody_set_a_seed(forks):
    code = "import numpy, random, torch; told = [numpy.random.rand(), torch.rand(1).item(), random.random()]"
    first, second = (with_kernel(forks, lambda _, client: value_of(client, code, "told")) for _ in range(2))
    assert all(one != other for one, other in zip(first, second, strict=True))


@linux
@pytest.mark.slow
def test_a_fork_has_the_environment_and_nothing_open_of_what_it_came_from(forks):
    async def look(manager: AsyncKernelManager, client: Any) -> None:
        pid = manager.provisioner.pid
        told = await value_of(
            client, "import os", "[dict(os.environ), os.getpid(), os.getpgid(0), sorted(os.listdir('/proc/self/task'))]"
        )
        environment, own, group, threads = told
        assert own == pid == group
        assert environment["ONE_OF_OURS"] == "set"
        assert "OPENBLAS_NUM_THREADS" not in environment
        assert len(threads) > 1  # its own: none is copied
        parent = {link(forks.pid, fd) for fd in os.listdir(f"/proc/{forks.pid}/fd")}
        copied = {link(pid, fd) for fd in os.listdir(f"/proc/{pid}/fd")} & parent
        assert not {name for name in copied if name.startswith(("socket:", "anon_inode:"))}

    with_kernel(forks, look, ONE_OF_OURS="set")


def link(pid: int | None, descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/{descriptor}")
    except OSError:  # closed meanwhile
        return ""


@linux
@pytest.mark.slow
def test_a_fork_is_interrupted_restarted_and_ended_alone(forks):
    async def play(manager: AsyncKernelManager, client: Any) -> int:
        endless = asyncio.ensure_future(execute(client, "while True: pass"))
        await asyncio.sleep(0.5)
        await manager.interrupt_kernel()
        assert (await endless)["ename"] == "KeyboardInterrupt"
        assert await value_of(client, "x = 4", "x") == 4
        before = manager.provisioner.pid
        await manager.restart_kernel(now=True)
        await client.wait_for_ready(timeout=60)
        assert manager.provisioner.pid not in (before, forks.pid)
        assert not psutil.pid_exists(before)
        assert (await execute(client, "x"))["ename"] == "NameError"
        return manager.provisioner.pid

    parent = with_kernel(forks, lambda *_: asyncio.sleep(0, forks.pid))
    pid = with_kernel(forks, play)
    wait_for(lambda: not psutil.pid_exists(pid), "the kernel is gone")
    assert forks.pid == parent


@linux
@pytest.mark.slow
def test_widgets_of_a_fork_answer_the_page(forks):
    """A comm that a page opens must find its target, which ipywidgets registers where it is imported."""

    async def ask(manager: AsyncKernelManager, client: Any) -> set[str]:
        return {*await value_of(client, "import comm", "[*comm.get_comm_manager().targets]")}

    assert with_kernel(forks, ask) >= {"jupyter.widget", "jupyter.widget.control"}


@linux
@pytest.mark.slow
def test_a_process_to_fork_from_that_has_died_is_started_anew_and_its_kernels_live(forks):
    async def kill(manager: AsyncKernelManager, client: Any) -> None:
        before = forks.pid
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: forks.pid is None, "the process has ended")
        assert await value_of(client, "x = 5", "x") == 5
        await asyncio.to_thread(with_kernel, forks, lambda _, other: value_of(other, "y = 6", "y"))
        assert forks.pid not in (None, before)
        assert await value_of(client, "", "x") == 5

    with_kernel(forks, kill)


@linux
@pytest.mark.slow
def test_kernels_end_with_their_server(tmp_path):
    notebook = write_notebook(tmp_path / "app.ipynb", "1")
    connection = tmp_path / "kernel.json"
    script = (
        "import os, sys; from pathlib import Path; from lrp_widgets.apps.serving.provisioner import ForkServer\n"
        "forks = ForkServer(Path(sys.argv[1]))\n"
        "print(forks.fork(['-f', sys.argv[2]], dict(os.environ), None), forks.pid, flush=True)\n"
        "sys.stdin.read(); os._exit(9)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, notebook, connection], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout and server.stdin
        pids = [int(word) for word in server.stdout.readline().split()]
        wait_for(lambda: psutil.Process(pids[0]).num_threads() > 3, "the kernel runs")
        server.stdin.close()
        server.wait()
    wait_for(lambda: not any(psutil.pid_exists(pid) for pid in pids), "kernel and parent are gone")


@linux
@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        pytest.param(
            "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
            "1 threads of",
            id="a thread",
        ),
        pytest.param("import os; os._exit(3)", "ends before it is ready", id="an end"),
    ],
)
def test_where_no_fork_can_follow_a_kernel_is_a_process_of_its_own(tmp_path, capfd, monkeypatch, cell, reason):
    # The process that warms up is another one: it reads its patience from the file.
    folder = tmp_path / "lrp_patience"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import lrp_widgets.apps.serving.warm_up as w; w.PATIENCE = 0.1")
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    server = ForkServer(write_notebook(tmp_path / "app.ipynb", cell))

    async def look(manager: AsyncKernelManager, client: Any) -> bool:
        return "ipykernel_launcher" in " ".join(psutil.Process(manager.provisioner.pid).cmdline())

    assert with_kernel(server, look)
    assert with_kernel(server, look)
    assert reason in server.refused
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("lrp_widgets: ")]
    assert told == [f"lrp_widgets: each visit starts a Python of its own (--no-fork): {server.refused}."]


def test_which_commands_are_forked():
    python = sys.executable
    assert _arguments([python, "-m", "ipykernel_launcher", "-f", "a.json"]) == ["-f", "a.json"]
    assert _arguments([python, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "a"]) == ["-f", "a"]
    for other in (["/usr/bin/r", "-m", "ipykernel_launcher"], [python, "-m", "xeus"], [python, "a.py"]):
        assert _arguments(other) is None


def test_a_driver_of_a_graphics_card_forbids_forks(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_initialized", lambda: True)
    assert warm_up._what_remains() == "the driver of the graphics card is loaded, which does not survive a fork"


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_do_not_fork(monkeypatch, system):
    monkeypatch.setattr(sys, "platform", system)
    assert reason_against_forks() == "this system has no fork that libraries for numbers survive"


def test_what_a_cell_prints_and_raises_while_it_warms_up_is_dropped(tmp_path, capfd):
    script = (
        "import sys; from pathlib import Path; from lrp_widgets.apps.serving.warm_up import warm_up\n"
        "assert warm_up(Path(sys.argv[1])) == ''"
    )
    notebook = write_notebook(Path(tmp_path) / "app.ipynb", "print('a word')\nraise ValueError('a fault')", "1 / 0")
    subprocess.run([sys.executable, "-c", script, notebook], check=True, env=os.environ | warm_up.ONE_THREAD)
    assert capfd.readouterr() == ("", "")
