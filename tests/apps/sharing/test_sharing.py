from __future__ import annotations

from dataclasses import replace

import pytest

import lrp_widgets as lw
from lrp_widgets.apps.explore.explore import Settings
from lrp_widgets.apps.session.offered import choices
from lrp_widgets.apps.sharing.encoding import StateError
from lrp_widgets.apps.sharing.link import from_query, to_query
from lrp_widgets.apps.sharing.sharing import Sharing, choice_of, look_of, put_look
from lrp_widgets.apps.sharing.state import from_state, to_state
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.widgets import HeatmapView, ShareBar

MODEL, SAMPLES = lw.demo.models.digits_mlp(), lw.demo.data.digits()
FIRST = Settings(0, lw.LRP(lw.alpha_beta()))


class App:
    """As little of a dashboard as sharing needs: settings, a control that echoes, a status line."""

    def __init__(self):
        self.toolbar, self.view, self.settings, self.refused = ShareBar(), HeatmapView(), FIRST, []
        self.sharing = Sharing(
            self.toolbar,
            lw.Explainer(MODEL),
            SAMPLES,
            self.view,
            FIRST,
            put=self.put,
            refuse=self.refused.append,
            input_of=lambda sample: SAMPLES.inputs[sample : sample + 1],
        )

    def move(self, **changes) -> None:
        self.settings = replace(self.settings, **changes)
        self.sharing.changed(self.settings)

    def put(self, settings) -> None:
        """Controls that are set one after the other, each of which tells of it."""
        self.move(sample=settings.sample)
        self.move(method=settings.method)
        self.move(target=settings.target, layer=settings.layer)

    def press(self, action) -> None:
        self.toolbar.set_state({"asked": {"action": action, "count": self.toolbar.asked.get("count", 0) + 1}})

    def shared(self):
        return from_state(self.toolbar.state, Settings, SAMPLES)


@pytest.fixture
def app():
    return App()


def test_undo_and_redo_through_controls(app):
    moves = [{"sample": 3}, {"method": lw.Gradient()}, {"target": 7}]
    states = [app.settings]
    for move in moves:
        app.move(**move)
        states.append(app.settings)
    assert app.toolbar.can_undo and not app.toolbar.can_redo
    for wanted in states[-2::-1]:
        app.press("undo")
        assert app.settings == wanted == app.shared()[0]
    assert not app.toolbar.can_undo and app.toolbar.can_redo
    app.press("undo")
    for wanted in states[1:]:
        app.press("redo")
        assert app.settings == wanted
    assert not app.toolbar.can_redo and app.refused == []


def test_link_and_python_follow(app):
    app.move(sample=5)
    assert app.shared() == (app.settings, look_of(app.view)) and "samples.inputs[5:6]" in app.toolbar.python
    app.view.opacity = 0.25
    assert app.shared()[1]["opacity"] == 0.25
    assert app.toolbar.python.startswith("# lrp_widgets ")


def test_a_page_opens_on_the_state_of_its_link(app):
    other = App()
    other.view.set_state({"colormap": "grey", "percentile": 95.0})
    other.move(sample=4, method=lw.LRP(lw.epsilon(epsilon=0.5)), target=lw.contrast(1, 2))
    app.toolbar.set_state({"query": f"?theme=dark&state={other.toolbar.state}"})
    assert app.settings == other.settings and look_of(app.view) == look_of(other.view)
    assert app.refused == []
    app.press("undo")
    assert app.settings == FIRST


@pytest.mark.parametrize("query", ["", "?", "?theme=dark", "?token=abc"])
def test_a_page_without_a_state(app, query):
    app.toolbar.set_state({"query": query})
    assert app.settings == FIRST and app.refused == [] and not app.toolbar.can_undo


def test_a_broken_link_changes_nothing_and_says_so(app):
    before = look_of(app.view)
    state = to_state(replace(FIRST, sample=2), {"opacity": 0.1, "colormap": "rainbow"})
    app.toolbar.set_state({"query": f"?state={to_query(state)}"})
    app.toolbar.set_state({"query": "?state=abc"})
    app.sharing.open({**state, "sample": 10**6, "look": {}})
    app.sharing.open({**state, "look": {"clicked": 1}})
    app.toolbar.set_state({"query": "?" + "a" * 20_000})
    assert app.settings == FIRST and look_of(app.view) == before and not app.toolbar.can_undo
    begin = [
        "State.look: The 'colormap' trait of a HeatmapView instance expected any of",
        "The state of this link cannot be read: a part of it is missing. Copy it again.",
        "State.sample must lie in [0, ",
        "State.look.clicked is not known. Known are: arrangement, at_input, ",
        "ShareBar.query must have at most 16,000 characters, got 20,001.",
    ]
    assert [said[: len(start)] for said, start in zip(app.refused, begin, strict=True)] == begin


def test_open_takes_every_form(app):
    state = to_state(replace(FIRST, sample=2), {})
    for form in (state, to_query(state), f"?state={to_query(state)}", f"https://a.org/?state={to_query(state)}"):
        app.move(sample=0)
        app.sharing.open(form)
        assert app.settings.sample == 2 and app.refused == []


def test_a_page_is_made_and_sent(app, monkeypatch):
    sent = []
    monkeypatch.setattr(app.toolbar, "send_file", lambda name, page: sent.append((name, page)))
    app.press("save")
    app.sharing._export.join(120)
    ((name, page),) = sent
    assert name == "explanation.html" and "DigitsMLP" in page and "<pre># lrp_widgets" in page
    assert app.toolbar.progress is None and app.refused == []


def test_a_page_can_be_stopped(app, monkeypatch):
    made = []

    def export(*_, abandoned, progress, **__):
        made.append(app.toolbar.progress)
        app.press("stop")
        assert abandoned()
        raise Abandoned

    monkeypatch.setattr("lrp_widgets.apps.sharing.sharing.export_html", export)
    app.press("save")
    app.sharing._export.join(20)
    assert made == [0.0] and app.toolbar.progress is None and app.refused == []


def test_a_page_that_cannot_be_made_says_why(app, monkeypatch):
    def export(*_, **__):
        raise ValueError("The maps of 12 positions must fit.")

    monkeypatch.setattr("lrp_widgets.apps.sharing.sharing.export_html", export)
    app.press("save")
    app.sharing._export.join(20)
    assert app.refused == ["The page was not made: The maps of 12 positions must fit."]
    assert app.toolbar.progress is None


def test_put_look_is_all_or_nothing():
    view = HeatmapView()
    with pytest.raises(StateError, match=r"^State\.look: The value of the 'opacity' trait"):
        put_look(view, {"colormap": "grey", "opacity": 3.0})
    assert view.colormap == "red-blue"
    put_look(view, {"colormap": "grey", "opacity": 0.3})
    assert (view.colormap, view.opacity) == ("grey", 0.3)


def test_the_choice_that_a_method_belongs_to():
    offered = choices(SAMPLES)
    for name, method in offered:
        assert choice_of(offered, method) == name
    assert choice_of(offered, lw.LRP(lw.epsilon(epsilon=0.3))) == "LRP-ε"
    assert choice_of(offered, lw.Smoothed()) is None


def test_a_query_can_be_read_by_itself(app):
    assert from_query(app.toolbar.state)["sample"] == 0
