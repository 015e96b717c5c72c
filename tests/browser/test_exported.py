"""The exported page in a browser that has no network: every slider moves the picture."""

from __future__ import annotations

import pytest

import lrp_widgets as lw
from lrp_widgets.apps.explore.explore import Settings
from lrp_widgets.apps.session.formatting import stamp
from lrp_widgets.apps.sharing.export import export_html

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MODEL, SAMPLES = lw.demo.models.digits_cnn(), lw.demo.data.digits()
X = SAMPLES.inputs[3:4]
LOOK = {"arrangement": "heatmap"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("together", [True, False])
def test_every_slider_moves_it_without_a_network(browser, tmp_path, scheme, together):
    settings = Settings(3, lw.LRP(lw.epsilon_alpha2_beta1(alpha=1.37, epsilon=0.5)))
    room = 3_000_000 if together else 60_000
    (tmp_path / "page.html").write_text(
        export_html(lw.Explainer(MODEL), X, settings, SAMPLES, positions=5, most_bytes=room, look=LOOK), "utf-8"
    )
    context = browser.new_context(offline=True, color_scheme=scheme)
    page, trouble, asked = context.new_page(), [], []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "page.html").as_uri())

    def numbers() -> tuple[str, str, str]:
        root = page.locator(".lrp-heatmap[data-sequence]")
        return (
            root.get_attribute("data-sum"),
            root.get_attribute("data-max"),
            page.locator(".lrp-heatmap-stamp").text_content(),
        )

    def moved(act) -> None:
        sequence = page.locator(".lrp-heatmap").get_attribute("data-sequence")
        act()
        page.locator(f".lrp-heatmap:not([data-sequence='{sequence}'])").wait_for()

    start = numbers()
    wanted = lw.Explainer(MODEL).explain(X, None, settings.method)
    assert float(start[0]) == pytest.approx(float(wanted.total[0]), rel=1e-3) and start[2] == stamp(wanted)
    rows = page.locator(".page-sliders .page-row")
    assert rows.count() == 3
    for row in range(2):
        before = numbers()
        moved(lambda row=row: rows.nth(row).locator("input").press("End"))
        assert numbers() != before
        assert (
            rows.nth(row).locator("input").get_attribute("aria-valuetext")
            == rows.nth(row).locator("output").text_content()
        )
    before = numbers()
    moved(lambda: rows.nth(2).locator("select").select_option(index=2))
    assert numbers() != before
    assert (rows.nth(0).locator("output").text_content() == "3 · β = 2.00") == together  # else it went back
    stands = {"alpha": 3.0, "epsilon": 10.0} if together else {"alpha": 1.37, "epsilon": 0.5}
    composite = lw.epsilon_alpha2_beta1(**stands, input="w2")
    assert numbers()[2] == stamp(lw.Explainer(MODEL).explain(X, None, lw.LRP(composite)))
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(17, 17, 17)") == (scheme == "dark")
    colours = page.locator(".lrp-heatmap-frame:visible canvas").evaluate(
        "c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size"
    )
    assert colours > 50
    assert trouble == [] and len(asked) == 1 and asked[0].startswith("file:")
    context.close()
