"""A folder of pages that need no Python and no server: a gallery of inputs, and for each a page whose sliders move."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from lrp_widgets.apps.session.offered import as_samples, choices, image_of
from lrp_widgets.apps.session.settings import PARTS, Settings
from lrp_widgets.apps.sharing.export import TEMPLATES, export_html
from lrp_widgets.apps.sharing.link import from_query
from lrp_widgets.apps.sharing.state import from_state
from lrp_widgets.engine.propagation.explainer import Explainer, Output
from lrp_widgets.samples import Samples
from lrp_widgets.widgets.browser import to_uint8

__all__ = ["MOST_SAMPLES", "export_site"]

MOST_SAMPLES = 500  # pages of one site
PAGE_BYTES = 1_000_000  # of the maps of one page: a phone loads it on the way
POSITIONS = 11  # of one slider
INDEX = "index.html"


def export_site(
    model: nn.Module,
    samples: Samples,
    folder: str | Path,
    count: int = 20,
    *,
    state: Mapping[str, Any] | str | None = None,
    output: Output = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Path:
    """Write a site about the first `count` samples into a folder, which is made or must be empty. Returns its gallery.

    state: whose method, target, layer and look the pages have, the dict, JSON or link that a dashboard gave ("copy
    state"); the first method of the list and the class of the highest score where it is None.  output: as in
    lw.Explainer.  progress: called with the numbers of pages that are written and of all.
    The gallery is written last: a folder without one is not whole. The same call writes the same bytes.
    Raises ValueError where there are fewer samples or the folder is not empty, StateError for a state that does not fit
    the samples, and OSError where the folder cannot be written to.
    """
    samples = as_samples(samples, "export_site")
    most = min(MOST_SAMPLES, len(samples))
    if type(count) is not int or not 1 <= count <= most:
        raise ValueError(f"export_site.count must lie in [1, {most}], the samples there are, got {count}.")
    if isinstance(state, str) and state.startswith("?"):
        state = from_query(state)
    settings, look = (
        (Settings(0, choices(samples)[0][1]), {}) if state is None else from_state(state, Settings, samples, PARTS)
    )
    folder = _empty(Path(folder))
    explainer = Explainer(model, output)
    for sample in range(count):
        progress(sample, count)
        page = export_html(
            explainer,
            samples.inputs[sample : sample + 1],
            Settings(sample, settings.method, settings.target, settings.layer),
            samples,
            look=look,
            positions=POSITIONS,
            most_bytes=PAGE_BYTES,
            home=INDEX,
        )
        (folder / f"{sample}.html").write_text(page, encoding="utf-8")
    (folder / INDEX).write_text(_gallery(samples, count, type(model).__name__, settings), encoding="utf-8")
    progress(count, count)
    return folder / INDEX


def _empty(folder: Path) -> Path:
    """The folder, which is there and has nothing in it. Raises ValueError or OSError in words."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        has_files = any(folder.iterdir())
    except OSError as error:
        raise OSError(f"The folder {folder} cannot be made or read: {error.strerror}. Choose another one.") from None
    if has_files:
        raise ValueError(f"The folder {folder} is not empty. Choose another one, or empty it.")
    try:
        (folder / INDEX).touch()
        (folder / INDEX).unlink()
    except OSError as error:
        raise OSError(f"The folder {folder} cannot be written to: {error.strerror}. Choose another one.") from None
    return folder


def _gallery(samples: Samples, count: int, name: str, settings: Settings) -> str:
    title = getattr(settings.method, "composite", settings.method).title
    items = "\n".join(_item(samples, sample) for sample in range(count))
    return Template((TEMPLATES / "gallery.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(f"{name} · {title} · {count} inputs"),
        style=(TEMPLATES / "page.css").read_text(encoding="utf-8"),
        items=items,
    )


def _item(samples: Samples, sample: int) -> str:
    caption = f"{sample}"
    if samples.labels is not None:
        caption += f" · {samples.name(int(torch.as_tensor(samples.labels)[sample]))}"
    picture = image_of(samples.inputs[sample], samples)
    image = f'<img src="{_png(picture)}" alt="">' if picture is not None else ""
    return f'<li><a href="{sample}.html">{image}<span>{html.escape(caption)}</span></a></li>'


def _png(picture: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(to_uint8("export_site: image", picture)).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
