"""Pages and Folded: one in sight, and by keyboard."""

from __future__ import annotations

import ipywidgets
import pytest
import traitlets

from lrp_widgets.widgets import Folded, Pages


@pytest.fixture
def pages() -> Pages:
    return Pages({"one": ipywidgets.HTML("1"), "two": ipywidgets.HTML("2")})


def seen(pages: Pages) -> list[bool]:
    return [leaf.layout.display != "none" for leaf in pages.children[1:3]]


def test_one_page_is_in_sight(pages):
    assert (pages.selected, seen(pages)) == ("one", [True, False])
    pages.buttons.set_state({"index": 1})
    assert (pages.selected, seen(pages)) == ("two", [False, True])
    pages.selected = "one"
    assert (pages.buttons.value, seen(pages)) == ("one", [True, False])


def test_a_page_that_is_not_there_is_refused(pages):
    with pytest.raises(traitlets.TraitError, match=r"Pages.selected must be one of one, two, got 'three'\."):
        pages.selected = "three"
    pages.buttons.set_state({"index": 7})
    assert pages.problem == "ToggleButtons: Invalid selection: index out of bounds"
    assert pages.selected == "one"
    with pytest.raises(ValueError, match=r"Pages: pages must hold at least one widget by name, got none\."):
        Pages({})


def test_a_part_opens_and_closes():
    folded = Folded("more", ipywidgets.HTML("x"))
    leaf = folded.children[1]
    assert (folded.button.description, leaf.layout.display) == ("▸ more", "none")
    folded.button.set_state({"value": True})
    assert (folded.opened, folded.button.description, leaf.layout.display) == (True, "▾ more", None)
    folded.opened = False
    assert (folded.button.value, leaf.layout.display) == (False, "none")
