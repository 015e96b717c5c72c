"""Many visits at once: when each has its first heatmap, what memory is its own, and whether every pick is answered.

python benchmarks/visits.py [--visits 6] [--picks 5]: forks against a Python for each visit, as a ratio. Every visit is
a page that is loaded and a websocket to its kernel, as a browser has; nothing is painted.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1
from websockets.sync.client import connect
from websockets.typing import Subprotocol

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from serving import free_port, serving

PROTOCOL = Subprotocol("v1.kernel.websocket.jupyter.org")
PATIENCE = 120


class Visit:
    """A page and the connection to its kernel."""

    def __init__(self, address: str) -> None:
        began = time.monotonic()
        with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
            page = answer.read().decode()
            cookie = "; ".join(line.split(";")[0] for line in answer.headers.get_all("Set-Cookie", []))
        kernel = re.search(r'"kernelId": ?"([^"]+)"', page)
        assert kernel, page[:500]
        url = f"{address.replace('http', 'ws')}api/kernels/{kernel[1]}/channels?session_id={uuid.uuid4().hex}"
        self._socket = connect(
            url, subprotocols=[PROTOCOL], additional_headers={"Cookie": cookie}, max_size=None, ping_interval=None
        )
        self._states = self._ask_states()
        self.seconds = time.monotonic() - began  # the first heatmap is among the states

    def _send(self, kind: str, **content: Any) -> None:
        header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": "v", "username": "", "version": "5.3"}
        metadata = {"version": "1.0.0"}  # of the protocol of jupyter.widget.control
        parts = [json.dumps(part).encode() for part in ({**header, "date": ""}, {}, metadata, content)]
        self._socket.send(serialize_msg_to_ws_v1(parts, "shell"))

    def _receive(self) -> tuple[dict[str, Any], dict[str, Any]]:
        _, parts = deserialize_msg_from_ws_v1(self._socket.recv(timeout=PATIENCE))
        return json.loads(parts[0]), json.loads(parts[3])

    def _ask_states(self) -> dict[str, Any]:
        comm = uuid.uuid4().hex
        control = {"comm_id": comm, "target_name": "jupyter.widget.control"}
        self._send("comm_open", **control, data={})
        self._send("comm_msg", comm_id=comm, data={"method": "request_states"})
        while True:
            _, content = self._receive()
            if content.get("comm_id") == comm and content["data"].get("method") == "update_states":
                return content["data"]["states"]

    def _named(self, name: str) -> str:
        return next(
            key for key, one in self._states.items() if one["state"].get("_anywidget_id", "").endswith(f".{name}")
        )

    def pick(self, index: int) -> float:
        """Choose another sample. Returns the seconds until its heatmap came."""
        gallery, heatmap = self._named("Gallery"), self._named("HeatmapView")
        began = time.monotonic()
        state = {"selected": index}
        self._send("comm_msg", comm_id=gallery, data={"method": "update", "state": state, "buffer_paths": []})
        while True:
            _, content = self._receive()
            if content.get("comm_id") == heatmap and "sequence" in content.get("data", {}).get("state", {}):
                return time.monotonic() - began


def measure(options: list[str], visits: int, picks: int) -> dict[str, float]:
    """Figures of one server: seconds and megabytes."""
    port = free_port()
    command = [sys.executable, "-m", "lrp_widgets", "--port", str(port), "--no-browser", *options]
    with serving(command, port, Path(f"/tmp/lrp_visits-{port}.log")), ThreadPoolExecutor(visits) as pool:
        time.sleep(15)  # two kernels are kept ready
        began = time.monotonic()
        opened = [*pool.map(lambda _: Visit(f"http://127.0.0.1:{port}/"), range(visits))]
        last = time.monotonic() - began
        before = own_memory(port)
        answered: list[float] = []
        lock = threading.Lock()

        def play(visit: Visit) -> None:
            for index in range(1, picks + 1):
                seconds = visit.pick(index)
                with lock:
                    answered.append(seconds)

        [*pool.map(play, opened)]
        return {
            "first heatmap of the last visit, s": last,
            "median pick, s": statistics.median(answered),
            "picks answered": len(answered),
            "own memory before moves, MB": before,
            "own memory after moves, MB": own_memory(port),
        }


def own_memory(port: int) -> float:
    """The mean over all visits."""
    code = f"import json; from lrp_widgets.apps.serving.status import status; print(json.dumps(status({port})))"
    told = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    return statistics.mean(visit["memory"] for visit in told["visits"]) / 1e6


def main() -> None:
    """Print both servers side by side."""
    parser = argparse.ArgumentParser(description="Many visits at once, forked or each a Python of its own.")
    parser.add_argument("--visits", type=int, default=6)
    parser.add_argument("--picks", type=int, default=5)
    options = parser.parse_args()
    forked, alone = (measure(flags, options.visits, options.picks) for flags in ([], ["--no-fork"]))
    for name, value in forked.items():
        print(f"{name:<36}{value:>8.2f} forked{alone[name]:>9.2f} alone   ratio {alone[name] / value:.2f}")


if __name__ == "__main__":
    main()
