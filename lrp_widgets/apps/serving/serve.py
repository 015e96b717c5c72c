"""Serve an app's notebook with Voila: on loopback, at `/`, and nothing else beside it."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lrp_widgets.apps.serving.capacity import capacity, memory_bound
from lrp_widgets.apps.serving.frames import MOST_BYTES
from lrp_widgets.apps.serving.warm_up import FORKED, reason_against_forks

__all__ = ["APPS", "HOST", "PORT", "notebook", "serve", "settings"]

HOST = "127.0.0.1"
PORT = 8866
MOST_VISITORS = 10_000
HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?|\[[0-9a-f:.]{2,45}\]", re.ASCII | re.IGNORECASE)

# In a wheel the notebooks lie in the package; in a checkout (also one that is installed -e) at its top.
_PACKAGED = Path(__file__).parents[1] / "notebooks"
APPS = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[3] / "notebooks"


def notebook(app: str) -> Path:
    """The notebook of an app, by name. Raises ValueError that lists the apps.

    The metadata of an app's notebook name the template of its page; the other notebooks are reports to be read.
    """
    notebooks = {path.stem: path for path in sorted(APPS.glob("*.ipynb")) if _is_app(path)}
    if app not in notebooks:
        raise ValueError(f"APP must be one of {', '.join(notebooks)}, got {app}.")
    return notebooks[app]


def _is_app(path: Path) -> bool:
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    return metadata.get("voila", {}).get("template") == "lrp"


def check_port(port: int) -> None:
    """Raise a ValueError or OSError that says what to do, where `port` cannot be listened on."""
    if not 1 <= port <= 65535:
        raise ValueError(f"--port must lie in [1, 65535], got {port}.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: a port just left is free
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                other = port + 1 if port < 65535 else PORT
                raise OSError(
                    f"Port {port} of {HOST} is taken. Choose another one, for instance --port {other}."
                ) from None
            if error.errno == errno.EACCES:
                raise OSError(
                    f"Port {port} of {HOST} is not allowed here. Choose one above 1023: --port {PORT}."
                ) from None
            raise


def check_hosts(hosts: Sequence[str]) -> None:
    """Raise ValueError where a name of the server is none."""
    for host in hosts:
        if not HOST_NAME.fullmatch(host):
            raise ValueError(f"--host must be a name such as class.example.org, without http:// and port, got {host}.")


def check_visitors(visitors: int) -> None:
    """Raise ValueError where so many visits cannot be meant."""
    if not 1 <= visitors <= MOST_VISITORS:
        raise ValueError(f"--visitors must lie in [1, {MOST_VISITORS}], got {visitors}.")


def settings(
    port: int, hosts: Sequence[str] = (), visitors: int | None = None, forked: Path | None = None
) -> dict[str, dict[str, Any]]:
    """The configuration of the server, by traitlets class. No configuration file of the user's is read beside it.

    hosts: names by which browsers reach the server, besides those of the loopback address.  visitors: how many pages
    may be open at once; as many as the machine has room for where it is None.  forked: the notebook whose kernels are
    forked from one process that has loaded what it needs; None where each is a Python of its own.
    """
    most = capacity(forked is not None) if visitors is None else visitors
    return {
        "Voila": {
            "ip": HOST,
            "port": port,
            "port_retries": 0,  # the port that the user chose or an error, never another port
            "open_browser": False,
            "log_level": logging.ERROR,  # a warning for every visit says that the notebook's outputs are not signed
            "config_file_paths": [],
            # A closed tab asks for the end of its kernel with a beacon, which carries no _xsrf: with the check it gets
            # 403 and the kernel stays (voila#1458). The only other POST is the login, not in use here, and to end a
            # kernel one has to know its random id.
            "tornado_settings": {"disable_check_xsrf": True, "websocket_max_message_size": MOST_BYTES},
        },
        "Server": {"hosts": [*hosts], "visitors": most},
        "VoilaConfiguration": {
            "template": "lrp",
            "allow_template_override": "NO",
            "theme": "light",  # ?theme=dark overrides it; such a visit waits for a fresh kernel
            "strip_sources": True,
            "show_tracebacks": False,
            "file_allowlist": [],
            # Only what an app draws with: plotly's Lab extension alone is 5 MB, and its figures here are anywidgets.
            "extension_allowlist": [
                "@jupyter-widgets/jupyterlab-manager",
                "@voila-dashboards/widgets-manager8",
                "anywidget",
            ],
            "preheat_kernel": True,
            "page_config_hook": _page_config,
            "multi_kernel_manager_class": "lrp_widgets.apps.serving.kernels.BoundedKernels",
            "default_pool_size": min(2, most),
        },
        # Jupyter keeps signatures of notebooks in the user's home, which may not be writable. None is asked for here.
        "NotebookNotary": {"db_file": ":memory:", "secret": secrets.token_bytes()},
        **_local_transport(),
        # After 4 s, the default, Voila drops a cell's output without a message, and the page stays blank. On a busy
        # computer the hundreds of widgets of an app take longer to reach the server.
        "NotebookClient": {"iopub_timeout": 90},
        # A kernel that replaces a used one starts after the visitor's page has loaded; a fork takes little of its time.
        "VoilaKernelManager": {"fill_delay": 4.0 if forked is None else 0.2},
        "BoundedKernels": {"most_memory": memory_bound(), "warm_notebook": str(forked or "")},
        "KernelProvisionerFactory": {"default_provisioner_name": FORKED} if forked else {},
        # The kernel that would replace one that has died knows nothing of the page: the page says so instead.
        "KernelRestarter": {"restart_limit": 0, "time_to_dead": 0.5},
        "MappingKernelManager": {
            "cull_idle_timeout": 300,
            "cull_interval": 30,
            "cull_connected": False,
            "cull_busy": False,
        },
    }


def _page_config(config: dict[str, Any], **_: Any) -> dict[str, Any]:
    """What the script of the page reads: where the server tells it how its kernel is (see pulse.py)."""
    return config | {"lrpPulse": "/lrp_widgets/pulse/"}


def _local_transport() -> dict[str, dict[str, Any]]:
    """Kernels on Unix sockets, where other users of the machine cannot listen; TCP where there are none."""
    # A socket's path may be about 100 characters: the temporary folder, voila_…, kernel-<36 characters>-ipc-5.
    if os.name != "posix" or len(tempfile.gettempdir()) > 30:
        return {}
    return {"KernelManager": {"transport": "ipc"}}


def serve(
    path: Path,
    port: int = PORT,
    *,
    browser: bool = False,
    hosts: Sequence[str] = (),
    visitors: int | None = None,
    fork: bool = True,
) -> None:
    """Serve one notebook at http://127.0.0.1:`port`/ until Ctrl-C or SIGTERM; its kernels end with it.

    The notebook is copied into an empty folder, the server's root, so that no file beside it is served.
    hosts: names by which a proxy in front of it is reached; requests by any other name are refused.
    visitors: how many pages may be open at once, others wait in a queue; by default what there is memory and time for.
    fork: start kernels as forks of one process, where the system can do that.
    Raises ValueError or OSError where the port cannot be had.
    """
    check_hosts(hosts)
    if visitors is not None:
        check_visitors(visitors)
    check_port(port)
    # Imported here because it takes long: a mistake on the command line is answered before.
    from tornado.ioloop import IOLoop
    from traitlets.config import Config

    from lrp_widgets.apps.serving.server import Server

    with tempfile.TemporaryDirectory(prefix="lrp_widgets-") as root:
        copy = Path(shutil.copy(path, root))
        forked = copy if fork and not reason_against_forks() else None
        # The one instance of the process: the traceback of a failed cell is logged to that one only.
        server = Server.instance(config=Config(settings(port, hosts, visitors, forked)), notebook_path=str(copy))
        try:
            server.initialize(argv=[])
            if fork and (reason := reason_against_forks()):
                print(f"lrp_widgets: each visit starts a Python of its own (--no-fork): {reason}.", file=sys.stderr)
            IOLoop.current().add_callback(
                _announce, path.stem, port, browser, server.visitors
            )  # runs once the server listens
            server.start()
        finally:
            Server.clear_instance()


def _announce(app: str, port: int, browser: bool, visitors: int) -> None:
    address = f"http://{HOST}:{port}/"
    print(f"lrp_widgets: {app} is at {address} (Ctrl-C stops it)")
    visits = "1 visit" if visitors == 1 else f"{visitors} visits"
    print(f"lrp_widgets: room for {visits} at once (--visitors N); --status tells who is here", flush=True)
    # Without a display, webbrowser would open a text browser over the terminal.
    if browser and (
        not sys.platform.startswith("linux") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        webbrowser.open(address)
