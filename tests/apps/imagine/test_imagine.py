"""The imagine app without a browser: prototypes climb, go on, stand still and go back as the controls say."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lrp_widgets as lw
from lrp_widgets.apps.imagine.imagine import Imagine
from lrp_widgets.apps.imagine.request import PARTS
from lrp_widgets.apps.imagine.strip import STRENGTHS
from lrp_widgets.apps.imagine.way import Way
from lrp_widgets.apps.sharing.state import to_state
from lrp_widgets.demo import experts, generators, models
from lrp_widgets.prototypes.observed import Observed

PATIENCE = 120.0  # s
STEPS = 12


def settled(app: Imagine) -> Imagine:
    assert app.settled(PATIENCE)
    return app


def way(app: Imagine) -> Way:
    assert app._way is not None
    return app._way


@pytest.fixture
def app(few) -> Iterator[Imagine]:
    app = lw.imagine(
        models.digits_cnn(),
        few,
        judge=models.digits_mlp(),
        generator=generators.digits_vae(),
        experts=(experts.digits_gaussian(),),
    )
    app.controls.climb["steps"].value = STEPS
    yield settled(app)
    app.close()


def restarted(app: Imagine, **values: Any) -> Imagine:
    for name, value in values.items():
        app.controls.climb[name].value = value
    app.restart.click()
    return settled(app)


def test_what_it_shows_is_what_the_function_finds(app: Imagine) -> None:
    restarted(app, count=3)
    found = lw.prototype(
        app.material.model,
        lw.objectives.Logit(0),
        app.material.samples,
        experts.digits_gaussian(0.03),
        count=3,
        steps=STEPS,
        rate=0.1,
    )
    torch.testing.assert_close(app.found.inputs, found.inputs)
    torch.testing.assert_close(app.found.scores, found.scores)
    shown = np.frombuffer(app.results.prototypes.pictures, np.uint8).reshape(3, 28, 28)
    np.testing.assert_array_equal(shown, (found.inputs[:, 0] * 255).round().numpy().astype(np.uint8))
    assert app.status.text == f"climbed at step {STEPS}"


def test_beside_each_stand_its_heatmap_verdicts_and_nearest_samples(app: Imagine) -> None:
    view, x = app.results.prototypes, app.found.inputs
    assert view.maps_shape == [4, 28, 28]
    assert view.near_shape == [4, 3, 28, 28, 1]
    judged = models.digits_mlp()(x).argmax(1).tolist()
    for row, index in zip(view.verdicts, judged, strict=True):
        own, other = row
        assert own["text"].startswith("DigitsCNN: ") and other["text"].startswith(f"DigitsMLP: {index} ")
        assert other["agrees"] == (index == 0)
    gaps = torch.cdist(x.flatten(1), app.material.samples.inputs.flatten(1))
    nearest = app.material.samples.inputs[gaps.argsort(1)[:, :3].flatten()]
    shown = np.frombuffer(view.near, np.uint8).reshape(12, 28, 28)
    np.testing.assert_array_equal(shown, (nearest[:, 0] * 255).round().numpy().astype(np.uint8))
    method = app._besides._method
    map_ = app.material.explainer.explain(x, [0] * 4, method).relevance.sum(1).numpy()
    np.testing.assert_allclose(np.frombuffer(view.maps, "<f4").reshape(4, 28, 28), map_, rtol=1e-4, atol=1e-6)
    assert "class 0" in app.results.said.value and "DigitsMLP, which was not asked" in app.results.said.value


def test_a_slider_goes_on_from_where_the_prototypes_are(app: Imagine) -> None:
    before, steps = app.found, way(app).steps
    app.controls.climb["strength"].value = 0.5
    settled(app)
    assert way(app).steps == steps + STEPS
    assert torch.equal(way(app).kept[steps - 1][1].inputs, before.inputs)
    first = way(app).kept[steps][1]
    torch.testing.assert_close(
        first.inputs, before.inputs
    )  # the first look of the new climb is where the old one ended
    assert app.results.scores.lines[0]["x"][-1] == steps + STEPS


@pytest.mark.parametrize(("name", "value"), [("count", 2), ("seed", 3)])
def test_another_number_or_seed_begins_anew(app: Imagine, name: str, value: int) -> None:
    app.controls.climb[name].value = value
    settled(app)
    assert way(app).steps == STEPS
    assert len(app.found.inputs) == way(app).settings.climb.count


def test_another_class_begins_anew(app: Imagine) -> None:
    app.controls.target.value = 3
    settled(app)
    assert way(app).steps == STEPS
    assert "class 3" in app.results.said.value
    torch.testing.assert_close(app.found.scores[-1], app.material.model(app.found.inputs)[:, 3].detach())


def test_pause_step_and_go_on(app: Imagine) -> None:
    app.pause.value = True
    settled(app)
    steps = way(app).steps
    app.controls.climb["strength"].value = 1.0
    settled(app)
    assert way(app).steps == steps  # it stands still, whatever moves
    app.single.click()
    settled(app)
    app.single.click()
    settled(app)
    assert way(app).steps == steps + 2
    assert app.status.text == f"paused at step {steps + 2}"
    app.pause.value = False
    settled(app)
    assert way(app).steps == steps + STEPS


def test_looking_back_shows_an_earlier_step_and_going_on_starts_there(app: Imagine) -> None:
    assert app.scrubber.max == app.scrubber.value == len(way(app).kept) - 1
    step, earlier = way(app).kept[4]
    app.scrubber.value = 4
    settled(app)
    assert app.pause.value and torch.equal(app.found.inputs, earlier.inputs)
    assert app.results.scores.position == step
    shown = np.frombuffer(app.results.prototypes.pictures, np.uint8)
    np.testing.assert_array_equal(shown, (earlier.inputs * 255).round().numpy().astype(np.uint8).ravel())
    assert way(app).steps > step  # what came after it is kept while one only looks
    app.pause.value = False
    settled(app)
    assert torch.equal(way(app).kept[4][1].inputs, earlier.inputs)
    torch.testing.assert_close(way(app).kept[5][1].inputs, earlier.inputs)  # where the new climb begins
    assert len(way(app).kept) == 5 + STEPS
    assert way(app).steps == step + STEPS == len(way(app).scores)


@pytest.mark.parametrize("kind", ["channel", "sample"])
def test_channels_and_samples(app: Imagine, kind: str) -> None:
    app.controls.kind.value = kind
    settled(app)
    aim = app.asked.settings.aim
    assert aim.layer == app.material.compared
    found = app.found
    observed = Observed(app.material.model, [aim.layer])
    observed(found.inputs)
    value = app.material.objective(aim).value(found.scores, observed.activations)
    torch.testing.assert_close(found.scores[-1], value)
    assert all(each["agrees"] is None for row in app.results.prototypes.verdicts for each in row)
    assert app.results.prototypes.maps_shape[0] == 4


def test_code_space(app: Imagine) -> None:
    app.controls.image.value = "code"
    settled(app)
    assert app.found.parameters.shape == (4, 12)
    torch.testing.assert_close(generators.digits_vae()(app.found.parameters), app.found.inputs)


def test_the_strip_goes_from_none_to_too_strong(app: Imagine) -> None:
    app.pages.selected = "Strength"
    settled(app)
    titles = app.strip.pictures.titles
    assert titles == ["none", *(f"{each:g}" for each in STRENGTHS[1:])]
    shown_calls = [row[0] for row in app.strip.pictures.verdicts]
    assert [each["agrees"] for each in shown_calls] == [each["text"].startswith("0 ") for each in shown_calls]
    assert shown_calls[2]["agrees"] and not shown_calls[-1]["agrees"]
    shown = np.frombuffer(app.strip.pictures.pictures, np.uint8).reshape(len(STRENGTHS), -1)
    mean = (experts.digits_gaussian().tensors["mean"] * 255).numpy()
    assert np.abs(shown[-1] - mean).max() < np.abs(shown[1] - mean).max()
    sequence = app.strip.pictures.sequence
    app.controls.expert.value = "none"
    settled(app)
    assert app.strip.pictures.shape[0] == 0 and app.strip.pictures.sequence > sequence


def test_undo_redo_link_and_python(app: Imagine) -> None:
    first = app.asked.settings
    app.controls.target.value = 5
    settled(app)
    app.sharebar.set_state({"asked": {"action": "undo", "count": 1}})
    settled(app)
    assert app.asked.settings == first and app.controls.target.value == 0
    app.sharebar.set_state({"asked": {"action": "redo", "count": 2}})
    settled(app)
    assert app.asked.settings.aim.target == 5
    again = lw.imagine(
        models.digits_cnn(), app.material.samples, experts=experts.digits_gaussian(), state=app.sharebar.state
    )
    settled(again)
    assert again.asked.settings == app.asked.settings
    again.close()
    restarted(app)
    names: dict[str, Any] = {
        "model": app.material.model,
        "samples": app.material.samples,
        "expert": experts.digits_gaussian(app.asked.settings.climb.strength),
    }
    exec(app.sharebar.python, names)
    torch.testing.assert_close(names["found"].inputs, app.found.inputs)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"aim": {"target": 77}}, "A class must lie in [0, 9]"),
        ({"aim": {"kind": "channel", "layer": "nowhere"}}, "The model has no layer 'nowhere' here"),
        ({"aim": {"kind": "channel", "layer": "features.0", "channel": 999}}, "A channel of 'features.0' must lie in"),
        ({"aim": {"sample": 500}}, "A sample must lie in [0, 11]"),
        ({"climb": {"origin": 500}}, "A sample must lie in [0, 11]"),
        ({"climb": {"expert": "oracle"}}, "not 'oracle'"),
        ({"climb": {"image": "oil"}}, "not 'oil'"),
    ],
)
def test_a_link_to_what_there_is_not_is_refused_and_the_app_lives(app: Imagine, changes: Any, words: str) -> None:
    before = app.asked.settings
    state = to_state(
        dataclasses.replace(
            before, **{part: dataclasses.replace(getattr(before, part), **fields) for part, fields in changes.items()}
        ),
        {},
        PARTS,
    )
    app.links.open(state)
    settled(app)
    assert app.status.level == "error" and words in app.status.text
    assert app.asked.settings == before
    app.controls.climb["strength"].value = 0.2
    assert settled(app).status.level == "ok"


def test_hostile_states_are_refused(app: Imagine) -> None:
    for state in (
        {"lrp_widgets": 1, "climb": {"ClimbSettings": {"steps": 10**9}}},
        {"lrp_widgets": 1, "climb": {"ClimbSettings": {"expert": 5}}},
        {"lrp_widgets": 1, "climb": 3},
        {"lrp_widgets": 1, "aim": {"Aim": {"layer": "x" * 5000}}},
    ):
        with pytest.raises(ValueError, match="This state cannot be shown"):
            app.links.open(state, raises=True)


class _Fickle(nn.Module):
    """A model that answers NaN on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.broken = models.digits_cnn(), False
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        scores = self.inner(x)
        return scores * float("nan") if self.broken else scores


def test_a_nan_on_the_way_is_one_error_and_the_last_good_picture_stays(few) -> None:
    model = _Fickle()
    app = settled(lw.imagine(model, few, experts=experts.digits_gaussian()))
    before = app.results.prototypes.pictures
    model.broken = True
    app.controls.climb["strength"].value = 0.5
    settled(app)
    assert app.status.level == "error" and "NaN or infinity" in app.status.text
    assert app.results.prototypes.pictures == before
    model.broken = False
    app.controls.climb["strength"].value = 0.6
    assert settled(app).status.level == "ok"
    app.close()


def test_a_judge_that_cannot_be_asked(few) -> None:
    app = settled(lw.imagine(models.digits_cnn(), few, judge=nn.Linear(3, 3).eval(), experts=experts.digits_gaussian()))
    assert app.status.level == "error"
    assert app.results.prototypes.shape[0] == 4  # the prototypes are there
    app.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"generator": 3}, "imagine.generator must be a torch.nn.Module"),
        ({"judge": 3}, "imagine"),
        ({"experts": (3,)}, "imagine.experts must be of lw.experts"),
        ({"experts": (lw.experts.Gaussian.fit(torch.rand(9, 3)),)}, "fitted on inputs of shape"),
        ({"names": "model"}, "imagine.names must be two expressions"),
    ],
)
def test_bad_arguments_are_refused(few, options: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        lw.imagine(models.digits_cnn(), few, **options)


def test_features_without_positions(opened) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    app = opened(lw.imagine, lw.Samples(torch.rand(40, 6)), model)
    assert app.status.level == "ok"
    assert app.controls.image.options == ("pixels",)
    assert app.results.prototypes.shape[0] == 4


def test_the_model_is_not_written_into(few) -> None:
    model = models.digits_cnn()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    app = lw.imagine(model, few, experts=experts.digits_gaussian())
    app.controls.kind.value = "channel"
    settled(app)
    app.close()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
