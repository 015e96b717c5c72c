"""Any move, in any order: each is answered or refused in words, and after a refusal the next valid move is answered."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.apps.explore.explore import Dashboard
from lrp_widgets.apps.session.settings import PARTS, Pixel, Settings
from lrp_widgets.apps.sharing.state import to_state
from lrp_widgets.engine.analysis.neuron import Neuron
from tests.apps.explore.test_explore import chosen, moved

PATIENCE = 60.0
REFUSED = (
    "explained against itself",
    "Choose a layer and draw a region",
    "has no map with rows and columns",
    "At most 6 explanations",
)
NOT_FOR_THIS = "Explain it with another method."
Move = tuple[str, Callable[[], Any]]


class Tokens(nn.Module):
    """Attention over ten tokens of six numbers: more tokens than some layers have features."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Linear(6, 8), nn.Linear(8, 3)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.embedding(x)).mean(1))


def net(*layers: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*layers).eval()


def volumes() -> nn.Module:
    return net(nn.Conv3d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(192, 2))


def pictures() -> nn.Module:
    pooled = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU()
    return net(*pooled, nn.Flatten(), nn.Linear(150, 5))


MODELS: dict[str, tuple[Callable[[], nn.Module], Any]] = {
    "digits": (lw.demo.models.digits_cnn, None),
    "RGB": (pictures, (4, 3, 16, 16)),
    "features": (lambda: net(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 3)), (4, 20)),
    "a bare number": (lambda: net(nn.Linear(20, 1), nn.Flatten(0)), (4, 20)),
    "a signal": (lambda: net(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(56, 2)), (4, 2, 16)),
    "tokens": (lambda: net(Tokens()), (4, 10, 6)),
    "volumes": (volumes, (4, 1, 6, 6, 6)),
}


def sent(part: Any, **state: Any) -> Move:
    return f"{type(part).__name__} {state}", lambda: part.set_state(state)


def moves(app: Dashboard, dice: random.Random) -> Iterator[Move]:
    """One move of each kind that the page offers now, as a browser sends it."""
    count = dice.randrange(10**6)
    pages = (app.views.buttons, app.details.buttons, app.source.pages.buttons)
    lists = (app.methods.picker, app.against, app.composite.chooser, app.composite.own.picker)
    lists += tuple(part.picker for part in app.composite.parts.values())
    yield from (sent(part, index=dice.randrange(len(part.options))) for part in (*pages, *lists) if part.options)
    yield sent(app.gallery, selected=dice.randrange(len(app.samples)))
    yield sent(app.classes, selected=dice.randrange(len(app.classes.names)), auto=dice.random() < 0.3)
    yield from (sent(app.layers, selected=dice.choice(app.layers.rows)["name"]) for _ in range(3))
    height, width = app.heatmap.shape
    place = {"x": dice.randrange(width), "y": dice.randrange(height), "count": count}
    yield from (sent(app.heatmap, clicked=place) for _ in range(3))
    yield sent(app.heatmap, region=[[0, 0], [width, 0], [width, height / 2], [0, height / 2]])
    yield sent(app.heatmap, at_input=dice.random() < 0.5)
    yield from _filters(app, dice, count)
    yield from _arithmetic(app, dice, count)
    yield "pin", app.pin
    for key in app.pins.view.pins[:1]:
        yield sent(app.pins.view, recalled={"key": key, "count": count})
        yield sent(app.pins.view, removed={"key": key, "count": count})
    yield sent(app.sharebar, asked={"action": dice.choice(["undo", "redo"]), "count": count})
    yield sent(app.source.morph, value=dice.random() < 0.5)
    yield sent(app.source.share, value=round(dice.random(), 2))


def _filters(app: Dashboard, dice: random.Random, count: int) -> Iterator[Move]:
    tiles = app.inspection.channels
    yield from (sent(tiles, selected=dice.choice([-1, *tiles.channels])) for _ in range(3))
    if tiles.can_filter:
        yield sent(tiles, kept=dice.sample(tiles.channels, min(len(tiles.channels), dice.randrange(2))))
        yield sent(tiles, blocked=dice.sample(tiles.channels, min(len(tiles.channels), dice.randrange(3))))
    if tiles.filtered:
        yield sent(tiles, cleared=tiles.cleared + 1)
    yield from (("region", button.click) for button in app.region_buttons if not button.disabled)


def _arithmetic(app: Dashboard, dice: random.Random, count: int) -> Iterator[Move]:
    view = app.inspection.arithmetic
    if view.rows:
        yield from (sent(view, stepped={"row": dice.randrange(len(view.rows)), "count": count}) for _ in range(2))
        yield sent(view, back={"position": dice.randrange(len(view.trail)), "count": count})
        yield sent(view, direction=dice.choice(["up", "down"]))
    if view.can_filter:
        yield sent(view, passing=dice.choice(["", "keep", "block"]))
    if view.filtered:
        yield sent(view, cleared=view.cleared + 1)


@pytest.fixture
def app(explored, few) -> Callable[[str], Dashboard]:
    def opens(name: str) -> Dashboard:
        model, shape = MODELS[name]
        torch.manual_seed(0)
        return explored(model(), few if shape is None else torch.rand(shape))

    return opens


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", range(2))
def test_a_walk_over_all_controls(app, name, seed):
    dashboard, dice, walked = app(name), random.Random(seed), []
    for _ in range(40):
        move, act = dice.choice(list(moves(dashboard, dice)))
        walked.append(move)
        act()
        assert dashboard.settled(PATIENCE), walked
        if dashboard.status.level == "ok":
            continue
        said = dashboard.status.text
        assert any(part in said for part in (*REFUSED, NOT_FOR_THIS)), (said, walked)
        if NOT_FOR_THIS in said:
            chosen(dashboard, dashboard.methods.picker, "LRP-ε")
        moved(dashboard, dashboard.gallery, selected=(max(0, dashboard.gallery.selected) + 1) % len(dashboard.samples))


def test_a_channel_of_a_layer_is_not_offered_at_the_input(app):
    dashboard = app("digits")
    channels = dashboard.inspection.channels
    moved(dashboard, dashboard.layers, selected="features.6")
    moved(dashboard, channels, kept=[channels.channels[3]])
    moved(dashboard, dashboard.layers, selected="")
    assert (channels.layer, channels.channels, channels.can_filter) == ("input", [0], False)
    assert channels.filtered.startswith("only channels ")  # and can be given up here
    moved(dashboard, channels, selected=0)
    moved(dashboard, dashboard.heatmap, clicked={"x": 9, "y": 9, "count": 1})
    assert dashboard.inspection.arithmetic.neuron["layer"] == "enters features.0"
    moved(dashboard, channels, cleared=1)
    assert dashboard.settings.method.filters == ()
    channels.set_state({"kept": [0]})
    assert dashboard.settled(PATIENCE)
    assert dashboard.status.text == (
        "ValueError: ChannelsView.kept must be empty: input lets no channel be kept or blocked."
    )


def test_the_channels_of_an_input_are_its_colours(app):
    dashboard = app("RGB")
    assert dashboard.inspection.channels.count == 3
    blue = dashboard.explanation.relevance[0, 2].numpy()
    moved(dashboard, dashboard.inspection.channels, selected=2)
    np.testing.assert_array_equal(dashboard.heatmap.relevance, blue)


def test_a_layer_is_pinned_as_the_input_where_the_method_has_no_layers(app):
    dashboard = app("RGB")
    moved(dashboard, dashboard.layers, selected="3")
    chosen(dashboard, dashboard.methods.picker, "Gradient")
    dashboard.pin()
    assert dashboard.settled(PATIENCE) and dashboard.status.level == "ok", dashboard.status.text
    assert dashboard.pins.view.pinned[0]["shape"] == [16, 16]
    chosen(dashboard, dashboard.methods.picker, "LRP-ε")
    assert dashboard.layers.selected == "3"


def test_a_region_is_refused_where_a_layer_has_no_maps(app):
    dashboard = app("features")
    moved(dashboard, dashboard.layers, selected="0")
    moved(dashboard, dashboard.heatmap, region=[[0, 0], [4, 0], [4, 4], [0, 4]])
    assert all(button.disabled for button in dashboard.region_buttons)
    dashboard.filter_region(block=True)
    assert dashboard.settled(PATIENCE)
    assert dashboard.status.text == (
        "ValueError: 0 has no map with rows and columns: keep or block some of its channels."
    )
    moved(dashboard, dashboard.gallery, selected=1)


def test_a_voxel_is_the_most_relevant_of_the_slices_that_were_added_up(app):
    dashboard = app("volumes")
    moved(dashboard, dashboard.heatmap, clicked={"x": 2, "y": 4, "count": 1})
    depth = int(dashboard.explanation.relevance[0, 0, :, 4, 2].abs().argmax())
    assert dashboard.inspection.arithmetic.neuron["index"] == f"0, {depth}, 4, 2"


BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("a layer that is not there", {"layer": "features.99"}, ""),
    ("a channel that is not there", {"channel": 12}, ""),
    ("a pixel that is not there", {"trail": (Pixel("", 80, 90),)}, ""),
    ("a pixel of no layer", {"trail": (Pixel("features.99", 0, 0),)}, ""),
    ("a neuron of no layer", {"trail": (Neuron("features.99", (1,)),)}, ""),
    ("a pixel of words", {"trail": (Pixel("", "a", "b"),)}, ""),  # type: ignore[arg-type]
    ("a pin that cannot be", {"pins": (Settings(0, lw.LRP(filters=(lw.Filter("x"),))),)}, ""),
    ("a filter of no layer", {"method": lw.LRP(filters=(lw.Filter("x"),))}, "Filter.layer: "),
    ("a filter of no channel", {"method": lw.LRP(filters=(lw.Filter("features.3", (99,)),))}, "Filter.channels must "),
]


@pytest.mark.parametrize(("changes", "said"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_link_to_what_the_model_does_not_have_leaves_a_page_that_works(app, changes, said):
    dashboard = app("digits")
    settings = Settings(**{"sample": 1, "method": lw.LRP(), **changes})
    dashboard.sharing.open(to_state(settings, {}, PARTS))
    assert dashboard.settled(PATIENCE)
    text = dashboard.status.text
    assert text.startswith(f"ValueError: The filters are taken off. {said}") if said else dashboard.status.level == "ok"
    moved(dashboard, dashboard.gallery, selected=2)
    moved(dashboard, dashboard.layers, selected="features.3")
    if dashboard.settings.trail:
        assert dashboard.inspection.arithmetic.note.startswith("There is no arithmetic of ")
