"""Whoever shows controls of ipywidgets shows also what mends them, once in a box."""

from __future__ import annotations

import ipywidgets
import pytest
import traitlets

import lrp_widgets as lw
from lrp_widgets.widgets.accessible import _Accessible, accessible
from lrp_widgets.widgets.browser import BrowserWidget

BROWSER = [kind for kind in lw.widgets.WIDGETS if issubclass(kind, BrowserWidget)]


def mending(widget: ipywidgets.Widget) -> int:
    """How many of them there are in a widget, at any depth; what folds has one for its title, which is its own."""
    children = getattr(widget, "children", ())
    inside = sum(mending(child) for child in (children[:2] if isinstance(widget, lw.widgets.Folded) else children))
    return inside + isinstance(widget, _Accessible)


def test_it_takes_no_place():
    assert accessible().layout.display == "none"
    assert accessible(".lrp-more").within == ".lrp-more"


def test_it_stands_in_what_is_made_of_ipywidgets():
    assert mending(lw.widgets.LookEditor(lw.widgets.HeatmapView())) == 1
    assert mending(lw.widgets.Pages({"one": lw.widgets.StatusLine()})) == 1
    assert mending(lw.widgets.SettingEditor(lw.alpha_beta())) == 1
    assert mending(lw.widgets.MethodPicker([("LRP", lw.LRP(lw.epsilon()))])) == 1
    assert isinstance(lw.widgets.Folded("more", lw.widgets.StatusLine()).children[2], _Accessible)
    assert lw.widgets.CompositeEditor().children[0].within == ""


def test_settings_inside_settings_have_one_in_all():
    editor = lw.widgets.SettingEditor(lw.LRP(lw.alpha_beta()))
    assert mending(editor) == 1
    first = editor.children[0]
    editor.value = lw.LRP(lw.epsilon())  # other controls
    assert editor.children[0] is first  # else the page would begin anew
    editor.value = lw.Gradient()
    assert mending(editor) == (1 if len(editor.children) else 0)


@pytest.mark.parametrize("kind", BROWSER, ids=lambda kind: kind.__name__)
def test_what_the_page_may_set_can_be_linked_there(kind):
    one, other = kind(), kind()
    for name in one.traits(from_browser=True):
        link = ipywidgets.jslink((one, name), (other, name))
        assert (link.source, link.target) == ((one, name), (other, name))
        link.unlink()


@pytest.mark.parametrize("kind", BROWSER, ids=lambda kind: kind.__name__)
def test_it_can_be_made_bare_and_linked_in_python(kind):
    one, other = kind(), kind()
    for name in kind.class_own_traits():
        if not name.startswith("_"):
            traitlets.link((one, name), (other, name)).unlink()


def test_what_the_page_sets_reaches_the_other():
    one, other = lw.widgets.HeatmapView(), lw.widgets.HeatmapView()
    traitlets.link((one, "percentile"), (other, "percentile"))
    one.set_state({"percentile": 97.5})
    assert (one.problem, other.percentile) == ("", 97.5)
    other.set_state({"percentile": 12})
    assert (one.percentile, other.percentile) == (97.5, 97.5)
