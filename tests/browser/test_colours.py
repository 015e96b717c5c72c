"""The colours of a HeatmapView, read from its canvas: every colour map and sign mode, with a grey and an RGB input."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page
from widgets.colour_maps import colour, step_of

from lrp_widgets.widgets import HeatmapView
from lrp_widgets.widgets.browser import module, style
from lrp_widgets.widgets.views.heatmap import COLORMAPS, SIGNS

pytestmark = [pytest.mark.browser]

MAP = np.array([[1.0, -2.0, 3.0], [0.0, 4.0, -5.0]], np.float32)
RGB = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[9, 80, 200], [255, 255, 255], [0, 0, 0]]], np.uint8)
GREY = np.array([[0, 50, 100], [150, 200, 255]], np.uint8)
# Renders a widget over a model with the given traits, and reads the pixel in the middle of each cell of its canvases.
PAGE = """async ({ code, style, dark }) => {
  document.head.appendChild(document.createElement("style")).textContent = style;
  document.body.style.color = dark ? "#eee" : "#111";
  const { default: widget } = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  window.show = (traits) => {
    const bytes = (numbers) => new DataView(Uint8Array.from(numbers).buffer);
    const values = { ...traits, data: bytes(traits.data), image: bytes(traits.image) };
    const model = { get: (name) => values[name], set() {}, save_changes() {}, on() {}, off() {}, send() {} };
    document.body.replaceChildren();
    const end = widget.render({ model, el: document.body });
    const pixels = [...document.querySelectorAll("canvas[role=img]")].map((canvas) => {
      const [height, width] = traits.shape;
      if (canvas.closest("[hidden]")) return null;
      const context = canvas.getContext("2d");
      const middle = (index, count, size) => (index + 0.5) / count * size;
      return Array.from({ length: height }, (_, row) => Array.from({ length: width }, (_, column) => [
        ...context.getImageData(middle(column, width, canvas.width), middle(row, height, canvas.height), 1, 1).data,
      ]));
    });
    end();
    return pixels;
  };
}"""


@pytest.fixture(scope="module", params=[False, True], ids=["light", "dark"])
def shown(browser: Browser, request: pytest.FixtureRequest) -> Iterator[tuple[Page, bool]]:
    """A page with nothing but the widget's module, on a light and on a dark ground."""
    page = browser.new_page()
    page.evaluate(PAGE, {"code": module("heatmap"), "style": style("heatmap"), "dark": request.param})
    yield page, request.param
    page.close()


def pixels_of(page: Page, view: HeatmapView) -> list[Any]:
    """The pixels of the input's picture and of the map's, (h, w, 4) each; None where one is not shown."""
    names = [name for name in view.traits(sync=True) if not name.startswith("_") and name not in ("layout", "tooltip")]
    traits = {name: getattr(view, name) for name in names}
    traits |= {"data": list(view.data), "image": list(view.image)}
    return [picture and np.array(picture) for picture in page.evaluate("(traits) => window.show(traits)", traits)]


@pytest.mark.parametrize("signs", SIGNS)
@pytest.mark.parametrize("name", COLORMAPS)
def test_the_colour_of_every_value_on_the_page(shown, name, signs):
    page, dark = shown
    view = HeatmapView(arrangement="beside", colormap=name, signs=signs)
    for image in (RGB, GREY):
        view.show(MAP, image)
        left, right = pixels_of(page, view)
        expected = [[list(colour(name, step_of(value, *view.limits), dark)) for value in row] for row in MAP]
        assert right.tolist() == expected
        assert np.array_equal(left[..., :3], image if image.ndim == 3 else np.stack([image] * 3, axis=-1))
        assert (left[..., 3] == 255).all()


@pytest.mark.parametrize("signs", SIGNS)
@pytest.mark.parametrize("name", COLORMAPS)
def test_the_colours_of_an_overlay_on_the_page(shown, name, signs):
    page, _ = shown
    view = HeatmapView(arrangement="overlay", colormap=name, signs=signs, opacity=0.75)
    for image in (RGB, GREY):
        view.show(MAP, image)
        _, overlay = pixels_of(page, view)
        light = image @ [0.299, 0.587, 0.114] if image.ndim == 3 else image
        under = np.round(30 + 0.6 * light)[..., None]
        over = np.array([[colour(name, step_of(value, *view.limits), veiled=True) for value in row] for row in MAP])
        share = 0.75 * over[..., 3:] / 255
        # A canvas blends numbers of eight bits that are already multiplied with their opacity: two roundings.
        assert np.abs(overlay[..., :3] - (share * over[..., :3] + (1 - share) * under)).max() <= 2.5
        assert (overlay[..., 3] == 255).all()


def test_the_brightness_of_an_image_times_relevance_on_the_page(shown):
    page, _ = shown
    view = HeatmapView(arrangement="mask")
    for image in (RGB, GREY):
        view.show(MAP, image)
        _, masked = pixels_of(page, view)
        colours = image if image.ndim == 3 else np.stack([image] * 3, axis=-1)
        assert np.abs(masked[..., :3] - colours * (np.abs(MAP) / 5)[..., None]).max() <= 1.5
