"""What a model's outputs are, from `lw.Samples(…, task=…)` to every place of the apps that could show a probability."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.apps.sharing.export import export_html
from tests.apps.explore.test_explore import moved

PATIENCE = 60.0
TASKS = (None, "logit", "regression")


def model(outputs: int = 1) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, outputs)).eval()


def samples(task: str | None, **options: Any) -> lw.Samples:
    torch.manual_seed(1)
    return lw.Samples(torch.rand(4, 8), task=task, **options)


@pytest.mark.parametrize("task", TASKS)
def test_only_a_logit_has_a_probability(explored, task):
    dashboard = explored(model(), samples(task))
    score = float(dashboard.explanation.scores)
    picker = dashboard.classes
    assert (picker.names, picker.scores) == (["output"], [pytest.approx(score)])
    assert picker.probabilities == ([pytest.approx(1 / (1 + math.exp(-score)))] if task == "logit" else [])
    assert dashboard.heatmap.description.startswith("Relevance of the input for the output. ")
    python = dashboard.sharebar.python
    assert ("explanation.scores.sigmoid()" in python) == (task == "logit")
    assert dashboard.against.layout.display == "none"  # there is no other class


@pytest.mark.parametrize("task", TASKS)
def test_the_curve_is_of_the_score(explored, task):
    given = samples(task)
    dashboard = explored(model(), given)
    (shown, _) = dashboard.curve._shown
    assert shown.unit == "logit" and shown.values[0] == pytest.approx(float(dashboard.explanation.scores))
    assert np.ptp(shown.values) > 0.01


def test_the_copied_python_says_the_probability_of_a_logit(explored):
    network, given = model(), samples("logit")
    dashboard = explored(network, given)
    found: dict[str, Any] = {"model": network, "samples": given}
    threads = torch.get_num_threads()
    try:
        exec(dashboard.sharebar.python, found)
    finally:
        torch.set_num_threads(threads)
    assert float(found["probability"]) == pytest.approx(dashboard.classes.probabilities[0])


@pytest.mark.parametrize("task", TASKS)
def test_the_exported_page_says_what_the_output_is(task):
    network, given = model(), samples(task)
    settings = lw.apps.session.settings.Settings(0, lw.Gradient())  # type: ignore[attr-defined]
    page = export_html(lw.Explainer(network), given.inputs[:1], settings, given)
    assert "relevance of the input for the output" in page and "100" not in re.findall(r"Output.*?f\(x\)[^<]*", page)[0]
    assert ("its sigmoid" in page) == (task == "logit")


def test_the_second_of_two_classes_is_that_of_a_positive_logit(explored):
    given = samples("logit", classes=("benign", "malignant"), labels=[0, 1, 1, 0])
    dashboard = explored(model(), given)
    assert dashboard.classes.names == ["malignant"]
    assert dashboard.gallery.captions[:2] == ["benign", "malignant"]
    assert dashboard.heatmap.description.startswith("Relevance of the input for the output malignant. ")


@pytest.mark.parametrize(
    ("task", "outputs", "said"),
    [
        ("classes", 1, "Samples.task 'classes' needs a model with several outputs, this one has 1. "
         "Say 'logit' where its sigmoid is a probability, else 'regression'."),
        ("logit", 3, "Samples.task 'logit' needs a model with one output, this one has 3. Choose another task."),
    ],
)  # fmt: skip
def test_a_task_that_the_model_cannot_have_is_refused(explored, task, outputs, said):
    dashboard = explored(model(outputs), samples(task))
    assert (dashboard.status.level, dashboard.status.text) == ("error", f"ValueError: {said}")


def test_several_amounts_have_no_probabilities(explored):
    dashboard = explored(model(3), samples("regression"))
    assert dashboard.classes.names == ["0", "1", "2"] and dashboard.classes.probabilities == []
    moved(dashboard, dashboard.classes, selected=1, auto=False)
    assert dashboard.heatmap.description.startswith("Relevance of the input for output 1. ")


@pytest.mark.parametrize("task", TASKS)
def test_the_quality_app_offers_a_probability_to_a_logit_alone(opened, task):
    given = samples(task, labels=[0, 1, 1, 0])
    app = opened(lw.quality, given, model())
    unit = app.selectivity.flipping.control("unit")
    assert (unit.layout.display == "none") == (task != "logit")
    assert app.classes.probabilities == [] or task == "logit"
    unit.value = "probability"
    assert app.settled(PATIENCE) and app.status.level == "ok", app.status.text
    values = app.selectivity._progress.curves["most"].values
    score = float(app.explanation.scores)
    assert values[0] == pytest.approx(1 / (1 + math.exp(-score)) if task == "logit" else score)
    assert np.ptp(values) > 0.01
    app.pages.selected = app.data_set.name
    app.data_set.start()
    assert app.settled(PATIENCE) and app.status.level == "ok", app.status.text
    assert len(app.data_set.measured) > 0
