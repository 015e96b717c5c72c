"""Every snippet is run, and makes the relevance of the dashboard's explainer to the last bit."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

import lrp_widgets as lw
from lrp_widgets.apps.explore.explore import Settings
from lrp_widgets.apps.session.cores import cores_for
from lrp_widgets.apps.sharing.snippet import FIRST, PUBLIC, expression, snippet
from lrp_widgets.engine.composites.presets import PRESETS
from lrp_widgets.methods import METHODS, WRAPPERS
from lrp_widgets.params import params_of

MODEL, SAMPLES = lw.demo.models.digits_cnn(), lw.demo.data.digits()
DEMO = ("lw.demo.models.digits_cnn()", "lw.demo.data.digits()")
INK = bytes(300) + bytes(range(0, 256, 2)) + bytes(356)


@dataclass(frozen=True)
class Upload:
    values: bytes
    shape: tuple[int, ...]
    dtype: str


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = MODEL

    def forward(self, x):
        return {"scores": self.net(x), "other": x}


def moved(setting, **changes):
    """A setting with every number away from its default, and none of them round."""
    for known in params_of(setting):
        value = getattr(setting, known.name)
        if known.kind == "number":
            changes.setdefault(known.name, value + (known.shown[1] - value) / 7)
        elif known.kind == "range":
            changes.setdefault(known.name, (1 / 7, 5 / 7))
        elif known.kind == "switch":
            changes.setdefault(known.name, not value)
    return replace(setting, **changes)


TRIED = [
    *(lw.LRP(preset()) for preset in PRESETS),
    *(lw.LRP(moved(preset(), input="zB", low=-0.1, high=1.3)) for preset in PRESETS),
    *(method() for method in (*METHODS, *WRAPPERS)),
    *(moved(method()) for method in METHODS if params_of(method)),
    lw.LRP(
        lw.Composite(
            [
                lw.Entry(lw.rules.ZBox(-0.5, 1.5), "input"),
                lw.Entry(lw.rules.AlphaBeta(4 / 3), lw.Depth(0.1, 0.7)),
                lw.Entry(lw.rules.Gamma(0.1 + 0.2), "features.*"),
                lw.Entry(lw.rules.Epsilon(1e-3, relative=True)),
            ],
            max_pooling="proportional",
        )
    ),
    lw.LRP(lw.by_depth(lower=lw.rules.Flat(), overrides=(lw.Entry(lw.rules.ZPlus(), "features.3"),))),
    lw.LRP(lw.epsilon(), (lw.Filter("features.3", (1, 5), ((0.0, 0.1), (1.0, 0.0), (0.5, 1.0)), block=True),)),
    lw.Smoothed(lw.Translated(lw.LRP(lw.alpha_beta(alpha=1.1)), shift=1, border="edge"), samples=2, noise=0.07),
    lw.Occlusion(patch=5, stride=3, value=-0.25),
    lw.GradCAM("features.3", rectify=False),
]


@pytest.fixture(scope="module")
def explainer():
    """One that remembers, as the dashboard's does."""
    explainer = lw.Explainer(MODEL)
    explainer.explain(SAMPLES.inputs[:1])
    return explainer


def run(code: str, **given) -> dict:
    space = dict(given)
    exec(compile(code, "snippet", "exec"), space)
    return space


def check(explainer, settings: Settings, x=None, **options) -> str:
    x = SAMPLES.inputs[settings.sample : settings.sample + 1] if x is None else x
    code = snippet(settings, "model_", "samples_", **options)
    made = run(code, model_=explainer.model, samples_=SAMPLES)
    known = explainer.explain(x, settings.target, settings.method)
    wanted = known.layer(settings.layer) if settings.layer else known.relevance
    assert made["method"] == settings.method
    assert torch.equal(made["x"], x)
    assert made["relevance"].dtype == wanted.dtype and torch.equal(made["relevance"], wanted)
    assert bool(wanted.any()) and max(map(len, code.splitlines())) <= 130
    return code


@pytest.mark.parametrize("method", TRIED, ids=lambda method: repr(method)[:80])
def test_every_method_to_the_last_bit(explainer, method):
    check(explainer, Settings(4, method))


def test_the_methods_tried_are_all_there_are():
    assert {type(method) for method in TRIED} == {*METHODS, *WRAPPERS}


@pytest.mark.parametrize("target", [0, 7, lw.contrast(3, 8)])
@pytest.mark.parametrize("layer", ["", "features.3", "features.0"])
def test_targets_and_maps_of_layers(explainer, target, layer):
    check(explainer, Settings(2, lw.LRP(lw.layered(alpha=1.7)), target, layer))


def test_a_drawing_is_written_out(explainer):
    ink = torch.tensor(list(INK), dtype=torch.uint8).reshape(1, 1, 28, 28).float() / 255
    low, high = SAMPLES.low, SAMPLES.high
    x = torch.from_numpy(low + ink.numpy() * (high - low)).to(SAMPLES.inputs)
    code = check(explainer, Settings(INK, lw.LRP()), x)
    assert code.startswith(
        "import zlib\nfrom base64 import b64decode\n\nimport numpy as np\nimport torch\n\nimport lrp"
    )


def test_an_upload_is_written_out(explainer):
    x = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    upload = Upload(x.numpy().tobytes(), (1, 1, 28, 28), "torch.float32")
    check(explainer, Settings(upload, lw.LRP()), x)
    with pytest.raises(TypeError) as error:
        snippet(Settings("digit.png", lw.LRP()))
    assert str(error.value) == (
        "snippet() can write out a sample's number, a drawing, or a frozen value with bytes, shape and dtype, got str."
    )


def test_an_output_that_was_chosen():
    explainer = lw.Explainer(Twice(), "scores")
    assert "lw.Explainer(model, output='scores')" in check(explainer, Settings(0, lw.LRP()), output="scores")

    def chosen(out):
        return out["scores"]

    assert "lw.Explainer(model, output=chosen)" in snippet(Settings(0, lw.LRP()), output=chosen)


def test_a_class_from_elsewhere_is_imported():
    method = lw.LRP(lw.Composite([lw.Entry(Louder(0.5))]))
    code = snippet(Settings(0, method))
    assert f"import lrp_widgets as lw\nfrom {__name__} import Louder\n" in code
    assert "method = lw.LRP(lw.Composite((lw.Entry(Louder(gamma=0.5)),)))\n" in code


@dataclass(frozen=True)
class Louder(lw.rules.Gamma):
    __module__ = __name__


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (lw.LRP(lw.alpha_beta(alpha=2.35, input="zB")), "lw.LRP(lw.alpha_beta(input='zB', alpha=2.35))"),
        (lw.LRP(), "lw.LRP()"),
        (lw.epsilon_gamma_box(-1, 2), "lw.epsilon_gamma_box(low=-1.0, high=2.0)"),
        (lw.Entry(lw.rules.Zero(), lw.Depth(stop=0.5)), "lw.Entry(lw.rules.Zero(), lw.Depth(stop=0.5))"),
        (lw.Entry(lw.rules.Zero()), "lw.Entry(lw.rules.Zero())"),
        (lw.LRP(filters=(lw.Filter("a", (1,)),)), "lw.LRP(filters=(lw.Filter('a', channels=(1,)),))"),
        (lw.Smoothed(lw.LRP(), samples=4), "lw.Smoothed(lw.LRP(), samples=4)"),
        (lw.Smoothed(seed=3), "lw.Smoothed(seed=3)"),
        (lw.contrast(1, 2), "lw.contrast(1, 2)"),
        ((), "()"),
    ],
)
def test_only_what_is_not_at_its_default(setting, said):
    assert expression(setting) == said and eval(said) == setting


def test_every_public_name_is_one():
    for kind, name in PUBLIC.items():
        assert eval(name) is kind
    assert "rule" in FIRST


def test_a_snippet_in_full():
    composite = lw.layered(alpha=1.35, epsilon=1e-3, gamma=0.3, split=(0.1, 0.55), max_pooling="proportional")
    settings = Settings(3, lw.LRP(composite), 8, "features.3")
    assert snippet(settings, *DEMO, one_core=True, versions="lrp_widgets 0.1.0, torch 2.13.0") == (
        """\
# lrp_widgets 0.1.0, torch 2.13.0

import torch

import lrp_widgets as lw

torch.set_num_threads(1)  # as the dashboard did: more threads round differently

model = lw.demo.models.digits_cnn()
samples = lw.demo.data.digits()
x = samples.inputs[3:4]

method = lw.LRP(
    lw.layered(max_pooling='proportional', alpha=1.35, epsilon=0.001, gamma=0.3, split=(0.1, 0.55)),
)
explanation = lw.Explainer(model).explain(x, target=8, method=method)
relevance = explanation.layer('features.3')
"""
    )


def test_a_model_that_is_known_by_name_alone():
    assert snippet(Settings(3, lw.Gradient())) == (
        """\
import lrp_widgets as lw

# model, samples: what the dashboard was given, lw.explore(model, samples)
x = samples.inputs[3:4]

method = lw.Gradient()
explanation = lw.Explainer(model).explain(x, method=method)
relevance = explanation.relevance
"""
    )


@pytest.mark.slow
def test_a_snippet_runs_in_a_python_of_its_own(explainer, tmp_path):
    settings = Settings(6, lw.LRP(lw.layered(alpha=1.35, epsilon=3e-4)), lw.contrast(1, 2))
    code = snippet(settings, *DEMO, one_core=True) + f"torch.save(relevance, {str(tmp_path / 'relevance.pt')!r})\n"
    (tmp_path / "made.py").write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, tmp_path / "made.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with cores_for(MODEL, SAMPLES.inputs):  # as the dashboard explains
        wanted = explainer.explain(SAMPLES.inputs[6:7], settings.target, settings.method).relevance
    assert torch.equal(torch.load(tmp_path / "relevance.pt"), wanted)
