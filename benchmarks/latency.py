"""How long a person waits: python benchmarks/latency.py [moves] [voila] [lab] [open] (all of them by default).

moves: 100 slider moves at 5 ms in this process, no browser; the lag after the last one.
voila, lab: from a key on a slider to the frame with the new heatmap, in Chromium.
open: from GET to the first heatmap and to the curve in Voila with kernels kept ready, and what was sent until then.
Needs the extra `test` and a quiet machine.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from lrp_widgets.apps.serving.serve import notebook

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from serving import free_port, serving

MOVES, VISITS = 30, 5
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
# Notes the times of keys, and of the frames in which a heatmap was painted; marks what happens on the way there.
CLOCK = """(() => {
  const seen = window.seen = { keys: [], frames: [], marks: {} };
  const mark = (name) => (seen.marks[name] ??= performance.now());
  addEventListener("keydown", (event) => seen.keys.push(event.timeStamp), true);
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) { mark("first message to the kernel"); return send.call(this, data); };
  let sequence = null;
  new MutationObserver(() => {
    if (document.querySelector("#rendered_cells")) mark("page shell");
    if (document.querySelector(".jp-OutputArea-output > *")) mark("output area");
    if (document.querySelector(".lrp-explore")) mark("dashboard laid out");
    if (document.querySelector(".lrp-curve .scatterlayer .js-line")) mark("curve");
    const now = document.querySelector(".lrp-heatmap")?.dataset.sequence ?? null;
    if (now === sequence) return;
    sequence = now;
    requestAnimationFrame(() => { mark("first heatmap"); seen.frames.push(performance.now()); });
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-sequence", "d"] });
})()"""
READY = """() => {
  const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
  return context?.isReady && context.session?.kernel?.status === "idle";
}"""


def spread(times: list[float]) -> str:
    """Median and 95th percentile."""
    ordered = sorted(times)
    return f"{statistics.median(ordered):6.1f} {ordered[int(0.95 * (len(ordered) - 1))]:6.1f} {ordered[-1]:6.1f}"


def moves() -> None:
    """The lag after 100 moves of α at 5 ms, ten times over."""
    import lrp_widgets as lw

    dashboard = lw.explore(lw.demo.models.digits_cnn(), lw.demo.data.digits())
    dashboard.settled()
    inner = dashboard.methods.editor.control("alpha").inner
    painted: list[float] = []
    dashboard.heatmap.observe(lambda _: painted.append(time.perf_counter()), "sequence")
    heatmap, everything, paints = [], [], []
    for _ in range(10):
        before = len(painted)
        for i in range(100):
            inner.set_state({"value": 1 + (37 * i % 41) / 20})
            time.sleep(0.005)
        last = time.perf_counter() - 0.005
        dashboard.settled()
        heatmap.append(1000 * max(0.0, painted[-1] - last))
        everything.append(1000 * (time.perf_counter() - last))
        paints.append(len(painted) - before)
    print("100 slider moves at 5 ms, ms after the last one (median, p95, largest of 10)")
    print(f"  heatmap                  {spread(heatmap)}")
    print(f"  with the curve           {spread(everything)}")
    print(f"  moves shown of 100       {statistics.median(paints):6.0f}")
    dashboard.close()


@contextmanager
def voila() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The app as the command line serves it."""
    port = free_port()
    command = [sys.executable, "-m", "lrp_widgets", "--port", str(port), "--no-browser", "explore"]
    with tempfile.TemporaryDirectory() as folder, serving(command, port, Path(folder) / "log") as server:
        wait_until_quiet(server)
        yield f"http://127.0.0.1:{port}/", server


@contextmanager
def lab() -> Iterator[str]:
    """The notebook of the app in a JupyterLab of its own."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        root.mkdir()
        shutil.copy(notebook("explore"), root)
        options = {
            "ServerApp.port": port, "ServerApp.open_browser": False, "ServerApp.allow_root": True,
            "ServerApp.root_dir": root, "IdentityProvider.token": "", "LabApp.expose_app_in_browser": True,
            "LabApp.workspaces_dir": f"{folder}/workspaces", "LabApp.user_settings_dir": f"{folder}/settings",
        }  # fmt: skip
        command = [sys.executable, "-m", "jupyterlab", *(f"--{name}={value}" for name, value in options.items())]
        with serving(command, port, Path(folder) / "log"):
            yield f"http://127.0.0.1:{port}/lab/tree/explore.ipynb"


def wait_until_quiet(server: subprocess.Popen[bytes], patience: float = 90) -> None:
    """Wait until two kernels are ready and neither they nor the server have anything to do."""
    quiet, deadline = 0, time.monotonic() + patience
    while quiet < 4 and time.monotonic() < deadline:
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        before = sum(sum(process.cpu_times()[:2]) for process in processes)
        time.sleep(0.75)
        try:
            busy = sum(sum(process.cpu_times()[:2]) for process in processes) - before
        except psutil.NoSuchProcess:
            busy = 1.0
        quiet = quiet + 1 if len(processes) >= 3 and busy < 0.08 else 0


def keys(page: Page) -> None:
    """From a key on the α slider to the frame that shows the new heatmap."""
    page.wait_for_selector(".lrp-curve .scatterlayer .js-line", state="attached", timeout=120_000)
    page.wait_for_timeout(3000)
    page.locator(".lrp-explore .noUi-handle").first.focus()
    for pause in (300, 40):
        waits, lost = [], 0
        for i in range(MOVES + 3):
            frames = page.evaluate("seen.frames.length")
            page.keyboard.press("ArrowRight" if i % 30 < 15 else "ArrowLeft")
            try:
                page.wait_for_function(f"seen.frames.length > {frames}", timeout=5000, polling="raf")
            except Exception:
                lost += 1
                continue
            waits.append(page.evaluate(f"seen.frames[{frames}] - seen.keys.at(-1)"))
            page.wait_for_timeout(pause)
        after = "at leisure" if pause == 300 else "while the curve is still being drawn"
        print(f"  {after:38} {spread(waits[3:])}" + (f"  ({lost} without an answer)" if lost else ""))


def in_voila(browser: Browser) -> None:
    """Key to paint in Voila."""
    print("slider key to painted heatmap in Voila, ms (median, p95, largest of 30)")
    with voila() as (address, server):
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.add_init_script(CLOCK)
        page.goto(address)
        page.wait_for_selector(".lrp-heatmap[data-sequence]", timeout=120_000)
        wait_until_quiet(server)
        keys(page)
        page.close()


def in_lab(browser: Browser) -> None:
    """Key to paint in JupyterLab."""
    print("slider key to painted heatmap in JupyterLab, ms (median, p95, largest of 30)")
    with lab() as address:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.add_init_script(CLOCK)
        page.goto(address)
        page.wait_for_function(READY, timeout=120_000)
        page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
        page.wait_for_selector(".lrp-heatmap[data-sequence]", timeout=120_000)
        keys(page)
        page.close()


def visit(browser: Browser, address: str) -> dict[str, float]:
    """One visit with an empty cache: times in ms since the GET, bytes in MB until the first heatmap."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.add_init_script(CLOCK)
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    frames: list[tuple[float, int, str]] = []
    loaded: list[tuple[float, float]] = []
    started: list[float] = []

    def frame(event: dict[str, Any]) -> None:
        payload = event["response"]["payloadData"]
        size = len(payload) * 3 // 4 if event["response"]["opcode"] == 2 else len(payload)
        frames.append((event["timestamp"], size, payload))

    wire.on("Network.requestWillBeSent", lambda event: started.append(event["timestamp"]))
    wire.on("Network.webSocketFrameReceived", frame)
    wire.on("Network.dataReceived", lambda event: loaded.append((event["timestamp"], event["encodedDataLength"])))
    page.goto(address, wait_until="commit")
    page.wait_for_function("seen.marks['first heatmap']", timeout=120_000)
    page.wait_for_function("seen.marks['curve']", timeout=120_000)
    marks = page.evaluate(
        """() => {
          const [page] = performance.getEntriesByType("navigation");
          const scripts = performance.getEntriesByType("resource").filter((entry) => /\\.js/.test(entry.name));
          return { "first byte of the page": page.responseStart, "last byte of the page": page.responseEnd,
            "last script": Math.max(...scripts.filter((entry) => entry.responseEnd < seen.marks["first heatmap"])
              .map((entry) => entry.responseEnd)), ...seen.marks };
        }"""
    )
    painted = started[0] + marks["first heatmap"] / 1000
    marks["websocket: first frame"] = 1000 * (frames[0][0] - started[0])
    marks["websocket: last frame before it"] = 1000 * (max(at for at, *_ in frames if at < painted) - started[0])
    marks["MB over the websocket"] = sum(size for at, size, _ in frames if at < painted) / 1e6
    marks["MB over HTTP"] = sum(size for at, size in loaded if at < painted) / 1e6
    marks["MB in all until the curve"] = sum(size for _, size, _ in frames) / 1e6
    context.close()
    return marks


def open_page(browser: Browser) -> None:
    """GET to the first heatmap and to the curve, with kernels kept ready."""
    with voila() as (address, server):
        visits = []
        for _ in range(VISITS + 1):
            wait_until_quiet(server)
            time.sleep(5)  # a kernel that replaces a used one starts some seconds later
            wait_until_quiet(server)
            visits.append(visit(browser, address))
    print(f"from GET in Voila, kernels kept ready, empty cache: median and largest of {VISITS}")
    warm = visits[1:]
    order = sorted(warm[0], key=lambda name: (name.startswith("MB"), statistics.median(v[name] for v in warm)))
    for name in order:
        values = [marks[name] for marks in warm]
        unit = "MB" if name.startswith("MB") else "ms"
        print(f"  {name:34} {statistics.median(values):8.1f} {max(values):8.1f} {unit}")


def main(parts: list[str]) -> None:
    """Measure what is asked for."""
    parts = parts or ["moves", "voila", "lab", "open"]
    if unknown := set(parts) - {"moves", "voila", "lab", "open"}:
        sys.exit(f"Nothing is called {', '.join(sorted(unknown))}. {__doc__}")
    if "moves" in parts:
        moves()
    if {"voila", "lab", "open"} & set(parts):
        installed = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=installed, args=FLAGS)
            for name, measure in (("open", open_page), ("voila", in_voila), ("lab", in_lab)):
                if name in parts:
                    measure(browser)
            browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
