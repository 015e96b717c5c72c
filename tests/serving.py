"""Start a server for a test, ask it for pages, and end it with everything it started."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PATIENCE = 300  # s until a server listens: seconds, and minutes on a machine that has other things to do
FORK_SERVER = "lrp_widgets.apps.serving.fork_server"
_DRAWN = random.SystemRandom()  # whatever the tests seed, two processes side by side draw other ports


def free_port() -> int:
    """A port of the loopback address that nothing listens on.

    Below the range from which a system takes ports by itself: until a server listens, no connection is given this one.
    """
    while True:
        port = _DRAWN.randrange(10_000, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def get(url: str, timeout: float = PATIENCE) -> tuple[int, str]:
    """The status and text that a GET ends with, redirections followed."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def running(what: str, below: int | None = None) -> list[psutil.Process]:
    """The processes below one (this one) that have `what` in their command line."""
    found = []
    for child in psutil.Process(below).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # gone since, or a zombie
            if what in " ".join(child.cmdline()):
                found.append(child)
    return found


def kernels(server: subprocess.Popen[bytes]) -> set[int]:
    """The process ids of the kernels that a server runs: processes of their own, and forks of the one for that."""
    parents = {process.pid for process in psutil.Process(server.pid).children()}
    forks = {process.pid for process in running(FORK_SERVER, below=server.pid)} - parents
    return {kernel.pid for kernel in running("ipykernel_launcher", below=server.pid)} | forks


def kernel_process(name: str, below: int | None = None) -> psutil.Process | None:
    """The process of a kernel by its id, None where there is none: its sockets are called after it."""
    for process in [*running("ipykernel_launcher", below), *running(FORK_SERVER, below)]:
        with suppress(psutil.Error):
            sockets = {str(connection.laddr) for connection in process.net_connections("unix")}
            if any(name in text for text in (*process.cmdline(), *sockets)):
                return process
    return None


@contextmanager
def serving(
    command: Sequence[str | Path],
    port: int,
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for the length of a block, entered once it listens; what it says goes to `log`."""
    with log.open("wb") as said:
        server = subprocess.Popen(
            [str(word) for word in command],
            stdout=said,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=env,
            cwd=cwd,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not _listens(port):
            assert server.poll() is None, log.read_text()
            if time.monotonic() > deadline:
                raise TimeoutError(f"Nothing listens on port {port}:\n{log.read_text()}")
            time.sleep(0.1)
        yield server
    finally:
        stop(server)


def stop(
    server: subprocess.Popen[bytes], with_signal: signal.Signals = signal.SIGTERM, seconds: float = 30
) -> set[int]:
    """Ask a server to end and wait for it. Returns the processes it left behind, which are then killed."""
    if server.poll() is not None:
        return set()
    started = psutil.Process(server.pid).children(recursive=True)
    server.send_signal(with_signal)
    try:
        server.wait(seconds)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    _, left = psutil.wait_procs(started, timeout=5)
    for process in left:
        process.kill()
    return {process.pid for process in left}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
