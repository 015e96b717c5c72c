"""The app on explanation quality without a browser: what its pages show is what the functions give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.apps.quality.quality import Quality
from lrp_widgets.apps.session.formatting import number
from lrp_widgets.evaluation import random_flipping
from lrp_widgets.evaluation.continuity.neighbourhoods import Between
from tests.apps.quality.moves import PAGES, PATIENCE, chosen, lines, moved, turned


@pytest.fixture
def app(assessed) -> Quality:
    return assessed()


def flipped(app: Quality, **options: Any) -> lw.Curve:
    """The curve of what is explained, by the function."""
    explanation = app.explanation
    return lw.pixel_flipping(app.explainer.model, explanation.inputs, explanation.relevance, None, **options)


def test_it_opens_on_the_curves_of_the_first_sample(app, few):
    assert list(app.pages.pages) == PAGES
    most, least = flipped(app), flipped(app, order="least")
    random = random_flipping(app.explainer.model, few.inputs[:1], seeds=5)
    shown = app.selectivity.curve.lines
    np.testing.assert_allclose(shown[0]["y"], most.values, rtol=1e-5)
    np.testing.assert_allclose(shown[1]["y"], least.values, rtol=1e-5)
    np.testing.assert_allclose(shown[2]["low"], random.low, rtol=1e-5, atol=1e-6)
    text = app.selectivity.curve.text
    assert f"area: most {number(most.area)}, least {number(least.area)}, random {number(random.area)}" in text
    assert f"between {number(lw.area_between(most, least))} (high is selective)" in text
    assert app.status.text.startswith("Selectivity: done in ")


def test_the_scrubber_shows_what_is_left_and_measures_nothing(app):
    sequence = app.selectivity.curve.sequence
    relevance = torch.tensor(app.explanation.heatmap()).reshape(7, 4, 7, 4).sum((1, 3)).flatten()
    first = relevance.argsort(descending=True, stable=True)[:9]
    moved(app, app.selectivity.scrubber, value=9)
    left = np.frombuffer(app.selectivity.heatmap.image, np.uint8).reshape(7, 4, 7, 4).transpose(0, 2, 1, 3)
    whole = app.explanation.inputs[0, 0].numpy().reshape(7, 4, 7, 4).transpose(0, 2, 1, 3)
    gone = np.zeros(49, bool)
    gone[first.numpy()] = True
    assert not left.reshape(49, 4, 4)[gone].any()
    np.testing.assert_array_equal(left.reshape(49, 4, 4)[~gone], (whole.reshape(49, 4, 4)[~gone] * 255).round())
    assert app.selectivity.curve.position == pytest.approx(9 / 49)
    assert app.selectivity.heatmap.stamp.startswith("step 9: 18% of the patches removed · score ")
    assert app.selectivity.curve.sequence == sequence


def test_ranked_again_the_scrubber_shows_the_map_of_what_is_left(app):
    control = app.selectivity.flipping.control
    chosen(app, control("ranking").inner, "again")
    assert app.selectivity.curve.text.startswith("ranked again each time")
    moved(app, app.selectivity.scrubber, value=3)
    left = np.frombuffer(app.selectivity.heatmap.image, np.uint8).reshape(1, 1, 28, 28).astype(np.float32) / 255
    explained = app.explainer.explain(torch.tensor(left), app.explanation.target, app.explanation.method)
    np.testing.assert_allclose(app.selectivity.heatmap.relevance, explained.heatmap(), atol=2e-2)
    moved(app, app.selectivity.scrubber, value=49)
    assert not any(app.selectivity.heatmap.image)


@pytest.mark.parametrize(
    ("name", "value", "option"),
    [
        ("removal", "mean", {"removal": "mean"}),
        ("unit", "probability", {"unit": "probability"}),
        ("patch", 7, {"patch": 7}),
    ],
)
def test_how_it_is_measured(app, name, value, option):
    inner = app.selectivity.flipping.control(name).inner
    if name == "patch":
        moved(app, inner, value=value)
    else:
        chosen(app, inner, value)
    np.testing.assert_allclose(app.selectivity.curve.lines[0]["y"], flipped(app, **option).values, rtol=1e-4, atol=1e-6)


def test_superpixels(app):
    chosen(app, app.selectivity.flipping.control("regions").inner, "superpixels")
    assert len(app.selectivity.curve.lines) == 3
    moved(app, app.selectivity.scrubber, value=2)
    assert "of the pixels removed" in app.selectivity.heatmap.stamp


def test_of_many_moves_the_last_is_measured(app):
    inner = app.methods.editor.control("alpha").inner
    for alpha in (1.5, 2.0, 2.5, 3.0, 1.25):
        inner.set_state({"value": alpha})
    assert app.settled(PATIENCE)
    assert app.asked.settings.method.composite.alpha == app.explanation.method.composite.alpha == 1.25
    np.testing.assert_allclose(app.selectivity.curve.lines[0]["y"], flipped(app).values, rtol=1e-5)


def test_a_newer_request_interrupts_a_curve_and_the_same_goes_on(app):
    shown: list[int] = []

    def interrupt(change: Any) -> None:
        shown.append(len(app.selectivity.curve.lines))
        if shown.count(2) == 1 and shown[-1] == 2:
            app.selectivity.scrubber.set_state({"value": 2})  # asks for a picture alone
            app._latest.request(app.asked)

    app.selectivity.curve.observe(interrupt, "sequence")
    moved(app, app.classes, selected=9, auto=False)
    assert shown[0] == 1 and shown[-1] == 3
    assert shown == sorted(shown)  # it went on, and did not begin again


def test_the_report_card_says_all_of_every_line(app):
    turned(app, "Report card")
    scores = lw.axioms(app.explainer.model, app.explanation.inputs, app.explanation.method)
    text = app.card.table.value
    assert text.count("<tr>") == len(scores) + 1
    for score in scores:
        for said in (score.name, number(score.value), number(score.threshold), score.source):
            assert said in text
    assert text.count('lrp-pass">passes<') == sum(score.passes is True for score in scores)
    assert text.count('lrp-fail">fails<') == sum(score.passes is False for score in scores)
    moved(app, app.card.limits.control("conservation").inner, value=0.0)
    assert app.card.table.value.count(">passes<") == text.count(">passes<") - 1


def test_continuity_along_a_path(app):
    turned(app, "Continuity")
    path = lw.continuity(app.explainer.model, app.explanation.inputs, app.explanation.method)
    np.testing.assert_allclose(lines(app.continuity.ratios)["each step"], path.ratios, rtol=1e-4)
    np.testing.assert_allclose(lines(app.continuity.ratios)["largest so far"], path.running, rtol=1e-4)
    np.testing.assert_allclose(lines(app.continuity.sums)["f(x)"], path.scores, rtol=1e-4)
    assert f"max {number(path.value)} · median {number(path.median)}" in app.continuity.ratios.text
    assert app.continuity.maps.shape == [9, 28, 28]
    moved(app, app.continuity.maps, picked={"index": 2, "count": 1})
    assert (app.continuity.ratios.position, app.continuity.maps.selected) == (-2.0, 2)


def test_the_way_to_another_sample(app, few):
    turned(app, "Continuity")
    assert app.continuity.other.layout.display == "none"
    chosen(app, app.continuity.near.picker, Between.title)
    assert app.continuity.other.layout.display is None
    moved(app, app.continuity.other, selected=5)
    path = lw.continuity(
        app.explainer.model, few.inputs[:1], app.explanation.method, kind="between", other=few.inputs[5:6]
    )
    np.testing.assert_allclose(lines(app.continuity.sums)["f(x)"], path.scores, rtol=1e-4)
    assert len(app.continuity.ratios.marks) == len(path.jumps)


def test_an_error_is_said_and_the_next_move_clears_it(assessed, moody):
    app = assessed(moody)
    sequence = app.selectivity.curve.sequence
    moody.trouble = RuntimeError("no mood")
    app.source.gallery.set_state({"selected": 3})
    assert app.settled(PATIENCE)
    assert app.status.level == "error" and "no mood" in app.status.text
    assert app.status.remedy == "What was measured before stays; any move tries again."
    assert (app.selectivity.curve.stale, app.selectivity.heatmap.stale) == (True, True)
    assert app.selectivity.curve.sequence == sequence
    moody.trouble = None
    moved(app, app.source.gallery, selected=4)
    assert (app.selectivity.curve.stale, app.selectivity.heatmap.stale) == (False, False)


def test_what_a_browser_forges_is_refused(app):
    app.selectivity.scrubber.set_state({"value": "all"})
    assert app.settled(PATIENCE)
    assert app.status.level == "error" and "step: " in app.status.text
    app.surface.maps.set_state({"picked": {"index": 7, "count": 1}})
    assert app.settled(PATIENCE)
    assert "MapsView.picked must be" in app.status.text
    moved(app, app.source.gallery, selected=2)


def test_undo_and_redo(app):
    first = app.asked.settings
    moved(app, app.methods.editor.control("alpha").inner, value=2.0)
    moved(app, app.toolbar, pressed={"name": "undo", "count": 1})
    assert app.asked.settings == first and app.methods.value == first.method
    moved(app, app.toolbar, pressed={"name": "redo", "count": 2})
    assert app.asked.settings.method.composite.alpha == 2.0
    assert app.toolbar.disabled == ["redo"]


def test_features_have_every_page(assessed):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    app = assessed(model, lw.Samples(torch.rand(5, 6), [0, 1, 2, 0, 1]))
    for page in PAGES:
        turned(app, page)
    for part in (app.surface, app.data_set):
        part.start()
        assert app.settled(PATIENCE) and app.status.level == "ok", app.status.text
    assert len(app.surface.results) == 5 and len(app.data_set.measured) == 45


def test_what_is_no_sample_is_refused():
    message = r"^quality\(\) needs lw\.Samples or a tensor of inputs, got ndarray\.$"
    with pytest.raises(TypeError, match=message):
        lw.quality(lw.demo.models.digits_cnn(), np.zeros((1, 1, 28, 28)))  # type: ignore[arg-type]
