"""One HTML file whose sliders move without Python: it carries the maps of many positions, and their manifest."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from torch import Tensor
from traitlets import Bytes

from lrp_widgets.apps.session.cores import cores_for
from lrp_widgets.apps.session.formatting import class_names, equations, picture_of, stamp, subject_text
from lrp_widgets.apps.session.offered import image_of
from lrp_widgets.apps.sharing.manifest import manifest
from lrp_widgets.apps.sharing.positions import Grid, grid_of
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.engine.propagation.method import never
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.methods import LRP
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import HeatmapView
from lrp_widgets.widgets.browser import BrowserWidget, module, style, to_uint8

__all__ = ["export_html"]

TEMPLATES = Path(__file__).parent / "exported"
MAX_BYTES = 3_000_000
MAX_OTHER_MAPS = 64  # positions of a method other than LRP: each may run the model many times
MAX_LRP_MAPS = 2000  # positions of LRP, also where the bytes of small maps would allow many more
NOT_FINITE = -32768  # in a map of int16, whose largest |R| is 32767
MODULE_END = "export default { render };"
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
    most_bytes: int = MAX_BYTES,
    home: str = "",
    progress: Progress = lambda done, of: None,
    abandoned: Callable[[], bool] = never,
) -> str:
    """A page in one file: the map of x at every position of the sliders of settings.method, without a kernel.

    x: one input, the one of settings.sample.  settings: sample, method, target and layer.  look: traits of the
    HeatmapView, by name.  date: the text for when it was made.  code: the Python that makes the map again.
    positions: the most of one slider.  most_bytes: of all maps in the file; larger pictures get fewer positions, and
    where there are few, one slider moves at a time.  home: the address of the page that leads to this one, "" for none.
    progress: called with the numbers of positions that are ready and of all.  abandoned: where it returns True,
    Abandoned is raised before the next position. Another explainer does the work, and `explainer` stays free.
    Raises ValueError where not even a few positions fit, and what Explainer.explain raises.
    """
    own = Explainer(explainer.model, explainer.output)
    with cores_for(own.model, x):
        first = own.explain(x, settings.target, settings.method, abandoned)
        picture = picture_of(first, settings.layer)
        most = most_bytes // (picture.size * 8 // 3)  # two bytes a number, four letters for three bytes
        most = min(most, MAX_LRP_MAPS if isinstance(settings.method, LRP) else MAX_OTHER_MAPS)
        grid = grid_of(settings.method, most, positions)
        maps = _Maps()
        indices: dict[Any, int] = {}
        for done, method in enumerate(grid):
            progress(done, len(grid))
            if abandoned():
                raise Abandoned
            if method not in indices:  # where one slider moves at a time, the present position occurs for each of them
                indices[method] = len(maps.maps)
                maps.add(own.explain(x, settings.target, method, abandoned), settings.layer)
            maps.order.append(indices[method])
    progress(len(grid), len(grid))
    image = None if settings.layer else image_of(x[0], samples)
    names = class_names(first, samples)
    title = f"{type(explainer.model).__name__} · relevance of {settings.layer or 'the input'} for "
    title += subject_text(first, samples)
    size = sum(map(len, maps.maps))
    facts = manifest(explainer.model, settings, first, grid, maps.error, size, samples, names)
    facts += [("Date", date)] if date else []
    return _page(title, _data(grid, maps, picture, image, look or {}, title), facts, code, home)


@dataclass
class _Maps:
    """The maps and their texts, each stored once."""

    maps: list[bytes] = field(default_factory=list)  # int16, little-endian
    scales: list[float] = field(default_factory=list)  # of one step of a map
    stamps: list[str] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)  # HTML of equations, each with its index
    equations: list[list[int]] = field(default_factory=list)  # of each map, as indices of lines
    order: list[int] = field(default_factory=list)  # the map of each position
    error: float = 0.0  # of the rounding, as a share of the largest |R|

    def add(self, explanation: Explanation, layer: str) -> None:
        values = np.asarray(picture_of(explanation, layer), np.float64)
        finite = np.isfinite(values)
        largest = float(np.abs(values[finite]).max(initial=0.0))
        scale = largest / 32767
        steps = np.where(finite, np.round(np.where(finite, values, 0) / (scale or 1.0)), NOT_FINITE).astype("<i2")
        if largest:
            self.error = max(self.error, float(np.abs(steps * scale - values)[finite].max()) / largest)
        lines = re.findall(r'<div class="lrp-equation">.*?</div></div>', equations(explanation))
        self.maps.append(steps.tobytes())
        self.scales.append(scale)
        self.stamps.append(stamp(explanation))
        self.equations.append([self.lines.setdefault(line, len(self.lines)) for line in lines])


def _data(
    grid: Grid, maps: _Maps, picture: np.ndarray, image: np.ndarray | None, look: Mapping[str, Any], description: str
) -> dict[str, Any]:
    traits = HeatmapView.class_traits(sync=True)
    names = traits.keys() - BrowserWidget.class_traits(sync=True).keys()  # what the widget's module asks for
    plain = {name: traits[name].default() for name in names if not isinstance(traits[name], Bytes)}
    pixels = None if image is None else to_uint8("export_html: image", image if image.ndim == 3 else image[..., None])
    view = {**plain, "size": 420, **look, "shape": list(picture.shape), "description": description}
    view["image_shape"] = [0, 0, 0] if pixels is None else list(pixels.shape)
    axes = [
        {
            "label": axis.label,
            "texts": axis.texts(grid.method),
            "at": axis.at,
            "slides": axis.param.kind != "choice",
        }
        for axis in grid.axes
    ]
    return {
        "axes": axes,
        "joint": grid.joint,
        "maps": _base64(b"".join(maps.maps)),
        "scales": maps.scales,
        "order": maps.order,
        "stamps": maps.stamps,
        "lines": list(maps.lines),
        "equations": maps.equations,
        "image": _base64(b"" if pixels is None else pixels.tobytes()),
        "view": view,
        "choices": {name: list(traits[name].values) for name in ("arrangement", "colormap")},  # type: ignore[attr-defined]
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _page(title: str, data: dict[str, Any], facts: list[tuple[str, str]], code: str, home: str) -> str:
    heatmap = module("heatmap")
    assert heatmap.rstrip().endswith(MODULE_END)  # of the widget's module, the page only takes the function
    widget = f"const heatmap = (() => {{\n{heatmap.replace(MODULE_END, 'return render;')}}})();\n"
    script = f"\n{widget}{_read('page.js')}\nshow(heatmap, document);\n"
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rows = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in facts)
    listing = f"<h2>Python</h2><pre>{html.escape(code)}</pre>" if code else ""
    return Template(_read("page.html")).substitute(
        title=html.escape(title),
        home=f'<a href="{html.escape(home)}">‹ all inputs</a>' if home else "",
        # The browser fetches nothing and runs no other script, whatever the names of classes and layers contain.
        policy=f"default-src 'none'; script-src 'sha256-{allowed}'; style-src 'unsafe-inline'",
        style=style("heatmap") + _read("page.css"),
        manifest=f"<dl>{rows}</dl>{listing}",
        data=json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
        script=script,
    )


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")
