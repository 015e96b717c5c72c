"""The dashboard without a browser: settings go down, explanations come up, and nothing is computed twice."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.apps.explore import ahead
from lrp_widgets.apps.explore.explore import Dashboard
from lrp_widgets.apps.session.cores import cores_for
from lrp_widgets.engine.composites.presets import PRESETS
from lrp_widgets.methods import METHODS
from lrp_widgets.widgets.controls.control import NONE

PATIENCE = 60.0  # s: far longer than anything here takes
FIRST = lw.LRP(lw.layered())  # what a dashboard of the digits opens with


@pytest.fixture
def dashboard(explored) -> Dashboard:
    return explored()


def moved(dashboard: Dashboard, part: Any, **state: Any) -> None:
    """Move one control the way a browser does, and wait for the answer."""
    part.set_state(state)
    assert dashboard.settled(PATIENCE)
    assert dashboard.status.level == "ok", dashboard.status.text


def slid(dashboard: Dashboard, name: str, value: Any) -> None:
    """Move the slider of one parameter."""
    moved(dashboard, dashboard.methods.editor.control(name).inner, value=value)


def chosen(dashboard: Dashboard, part: Any, value: Any) -> None:
    """Choose a value in a drop-down."""
    values = [option[1] if isinstance(option, tuple) else option for option in part.options]
    moved(dashboard, part, index=values.index(NONE if value is None else value))


def fresh(dashboard: Dashboard) -> lw.Explanation:
    """The settings in force, explained by an Explainer that remembers nothing."""
    settings = dashboard.settings
    x = dashboard.samples.inputs[settings.sample : settings.sample + 1]
    with cores_for(dashboard.explainer.model, x):  # another number of cores may round differently
        return lw.Explainer(dashboard.explainer.model).explain(x, settings.target, settings.method)


def explanations(dashboard: Dashboard) -> list[lw.Explanation]:
    """The explanations that will come up."""
    seen: list[lw.Explanation] = []
    dashboard.observe(lambda change: seen.append(change["new"]), "explanation")
    return seen


def test_it_opens_on_the_first_sample_explained(dashboard, samples):
    assert dashboard.settings == lw.apps.session.settings.Settings(0, FIRST)
    assert torch.equal(dashboard.explanation.inputs, samples.inputs[:1])
    np.testing.assert_array_equal(dashboard.heatmap.relevance, dashboard.explanation.heatmap())
    assert dashboard.status.text.startswith("11 of 11 steps recomputed · ")
    assert (dashboard.status.level, dashboard.heatmap.stale, dashboard.classes.selected) == ("ok", False, 4)
    total, score = float(dashboard.explanation.total), float(dashboard.explanation.explained)
    assert dashboard.heatmap.stamp.startswith(f"ΣR = {total:.3f} · f(x) = {score:.3f}\nabsorbed ")
    assert dashboard.heatmap.description.startswith("Relevance of the input for class 4. ΣR = ")
    assert dashboard.curve.head.text.startswith("most relevant first · area ")
    assert [row["name"] for row in dashboard.layers.rows][-1] == ""
    assert dashboard.layers.faults == []


def test_what_is_no_sample_is_refused():
    message = r"^explore\(\) needs lw\.Samples or a tensor of inputs, got ndarray\.$"
    with pytest.raises(TypeError, match=message):
        lw.explore(lw.demo.models.digits_cnn(), np.zeros((1, 1, 28, 28)))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^Explainer needs a torch\.nn\.Module, got function\. "):
        lw.explore(lambda x: x, torch.zeros(1, 3))  # type: ignore[arg-type]


def test_another_sample_is_explained_for_its_own_top_class(dashboard, samples):
    assert dashboard.classes.auto
    for index in (1, 6, 300):
        moved(dashboard, dashboard.gallery, selected=index)
        assert dashboard.settings.sample == index
        assert torch.equal(dashboard.explanation.inputs, samples.inputs[index : index + 1])
        top = int(dashboard.explanation.scores.argmax())
        assert dashboard.explanation.target == (top,)
        assert (dashboard.classes.selected, dashboard.settings.target) == (top, None)


def test_a_class_picked_by_hand_stays_until_the_top_class_is_followed_again(dashboard):
    moved(dashboard, dashboard.classes, selected=9, auto=False)
    assert (dashboard.settings.target, dashboard.explanation.target) == (9, (9,))
    assert dashboard.heatmap.description.startswith("Relevance of the input for class 9. ")
    moved(dashboard, dashboard.gallery, selected=1)
    assert (dashboard.explanation.target, dashboard.classes.selected) == ((9,), 9)
    moved(dashboard, dashboard.classes, auto=True, selected=3)  # the network is wrong here
    assert (dashboard.settings.target, dashboard.explanation.target) == (None, (3,))
    moved(dashboard, dashboard.gallery, selected=0)
    assert dashboard.explanation.target == (4,)


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("alpha", 2.0, lw.layered(alpha=2.0)),
        ("epsilon", 1.0, lw.layered(epsilon=1.0)),
        ("gamma", 1.0, lw.layered(gamma=1.0)),
        ("split", [0.0, 0.5], lw.layered(split=(0.0, 0.5))),
    ],
)
def test_a_slider_changes_its_parameter_and_the_picture(dashboard, monkeypatch, name, value, wanted):
    monkeypatch.setattr(ahead, "LONG", math.inf)  # else a machine with other things to do shows a coarse picture first
    before, sequence = dashboard.heatmap.relevance, dashboard.heatmap.sequence
    slid(dashboard, name, value)
    assert dashboard.settings.method == lw.LRP(wanted)
    assert dashboard.heatmap.sequence == sequence + 1
    assert not np.array_equal(dashboard.heatmap.relevance, before)
    np.testing.assert_array_equal(dashboard.heatmap.relevance, fresh(dashboard).heatmap())


def test_beta_and_the_rules_in_force_follow_alpha(dashboard):
    slid(dashboard, "alpha", 2.35)
    assert dashboard.methods.editor.control("alpha").children[1].value == "β = 1.35"
    assert "α = 2.35, β = 1.35" in dashboard.equation.value


@pytest.mark.parametrize("rule", [None, "zB", "w2", "z+", "flat", "epsilon"])
def test_every_input_rule_can_be_chosen_and_costs_one_layer(dashboard, rule):
    chosen(dashboard, dashboard.methods.editor.control("input").inner, "flat")
    slid(dashboard, "gamma", 0.5)
    if rule != "flat":
        chosen(dashboard, dashboard.methods.editor.control("input").inner, rule)
        assert dashboard.status.text.startswith("1 of 11 steps recomputed · ")
    assert dashboard.settings.method.composite.input == rule
    np.testing.assert_array_equal(dashboard.heatmap.relevance, fresh(dashboard).heatmap())


def test_every_method_of_the_list_is_explained_with_its_defaults(dashboard):
    wanted = {preset.title: lw.LRP(preset()) for preset in PRESETS}
    wanted[lw.deep_taylor.title] = lw.LRP(lw.deep_taylor(input="zB"))  # in the box of the samples
    wanted |= {method.title: method() for method in METHODS if method is not lw.LRP}
    assert list(dashboard.methods.picker.options) == list(wanted)
    for title in [*list(wanted)[1:], next(iter(wanted))]:
        if wanted[title] == lw.LRP(lw.by_depth()):  # begins with the rules of the preset before it
            wanted[title] = lw.LRP(
                lw.by_depth.like(PRESETS[-2](), dashboard.explainer.tape(dashboard.explanation.inputs))
            )
        chosen(dashboard, dashboard.methods.picker, title)
        assert dashboard.settings.method == wanted[title]
        assert dashboard.explanation.method == wanted[title]
        np.testing.assert_array_equal(dashboard.heatmap.relevance, fresh(dashboard).heatmap())


def test_a_layer_shows_its_map_and_the_input_comes_back(dashboard):
    first = dashboard.heatmap.relevance
    dashboard.heatmap.at_input = False
    moved(dashboard, dashboard.layers, selected="features.3")
    np.testing.assert_array_equal(dashboard.heatmap.relevance, dashboard.explanation.layer("features.3")[0].sum(0))
    assert (dashboard.heatmap.shape, dashboard.heatmap.image) == ([8, 8], b"")
    assert dashboard.heatmap.description.startswith("Relevance of features.3 for class 4. ")
    moved(dashboard, dashboard.layers, selected="")
    np.testing.assert_array_equal(dashboard.heatmap.relevance, first)
    assert dashboard.heatmap.image_shape == [28, 28, 1]


def test_a_chosen_layer_outlives_a_method_without_layers(dashboard):
    dashboard.heatmap.at_input = False
    moved(dashboard, dashboard.layers, selected="features.3")
    chosen(dashboard, dashboard.methods.picker, "Gradient")
    assert (dashboard.heatmap.shape, dashboard.layers.selected) == ([28, 28], "")
    assert dashboard.status.text.endswith("no ledger: this method does not propagate through layers")
    chosen(dashboard, dashboard.methods.picker, "LRP-ε")
    assert (dashboard.heatmap.shape, dashboard.layers.selected) == ([8, 8], "features.3")


def test_how_it_looks_asks_nobody(dashboard):
    seen, sequence = explanations(dashboard), dashboard.heatmap.sequence
    chosen(dashboard, dashboard.look.arrangement, "beside")
    chosen(dashboard, dashboard.look.colormap, "grey")
    moved(dashboard, dashboard.heatmap, percentile=95.0, opacity=0.5)  # as the browser's own link does
    moved(dashboard, dashboard.heatmap, region=[[1, 1], [9, 1], [9, 9]])
    assert (dashboard.heatmap.arrangement, dashboard.heatmap.colormap, dashboard.layers.colormap) == (
        "beside", "grey", "grey",
    )  # fmt: skip
    assert (seen, dashboard.heatmap.sequence) == ([], sequence)


def test_what_is_set_to_what_it_was_asks_nobody(dashboard):
    seen = explanations(dashboard)
    moved(dashboard, dashboard.gallery, selected=0)
    moved(dashboard, dashboard.methods.editor.control("gamma").inner, value=0.25)
    moved(dashboard, dashboard.methods.picker, index=0)
    dashboard.methods.restore.click()
    assert dashboard.settled(PATIENCE)
    assert seen == []


def test_reset_brings_back_the_first_picture(dashboard):
    before = dashboard.heatmap.relevance
    slid(dashboard, "alpha", 2.0)
    slid(dashboard, "epsilon", 1.0)
    dashboard.methods.restore.click()
    assert dashboard.settled(PATIENCE)
    assert dashboard.settings.method == FIRST
    np.testing.assert_array_equal(dashboard.heatmap.relevance, before)


def test_a_drawing_is_explained_and_the_samples_come_back(dashboard, samples):
    ink = (samples.inputs[17, 0] * 255).round().to(torch.uint8).numpy()
    moved(dashboard, dashboard.source.pages.buttons, index=1)
    assert dashboard.source.pages.selected == "Draw"
    assert dashboard.settings.sample == 0  # nothing is drawn yet
    moved(dashboard, dashboard.pad, pixels=memoryview(ink.tobytes()), empty=False, sequence=1)
    assert dashboard.settings.sample == ink.tobytes()
    np.testing.assert_allclose(dashboard.explanation.inputs[0, 0].numpy(), ink / 255, atol=1e-6)
    assert dashboard.classes.selected == samples.labels[17]
    moved(dashboard, dashboard.pad, pixels=memoryview(bytes(784)), empty=True, sequence=2)
    assert dashboard.settings.sample == ink.tobytes()  # an empty pad is no question
    moved(dashboard, dashboard.source.pages.buttons, index=0)
    assert (dashboard.settings.sample, dashboard.classes.selected) == (0, 4)
    moved(dashboard, dashboard.source.pages.buttons, index=1)
    assert dashboard.settings.sample == 0


def test_of_a_hundred_moves_at_5_ms_the_last_is_shown_exactly(dashboard, measured):
    inner, sequence = dashboard.methods.editor.control("alpha").inner, dashboard.heatmap.sequence
    painted: list[float] = []
    dashboard.heatmap.observe(lambda _: painted.append(time.monotonic()), "sequence")
    answers = explanations(dashboard)
    for i in range(100):
        inner.set_state({"value": 1.0 + (37 * i % 41) / 20})
        time.sleep(0.005)
    last, before = time.monotonic(), len(answers)
    assert dashboard.settled(PATIENCE)
    assert len(answers) - before <= 2  # what was being made, and the last: nothing else waited in between
    assert answers[-1].method == dashboard.settings.method
    assert dashboard.settings.method.composite.alpha == inner.value == 1.0 + (37 * 99 % 41) / 20
    assert dashboard.status.level == "ok"
    np.testing.assert_array_equal(dashboard.heatmap.relevance, fresh(dashboard).heatmap())
    assert 2 < dashboard.heatmap.sequence - sequence <= 100
    measured("explore: s from the last of 100 slider moves at 5 ms to its heatmap", max(0.0, painted[-1] - last))


def test_the_curve_follows_and_random_orders_are_kept_until_input_or_class_changes(dashboard, request):
    batches: list[int] = []
    model = dashboard.explainer.model

    def note(module, inputs, output):
        if module is model:
            batches.append(len(inputs[0]))

    # Of all modules: a hook of the model's own that notes something is a change of the model, each time.
    request.addfinalizer(torch.nn.modules.module.register_module_forward_hook(note).remove)
    slid(dashboard, "alpha", 1.25)  # once, this one is too
    texts = {dashboard.curve.head.text}
    one_order = [50]  # 7 x 7 patches gone one by one, and the whole picture
    for alpha in (1.5, 2.0, 3.0):
        batches.clear()
        slid(dashboard, "alpha", alpha)
        assert batches == one_order
        texts.add(dashboard.curve.head.text)
    assert len(texts) == 4
    batches.clear()
    moved(dashboard, dashboard.classes, selected=9, auto=False)
    assert batches == one_order * 9  # and eight random ones
    batches.clear()
    moved(dashboard, dashboard.gallery, selected=5)
    assert batches == [1, *one_order * 9]
    with torch.no_grad():
        dashboard.explainer.model.classifier[2].bias -= 1
    batches.clear()
    slid(dashboard, "alpha", 1.1)
    assert batches == [1, *one_order * 9]


def test_the_figure_waits_for_somebody_who_looks(dashboard):
    seen, sequence = explanations(dashboard), dashboard.heatmap.sequence
    assert dashboard.curve.figure is None
    dashboard.heatmap._handle_custom_msg({"painted": True}, [])
    assert dashboard.settled(PATIENCE)
    figure = dashboard.curve.figure
    assert len(figure.data[3].y) == 50
    assert (seen, dashboard.heatmap.sequence) == ([], sequence)  # and nothing is explained for it
    dashboard.heatmap._handle_custom_msg({"painted": True}, [])
    slid(dashboard, "alpha", 2.0)
    assert dashboard.curve.figure is figure


def test_two_dashboards_of_one_model_do_not_touch_each_other(explored):
    model = lw.demo.models.digits_cnn()
    one, other = explored(model), explored(model)
    before = other.heatmap.relevance
    slid(one, "alpha", 2.0)
    moved(one, one.gallery, selected=7)
    assert (other.settings, other.heatmap.sequence) == (lw.apps.session.settings.Settings(0, FIRST), 1)
    np.testing.assert_array_equal(other.heatmap.relevance, before)
    one.close()
    slid(other, "alpha", 1.5)
    np.testing.assert_array_equal(other.heatmap.relevance, fresh(other).heatmap())


def test_closing_ends_the_worker(explored):
    def workers() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name == "lrp_widgets-latest"}

    before = workers()
    dashboard = explored()
    (worker,) = workers() - before
    dashboard.close()
    worker.join(PATIENCE)
    assert not worker.is_alive()
    dashboard.gallery.set_state({"selected": 3})  # too late, and harmless
    assert dashboard.settled(PATIENCE)


def test_one_of_several_outputs_is_explained(samples):
    class Several(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.digits = lw.demo.models.digits_cnn()

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"scores": self.digits(x), "double": 2 * self.digits(x)}

    dashboard = lw.explore(Several().eval(), samples, output="double")
    try:
        assert dashboard.settled(PATIENCE) and dashboard.status.level == "ok", dashboard.status.text
        twice = 2 * lw.demo.models.digits_cnn()(samples.inputs[:1]).detach()
        torch.testing.assert_close(dashboard.explanation.scores, twice)  # up to rounding: layers run channels last
        assert "area" in dashboard.curve.head.text
    finally:
        dashboard.close()
