"""What the worker tells the views comes as named events, in the order in which it becomes known."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lrp_widgets.apps.explore.events import CurveGrew, Explained, ModelExamined, PatchesFound, ProjectionSwitched
from tests.apps.explore.test_explore import chosen, moved, slid


@pytest.fixture
def events(monkeypatch) -> Any:
    """Notes the events that a dashboard shows from now on."""

    def of(dashboard: Any) -> list[Any]:
        seen: list[Any] = []
        show = dashboard._latest._show

        def note(event: Any) -> None:
            seen.append(event)
            show(event)

        monkeypatch.setattr(dashboard._latest, "_show", note)
        return seen

    return of


def test_an_explanation_comes_first_and_then_its_curve(explored, events):
    dashboard = explored()
    seen = events(dashboard)
    slid(dashboard, "epsilon", 1.0)
    explained, curve = seen
    assert isinstance(explained, Explained) and isinstance(curve, CurveGrew)
    assert (explained.settings, explained.explanation) == (dashboard.settings, dashboard.explanation)
    assert curve.band is not None


def test_the_projection_asks_for_no_explanation(explored, events):
    dashboard = explored()
    moved(dashboard, dashboard.layers, selected="features.3")
    seen, explanation = events(dashboard), dashboard.explanation
    moved(dashboard, dashboard.heatmap, at_input=not dashboard.heatmap.at_input)
    assert [type(event) for event in seen] == [ProjectionSwitched, CurveGrew]
    assert dashboard.explanation is explanation


def test_patches_come_between_the_explanation_and_the_curve(explored, events):
    dashboard = explored()
    dashboard.views.selected = "Patches"
    assert dashboard.settled(60)
    moved(dashboard, dashboard.layers, selected="features.3")
    seen = events(dashboard)
    moved(dashboard, dashboard.inspection.channels, selected=dashboard.inspection.channels.channels[0])
    kinds = [type(event) for event in seen]
    assert kinds[0] is Explained and set(kinds[1:-1]) == {PatchesFound} and kinds[-1] is CurveGrew
    assert seen[-2].patches and "where it is most active" in seen[-2].caption


def test_a_pin_whose_map_is_missing_shows_the_explanation_once_more(explored, events):
    dashboard = explored()
    other = dataclasses.replace(dashboard.settings, target=7)
    seen = events(dashboard)
    dashboard.settings = dataclasses.replace(dashboard.settings, pins=(other,))
    assert dashboard.settled(60)
    assert [type(event) for event in seen] == [Explained, Explained, CurveGrew]
    assert len(dashboard.pins.view.pins) == 1


def test_the_model_is_examined_once(explored, events):
    dashboard = explored()
    seen = events(dashboard)
    chosen(dashboard, dashboard.methods.picker, "LRP-ε")
    assert not [event for event in seen if isinstance(event, ModelExamined)]
    dashboard._examined = False
    chosen(dashboard, dashboard.methods.picker, "Gradient")
    assert isinstance(seen[-1], ModelExamined)
