"""The exported page: what it carries is what the engine answers, and it opens and moves without any network."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import numpy as np
import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.apps.explore.explore import Settings
from lrp_widgets.apps.session.formatting import stamp
from lrp_widgets.apps.sharing.export import export_html
from lrp_widgets.apps.sharing.manifest import model_digest
from lrp_widgets.apps.sharing.positions import grid_of
from lrp_widgets.engine.propagation.propagate import Abandoned

MODEL, SAMPLES = lw.demo.models.digits_cnn(), lw.demo.data.digits()
SETTINGS = Settings(3, lw.LRP(lw.alpha_beta(alpha=1.37)), 8)
X = SAMPLES.inputs[3:4]


def exported(settings=SETTINGS, x=X, samples=SAMPLES, model=MODEL, **options) -> str:
    return export_html(lw.Explainer(model), x, settings, samples, **{"positions": 5, **options})


def data_of(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" class="page-data">(.*?)</script>', page, re.S)[1])


def maps_of(data: dict) -> np.ndarray:
    steps = np.frombuffer(base64.b64decode(data["maps"]), "<i2").reshape(-1, *data["view"]["shape"])
    maps = steps.astype(float) * np.array(data["scales"])[:, None, None]
    return np.where(steps == -32768, np.nan, maps)


@pytest.fixture(scope="module")
def page():
    return exported(date="2026-11-21", code="import lrp_widgets as lw")


@pytest.mark.parametrize("settings", [SETTINGS, Settings(3, lw.LRP(lw.epsilon()), lw.contrast(3, 5), "features.3")])
def test_every_position_is_the_engine_s_answer(settings):
    page = exported(settings)
    data, explainer = data_of(page), lw.Explainer(MODEL)
    assert data["joint"] and len(data["order"]) == 30 == len(maps_of(data))
    stated = float(re.search(r"rounded by at most (\S+) of its map", page)[1])
    assert 1e-6 < stated < 2e-5
    for place, method in enumerate(grid_of(settings.method, 30, 5)):
        wanted = explainer.explain(X, settings.target, method)
        which = data["order"][place]
        exact = wanted.layer(settings.layer)[0].sum(0).numpy() if settings.layer else wanted.heatmap()
        assert np.abs(maps_of(data)[which] - exact).max() <= 1.05 * stated * np.abs(exact).max()
        assert data["stamps"][which] == stamp(wanted)
    at = [axis["at"] for axis in data["axes"]]
    assert data["axes"][0]["texts"][at[0]].startswith(("1.37", "1e-06"))
    assert bool(data["image"]) == (not settings.layer)


def test_the_small_map_of_a_layer_has_no_more_positions_than_can_be_waited_for():
    asked: list[int] = []

    def enough() -> bool:
        return bool(asked)

    with pytest.raises(Abandoned):
        exported(
            Settings(3, lw.LRP(lw.layered()), 8, "features.6"), positions=21,
            progress=lambda done, of: asked.append(of), abandoned=enough,
        )  # fmt: skip
    assert 20 < asked[0] <= 2000


def test_the_page_is_whole(page):
    assert "://" not in page and "url(" not in page and "@import" not in page and len(page) < 400_000
    assert "$" + "{" not in re.sub(r"<script.*?</script>", "", page, flags=re.S)
    script = re.search(r'<script type="module">(.*?)</script>', page, re.S)[1]
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{allowed}'" in page


def test_the_manifest(page):
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert facts["Model"] == "lrp_widgets.demo.models.digits_cnn.DigitsCNN, 8 tensors in its state_dict"
    assert facts["sha256 of names and bytes"] == model_digest(MODEL)
    assert facts["Sample"] == "number 3, label 9" and facts["Class"].startswith("8, f(x) = ")
    assert facts["Method"] == "lw.LRP(lw.alpha_beta(alpha=1.37))"
    assert facts["Positions"] == "30: α (5), input rule (6), in every combination"
    assert facts["Size"] == "0.06 MB of maps, with 16 bits for a number"
    assert facts["Made with"].endswith(f", torch {torch.__version__}") and facts["Date"] == "2026-11-21"
    assert "<pre>import lrp_widgets as lw</pre>" in page


def test_the_digest_is_of_names_and_bytes():
    def digest(**changes):
        model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.fill_(changes.get(name.replace(".", "_"), 0.5))
        return model_digest(model)

    assert digest() == digest() != digest(**{"0_weight": 0.25})
    assert model_digest(nn.ParameterDict({"a": torch.ones(1)})) != model_digest(nn.ParameterDict({"b": torch.ones(1)}))


def test_names_are_no_html():
    names = ["</script><script>alert(1)</script>"] * 10
    samples = lw.Samples(SAMPLES.inputs[:5], SAMPLES.labels[:5], names)
    page = exported(samples=samples)
    assert page.count("<script") == 2 and page.count("</script>") == 2
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in page and "alert(1)</script>" not in page
    assert names[0] in data_of(page)["view"]["description"]


def test_a_large_picture_gets_fewer_positions():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(32, 4)).eval()
    samples = lw.Samples(torch.rand(1, 3, 224, 224))
    settings = Settings(0, lw.LRP(lw.layered(alpha=1.5)))
    page = exported(settings, samples.inputs, samples, model, positions=21)
    data = data_of(page)
    assert not data["joint"] and [len(axis["texts"]) for axis in data["axes"]] == [5, 5, 5, 6]
    assert len(data["scales"]) == 18 and len(data["order"]) == 21  # where all of them stand is made once
    assert len(page) < 3.3e6 and data["view"]["image_shape"] == [224, 224, 3]
    assert "one at a time, the others as they were" in page


def test_numbers_that_are_not_finite_stay_so(monkeypatch):
    broken = torch.zeros(1, 1, 2, 2)
    broken[0, 0, 0] = torch.tensor([float("nan"), float("inf")])
    explanation = lw.Explainer(MODEL).explain(X).replace(relevance=broken)
    monkeypatch.setattr(lw.Explainer, "explain", lambda *_, **__: explanation)
    assert np.array_equal(maps_of(data_of(exported()))[0], [[np.nan, np.nan], [0, 0]], equal_nan=True)


def test_progress_and_an_end():
    seen: list[tuple[int, int]] = []
    with pytest.raises(Abandoned):
        exported(progress=lambda *at: seen.append(at), abandoned=lambda: len(seen) > 7)
    assert seen == [(i, 30) for i in range(8)]
    exported(progress=lambda *at: seen.append(at))
    assert seen[-1] == (30, 30) and len(seen) == 8 + 31


def test_other_methods_and_no_slider():
    assert len(data_of(exported(Settings(3, lw.Gradient())))["axes"]) == 0
    data = data_of(exported(Settings(3, lw.IntegratedGradients())))
    assert len(data["order"]) <= 64 and data["equations"][0] == [0] and "IntegratedGradients" not in data["lines"][0]


def test_the_explainer_of_the_dashboard_is_left_alone():
    explainer = lw.Explainer(MODEL)
    explainer.explain(SAMPLES.inputs[:1])
    export_html(explainer, X, SETTINGS, SAMPLES, positions=5)
    assert explainer.remembers(SAMPLES.inputs[:1])
