"""The parts of the dashboard that ask for other settings: composite, filter, arithmetic, pins, undo, morph, upload."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import lrp_widgets as lw
from lrp_widgets.apps.explore.explore import Dashboard
from lrp_widgets.apps.explore.inspection import neuron_at
from lrp_widgets.apps.session.settings import Given, Morph, Pixel
from lrp_widgets.engine.analysis.neuron import Calculator, Neuron
from tests.apps.explore.test_explore import chosen, fresh, moved, slid

OWN = lw.by_depth.title


@pytest.fixture
def dashboard() -> Any:
    made = lw.explore(lw.demo.models.digits_cnn(), lw.demo.data.digits())
    made.heatmap.at_input = False  # layers as small maps of their own
    assert made.settled(60)
    yield made
    made.close()


def calculator(dashboard: Dashboard) -> Calculator:
    """The arithmetic of what is shown, from an explainer that remembers nothing."""
    explanation = dashboard.explanation
    assert explanation is not None
    tape, passed, *_ = lw.Explainer(dashboard.explainer.model).propagate(
        explanation.inputs, explanation.method.composite, explanation.target, lambda: False, explanation.method.filters
    )
    return Calculator(tape, explanation.method.composite, passed.relevance)


def test_the_own_composite_begins_as_the_preset_in_force(dashboard):
    slid(dashboard, "gamma", 0.5)
    before = dashboard.heatmap.relevance
    chosen(dashboard, dashboard.methods.picker, OWN)
    assert dashboard.details.selected == "Composite"
    np.testing.assert_array_equal(dashboard.heatmap.relevance, before)
    assert dashboard.composite.parts["lower"].value == lw.rules.Gamma(0.5)
    names = [value for _, value in dashboard.composite.chooser.options]
    assert names == ["classifier.2", "features.6", "features.3", "features.0"]
    slid_in(dashboard, dashboard.composite.parts["lower"], "gamma", 0.0)
    assert dashboard.settings.method.composite.lower == lw.rules.Gamma(0.0)
    np.testing.assert_array_equal(dashboard.heatmap.relevance, fresh(dashboard).heatmap())


def slid_in(dashboard: Dashboard, picker: Any, name: str, value: Any) -> None:
    moved(dashboard, picker.editor.control(name).inner, value=value)


def test_a_single_layer_has_a_rule_of_its_own(dashboard):
    moved(dashboard, dashboard.layers, selected="features.6")
    assert dashboard.composite.chooser.value == "features.6"  # one click for both lists
    chosen(dashboard, dashboard.composite.own.picker, "flat")
    assert dashboard.methods.picker.value == OWN  # whoever edits it means it
    assert dashboard.settings.method.composite.overrides == (lw.Entry(lw.rules.Flat(), "features.6"),)
    rules = {line.name: line.rule for line in dashboard.explanation.layers if line.rule}
    assert rules["features.6"] == lw.rules.Flat()
    assert ("features.6 · flat (own)", "features.6") in dashboard.composite.chooser.options
    chosen(dashboard, dashboard.composite.own.picker, "as its part")
    assert dashboard.settings.method.composite.overrides == ()


def test_only_the_kept_channels_pass(dashboard):
    moved(dashboard, dashboard.layers, selected="features.3")
    channels = dashboard.inspection.channels
    assert channels.layer == "features.3"
    totals = dashboard.explanation.layer("features.3")[0].sum((1, 2))
    assert channels.channels == totals.abs().argsort(descending=True)[:12].tolist()
    moved(dashboard, channels, kept=[channels.channels[1]])
    known = lw.Filter("features.3", (channels.channels[1],))
    assert dashboard.settings.method.filters == (known,)
    assert "filter" in dashboard.heatmap.stamp
    np.testing.assert_array_equal(dashboard.heatmap.relevance, passed(dashboard))
    slid(dashboard, "gamma", 0.1)  # a slider does not lift the filter
    assert dashboard.settings.method.filters == (known,)
    moved(dashboard, channels, kept=[], blocked=[channels.channels[0]])
    assert dashboard.settings.method.filters == (lw.Filter("features.3", (channels.channels[0],), block=True),)
    moved(dashboard, channels, blocked=[])
    assert dashboard.settings.method.filters == ()


def passed(dashboard: Dashboard) -> np.ndarray:
    layer = dashboard.settings.layer
    return fresh(dashboard).layer(layer)[0].sum(0).numpy()


def test_one_channel_alone_is_shown(dashboard):
    moved(dashboard, dashboard.layers, selected="features.0")
    channels = dashboard.inspection.channels
    moved(dashboard, channels, selected=channels.channels[2])
    expected = fresh(dashboard).layer("features.0")[0, channels.channels[2]]
    np.testing.assert_allclose(dashboard.heatmap.relevance, expected.numpy(), atol=1e-6)
    moved(dashboard, dashboard.layers, selected="features.3")
    assert dashboard.settings.channel == -1


def test_a_region_of_a_layer_is_kept_or_blocked(dashboard):
    dashboard.filter_region(block=False)
    assert dashboard.settled(30)
    assert dashboard.status.text == (
        "ValueError: Choose a layer and draw a region on its map first: a filter needs both."
    )
    moved(dashboard, dashboard.layers, selected="features.3")
    moved(dashboard, dashboard.heatmap, region=[[0, 0], [4, 0], [4, 8], [0, 8]])
    dashboard.filter_region(block=False)
    assert dashboard.settled(30)
    assert not dashboard.heatmap.relevance[:, 4:].any()
    assert dashboard.heatmap.relevance[:, :4].any()
    moved(dashboard, dashboard.inspection.channels, cleared=1)
    assert dashboard.settings.method.filters == ()


def test_a_clicked_pixel_shows_its_arithmetic_and_leads_through_the_network(dashboard):
    at = np.unravel_index(np.abs(dashboard.heatmap.relevance).argmax(), (28, 28))
    moved(dashboard, dashboard.heatmap, clicked={"x": int(at[1]), "y": int(at[0]), "count": 1})
    view, known = dashboard.inspection.arithmetic, calculator(dashboard)
    assert dashboard.views.selected == "Arithmetic"
    pixel = Pixel("", int(at[0]), int(at[1]))
    neuron = neuron_at(known, pixel)
    assert neuron == Neuron("features.0", (0, int(at[0]), int(at[1])))
    expected = known.of(neuron)
    assert view.neuron["relevance"] == pytest.approx(expected.relevance, rel=1e-5)
    assert view.rows[0]["message"] == pytest.approx(expected.messages[0].relevance, rel=1e-5)
    assert view.direction == "up"
    moved(dashboard, view, stepped={"row": 0, "count": 1})
    above = known.above(expected.messages[0].other)
    assert dashboard.settings.trail == (pixel, above)
    assert len(view.trail) == 2
    moved(dashboard, view, direction="down")
    assert dashboard.settings.trail[-1] == known.below(above)
    moved(dashboard, view, back={"position": 0, "count": 1})
    assert dashboard.settings.trail == (pixel,)
    chosen(dashboard, dashboard.methods.picker, "Gradient")
    assert view.neuron == {}  # no layers, no arithmetic


def test_one_neuron_is_kept_or_blocked_from_its_arithmetic(dashboard):
    view = dashboard.inspection.arithmetic
    moved(dashboard, dashboard.heatmap, clicked={"x": 14, "y": 14, "count": 1})
    assert view.can_filter is False  # at the input nothing is below
    before = dashboard.heatmap.relevance
    moved(dashboard, view, stepped={"row": 0, "count": 1})
    neuron = dashboard.settings.trail[-1]
    assert (neuron.layer, view.can_filter, view.passing) == ("features.3", True, "")
    moved(dashboard, view, passing="keep")
    (known,) = dashboard.settings.method.filters
    assert (known.neuron, known.block, known.channels) == (neuron.index, False, ())
    assert torch.count_nonzero(dashboard.explanation.layer(known.layer)) == 1
    assert (view.passing, view.filtered) == (
        "keep", f"only neuron {', '.join(map(str, neuron.index))} of {known.layer}"
    )  # fmt: skip
    assert "filter" in dashboard.heatmap.stamp
    kept = dashboard.heatmap.relevance
    moved(dashboard, view, passing="block")
    assert dashboard.settings.method.filters == (dataclasses.replace(known, block=True),)
    np.testing.assert_allclose(kept + dashboard.heatmap.relevance, before, atol=1e-5)
    moved(dashboard, view, passing="")
    np.testing.assert_array_equal(dashboard.heatmap.relevance, before)
    assert view.filtered == ""


def test_a_neuron_of_a_dense_layer_is_filtered_too_and_all_filters_are_given_up_at_once(dashboard):
    view = dashboard.inspection.arithmetic
    moved(dashboard, dashboard.layers, selected="classifier.2")
    moved(dashboard, dashboard.heatmap, clicked={"x": 4, "y": 0, "count": 1})
    assert view.can_filter
    moved(dashboard, view, passing="keep")
    (first,) = dashboard.settings.method.filters
    assert first == lw.Filter("classifier.2", neuron=(4,))
    moved(dashboard, view, direction="down")
    moved(dashboard, view, stepped={"row": 0, "count": 1})
    moved(dashboard, view, passing="block")
    assert len(dashboard.settings.method.filters) == 2
    assert dashboard.settings.method.filters[0] == first
    press(dashboard, "undo")
    assert view.passing == ""
    moved(dashboard, view, cleared=1)
    assert dashboard.settings.method.filters == ()


def press(dashboard: Dashboard, name: str) -> None:
    if name == "pin":
        dashboard.toolbar.set_state(
            {"pressed": {"name": "pin", "count": 1 + dashboard.toolbar.pressed.get("count", 0)}}
        )
    else:
        count = 1 + dashboard.sharebar.asked.get("count", 0)
        dashboard.sharebar.set_state({"asked": {"action": name, "count": count}})
    assert dashboard.settled(30)


def test_pins_stand_beside_the_present_one_and_say_what_differs(dashboard):
    before = dashboard.heatmap.relevance
    press(dashboard, "pin")
    assert dashboard.views.selected == "Compare"
    slid(dashboard, "alpha", 2.0)
    view = dashboard.pins.view
    (key,) = view.pins
    np.testing.assert_array_equal(np.frombuffer(view.maps[key], "<f4").reshape(28, 28), before)
    assert view.differs[key] == ["α 1"]
    np.testing.assert_array_equal(np.frombuffer(view.present, "<f4").reshape(28, 28), dashboard.heatmap.relevance)
    moved(dashboard, view, recalled={"key": key, "count": 1})
    np.testing.assert_array_equal(dashboard.heatmap.relevance, before)
    assert dashboard.methods.editor.control("alpha").value == 1.0
    moved(dashboard, view, removed={"key": key, "count": 1})
    assert view.pins == ()


def test_a_seventh_pin_is_refused(dashboard):
    for alpha in (1.0, 1.1, 1.2, 1.3, 1.4, 1.5):
        slid(dashboard, "alpha", alpha)
        press(dashboard, "pin")
    slid(dashboard, "alpha", 1.6)
    press(dashboard, "pin")
    assert dashboard.status.text == "ValueError: At most 6 explanations can be pinned. Remove one of them first."
    assert len(dashboard.pins.view.pins) == 6


def test_undo_and_redo_move_controls_and_picture(dashboard):
    first = dashboard.heatmap.relevance
    slid(dashboard, "alpha", 2.0)
    chosen(dashboard, dashboard.methods.picker, "LRP-ε")
    moved(dashboard, dashboard.gallery, selected=3)
    moved(dashboard, dashboard.classes, selected=2, auto=False)
    last = dashboard.settings
    for _ in range(4):
        press(dashboard, "undo")
    np.testing.assert_array_equal(dashboard.heatmap.relevance, first)
    assert dashboard.methods.picker.value == lw.layered.title
    assert dashboard.methods.editor.control("alpha").value == 1.0
    assert (dashboard.gallery.selected, dashboard.classes.auto) == (0, True)
    for _ in range(4):
        press(dashboard, "redo")
    assert dashboard.settings == last
    assert (dashboard.gallery.selected, dashboard.classes.selected, dashboard.methods.picker.value) == (3, 2, "LRP-ε")
    np.testing.assert_array_equal(dashboard.heatmap.relevance, fresh(dashboard).heatmap())


def test_an_input_on_its_way_to_another_one(dashboard):
    inputs = dashboard.samples.inputs
    moved(dashboard, dashboard.source.morph, value=True)
    moved(dashboard, dashboard.gallery, selected=5)
    assert dashboard.settings.sample == Morph(0, 5, 0.5)
    moved(dashboard, dashboard.source.share, value=0.8)
    torch.testing.assert_close(dashboard.explanation.inputs, 0.2 * inputs[:1] + 0.8 * inputs[5:6])
    moved(dashboard, dashboard.source.morph, value=False)
    assert dashboard.settings.sample == 0


def test_two_classes_are_contrasted(dashboard):
    chosen(dashboard, dashboard.against, 9)
    assert dashboard.settings.target == lw.contrast(4, 9)
    assert dashboard.explanation.target == lw.contrast(4, 9)
    chosen(dashboard, dashboard.against, -1)
    assert dashboard.settings.target is None


def png(size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_a_file_is_explained_and_a_broken_one_is_told(dashboard):
    upload = dashboard.upload
    moved(dashboard, upload, content=memoryview(png((40, 60))), filename="noise.png", sequence=1)
    sample = dashboard.settings.sample
    assert isinstance(sample, Given)
    assert sample.said.startswith("noise.png: 60 × 40, RGB → cropped to the square")
    np.testing.assert_array_equal(
        dashboard.explanation.inputs[0].numpy(), np.frombuffer(sample.values, "<f4").reshape(1, 28, 28)
    )
    upload.set_state({"content": memoryview(b"no picture"), "filename": "x.png", "sequence": 2})
    assert dashboard.settled(30)
    assert dashboard.status.level == "error"
    assert upload.refused.startswith("x.png")
    assert dashboard.settings.sample == sample


def test_everything_in_the_settings_can_be_compared_and_looked_up(dashboard):
    settings = dataclasses.replace(
        dashboard.settings, trail=(Pixel("", 1, 2), Neuron("features.0", (0, 1, 2))), sample=Morph(b"1", 2, 0.5)
    )
    assert hash(settings) == hash(dataclasses.replace(settings))


def test_a_state_opens_again_with_everything_in_it(dashboard):
    slid(dashboard, "alpha", 1.5)
    press(dashboard, "pin")
    moved(dashboard, dashboard.source.morph, value=True)
    moved(dashboard, dashboard.gallery, selected=5)
    moved(dashboard, dashboard.layers, selected="features.3")
    moved(dashboard, dashboard.inspection.channels, kept=[3])
    moved(dashboard, dashboard.heatmap, clicked={"x": 3, "y": 4, "count": 1})
    chosen(dashboard, dashboard.look.colormap, "vik")
    other = lw.explore(dashboard.explainer.model, dashboard.samples, state=dashboard.sharebar.state)
    try:
        assert other.settled(60)
        assert other.settings == dashboard.settings
        np.testing.assert_array_equal(other.heatmap.relevance, dashboard.heatmap.relevance)
        assert (other.heatmap.colormap, other.look.colormap.value) == ("vik", "vik")
        assert len(other.pins.view.pins) == 1
        assert (other.source.morph.value, other.gallery.selected) == (True, 5)
    finally:
        other.close()
    with pytest.raises(ValueError, match="State"):
        lw.explore(dashboard.explainer.model, dashboard.samples, state='{"lrp_widgets": 1, "sample": -1}')


def test_the_python_of_what_is_shown_makes_it_again(dashboard):
    moved(dashboard, dashboard.source.morph, value=True)
    moved(dashboard, dashboard.gallery, selected=5)
    moved(dashboard, dashboard.layers, selected="features.3")
    moved(dashboard, dashboard.inspection.channels, selected=dashboard.inspection.channels.channels[0])
    names = {"model": dashboard.explainer.model, "samples": dashboard.samples}
    exec(dashboard.sharebar.python, names)
    np.testing.assert_array_equal(names["relevance"][0].numpy(), dashboard.heatmap.relevance)
