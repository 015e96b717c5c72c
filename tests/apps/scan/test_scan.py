"""The scan app without a browser: it shows what lw.sliding_window gives, and whoever moves it is served first."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.apps.scan import scan as scan_app
from lrp_widgets.apps.scan.scan import Scan
from lrp_widgets.methods.sliding_window import cut_window

PATIENCE = 120.0  # s: far longer than anything here takes
SIDE = 6


class Network(nn.Module):
    """Three classes of 6×6 pixels; it counts its rows, does what it is told before each run, and raises if told."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
        self.rows, self.trouble = 0, ""
        self.before: Callable[[], None] = lambda: None
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        self.before()
        if self.trouble:
            raise RuntimeError(self.trouble)
        self.rows += len(x)
        return self.layers(x)


@pytest.fixture(scope="module")
def photos() -> list[lw.Samples]:
    torch.manual_seed(1)
    return [lw.Samples(torch.rand(1, 1, *shape), classes=("cup", "lamp", "door")) for shape in ((40, 31), (24, 52))]


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def app(network, photos) -> Iterator[Scan]:
    app = lw.scan(network, photos, side=SIDE, target=1, stride=2, window=(0.3, 0.6), sizes=2)
    assert app.settled(PATIENCE)
    yield app
    app.close()


def elsewhere(*acts: Callable[[], None]) -> Callable[[], None]:
    """Calls each of these once, one a call, on another thread than the worker's: as whoever moves something."""
    left = iter(acts)

    def act() -> None:
        for each in left:
            thread = threading.Thread(target=each)
            thread.start()
            thread.join()
            return

    return act


def moved(app: Scan, part: Any, **state: Any) -> None:
    """Move one control the way a browser does, and wait for the answer."""
    part.set_state(state)
    assert app.settled(PATIENCE)
    assert app.status.level == "ok", app.status.text


def wanted(app: Scan, photo: Tensor, target: Any = 1, **windows: Any) -> list[lw.WindowMap]:
    shorter = min(photo.shape[2:])
    given = {"stride": 2, "scales": [SIDE / (shorter * part) for part in (0.3, 0.6)], **windows}
    explainer = lw.Explainer(app.controls.subject.explainer.model)
    return list(lw.sliding_window(explainer, photo, target, app.asked.method, side=SIDE, **given))


def shows(app: Scan, found: lw.WindowMap) -> None:
    assert app.found is not None and app.found.target == found.target
    scale = np.abs(found.heatmap()).max()
    np.testing.assert_allclose(app.heatmap.relevance, found.heatmap(), atol=1e-6 * scale, rtol=1e-6)
    np.testing.assert_allclose(app.scores.relevance, found.score_map, rtol=1e-6, atol=1e-6)


def test_it_shows_every_map_of_the_sliding_window_coarse_first(network, photos):
    strides: list[str] = []
    app = lw.scan(network, photos, side=SIDE, target=1, stride=1, window=(0.3, 0.6), sizes=2)
    try:
        app.heatmap.observe(lambda _: strides.append(app.heatmap.stamp.split("stride ")[-1][:1]), "sequence")
        assert app.settled(PATIENCE)
        maps = wanted(app, photos[0].inputs, stride=1)
        assert [int(stride) for stride in strides if stride.isdigit()][-2:] == [2, 1]
        assert [found.stride for found in maps] == [4, 2, 1]
        shows(app, maps[-1])
        assert app.status.text.startswith(f"3 maps, {len(maps[-1].values):,} windows in ")
        assert f"f = {maps[-1].f:.3g}".replace("-", "−") in app.heatmap.stamp
        assert f"{len(maps[-1].values):,} windows of 9.3 to 19 px · stride 1 px of 6" in app.heatmap.stamp
        assert (
            app.bar.value == 1 and app.progress.value == f"{len(maps[-1].values):,} of {len(maps[-1].values):,} windows"
        )
        assert app.heatmap.image == bytes((photos[0].inputs[0, 0] * 255).round().to(torch.uint8).flatten().tolist())
    finally:
        app.close()


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        (lambda app: moved(app, app.controls.windows["stride"].inner, value=5), {"stride": 5}),
        (lambda app: moved(app, app.controls.windows["window"].inner, value=[0.5, 0.5]), {"scales": [6 / 15.5] * 1}),
        (lambda app: moved(app, app.controls.windows["sizes"].inner, value=1), {"scales": [6 / (31 * 0.18**0.5)]}),
        (lambda app: moved(app, app.controls.windows["only_top"].inner, value=True), {"only_top": True}),
        (lambda app: moved(app, app.controls.target, index=3), {"target": 2}),
        (lambda app: moved(app, app.controls.target, index=0), {"target": None}),
        (lambda app: moved(app, app.controls.against, index=3), {"target": lw.contrast(1, 2)}),
    ],
    ids=["stride", "window", "sizes", "only top", "class", "top class", "against"],
)
def test_every_control_does_what_it_says(app, photos, move, expected):
    move(app)
    if "scales" in expected and len(expected["scales"]) == 1 and app.asked.windows.sizes == 2:
        expected = {"scales": expected["scales"] * 2}
    shows(app, wanted(app, photos[0].inputs, **expected)[-1])


def test_another_method_and_a_photo_of_another_size(app, photos):
    index = list(app.controls.methods.picker.options).index("Gradient")
    moved(app, app.controls.methods.picker, index=index)
    moved(app, app.controls.source.gallery, selected=1)
    assert app.asked.method == lw.Gradient() and app.heatmap.shape == [24, 52]
    shows(app, wanted(app, photos[1].inputs)[-1])


def test_the_best_windows_are_framed_and_explained_by_themselves(app, network, photos):
    found = app.found
    best = found.best(5, 0.1)
    assert app.heatmap.boxes == found.boxes[best].tolist() and app.heatmap.box == 0
    assert len(app.best.captions) == len(best) > 1
    moved(app, app.best, selected=1)
    x = cut_window(photos[0].inputs, found.boxes[best[1]], SIDE)
    alone = lw.Explainer(network).explain(x, 1, app.asked.method)
    np.testing.assert_allclose(app.window.relevance, alone.heatmap(), rtol=1e-5, atol=1e-7)
    assert float(alone.explained) == pytest.approx(found.values[best[1]], rel=1e-4)
    assert app.heatmap.box == 1 and app.window.stamp.startswith("2: ")
    assert " · top: lamp " in app.window.stamp or " · top: cup " in app.window.stamp or "door" in app.window.stamp


def test_a_click_into_a_frame_looks_into_that_window_and_scans_nothing(app, network):
    rows, sequence = network.rows, app.heatmap.sequence
    top, left, bottom, right = app.heatmap.boxes[1]
    moved(app, app.heatmap, clicked={"x": int((left + right) / 2), "y": int((top + bottom) / 2), "count": 1})
    assert app.asked.rank == app.best.selected == 1
    assert (app.heatmap.sequence, network.rows) == (sequence, rows + 1)


def test_whoever_moves_the_stride_abandons_the_scan(app, network, photos):
    rows = len(wanted(app, photos[0].inputs, stride=1)[-1].values)
    act = elsewhere(lambda: app.controls.windows["stride"].inner.set_state({"value": 6}))
    began = network.rows
    network.before = lambda: act() if network.rows > began + rows // 2 else None  # in the midst of the finest map
    strides: list[str] = []
    app.heatmap.observe(lambda _: strides.append(app.heatmap.stamp.split("stride ")[1]), "sequence")
    app.controls.windows["stride"].inner.set_state({"value": 1})
    assert app.settled(PATIENCE)
    assert app.asked.windows.stride == 6 and app.status.level == "ok"
    assert [stride[:4] for stride in strides] == ["4 px", "2 px", "6 px"]
    network.before = lambda: None
    assert network.rows < began + rows  # the rest of the finest map was never run
    shows(app, wanted(app, photos[0].inputs, stride=6)[-1])


def test_to_look_into_a_window_interrupts_nothing(app, network):
    act = elsewhere(lambda: app.best.set_state({"selected": 1}))
    shown: list[tuple[str, str]] = []
    app.window.observe(lambda _: shown.append((app.window.stamp[:2], app.status.level)), "sequence")
    app.heatmap.observe(lambda _: setattr(network, "before", act), "sequence")
    app.controls.windows["stride"].inner.set_state({"value": 1})
    assert app.settled(PATIENCE)
    assert ("2:", "busy") in shown  # before the finest map was there
    assert app.found.stride == 1 and app.status.text.startswith("3 maps")


def test_it_can_be_stopped_and_goes_on(app, network):
    act = elsewhere(lambda: app.halt.set_state({"value": True}))
    app.heatmap.observe(
        lambda _: setattr(network, "before", act) if "stride 4 px" in app.heatmap.stamp else None,
        "sequence",
    )
    app.controls.windows["stride"].inner.set_state({"value": 1})
    assert app.settled(PATIENCE)
    assert app.status.text == "stopped at a stride of 4 px" and app.found.stride == 4
    moved(app, app.halt, value=False)
    assert app.found.stride == 1


def test_an_error_is_said_as_it_is_and_the_next_move_clears_it(app, network):
    network.trouble = "no mood"
    app.controls.windows["stride"].inner.set_state({"value": 3})
    assert app.settled(PATIENCE)
    assert (app.status.level, app.status.text) == (
        "error",
        "RecordingError: Network raised RuntimeError on an input of shape (1, 1, 6, 6): no mood",
    )
    assert app.status.remedy == "What was found before stays; any move tries again."
    assert (app.heatmap.stale, app.scores.stale, app.window.stale) == (True, True, True)
    network.trouble = ""
    moved(app, app.controls.windows["stride"].inner, value=2)
    assert (app.heatmap.stale, app.scores.stale, app.window.stale) == (False, False, False)


def test_errors_are_worded_by_who_raises_them(network, photos):
    coloured = lw.scan(network, [torch.rand(1, 3, 20, 20)], side=SIDE)
    assert coloured.settled(PATIENCE)
    assert coloured.status.level == "error" and "to have 1 channels, but got 3 channels" in coloured.status.text
    coloured.close()
    strange = lw.scan(network, photos, side=SIDE, target=7)
    assert strange.settled(PATIENCE)
    assert strange.status.text == "IndexError: target must lie in [0, 2], the model's outputs, got 7."
    strange.close()


def test_a_class_against_itself_is_told(app):
    app.controls.against.set_state({"index": 2})
    assert app.settled(PATIENCE)
    assert app.status.text == "ValueError: contrast(a, b) needs two different classes, got 1 twice."


def test_what_a_browser_forges_is_refused_and_stays_to_be_read(app):
    stride = app.asked.windows.stride
    app.controls.windows["stride"].inner.set_state({"max": 99, "value": 50})
    assert app.settled(PATIENCE)
    assert app.asked.windows.stride == stride
    assert app.status.text == "ValueError: Windows.stride must lie in [1, 6], got 50."
    app.best.set_state({"selected": 77})
    assert app.settled(PATIENCE)
    assert app.status.text.startswith("ValueError: Gallery.selected must lie in [-1, ")


def test_undo_and_redo(app):
    first = app.asked
    moved(app, app.controls.windows["stride"].inner, value=3)
    moved(app, app.toolbar, pressed={"name": "undo", "count": 1})
    assert app.asked == first and app.controls.windows["stride"].value == 2
    moved(app, app.toolbar, pressed={"name": "redo", "count": 2})
    assert app.asked.windows.stride == app.found.stride == 3
    assert app.toolbar.disabled == ["redo"]


def file_of(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_a_photo_of_the_visitors_of_any_size(app):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 44, 3), np.uint8)
    moved(app, app.controls.source.upload, content=file_of(pixels), filename="mine.png", sequence=1)
    assert app.heatmap.shape == [30, 44]
    assert app.controls.source.upload.said == "mine.png: 44 × 30, RGB → made grey"
    grey = torch.from_numpy(pixels / 255 @ [0.299, 0.587, 0.114])[None, None].float()
    shows(app, wanted(app, grey)[-1])
    app.controls.source.upload.set_state({"content": b"no picture", "filename": "a.png", "sequence": 2})
    assert app.settled(PATIENCE)
    assert app.status.level == "error" and "a.png must be a PNG, JPEG, WebP or NPY file" in app.status.text
    moved(app, app.controls.source.pages.buttons, index=0)
    assert app.heatmap.shape == [40, 31]


def test_the_examples_find_what_they_look_for():
    app = lw.scan()
    try:
        assert app.settled(PATIENCE)
        top, left, bottom, right = app.heatmap.boxes[0]
        assert top < 130 < bottom and left < 222 < right  # the nose of the astronaut
        assert app.heatmap.stamp.startswith("face against no face · f = ")
        app.subject.set_state({"index": 1})
        assert app.settled(PATIENCE)
        assert app.status.level == "ok" and app.heatmap.stamp.startswith("cat · f = ")
        assert app.heatmap.shape == [300, 451] and app.controls.subject.side == 32
        moved(app, app.toolbar, pressed={"name": "undo", "count": 1})
        assert app.subject.index == 0 and app.heatmap.shape == [512, 512]
    finally:
        app.close()


def test_an_example_that_cannot_be_had_is_told(monkeypatch, network, photos):
    def broken() -> Any:
        raise FileNotFoundError("the photographs are missing")

    monkeypatch.setattr(scan_app, "EXAMPLES", (scan_app.EXAMPLES[0], ("nothing", broken)))
    app = lw.scan()
    try:
        app.halt.set_state({"value": True})
        app.subject.set_state({"index": 1})
        assert app.settled(PATIENCE)
        assert app.status.text == "ValueError: the photographs are missing" and app.subject.index == 0
    finally:
        app.close()
