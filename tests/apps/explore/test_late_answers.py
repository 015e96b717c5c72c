"""An answer that comes late moves nothing back, and what was the top class of another input is not its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch

import lrp_widgets as lw
from lrp_widgets.apps.explore.ahead import Ahead

PATIENCE = 60.0  # s: far longer than anything here takes
METHOD = lw.LRP(lw.alpha_beta(alpha=2.0))


def never() -> bool:
    return False


def once(wanted: Callable[[], bool], hand: Callable[[], None]) -> Callable[..., None]:
    """Has a hand move something, once, when the worker is at what was `wanted`; the worker waits for it."""
    hands: list[threading.Thread] = []

    def move(*_: Any) -> None:
        if wanted() and not hands:
            hands.append(threading.Thread(target=hand))
            hands[0].start()
            hands[0].join(PATIENCE)

    return move


def in_the_middle(picture: Any, wanted: Callable[[], bool], hand: Callable[[], None]) -> None:
    """The same, while the worker is about to show the answer to what was `wanted`."""
    picture.observe(once(wanted, hand), "sequence")


def test_an_answer_for_an_older_class_leaves_the_newer_choice(explored):
    app = explored()
    seen: list[int] = []
    app.classes.observe(lambda change: seen.append(change["new"]), "selected")
    in_the_middle(
        app.heatmap, lambda: app.settings.target == 5, lambda: app.classes.set_state({"selected": 9, "auto": False})
    )
    app.classes.set_state({"selected": 5, "auto": False})
    assert app.settled(PATIENCE)
    assert seen == [5, 9]
    assert (app.settings.target, app.explanation.target) == (9, (9,))


def test_an_answer_for_an_older_layer_leaves_the_newer_choice(explored):
    app = explored()
    seen: list[str] = []
    app.layers.observe(lambda change: seen.append(change["new"]), "selected")
    in_the_middle(
        app.heatmap,
        lambda: app.settings.layer == "features.3",
        lambda: app.layers.set_state({"selected": "features.0"}),
    )
    app.layers.set_state({"selected": "features.3"})
    assert app.settled(PATIENCE)
    assert seen == ["features.3", "features.0"]
    assert app.settings.layer == "features.0"


def test_in_the_quality_app_an_answer_for_an_older_class_leaves_the_newer_choice(assessed):
    app = assessed()
    seen: list[int] = []
    app.classes.observe(lambda change: seen.append(change["new"]), "selected")
    move = once(lambda: app.asked.settings.target == 5, lambda: app.classes.set_state({"selected": 9, "auto": False}))
    engine = app.explainer.explain

    def explain(*given: Any, **options: Any) -> Any:
        explanation = engine(*given, **options)
        move()
        return explanation

    app.explainer.explain = explain
    app.classes.set_state({"selected": 5, "auto": False})
    assert app.settled(PATIENCE)
    assert seen == [5, 9]
    assert (app.asked.settings.target, app.explanation.target) == (9, (9,))


def test_the_top_class_of_the_input_before_is_forgotten(explored):
    app = explored()  # its first digit is a 4, and the second is taken for a 3
    for part, state in (
        (app.classes, {"selected": 4, "auto": False}),
        (app.gallery, {"selected": 1}),
    ):
        part.set_state(state)
        assert app.settled(PATIENCE)
    assert app.explanation.target == (4,)
    app.classes.set_state({"auto": True, "selected": 3})
    assert app.settled(PATIENCE)
    assert (app.explanation.target, app.classes.selected) == ((3,), 3)


@pytest.fixture
def explainer() -> lw.Explainer:
    return lw.Explainer(lw.demo.models.digits_cnn())


def test_what_is_known_of_the_top_class_is_of_this_input(explainer):
    first, second = (lw.demo.data.digits().inputs[i : i + 1] for i in (0, 1))
    ahead = Ahead(explainer)
    ahead.lookup(first, METHOD, None)
    top = ahead.explain(first, METHOD, None, None, never, False).target[0]
    assert ahead.lookup(first, METHOD, top) is not None  # by its number it is the same explanation
    assert ahead.lookup(second, METHOD, top) is None
    ahead.explain(second, METHOD, top, None, never, False)
    assert int(explainer.scores(second).argmax()) != top
    assert ahead.lookup(second, METHOD, None) is None
    ahead.explain(second, METHOD, None, None, never, False)
    known = ahead.lookup(second, METHOD, None)
    assert known is not None and known.target == (int(explainer.scores(second).argmax()),)


def test_what_is_known_of_the_top_class_is_of_these_weights(explainer):
    x = lw.demo.data.digits().inputs[:1]
    ahead = Ahead(explainer)
    ahead.lookup(x, METHOD, None)
    top = ahead.explain(x, METHOD, None, None, never, False).target[0]
    last = explainer.model.classifier[2]
    with torch.no_grad():  # the class before becomes the top one
        last.weight.copy_(last.weight.roll(-1, 0))
        last.bias.copy_(last.bias.roll(-1, 0))
    assert ahead.lookup(x, METHOD, top) is None
    ahead.explain(x, METHOD, top, None, never, False)
    assert int(explainer.scores(x).argmax()) == top - 1
    assert ahead.lookup(x, METHOD, None) is None
