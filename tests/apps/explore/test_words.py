"""What the app says: doctor, minus signs, differences in words, and Python that runs as it is copied."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lrp_widgets as lw
from lrp_widgets.apps.explore.pinning import differences
from lrp_widgets.apps.session.formatting import findings, stamp
from lrp_widgets.apps.session.settings import Settings
from lrp_widgets.engine.analysis.doctor import Finding
from lrp_widgets.engine.composites.presets import PRESETS
from lrp_widgets.methods import METHODS
from tests.apps.explore.test_explore import moved

NOTEBOOK = Path(__file__).parents[3] / "notebooks" / "explore.ipynb"


def test_the_doctor_says_that_all_is_well(explored):
    assert "All is well" in explored().doctor.value


def test_remedies_are_in_sight():
    (line,) = re.findall("<li.*?</li>", findings([Finding("warning", "conv <1>", "It is odd.", "Call model.eval().")]))
    assert line == (
        '<li class="lrp-finding-warning"><b>conv &lt;1&gt;</b> It is odd.'
        '<div class="lrp-remedy">Call model.eval().</div></li>'
    )
    assert "lrp-remedy" not in findings([Finding("info", "conv", "It is odd.", "")])


def test_numbers_below_zero_have_a_minus_sign(explored):
    dashboard = explored()
    moved(dashboard, dashboard.classes, selected=3, auto=False)
    text = stamp(dashboard.explanation)
    assert text.startswith("ΣR = −") and "-" not in text
    assert "-" not in dashboard.status.text and "e−" in dashboard.status.text
    assert not re.search(r"\de-\d", dashboard.equation.value)


def test_differences_are_in_the_words_of_the_controls(few):
    methods = [lw.LRP(preset()) for preset in PRESETS] + [method() for method in METHODS]
    for one in methods:
        for other in methods:
            text = " ".join(differences(Settings(0, one), Settings(1, other), few))
            assert not re.search(r"\b(None|True|False)\b", text), text
            assert text.startswith("sample 0")
    assert differences(Settings(0, lw.LRP(lw.epsilon())), Settings(0, lw.LRP(lw.epsilon(input="flat"))), few) == [
        "input rule as the layers above"
    ]


def test_what_the_served_page_copies_runs_as_it_is():
    """The dashboard of the notebook, and its Python run where nothing else is defined."""
    (cell,) = json.loads(NOTEBOOK.read_text())["cells"]
    found: dict[str, Any] = {}
    *lines, last = "".join(cell["source"]).splitlines()
    exec("\n".join([*lines, f"app = {last}"]), found)
    app, threads = found["app"], torch.get_num_threads()
    try:
        moved(app, app.gallery, selected=2)
        moved(app, app.layers, selected="features.3")
        moved(app, app.inspection.channels, selected=app.inspection.channels.channels[0])
        copied: dict[str, Any] = {}
        exec(app.sharebar.python, copied)
        app.heatmap.at_input = False
        assert app.settled(60)
        np.testing.assert_array_equal(copied["relevance"][0].numpy(), app.heatmap.relevance)
    finally:
        torch.set_num_threads(threads)
        app.close()


@pytest.mark.parametrize("names", ["model", ("model",), ("model", ""), ("model", 3)])
def test_names_are_two_expressions(names):
    with pytest.raises(TypeError, match=r"^explore\.names must be two expressions, "):
        lw.explore(lw.demo.models.digits_mlp(), lw.demo.data.digits(), names=names)
