"""Bad states: one clear line in the status, the old picture greyed, and the next valid move clears it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.apps.explore.explore import Dashboard
from lrp_widgets.apps.session.cores import cores_for

PATIENCE = 60.0  # s: far longer than anything here takes
KEPT = "The picture is the last one that worked; any move tries again."
NONE_YET = "There is no picture yet; any move tries again."


def moved(dashboard: Dashboard, part: Any, **state: Any) -> None:
    """Move one control the way a browser does, and wait for the answer."""
    part.set_state(state)
    assert dashboard.settled(PATIENCE)


def in_trouble(dashboard: Dashboard, text: str, remedy: str = KEPT) -> None:
    """The status line says exactly this, and the picture is greyed."""
    assert (dashboard.status.level, dashboard.status.text) == ("error", text)
    assert (dashboard.status.remedy, dashboard.heatmap.stale) == (remedy, True)


def recovers(dashboard: Dashboard, sample: int = 7) -> None:
    """The next valid move clears the trouble and is answered rightly."""
    moved(dashboard, dashboard.gallery, selected=sample)
    assert (dashboard.status.level, dashboard.status.remedy) == ("ok", ""), dashboard.status.text
    assert not dashboard.heatmap.stale
    x = dashboard.samples.inputs[sample : sample + 1]
    with cores_for(dashboard.explainer.model, x):  # another number of cores may round differently
        explanation = lw.Explainer(dashboard.explainer.model).explain(x, None, dashboard.settings.method)
    np.testing.assert_array_equal(dashboard.heatmap.relevance, explanation.heatmap())


def test_a_model_in_training_mode(explored):
    model = lw.demo.models.digits_cnn().train()
    dashboard = explored(model)
    said = (
        "ValueError: The model must be in evaluation mode, got training mode in classifier.1. Call model.eval() first."
    )
    in_trouble(dashboard, said, NONE_YET)
    assert dashboard.heatmap.sequence == 0
    assert all(module.training for module in model.modules())  # reading it changed nothing
    model.eval()
    recovers(dashboard)


@pytest.mark.parametrize("trouble", [RuntimeError("out of ink"), SystemExit("out of ink"), AssertionError()])
def test_a_model_that_raises(explored, moody, trouble):
    dashboard = explored(moody)
    before = dashboard.heatmap.relevance
    moody.trouble = trouble
    moved(dashboard, dashboard.gallery, selected=3)
    said = {
        RuntimeError: "RecordingError: Moody raised RuntimeError on an input of shape (1, 1, 28, 28): out of ink",
        SystemExit: "SystemExit: out of ink",
        AssertionError: "RecordingError: Moody raised AssertionError on an input of shape (1, 1, 28, 28): "
        "it gave no reason at 'raise self.trouble' in forward()",
    }[type(trouble)]
    in_trouble(dashboard, said)
    np.testing.assert_array_equal(dashboard.heatmap.relevance, before)
    assert dashboard.heatmap.sequence == 1
    moody.trouble = None
    recovers(dashboard)


def test_weights_that_are_not_finite(explored):
    model = lw.demo.models.digits_cnn()
    dashboard = explored(model)
    weight = model.features[3].weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight[0, 0, 0, :2] = torch.tensor([torch.nan, torch.inf])
    moved(dashboard, dashboard.methods.editor.control("alpha").inner, value=2.0)
    in_trouble(
        dashboard,
        "ValueError: The weights 'features.3.weight' must be finite, got 2 NaN or infinite values. Load them again.",
    )
    with torch.no_grad():
        weight.copy_(kept)
    recovers(dashboard)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (
            (3, 3, 28, 28),
            "Given groups=1, weight of size [24, 1, 5, 5], expected input[1, 3, 28, 28] to have 1 channels",
        ),
        ((3, 784), "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [1, 784]"),
        ((3, 1, 20, 20), "Calculated padded input size per channel: (2 x 2)."),
    ],
    ids=str,
)
def test_samples_of_a_wrong_shape(explored, shape, said):
    dashboard = explored(None, torch.rand(shape))
    begins = f"RecordingError: DigitsCNN raised RuntimeError on an input of shape {(1, *shape[1:])}: {said}"
    assert dashboard.status.text.startswith(begins)
    in_trouble(dashboard, dashboard.status.text, NONE_YET)
    moved(dashboard, dashboard.gallery, selected=2)
    assert dashboard.status.text.startswith(begins)


def test_samples_of_a_wrong_dtype_name_the_remedy(explored, samples):
    dashboard = explored(None, lw.Samples(samples.inputs[:3].double()))
    assert dashboard.status.level == "error"
    assert dashboard.status.text.endswith("convert it with x.to(torch.float32).)")


def test_a_refusal_does_not_swallow_the_move_before_it(explored):
    dashboard = explored()
    dashboard.gallery.set_state({"selected": 3})
    dashboard.gallery.set_state({"selected": 3000})
    assert dashboard.settled(PATIENCE)
    assert dashboard.status.text == "ValueError: Gallery.selected must lie in [-1, 358], got 3000."
    assert torch.equal(dashboard.explanation.inputs, dashboard.samples.inputs[3:4])


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_one_sample_that_is_not_finite(explored, samples, bad):
    inputs = samples.inputs[:9].clone()
    inputs[1, 0, 3, 3] = bad
    dashboard = explored(None, inputs)
    assert dashboard.status.level == "ok"
    moved(dashboard, dashboard.gallery, selected=1)
    in_trouble(dashboard, "ValueError: The input must be finite, got 1 NaN or infinite values of 784.")
    recovers(dashboard)


FORGED: list[tuple[str, Callable[[Dashboard], Any], dict[str, Any], str]] = [
    (
        "a slider's maximum and value",
        lambda d: d.methods.editor.control("alpha").inner,
        {"max": 1e3, "value": 50.0},
        "layered.alpha must lie in [1.0, 10.0], got 50.0.",
    ),
    (
        "a log slider's value",
        lambda d: d.methods.editor.control("epsilon").inner,
        {"value": float("nan")},
        "layered.epsilon must be at least 0.0, got nan.",
    ),
    (
        "a range",
        lambda d: d.methods.editor.control("split").inner,
        {"max": 5.0, "value": [0.5, 3.0]},
        "layered.split must be two rising numbers in [0.0, 1.0], got (0.5, 3.0).",
    ),
    (
        "an input rule",
        lambda d: d.methods.editor.control("input").inner,
        {"index": 6},
        "input rule: Invalid selection: index out of bounds",
    ),
    ("a method", lambda d: d.methods.picker, {"index": 88}, "method: Invalid selection: index out of bounds"),
    (
        "the source",
        lambda d: d.source.pages.buttons,
        {"index": 3},
        "ToggleButtons: Invalid selection: index out of bounds",
    ),
    ("a look", lambda d: d.look.arrangement, {"index": 9}, "show: Invalid selection: index out of bounds"),
    (
        "a drawing of the wrong length",
        lambda d: d.pad,
        {"pixels": memoryview(b"123"), "empty": False, "sequence": 1},
        "DrawingPad.pixels must be 784 bytes (28 × 28), got 3.",
    ),
    (
        "a drawing that is text",
        lambda d: d.pad,
        {"pixels": "0" * 784, "empty": False, "sequence": 1},
        f"The 'pixels' trait of a DrawingPad instance expected a bytes object, not the str '{'0' * 784}'.",
    ),
    (
        "a class",
        lambda d: d.classes,
        {"selected": 10, "auto": False},
        "ClassPicker.selected must lie in [-1, 9], got 10.",
    ),
    ("a sample", lambda d: d.gallery, {"selected": 359}, "Gallery.selected must lie in [-1, 358], got 359."),
    (
        "a layer",
        lambda d: d.layers,
        {"selected": "features.99"},
        "LayersView.selected must be a row's name or '', got 'features.99'.",
    ),
    (
        "the picture",
        lambda d: d.heatmap,
        {"data": memoryview(b"x")},
        "HeatmapView.data cannot be set from the browser.",
    ),
    (
        "a picked pixel",
        lambda d: d.heatmap,
        {"clicked": {"x": 28, "y": 0, "count": 1}},
        "HeatmapView.clicked must be {} or {x, y, count} with x < 28 and y < 28, got {'x': 28, 'y': 0, 'count': 1}.",
    ),
    (
        "a percentile",
        lambda d: d.heatmap,
        {"percentile": float("nan")},
        "HeatmapView.percentile must be a finite number, got nan.",
    ),
]


@pytest.mark.parametrize(("part", "state", "said"), [row[1:] for row in FORGED], ids=[row[0] for row in FORGED])
def test_a_forged_trait(explored, part, state, said):
    dashboard = explored()
    settings, sequence = dashboard.settings, dashboard.heatmap.sequence
    before = {name: value for name, value in part(dashboard).get_state().items() if name in state}
    moved(dashboard, part(dashboard), **state)
    in_trouble(dashboard, f"ValueError: {said}")
    assert (dashboard.settings, dashboard.heatmap.sequence) == (settings, sequence)
    assert {name: part(dashboard).get_state()[name] for name in before} == before  # it went back
    recovers(dashboard)


def test_the_same_forgery_twice_is_told_twice(explored):
    dashboard = explored()
    for _ in range(2):
        moved(dashboard, dashboard.gallery, selected=359)
        in_trouble(dashboard, "ValueError: Gallery.selected must lie in [-1, 358], got 359.")
        recovers(dashboard, 7 - dashboard.gallery.selected)  # 7, then 0


@pytest.mark.parametrize("state", [{"text": "all is well"}, {"level": "ok"}])
def test_the_status_line_cannot_be_forged(explored, state):
    dashboard = explored()
    moved(dashboard, dashboard.gallery, selected=359)
    moved(dashboard, dashboard.status, **state)
    in_trouble(dashboard, "ValueError: Gallery.selected must lie in [-1, 358], got 359.")


def net(*layers: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*layers).eval()


@pytest.mark.parametrize(
    ("model", "inputs", "picture", "thumbnails", "classes"),
    [
        (net(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 3)), torch.rand(4, 20), [1, 20], [4, 8, 20, 1], 3),
        (net(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 1)), torch.rand(4, 20), [1, 20], [4, 8, 20, 1], 1),
        (net(nn.Linear(20, 1), nn.Flatten(0)), torch.rand(4, 20), [1, 20], [4, 8, 20, 1], 1),
        (net(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(784, 5)), torch.rand(4, 3, 16, 16), [16, 16],
         [4, 16, 16, 3], 5),
        (net(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(56, 2)), torch.rand(4, 2, 16), [2, 16],
         [4, 8, 32, 1], 2),
    ],
    ids=["features", "one output", "a bare number", "RGB", "a signal"],
)  # fmt: skip
def test_models_of_other_things_than_grey_digits(explored, model, inputs, picture, thumbnails, classes):
    dashboard = explored(model, inputs)
    assert dashboard.status.level == "ok", dashboard.status.text
    assert (dashboard.heatmap.shape, dashboard.gallery.shape) == (picture, thumbnails)
    assert len(dashboard.classes.names) == classes
    pictures = inputs.ndim == 4
    assert list(dashboard.source.pages.pages) == ["Samples", *["Upload"] * pictures]  # the pad draws grey digits only
    for part, state in (
        (dashboard.gallery, {"selected": 3}),
        (dashboard.classes, {"selected": classes - 1, "auto": False}),
        (dashboard.methods.editor.control("gamma").inner, {"value": 1.0}),
        (dashboard.layers, {"selected": dashboard.layers.rows[0]["name"]}),
        (dashboard.methods.picker, {"index": len(dashboard.methods.picker.options) - 1}),
    ):
        moved(dashboard, part, **state)
        assert dashboard.status.level == "ok", dashboard.status.text


def test_samples_whose_box_does_not_hold_zero_have_no_z_box(explored):
    model = net(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 3))
    dashboard = explored(model, lw.Samples(torch.rand(4, 20) + 1, low=1.0, high=2.0))
    assert dashboard.status.level == "ok", dashboard.status.text
    assert dashboard.settings.method.composite.input == "w2"
    control = dashboard.methods.editor.control("input")
    moved(dashboard, control.inner, index=1)
    assert (control.value, control.inner.value) == ("w2", "w2")
    in_trouble(dashboard, "ValueError: layered.low must be at most 0 (the box must hold 0), got 1.0.")


def test_rgb_samples_are_seen_as_they_were_before_normalization(explored):
    inputs = torch.tensor([-2.0, 0.0, 2.0]).reshape(1, 3, 1, 1).expand(2, 3, 16, 16).contiguous()
    model = net(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(784, 5))
    dashboard = explored(model, lw.Samples(inputs, low=(-2.0, -2.0, -2.0), high=(2.0, 2.0, 2.0)))
    pixels = np.frombuffer(dashboard.heatmap.image, np.uint8).reshape(dashboard.heatmap.image_shape)
    assert pixels[5, 5].tolist() == [0, 128, 255]
