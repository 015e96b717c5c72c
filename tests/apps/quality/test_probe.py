"""The page By hand: its quotients are those of lw.continuity."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import lrp_widgets as lw
from lrp_widgets.apps.quality.quality import Quality
from lrp_widgets.apps.session.formatting import number
from lrp_widgets.evaluation.continuity.neighbourhoods import Translation
from tests.apps.quality.moves import PATIENCE, chosen, lines, moved, opened_at, pressed

WAY = [(1.0, 0.0), (2.0, 0.0), (2.0, 2.0), (-1.5, 0.0)]


@pytest.fixture
def app(assessed) -> Quality:
    return opened_at(assessed(), "By hand")


def quotient(app: Quality, right: float, down: float) -> float:
    """lw.continuity's own, between the input and where it is moved to: straight or diagonal."""
    along = "horizontal" if not down else "vertical" if not right else "diagonal"
    assert not right or not down or right == down
    far = right or down
    kind = Translation(abs(far), abs(far), along)
    path = lw.continuity(
        app.explainer.model, app.explanation.inputs, app.explanation.method, app.explanation.target, kind=kind
    )
    return float(path.ratios[1 if far > 0 else 0])


def dragged(app: Quality, *way: tuple[float, float]) -> None:
    for place in way:
        moved(app, app.continuity.probe.pad, place=list(place))


def test_the_quotients_are_those_of_continuity(app):
    probe = app.continuity.probe
    dragged(app, *WAY)
    wanted = [quotient(app, *place) for place in WAY]
    np.testing.assert_allclose(lines(probe.trace)["where the hand was"], wanted, rtol=1e-5)
    np.testing.assert_allclose(lines(probe.trace)["largest so far"], np.maximum.accumulate(wanted), rtol=1e-5)
    assert probe.bound == pytest.approx(max(wanted), rel=1e-5)
    where = WAY[int(np.argmax(wanted))]
    assert probe.pad.largest == list(where)
    (mark,) = probe.trace.marks
    assert mark["x"] == WAY.index(where) + 1
    assert (
        f"<b>{number(wanted[-1])}</b>" in probe.numbers.value and f"<b>{number(max(wanted))}</b>" in probe.numbers.value
    )
    assert "1.5 px left" in probe.numbers.value and "of 4 places" in probe.numbers.value


def test_both_maps_have_the_scale_of_the_first(app):
    probe = app.continuity.probe
    dragged(app, (3.0, 1.0))
    here = app.explanation.heatmap()
    x = torch.roll(app.explanation.inputs, (1, 3), (2, 3))
    x[:, :, :1], x[:, :, :, :3] = 0, 0
    there = app.explainer.explain(x, app.explanation.target, app.explanation.method).heatmap()
    np.testing.assert_allclose(probe.here.relevance, here, atol=1e-6)
    np.testing.assert_allclose(probe.there.relevance, there, atol=1e-6)
    np.testing.assert_allclose(probe.between.relevance, there - here, atol=1e-6)
    scale = np.abs(here).max()
    assert [view.scale for view in (probe.here, probe.there, probe.between)] == [pytest.approx(scale)] * 3


def test_where_nothing_moves_there_is_no_quotient(app):
    probe = app.continuity.probe
    assert "where it was" in probe.numbers.value and "<b>–</b>" in probe.numbers.value
    assert probe.trace.lines[0]["y"] == [] and not probe.between.relevance.any()
    dragged(app, (1.0, 0.0), (0.0, 0.0), (1.0, 0.0))
    assert len(probe.trace.lines[0]["y"]) == 1


def test_another_method_goes_the_same_way(app):
    dragged(app, *WAY)
    chosen(app, app.methods.picker, "Gradient")
    wanted = [quotient(app, *place) for place in WAY]
    np.testing.assert_allclose(lines(app.continuity.probe.trace)["where the hand was"], wanted, rtol=1e-5)
    moved(app, app.source.gallery, selected=4)
    wanted = [quotient(app, *place) for place in WAY]
    np.testing.assert_allclose(lines(app.continuity.probe.trace)["where the hand was"], wanted, rtol=1e-5)
    image = np.frombuffer(app.continuity.probe.pad.image, np.uint8).reshape(28, 28)
    np.testing.assert_array_equal(image, (app.samples.inputs[4, 0].numpy() * 255).round())


def test_of_many_moves_the_last_is_explained_and_none_is_invented(app):
    probe = app.continuity.probe
    for step in range(1, 9):
        probe.pad.set_state({"place": [step / 2, 0.0]})
    assert app.settled(PATIENCE) and app.status.level == "ok"
    assert probe._places[-1] == (4.0, 0.0) and set(probe._places) <= {(step / 2, 0.0) for step in range(1, 9)}
    assert lines(probe.trace)["where the hand was"][-1] == pytest.approx(quotient(app, 4.0, 0.0), rel=1e-5)


def test_the_way_can_be_forgotten(app):
    probe = app.continuity.probe
    dragged(app, *WAY)
    pressed(app, probe.again)
    assert lines(probe.trace)["where the hand was"] == [pytest.approx(quotient(app, *WAY[-1]), rel=1e-5)]
    moved(app, probe.step, index=2)
    assert probe.pad.step == 0.25


def test_a_long_way_keeps_its_largest(app, monkeypatch):
    monkeypatch.setattr("lrp_widgets.apps.quality.probe.MAX_PLACES", 3)
    way = [(float(step), 0.0) for step in range(1, 8)]
    dragged(app, *way)
    known = [quotient(app, *place) for place in way]
    assert len(app.continuity.probe._places) == 3
    assert app.continuity.probe.bound == pytest.approx(max(known), rel=1e-5)


def test_what_a_browser_forges_is_refused(app):
    app.continuity.probe.pad.set_state({"place": [99.0, 0.0]})
    assert app.settled(PATIENCE)
    assert (
        app.status.text == "ValueError: ProbePad.place must be [right, down] within 14 px either way, got [99.0, 0.0]."
    )


def test_an_error_greys_the_maps(assessed, moody):
    app = opened_at(assessed(moody), "By hand")
    moody.trouble = RuntimeError("no mood")
    app.continuity.probe.pad.set_state({"place": [2.0, 0.0]})
    assert app.settled(PATIENCE)
    assert app.status.level == "error" and "no mood" in app.status.text
    assert app.continuity.probe.there.stale
    moody.trouble = None
    dragged(app, (1.0, 0.0))
    assert not app.continuity.probe.there.stale
