"""How the kernel of a visit starts: as a fork of a process that has loaded what an app needs, or as a new process."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from importlib.metadata import EntryPoint
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import psutil
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from lrp_widgets.apps.serving.warm_up import FORKED, ONE_THREAD

__all__ = ["ForkProvisioner", "ForkServer", "register"]

LAUNCHER = ["-m", "ipykernel_launcher"]
WARM_UP = 120.0  # s until the fork server is ready, on a busy machine
ANSWER = 20.0  # s until it has forked
OWN_STREAMS = ("stdin", "stdout", "stderr", "preexec_fn")  # whoever asks for these gets a process of its own


def register() -> None:
    """Make the provisioner known in this process alone: other Jupyter servers of the user have no fork server."""
    KernelProvisionerFactory.provisioners[FORKED] = EntryPoint(
        FORKED, f"{__name__}:{ForkProvisioner.__name__}", KernelProvisionerFactory.GROUP_NAME
    )


class ForkError(OSError):
    """No kernel could be forked; the message says why."""


class ForkServer:
    """The process that kernels are forked from. It is started when it is first needed, and anew where it has ended.

    notebook: the app; what its cells import and read is there in every kernel from the start.
    most_memory: bytes that it and each kernel may take; 0 for no bound.
    """

    def __init__(self, notebook: Path, most_memory: int = 0) -> None:
        self._notebook, self._most_memory = notebook, most_memory
        self._closed = False
        self._turn = threading.Lock()  # one order at a time
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Any = None
        self._told = False
        self.refused = ""  # why kernels cannot be forked, once that is certain

    @property
    def pid(self) -> int | None:
        """The id of the process that runs, None where none does."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def fork(self, argv: list[str], env: dict[str, str], cwd: str | None) -> int:
        """Start a kernel. Returns its process id, which is that of its process group too.

        argv: of Jupyter's kernel, without the interpreter.  env, cwd: as of subprocess.Popen.
        Raises ForkError where it cannot be forked. It blocks: call it on a thread of its own.
        """
        order = json.dumps({"argv": argv, "env": env, "cwd": cwd, "server": os.getpid()}).encode()
        with self._turn:
            for _ in range(2):  # one that has ended is noticed when it is written to
                self._ensure_ready()
                try:
                    self._connection.send_bytes(order)
                    return int(self._receive(ANSWER))
                except (OSError, EOFError):
                    self._end()
        raise ForkError("the process that kernels are forked from ends again and again")

    def tell(self, error: OSError) -> None:
        """Tell the person who started the server, once, that kernels start without a fork."""
        if not self._told:
            print(f"lrp_widgets: each visit starts a Python of its own (--no-fork): {error}.", file=sys.stderr)
        self._told = True

    def close(self) -> None:
        """End the process and its kernels, and start no other one."""
        self._closed = True
        if (pid := self.pid) is not None:
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                process.suspend()  # it forks no more
                for kernel in process.children(recursive=True):
                    with suppress(psutil.Error):
                        kernel.kill()
                process.kill()  # whoever waits for an answer waits no longer
        with self._turn:
            self._end()

    def _ensure_ready(self) -> None:
        if self.pid is not None and not self._closed:
            return
        self._end()
        if self._closed:
            raise ForkError("the server ends")
        if not self.refused:
            try:
                self._start()
                self.refused = self._receive(WARM_UP).decode()
            except (OSError, EOFError) as error:
                self._end()
                self.refused = str(error) or "the process that kernels are forked from ends before it is ready"
        if self.refused:
            self._end()
            raise ForkError(self.refused)

    def _start(self) -> None:
        self._connection, theirs = Pipe()
        command = [sys.executable, "-P", "-m", "lrp_widgets.apps.serving.fork_server"]
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(self._notebook), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                env=os.environ | ONE_THREAD | {"PYTORCH_NVML_BASED_CUDA_CHECK": "1"},  # ask without loading the driver
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C in the terminal is for the server
            )
        if self._most_memory:
            psutil.Process(self._process.pid).rlimit(psutil.RLIMIT_DATA, (self._most_memory, self._most_memory))

    def _receive(self, seconds: float) -> bytes:
        if not self._connection.poll(seconds):
            raise ForkError(f"the process that kernels are forked from does not answer within {seconds:.0f} s")
        return self._connection.recv_bytes()

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._connection = self._process = None


class _Process:
    """What Jupyter asks of a subprocess.Popen, for a process that another one has started."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        """Raises OSError where it has ended already."""
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)  # stands for this process also when another one has got its id
        self._ends = select.poll()
        self._ends.register(self._descriptor, select.POLLIN)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """None while it runs. How it ended is told to the process that started it alone: -1 stands for any end."""
        if self.returncode is None and self._ends.poll(0):
            os.close(self._descriptor)
            self.returncode = -1
        return self.returncode

    def wait(self) -> int:
        """Wait for its end."""
        if self.returncode is None:
            self._ends.poll()
        return self.poll() or -1

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._descriptor, number)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


class ForkProvisioner(LocalProvisioner):
    """Jupyter's provisioner, which forks a kernel of this Python; any other one starts as a process of its own."""

    @property
    def fork_server(self) -> ForkServer | None:
        """That of the manager of all kernels; None where there is none."""
        return getattr(getattr(self.parent, "parent", None), "fork_server", None)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel."""
        server = self.fork_server
        argv = _arguments(cmd)
        if server is None or argv is None or any(kwargs.get(name) is not None for name in OWN_STREAMS):
            return await super().launch_kernel(cmd, **kwargs)
        env, cwd = kwargs.get("env") or dict(os.environ), kwargs.get("cwd")
        try:
            pid = await asyncio.to_thread(server.fork, argv, env, None if cwd is None else str(cwd))
            self.process = _Process(pid)
        except OSError as error:
            server.tell(error)
            return await super().launch_kernel(cmd, **kwargs)
        self.pid = self.pgid = pid
        self.cwd = kwargs.get("cwd", Path.cwd())
        return self.connection_info


def _arguments(cmd: list[str]) -> list[str] | None:
    """The arguments of the kernel that a command starts with this Python and nothing special; else None."""
    python, *rest = cmd
    rest = [word for word in rest if not word.startswith("-X")]
    is_ours = python == sys.executable and rest[: len(LAUNCHER)] == LAUNCHER  # Jupyter writes the path of its own
    return rest[len(LAUNCHER) :] if is_ours else None
