"""One HTML file that moves without Python: maps of many slider positions, made in advance, and where they are from."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from traitlets import Bytes

from lrp_widgets.apps.session.cores import cores_for
from lrp_widgets.apps.session.formatting import equations, picture_of, stamp, target_text
from lrp_widgets.apps.session.offered import image_of
from lrp_widgets.apps.sharing.positions import Grid, grid_of
from lrp_widgets.apps.sharing.snippet import expression
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.method import never
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.methods import LRP
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import HeatmapView
from lrp_widgets.widgets.browser import BrowserWidget, module, style, to_uint8

__all__ = ["export_html", "installed", "model_digest"]

PARTS = Path(__file__).parent / "exported"
MOST_BYTES = 3_000_000
MOST_PASSES = 64  # positions of a method that is no LRP: each of them may run the model many times
MOST_MAPS = 2000  # positions of LRP: small maps of a layer would leave room for a hundred thousand
BROKEN = -32768  # stands for a number that is not finite; the largest |R| of a map is 32767
OWN = "export default { render };"
Progress = Callable[[int, int], None]


def export_html(
    explainer: Explainer,
    x: Tensor,
    settings: Any,
    samples: Samples,
    *,
    look: Mapping[str, Any] | None = None,
    date: str = "",
    code: str = "",
    positions: int = 21,
    most_bytes: int = MOST_BYTES,
    progress: Progress = lambda done, of: None,
    abandoned: Callable[[], bool] = never,
) -> str:
    """A page on its own: the map of x at every position of the sliders of settings.method, moved without a kernel.

    x: one input, the one of settings.sample.  settings: sample, method, target and layer.  look: traits of the
    HeatmapView, by name.  date: when it was made, as it shall be read.  code: the Python that makes the map again.
    positions: the most of one slider.  most_bytes: of all maps in the file; larger pictures get fewer positions, and
    where there are few, one slider moves at a time.
    progress: called with the positions made, and of how many.  abandoned: asked before each; where it says True,
    Abandoned is raised. The explainer is not used itself, so that it answers others meanwhile.
    Raises ValueError where not even a few positions fit, and what Explainer.explain raises.
    """
    own = Explainer(explainer.model, explainer.output)
    with cores_for(own.model, x):
        first = own.explain(x, settings.target, settings.method, abandoned)
        picture = picture_of(first, settings.layer)
        most = most_bytes // (picture.size * 8 // 3)  # two bytes a number, four letters for three bytes
        most = min(most, MOST_MAPS if isinstance(settings.method, LRP) else MOST_PASSES)
        grid = grid_of(settings.method, most, positions)
        made = _Made()
        known: dict[Any, int] = {}
        for done, method in enumerate(grid):
            progress(done, len(grid))
            if abandoned():
                raise Abandoned
            if method not in known:  # one slider at a time, all of them stand once where they stand now
                known[method] = len(made.maps)
                made.add(own.explain(x, settings.target, method, abandoned), settings.layer)
            made.order.append(known[method])
    progress(len(grid), len(grid))
    image = None if settings.layer else image_of(x[0], samples)
    names = tuple(samples.name(i) for i in range(first.scores[0].numel()))
    title = f"{type(explainer.model).__name__} · relevance of {settings.layer or 'the input'} for class "
    title += target_text(first, names)
    facts = _manifest(explainer.model, settings, first, grid, made, samples, names)
    facts += [("Date", date)] if date else []
    return _page(title, _data(grid, made, picture, image, look or {}, title), facts, code)


def model_digest(model: nn.Module) -> str:
    """sha256 over the names and bytes of a model's parameters and buffers, in the order of its state_dict."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode() + b"\0")
        if isinstance(tensor, Tensor):
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        else:  # what a module keeps beside its tensors
            digest.update(repr(tensor).encode())
    return digest.hexdigest()


@dataclass
class _Made:
    """Maps and words, each written once."""

    maps: list[bytes] = field(default_factory=list)  # int16, little-endian
    scales: list[float] = field(default_factory=list)  # of one step of a map
    stamps: list[str] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)  # equations
    said: list[list[int]] = field(default_factory=list)  # the lines of each map
    order: list[int] = field(default_factory=list)  # the map of each position
    error: float = 0.0  # of the rounding, as a share of the largest |R|

    def add(self, explanation: Explanation, layer: str) -> None:
        values = np.asarray(picture_of(explanation, layer), np.float64)
        finite = np.isfinite(values)
        largest = float(np.abs(values[finite]).max(initial=0.0))
        scale = largest / 32767
        steps = np.where(finite, np.round(np.where(finite, values, 0) / (scale or 1.0)), BROKEN).astype("<i2")
        if largest:
            self.error = max(self.error, float(np.abs(steps * scale - values)[finite].max()) / largest)
        lines = re.findall(r'<div class="lrp-equation">.*?</div></div>', equations(explanation))
        self.maps.append(steps.tobytes())
        self.scales.append(scale)
        self.stamps.append(stamp(explanation))
        self.said.append([self.lines.setdefault(line, len(self.lines)) for line in lines])


def _data(
    grid: Grid, made: _Made, picture: np.ndarray, image: np.ndarray | None, look: Mapping[str, Any], description: str
) -> dict[str, Any]:
    traits = HeatmapView.class_traits(sync=True)
    own = traits.keys() - BrowserWidget.class_traits(sync=True).keys()  # what the widget's module asks for
    plain = {name: traits[name].default() for name in own if not isinstance(traits[name], Bytes)}
    pixels = None if image is None else to_uint8("export_html: image", image if image.ndim == 3 else image[..., None])
    view = {**plain, "size": 420, **look, "shape": list(picture.shape), "description": description}
    view["image_shape"] = [0, 0, 0] if pixels is None else list(pixels.shape)
    axes = [{"label": axis.label, "said": axis.said(grid.method), "at": axis.at, "slides": axis.param.kind != "choice"}
            for axis in grid.axes]  # fmt: skip
    return {
        "axes": axes,
        "joint": grid.joint,
        "maps": _letters(b"".join(made.maps)),
        "scales": made.scales,
        "order": made.order,
        "stamps": made.stamps,
        "lines": list(made.lines),
        "said": made.said,
        "image": _letters(b"" if pixels is None else pixels.tobytes()),
        "view": view,
        "choices": {name: list(traits[name].values) for name in ("arrangement", "colormap")},  # type: ignore[attr-defined]
    }


def _letters(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _manifest(
    model: nn.Module,
    settings: Any,
    first: Explanation,
    grid: Grid,
    made: _Made,
    samples: Samples,
    names: Iterable[str],
) -> list[tuple[str, str]]:
    """What was explained, by what and how exactly: names and texts."""
    tensors = len(model.state_dict())
    axes = ", ".join(f"{axis.label} ({len(axis.values)})" for axis in grid.axes)
    how = "in every combination" if grid.joint else "one at a time, the others as they were"
    return [
        ("Model", f"{type(model).__module__}.{type(model).__qualname__}, {tensors} tensors in its state_dict"),
        ("sha256 of names and bytes", model_digest(model)),
        ("Sample", _said_sample(settings.sample, samples)),
        ("Class", f"{target_text(first, tuple(names))}, f(x) = {float(first.explained[0]):.6g}"),
        ("Map", f"relevance of {settings.layer or 'the input'}, summed over channels"),
        ("Method", expression(settings.method)),
        ("Positions", f"{len(grid)}: {axes}, {how}" if grid.axes else "1: this method has no slider"),
        (
            "Exactness",
            "each position is an answer of the engine, none is interpolated; ΣR, f(x) and what was absorbed are of the "
            f"exact map; each number shown is rounded by at most {made.error:.1e} of its map's largest |R|",
        ),
        ("Size", f"{sum(map(len, made.maps)) * 4 / 3e6:.2f} MB of maps, with 16 bits for a number"),
        ("Made with", f"lrp_widgets {installed('lrp_widgets')}, torch {torch.__version__}"),
    ]


def _said_sample(sample: Any, samples: Samples) -> str:
    if not isinstance(sample, int):
        return "a drawing or a file of the user's"
    label = "" if samples.labels is None else f", label {samples.name(int(samples.labels[sample]))}"
    return f"number {sample}{label}"


def installed(package: str) -> str:
    """The version of a package that is installed."""
    try:
        return version(package)
    except PackageNotFoundError:  # read from a folder that was never installed
        return "(not installed)"


def _page(title: str, data: dict[str, Any], facts: list[tuple[str, str]], code: str) -> str:
    heatmap = module("heatmap")
    assert heatmap.rstrip().endswith(OWN)  # the widget's module, of which only its function is wanted here
    widget = f"const heatmap = (() => {{\n{heatmap.replace(OWN, 'return render;')}}})();\n"
    script = f"\n{widget}{_read('page.js')}\nshow(heatmap, document);\n"
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rows = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in facts)
    listing = f"<h2>Python</h2><pre>{html.escape(code)}</pre>" if code else ""
    return Template(_read("page.html")).substitute(
        title=html.escape(title),
        # Nothing is fetched, whatever stands in the names of classes and layers, and no other script runs.
        policy=f"default-src 'none'; script-src 'sha256-{allowed}'; style-src 'unsafe-inline'",
        style=style("heatmap") + _read("page.css"),
        manifest=f"<dl>{rows}</dl>{listing}",
        data=json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
        script=script,
    )


def _read(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")
