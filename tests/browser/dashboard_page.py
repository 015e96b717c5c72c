"""The dashboard as a person meets it in a browser: what is seen, and how it is moved."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect

PATIENCE = 120_000  # ms for what should take a blink, on a machine that has other things to do
OPENING = 300_000  # ms until a page stands: a kernel starts, and imports torch
WINDOW = {"width": 1280, "height": 800}
READ = """canvases => canvases.filter(canvas => canvas.width && !canvas.closest("[hidden]")).map(canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const pixels = new Uint32Array(data.buffer);
  let hash = 2166136261;
  for (const pixel of pixels) hash = Math.imul(hash ^ pixel, 16777619);
  return [hash, new Set(pixels).size];
})"""
LAB_READY = """() => {
  const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
  return context?.isReady && context.session?.kernel?.status === "idle";
}"""
# anywidget waits two seconds for the code of a widget, and loses all that the kernel sends to one that took longer. The
# page of the apps gives it more time; JupyterLab's does not, and on a busy machine no curve would ever be drawn there.
PATIENT = """(() => {
  const { timeout } = AbortSignal;
  AbortSignal.timeout = (wait) => timeout.call(AbortSignal, wait === 2000 ? 120000 : wait);
})()"""
# What the page sends may be forged on its way, by words of the same length.
FORGE = """(() => {
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    const [from, to] = window.forged ?? [];
    if (!from) return send.call(this, data);
    const bytes = typeof data === "string" ? data : new Uint8Array(data.buffer ?? data);
    const text = typeof data === "string" ? data : Array.from(bytes, (code) => String.fromCharCode(code)).join("");
    const other = text.replace(from, to);
    if (other === text) return send.call(this, data);
    window.forged = null;
    return send.call(this, typeof data === "string" ? other : Uint8Array.from(other, (letter) => letter.charCodeAt(0)));
  };
})()"""


class Watch:
    """Everything that a page asks for, and everything that goes wrong in it."""

    def __init__(self, page: Page, server: str) -> None:
        self.server = server
        self.asked: list[str] = []
        self.errors: list[str] = []
        page.on("request", self._request)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(f"exception: {error}"))
        page.on("websocket", lambda socket: self.asked.append(socket.url))

    def _request(self, request: Request) -> None:
        self.asked.append(request.url)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url')})")

    @property
    def outside(self) -> list[str]:
        """Requests that left the server."""
        own = (self.server, self.server.replace("http", "ws", 1), f"blob:{self.server}", "data:", "about:")
        return [url for url in self.asked if not url.startswith(own)]


class DashboardPage:
    """One dashboard on a page."""

    def __init__(self, page: Page, place: int = 0) -> None:
        self.page = page
        self.root = page.locator(".lrp-explore").nth(place)
        self.heatmap = self.root.locator(".lrp-heatmap")
        self.status = self.root.locator(".lrp-status")
        self.classes = self.root.locator(".lrp-classes-row")
        self.layers = self.root.locator(".lrp-layers-row")
        self.thumbnails = self.root.locator(".lrp-gallery-option")
        self.pad = self.root.locator(".lrp-drawing-canvas")

    def opened(self, patience: float = OPENING) -> DashboardPage:
        """Wait for the first heatmap."""
        self.heatmap.and_(self.page.locator("[data-sequence]")).wait_for(timeout=patience)
        self.is_ok()
        return self

    def has_curve(self) -> DashboardPage:
        """Wait for the figure, the last thing to load."""
        self.curve.wait_for(state="attached", timeout=OPENING)
        return self

    def is_ok(self) -> None:
        """The status line says so."""
        expect(self.status).to_have_attribute("data-level", "ok", timeout=PATIENCE)

    @property
    def sequence(self) -> int:
        """How many heatmaps were painted."""
        return int(self.heatmap.get_attribute("data-sequence") or -1)

    def pixels(self) -> list[list[int]]:
        """What the visible canvases of the heatmap show: a checksum of the pixels, and how many colours there are."""
        return self.heatmap.locator(".lrp-heatmap-frame canvas").evaluate_all(READ)

    @property
    def curve(self) -> Locator:
        """The line of this explanation in the figure."""
        return self.root.locator(".lrp-curve .scatterlayer .trace").last.locator(".js-line")

    def line(self) -> str:
        """Where that line runs."""
        return self.curve.get_attribute("d") or ""

    @property
    def said(self) -> str:
        """The text of the status line."""
        return self.status.locator(".lrp-status-text").inner_text()

    def told(self) -> str:
        """What the page says of itself, for whoever reads that something did not happen."""
        values = self.root.locator("select").evaluate_all("all => all.map((each) => each.value)")
        return f"status {self.status.get_attribute('data-level')}: {self.said!r}, chosen {values}"

    @property
    def stamp(self) -> str:
        """What stands under the heatmap."""
        return self.heatmap.locator(".lrp-heatmap-stamp").inner_text()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """What is done inside leads to another heatmap, without an error."""
        before = self.sequence
        yield
        wait_until(lambda: self.sequence > before, self.page, lambda: f"a heatmap after {before}; {self.told()}")
        self.is_ok()

    @contextmanager
    def repainted(self) -> Iterator[None]:
        """What is done inside changes the picture, and asks nobody."""
        sequence, before = self.sequence, self.pixels()
        yield
        wait_until(lambda: self.pixels() != before, self.page, "the picture looks different")
        self.page.wait_for_timeout(100)  # an answer that should not come would be here by now
        assert self.sequence == sequence

    def slider(self, name: str) -> Locator:
        """The handle of a slider (the first one of a range)."""
        label = self.page.locator(".widget-label", has_text=re.compile(f"^{re.escape(name)}$"))
        return self.root.locator(".widget-inline-hbox", has=label).locator(".noUi-handle").first

    def select(self, name: str) -> Locator:
        """A drop-down."""
        label = self.page.locator(".widget-label", has_text=re.compile(f"^{re.escape(name)}$"))
        return self.root.locator(".widget-dropdown", has=label).locator("select").first

    def press(self, name: str, key: str = "ArrowRight", times: int = 1) -> None:
        """Move a slider by keyboard."""
        handle = self.slider(name)
        handle.focus()
        for _ in range(times):
            self.page.keyboard.press(key)

    def source(self, name: str) -> None:
        """Show the samples, or the pad."""
        self.root.locator(".widget-toggle-button", has_text=name).click()

    def turn_to(self, page: str) -> None:
        """Have a page in sight."""
        self.root.locator(".lrp-pages-buttons .widget-toggle-button", has_text=re.compile(f"^{page}$")).click()

    def unfold(self, title: str) -> None:
        """Open what is folded away."""
        closed = self.root.locator(".lrp-folded-button", has_text=f"▸ {title}")
        if closed.count():
            closed.first.click()

    def draw(self, *points: tuple[float, float]) -> None:
        """Draw one stroke on the pad, in shares of its side."""
        self.pad.scroll_into_view_if_needed()
        box = self.pad.bounding_box()
        assert box
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        mouse = self.page.mouse
        mouse.move(*places[0])
        mouse.down()
        for place in places[1:]:
            mouse.move(*place, steps=8)
        mouse.up()

    def bring_back(self) -> None:
        """First sample, top class, first method with its defaults, the input's map, the first look."""
        self.source("Samples")
        self.thumbnails.first.click()
        self.root.locator(".lrp-classes-auto input").check()
        self.select("method").select_option(index=0)
        self.root.locator(".lrp-reset").click()
        self.root.locator('.lrp-layers-row[data-name=""]').click()
        self.turn_to("Curve")
        self.turn_to("Rules")
        self.unfold("look")
        self.root.locator(".lrp-look button", has_text="reset").click()
        self.at_rest()

    def at_rest(self) -> None:
        """Wait until nothing is painted any more, and all is well."""
        seen, looks = -2, 0
        while looks < 3:  # one look may fall between two pictures, where both cores are busy
            looks = looks + 1 if seen == self.sequence else 0
            seen = self.sequence
            self.page.wait_for_timeout(250)
            self.is_ok()

    def shows(self, pixels: list[list[int]]) -> None:
        """Wait until the picture is this one."""
        wait_until(lambda: self.pixels() == pixels, self.page, "the picture is the wanted one")

    def shows_not(self, pixels: list[list[int]]) -> None:
        """Wait until the picture is another one."""
        wait_until(lambda: self.pixels() != pixels, self.page, "the picture is another one")

    def explains(self, index: int) -> None:
        """Wait until this class is the one explained."""
        chosen = self.root.locator(".lrp-classes-row[aria-checked=true]")
        expect(chosen).to_have_attribute("data-class", str(index), timeout=PATIENCE)


class Opened:
    """A page and what watches it."""

    def __init__(self, browser: Browser, server: str) -> None:
        self.context = browser.new_context(viewport=WINDOW)  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.set_default_navigation_timeout(OPENING)  # a kernel starts before the page is sent
        self.watch = Watch(self.page, server)

    def dashboard(self, place: int = 0) -> DashboardPage:
        """One of the dashboards on the page."""
        return DashboardPage(self.page, place)

    def check(self) -> None:
        """Nothing went wrong, and nothing was asked for elsewhere."""
        assert not self.watch.outside, self.watch.outside
        assert not self.watch.errors, self.watch.errors


def run_in_lab(page: Page, lab: str, notebook: str) -> None:
    """Open a notebook in a JupyterLab, in a workspace of its own, and run it."""
    page.add_init_script(PATIENT)
    page.goto(f"{lab}lab/workspaces/{notebook}/tree/{notebook}.ipynb")
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=OPENING)
    page.wait_for_function(LAB_READY, timeout=OPENING)  # before that, the command is forgotten or asks for a kernel
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")


def wait_until(
    happened: Callable[[], Any], page: Page, what: str | Callable[[], str], patience: float = PATIENCE
) -> None:
    """Ask again and again until something has happened."""
    waited = 0
    while not happened():
        assert waited < patience, (
            f"Not seen within {patience / 1000:.0f} s: {what if isinstance(what, str) else what()}."
        )
        page.wait_for_timeout(20)
        waited += 20
