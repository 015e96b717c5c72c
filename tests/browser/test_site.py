"""The site in a browser of the size of a phone that has no network: gallery, page, slider, and back."""

from __future__ import annotations

import pytest

import lrp_widgets as lw
from lrp_widgets.apps.sharing.site import export_site

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WIDTH = 390


def test_the_site_on_a_phone_without_a_network(browser, tmp_path):
    gallery = export_site(lw.demo.models.digits_cnn(), lw.demo.data.digits(), tmp_path / "site", 3)
    context = browser.new_context(offline=True, viewport={"width": WIDTH, "height": 844}, has_touch=True)
    page, trouble, asked = context.new_page(), [], []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))

    def fits() -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTH

    page.goto(gallery.as_uri())
    fits()
    links = page.locator(".page-gallery a")
    assert links.count() == 3
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth === 28)")
    box = links.nth(1).bounding_box()
    assert box and box["width"] >= 44 and box["height"] >= 44  # a finger hits it
    links.nth(1).tap()
    heatmap = page.locator(".lrp-heatmap[data-sequence]")
    heatmap.wait_for()
    fits()
    largest = heatmap.get_attribute("data-max")
    page.locator(".page-sliders input[type=range]").first.press("End")
    page.locator(f".lrp-heatmap:not([data-max='{largest}'])").wait_for()
    page.locator("header a").tap()
    page.locator(".page-gallery").wait_for()
    assert page.url == gallery.as_uri()
    assert trouble == []
    assert all(url.startswith(("file:", "data:")) for url in asked)
    context.close()
