"""A link that the dashboard cannot show is refused in the status line, before anything has changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import lrp_widgets as lw
from lrp_widgets.apps.explore.explore import Dashboard
from lrp_widgets.apps.session.settings import PARTS, Given, Settings
from lrp_widgets.apps.sharing.encoding import StateError
from lrp_widgets.apps.sharing.link import to_query
from lrp_widgets.apps.sharing.state import to_state
from lrp_widgets.methods import WRAPPERS
from tests.apps.explore.test_explore import moved

PATIENCE = 60.0
INPUT = Given(np.zeros(9, "<f4").tobytes(), (1, 1, 3, 3))


@pytest.fixture
def nameless(explored, few) -> Dashboard:
    """A dashboard of samples without class names."""
    return explored(None, few.inputs)


def refused(dashboard: Dashboard, **changes: Any) -> str:
    """What the status line says of a link; nothing else may change."""
    look = {"colormap": "grey"}
    state = to_state(Settings(**{"sample": 1, "method": lw.LRP(), **changes}), look, PARTS)
    before = (dashboard.settings, dashboard.methods.value, dashboard.against.value, dashboard.gallery.selected)
    before += (dashboard.heatmap.colormap, dashboard.sharebar.state, dashboard.sharebar.python)
    dashboard.sharebar.set_state({"query": f"?state={to_query(state)}"})
    assert dashboard.settled(PATIENCE)
    assert dashboard.status.level == "error"
    assert not dashboard.history.can_undo and not dashboard.sharebar.can_undo
    after = (dashboard.settings, dashboard.methods.value, dashboard.against.value, dashboard.gallery.selected)
    assert (*after, dashboard.heatmap.colormap, dashboard.sharebar.state, dashboard.sharebar.python) == before
    said = dashboard.status.text
    with pytest.raises(StateError):  # in Python the same is raised
        dashboard.sharing.open(state, raises=True)
    moved(dashboard, dashboard.gallery, selected=2)
    return said


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("pinned", [False, True])
def test_a_method_that_explains_by_another_one(nameless, wrapper, pinned):
    method = wrapper(lw.LRP())
    changes = {"pins": (Settings(0, method),)} if pinned else {"method": method}
    assert refused(nameless, **changes) == (
        f"ValueError: State.method must be one of the list of methods, got {wrapper.__name__}. "
        "Explainer.explain takes it."
    )


@pytest.mark.parametrize("target", [10, lw.contrast(3, 12)])
def test_a_class_that_is_not_there(nameless, target):
    highest = max(target_of(target))
    said = f"ValueError: State.target must lie in [0, 9], the classes there are, got {highest}."
    assert refused(nameless, target=target) == said


def target_of(target: Any) -> tuple[int, ...]:
    return (target,) if isinstance(target, int) else (target.a, target.b)


def test_an_input_of_another_shape(nameless):
    said = "ValueError: State.sample: The input must have the shape (1, 28, 28), got (1, 3, 3)."
    assert refused(nameless, sample=INPUT) == said


def test_a_link_that_can_be_shown_is_one_step(nameless):
    state = to_state(Settings(3, lw.LRP(lw.epsilon()), 9), {"colormap": "grey"}, PARTS)
    nameless.sharebar.set_state({"query": f"?state={to_query(state)}"})
    assert nameless.settled(PATIENCE) and nameless.status.level == "ok", nameless.status.text
    assert (nameless.settings.sample, nameless.explanation.target) == (3, (9,))
    assert torch.equal(nameless.explanation.inputs, nameless.samples.inputs[3:4])
    assert nameless.heatmap.colormap == "grey" and nameless.history.can_undo


def test_a_class_against_itself_is_refused_in_words(nameless):
    moved(nameless, nameless.classes, selected=3, auto=False)
    nameless.against.set_state({"index": 4})
    assert nameless.settled(PATIENCE)
    assert nameless.status.text == "ValueError: 3 cannot be explained against itself. Choose another class."
    assert (nameless.against.value, nameless.settings.target) == (-1, 3)
    moved(nameless, nameless.against, index=1)
    assert nameless.settings.target == lw.contrast(3, 0)
    nameless.classes.set_state({"selected": 0, "auto": False})
    assert nameless.settled(PATIENCE)
    assert nameless.status.level == "error"
    assert (nameless.against.value, nameless.settings.target) == (-1, 0)
