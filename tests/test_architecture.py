"""The house keeps its plan: who imports whom, complete tuples, files of a readable length, names that say something."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import anywidget
import ipywidgets
import pytest
from torch import nn

import lrp_widgets as lw
from lrp_widgets import methods, modalities, widgets
from lrp_widgets.demo import data, experts, generators, models
from lrp_widgets.engine import rules
from lrp_widgets.engine.composites import presets
from lrp_widgets.evaluation import metrics, neighbourhoods, removal
from lrp_widgets.params import Param, Setting, params_of

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lrp_widgets"
MODULES = sorted(PACKAGE.rglob("*.py"))
STUB = PACKAGE / "__init__.pyi"  # the table of the public names

# The floors of the package, from the ground up. A file imports from the floors below its own, and from its own folder.
GROUND = ("lazy", "threads", "wording", "params", "polygon", "images", "samples", "preprocessing", "modalities")
ENGINE = tuple(
    f"engine.{room}" for room in ("trace", "layers", "operators", "rules", "composites", "propagation", "analysis")
)
FAMILIES = ("methods", "evaluation", "prototypes", "concepts", "validation")
SESSION = ("apps.session", "apps.inputs", "apps.sharing")  # what the apps share
APPS = ("apps.explore", "apps.quality", "apps.scan", "apps.imagine", "apps.serving")  # no app imports another
TABLE: dict[str, tuple[str, ...]] = {
    "lazy": (),
    "threads": (),
    "wording": (),
    "params": ("wording",),
    "polygon": (),
    "images": (),
    "samples": ("wording", "params", "images", "modalities"),
    "modalities": ("wording", "params", "images"),
    "preprocessing": ("params", "images", "samples", "modalities"),
    "engine": ("lazy",),
    "engine.trace": GROUND,
    "engine.layers": (*GROUND, "engine.trace"),
    "engine.operators": (*GROUND, *ENGINE[:2]),
    "engine.rules": (*GROUND, *ENGINE[:2]),
    "engine.composites": (*GROUND, *ENGINE[:4]),
    "engine.propagation": (*GROUND, *ENGINE[:5]),
    "engine.analysis": (*GROUND, *ENGINE[:6]),
    "methods": (*GROUND, *ENGINE),
    "evaluation": (*GROUND, *ENGINE, *FAMILIES[:1]),
    "prototypes": (*GROUND, *ENGINE, *FAMILIES[:2]),
    "demo": (*GROUND, *ENGINE, "prototypes"),
    "concepts": (*GROUND, *ENGINE, *FAMILIES[:3]),
    "validation": (*GROUND, *ENGINE, *FAMILIES[:4]),
    "widgets": (*GROUND, *ENGINE, *FAMILIES),
    "apps": ("lazy",),
    "apps.session": (*GROUND, *ENGINE, *FAMILIES, "widgets", "demo"),
    "apps.inputs": (*GROUND, *ENGINE, *FAMILIES, "widgets", "demo", "apps.session"),
    "apps.sharing": (*GROUND, *ENGINE, *FAMILIES, "widgets", "demo", "apps.session", "apps.inputs"),
    **dict.fromkeys(APPS, (*GROUND, *ENGINE, *FAMILIES, "widgets", "demo", *SESSION)),
    "__init__": (*GROUND, *ENGINE, *FAMILIES, "widgets", "demo", *SESSION, *APPS),
    "__main__": (*GROUND, *ENGINE, *FAMILIES, "widgets", "demo", *SESSION, *APPS),
}


def imported(source: str, package: str) -> Iterator[str]:
    """The absolute names that a file of `package` imports, wherever in it: from a import b gives a.b."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            start = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


def imports_of(path: Path) -> set[str]:
    """What a file imports, and what its stub says that it imports on first use."""
    package = ".".join(path.parent.relative_to(ROOT).parts)
    files = [path, *filter(Path.exists, [path.with_suffix(".pyi")])]
    return {name for file in files for name in imported(file.read_text(), package)}


def part_of(path: Path) -> str:
    """The part of the package that a file belongs to: its folder, its room in a house of rooms, or its own name."""
    return _part(path.relative_to(PACKAGE).with_suffix("").parts)


def _part(names: Sequence[str]) -> str:
    """The part that a dotted name inside of the package lies in, the most exact of the table."""
    room = ".".join(names[:2])
    return room if room in TABLE else names[0] if names else ""


def against_the_table(part: str, names: set[str]) -> set[str]:
    """The imports among `names` that a file of `part` may not have."""
    ours = {name for name in names if name.split(".")[0] == "lrp_widgets"}
    allowed = {*TABLE[part], part}
    return {name for name in ours if _part(name.split(".")[1:]) not in allowed}


def test_the_table_is_read_rightly():
    source = (
        "import torch.nn\nfrom ..weights import load\nfrom . import models\ndef f():\n    from lrp_widgets import demo"
    )
    names = {"torch.nn", "lrp_widgets.demo.weights.load", "lrp_widgets.demo.data.models", "lrp_widgets.demo"}
    assert set(imported(source, "lrp_widgets.demo.data")) == names
    assert against_the_table("demo", names) == set()
    assert against_the_table("engine.trace", names) == names - {"torch.nn"}
    assert against_the_table("params", {"lrp_widgets.samples.Samples"}) == {"lrp_widgets.samples.Samples"}
    assert against_the_table("apps.scan", {"lrp_widgets"}) == {"lrp_widgets"}  # the whole package is for those outside
    quality = {"lrp_widgets.apps.quality.scene.Scene"}
    assert against_the_table("apps.scan", quality) == quality
    assert against_the_table("engine.rules", {"lrp_widgets.engine.operators.operator_rule"}) != set()
    assert against_the_table("engine.composites", {"lrp_widgets.engine.operators.operator_rule"}) == set()


def test_a_floor_stands_on_lower_floors_alone():
    floors = list(TABLE)
    for part, below in TABLE.items():
        assert part not in below
        assert not [other for other in below if part in TABLE[other]], f"{part} and another import each other"
    assert set(floors) >= {other for below in TABLE.values() for other in below}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    assert part_of(path) in TABLE, f"{part_of(path)} is new: give it a place in the table"
    assert against_the_table(part_of(path), imports_of(path)) == set()


def test_no_files_import_each_other_in_a_circle():
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in MODULES
    }
    arrows: dict[str, set[str]] = {}
    for module, path in modules.items():
        if path.name == "__init__.py":  # hands names on
            continue
        reached = {name if name in modules else name.rpartition(".")[0] for name in imports_of(path)}
        arrows[module] = {name for name in reached if name in modules and modules[name].name != "__init__.py"}
    left = dict(arrows)
    while ground := {module for module, below in left.items() if not below & left.keys()}:
        left = {module: below for module, below in left.items() if module not in ground}
    assert left == {}


@pytest.mark.parametrize("path", sorted((PACKAGE / "widgets").rglob("*.py")), ids=lambda path: path.name)
def test_there_is_no_torch_in_widgets(path):
    assert not [name for name in imports_of(path) if name.split(".")[0] == "torch"]


def test_every_module_can_be_imported():
    for module in pkgutil.walk_packages(lw.__path__, "lrp_widgets."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


FOLDERS = ("lrp_widgets", "tests", "benchmarks")
SOURCES = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".js", ".css")]


LONGER = {"tests/test_architecture.py": 420}  # one list of what holds the house together, read as a whole


def test_no_file_is_too_long():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCES}
    assert len(lengths) > 50
    assert {name: length for name, length in lengths.items() if length > LONGER.get(name, 350)} == {}


def test_no_file_is_called_after_nothing():
    empty = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert [path for path in SOURCES if empty & set(path.relative_to(ROOT).with_suffix("").parts)] == []


# Classes that share a name for a reason; each says why.
NAMESAKES: dict[str, str] = {
    "Contrast": "one class against another: what is explained, and what a prototype makes large",
    "Layer": "what a rule works on, and what a prototype makes large",
    "Neuron": "what is laid out by hand, and what a prototype makes large",
    "Continuity": "the metric, and the page of the quality app",
    "Entry": "of a composite, and of the ledger",
    "Selectivity": "the metric, and the page of the quality app",
}


def test_a_class_name_means_one_thing():
    """In the whole package, private classes among them; so a traceback, a link or a table names one thing."""
    places: dict[str, list[str]] = {}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(path.relative_to(PACKAGE)))
    assert len(places) > 100
    assert {name: files for name, files in places.items() if len(files) > 1 and name not in NAMESAKES} == {}


def offspring(base: type) -> set[type]:
    """Every class of the package below `base` that is meant for others, its own modules imported first."""
    test_every_module_can_be_imported()
    found, left = set(), [base]
    while left:
        below = left.pop().__subclasses__()
        found.update(below)
        left.extend(below)
    return {
        kind for kind in found if kind.__module__.split(".")[0] == "lrp_widgets" and not kind.__name__.startswith("_")
    }


@pytest.mark.parametrize(
    ("base", "members"),
    [
        (rules.Rule, rules.RULES),
        (methods.Method, (*methods.METHODS, *methods.WRAPPERS)),
        (presets._Preset, presets.PRESETS),
        (removal.Removal, removal.REMOVALS),
        (neighbourhoods.Neighbourhood, neighbourhoods.NEIGHBOURHOODS),
        (metrics.Metric, metrics.METRICS),
        (modalities.Modality, modalities.MODALITIES),
    ],
    ids=["RULES", "METHODS", "PRESETS", "REMOVALS", "NEIGHBOURHOODS", "METRICS", "MODALITIES"],
)
def test_tuples_are_complete(base, members):
    assert set(members) == offspring(base)
    assert len(set(members)) == len(members)


# Outside of the engine and of the modalities, `ndim` stands only where a file looks at the form of an array. What an
# input *is* (a picture, a row of features, …) is asked of its modality: lrp_widgets/modalities.
LOOKS_AT_THE_FORM = {
    "prototypes/ascent.py": "the batch, and a bound for each channel, laid along the inputs",
    "prototypes/experts.py": "a curvature is a number, a row or a matrix; neighbours lie along axes",
    "prototypes/objectives.py": "activations: maps or tokens",
    "prototypes/parameterizations.py": "colours are three channels of a picture",
    "prototypes/steps.py": "a curvature is a number, a row or a matrix",
    "prototypes/transformations.py": "pictures alone are turned",
    "images.py": "grey pixels get their one channel",
    "preprocessing.py": "one uint8 image or a stack of them",
    "samples.py": "inputs have a batch dimension; a bound is one number or several",
    "evaluation/checks.py": "one input comes with its batch dimension",
    "evaluation/continuity/continuity.py": "one number per channel is spread over the axes behind it",
    "evaluation/dataset/bootstrap.py": "a table of numbers has rows",
    "evaluation/dataset/metrics.py": "one number per channel is spread over the axes behind it",
    "methods/chance.py": "one number per row is spread over the axes behind it",
    "methods/grad_cam.py": "a layer's output has as many axes as the input",
    "methods/occlusion.py": "a mean over all axes behind the channels",
    "methods/patches.py": "a layer's output has maps, or is dense",
    "methods/smoothgrad.py": "one number per row is spread over the axes behind it",
    "apps/explore/preview.py": "relevance at a layer has maps",
    "apps/explore/inspection.py": "relevance at a layer has maps, or is a vector",
    "apps/inputs/array_file.py": "an NPY file holds one image, with or without channels",
    "apps/inputs/picture_file.py": "a bound is one number or several",
    "apps/scan/photos.py": "grey pixels get three channels",
    "apps/session/formatting.py": "relevance at a layer becomes maps",
    "apps/sharing/export.py": "grey pixels get their one channel",
    "concepts/layer_maps.py": "a layer has channels, or it has none",
    "validation/repair.py": "a layer has its channels behind the batch, or last",
    "widgets/controls/gallery.py": "an image is grey or has channels",
    "widgets/controls/probe.py": "an image is grey or has channels",
    "widgets/controls/upload.py": "an image is grey or has channels",
    "widgets/views/channels.py": "maps are stacked",
    "widgets/views/compare.py": "a map has rows and columns; an image is grey or has channels",
    "widgets/views/heatmap.py": "a map has rows and columns; an image is grey or has channels",
    "widgets/views/lines.py": "a line has one axis",
    "widgets/views/maps.py": "maps are stacked",
}


def test_what_an_input_is_is_asked_of_its_modality():
    names = {path.relative_to(PACKAGE).as_posix() for path in MODULES if re.search(r"\bndim\b", path.read_text())}
    names = {name for name in names if name.split("/")[0] not in ("engine", "modalities")}
    assert len(names) > 20
    assert names - LOOKS_AT_THE_FORM.keys() == set(), "ask lrp_widgets.modalities, or say here which form is looked at"


def test_every_widget_is_in_its_tuple():
    exported = {name: getattr(widgets, name) for name in widgets.__all__ if name != "WIDGETS"}
    shown = {kind for kind in exported.values() if inspect.isclass(kind) and issubclass(kind, ipywidgets.Widget)}
    # A Control is what a SettingEditor is made of, with no meaning of its own.
    assert set(widgets.WIDGETS) == shown - {widgets.Control}
    assert len(set(widgets.WIDGETS)) == len(widgets.WIDGETS)
    # By name: other tests of this session make widgets of their own, and copies of these.
    drawn = {kind.__qualname__ for kind in offspring(anywidget.AnyWidget) if kind.__module__.startswith("lrp_widgets.")}
    drawn = {name for name in drawn - {"BrowserWidget"} if not name.startswith("_")}
    assert drawn <= {kind.__qualname__ for kind in widgets.WIDGETS}


def test_every_demo_is_in_its_tuple():
    for name, family in (("MODELS", models), ("DATA", data), ("GENERATORS", generators), ("EXPERTS", experts)):
        members = getattr(family, name)
        files = {path.stem for path in Path(family.__path__[0]).glob("*.py")} - {"__init__"}
        # torchvision() is asked for a name, and for a download: no member of what is ready offline.
        assert {member.__module__.rpartition(".")[2] for member in members} == files - {"torchvision"}
        assert set(family.__all__) == files | {name}


@pytest.mark.parametrize("kind", [*rules.RULES, *methods.METHODS, *methods.WRAPPERS], ids=lambda kind: kind.__name__)
def test_rules_and_methods_name_their_equation_and_source(kind):
    for name in ("equation", "reference"):
        assert name in vars(kind) and vars(kind)[name].strip() == vars(kind)[name] != ""
    assert "=" in kind.equation
    assert re.search(r"\b(19|20)\d\d\b|the paper", kind.reference)


@pytest.mark.parametrize("kind", rules.RULES, ids=lambda kind: kind.__name__)
def test_a_rule_begins_with_its_equation(kind):
    first = kind.__doc__.splitlines()[0]
    assert first.startswith("R_j = ")
    assert kind.equation.startswith("R_j = ")
    assert first.split(" · R_k")[0].startswith(kind.equation.split(" · R_k")[0].split("(…)")[0])


EVALUATED = (*removal.REMOVALS, *neighbourhoods.NEIGHBOURHOODS, *metrics.METRICS)


@pytest.mark.parametrize(
    "kind",
    [*rules.RULES, *presets.PRESETS, *methods.METHODS, *methods.WRAPPERS, *EVALUATED],
    ids=lambda kind: kind.__name__,
)
def test_settings_are_frozen_values_that_describe_themselves(kind):
    assert issubclass(kind, Setting) and kind.__dataclass_params__.frozen
    assert inspect.getdoc(kind) and (kind in rules.RULES or kind.title)
    assert kind() == kind() and hash(kind()) == hash(kind())
    for known in params_of(kind):
        assert known.label and (known.help or known.advanced), f"{kind.__name__}.{known.name} says nothing of itself"
    with pytest.raises(dataclasses.FrozenInstanceError):
        kind().anything = 1
    assert all(isinstance(known, Param) for known in params_of(kind()))


CLAIMED = {
    *("explore", "Explainer", "Explanation", "LayerRelevance", "contrast", "examine", "Finding", "Samples", "demo"),
    "Preprocessing",
    *("LRP", "Gradient", "Sensitivity", "SimpleTaylor", "Composite", "Entry", "pixel_flipping", "Curve"),
    *("alpha_beta", "epsilon", "deep_taylor", "epsilon_plus", "epsilon_plus_flat", "epsilon_alpha2_beta1"),
    *("epsilon_alpha2_beta1_flat", "epsilon_gamma_box", "montavon2019", "rules", "operators"),
    *("SmoothGrad", "IntegratedGradients", "GuidedBackprop", "Deconvolution", "GradCAM", "GuidedGradCAM"),
    *("Occlusion", "Chance", "Smoothed", "Translated"),
    *("continuity", "axioms", "sweep", "mean_curve", "area_between", "evaluate", "metrics", "Table", "Summary"),
}


def test_every_public_name_is_there():
    assert set(lw.__all__) >= CLAIMED
    assert len(set(lw.__all__)) == len(lw.__all__)
    assert imports_of(PACKAGE / "__init__.py") >= {"lrp_widgets.demo", "lrp_widgets.methods.LRP"}
    assert lw.__all__ == sorted(name.rpartition(".")[2] for name in imported(STUB.read_text(), "lrp_widgets"))
    assert set(lw.__all__) <= set(dir(lw))
    for name in lw.__all__:
        assert getattr(lw, name) is not None
    public = {name for name in vars(lw) if not name.startswith("_")}
    modules = {name for name in public if inspect.ismodule(getattr(lw, name))}
    assert public - modules <= set(lw.__all__)


def test_the_names_of_the_design():
    for name in ("Zero", "Epsilon", "Gamma", "AlphaBeta", "ZPlus", "WSquare", "Flat", "ZBox"):
        assert getattr(lw.rules, name) in lw.rules.RULES
    model, samples = lw.demo.models.digits_cnn(), lw.demo.data.digits()
    assert isinstance(model, nn.Module) and not model.training
    assert isinstance(samples, lw.Samples)
    assert [field.name for field in dataclasses.fields(lw.Samples)] == [
        *("inputs", "labels", "classes", "low", "high", "modality", "task")
    ]
    assert [field.name for field in dataclasses.fields(lw.Finding)] == ["severity", "layer", "message", "remedy"]
    line = {"name", "op", "relevance_out", "relevance_in", "positive", "negative", "absorbed"}
    assert line <= {field.name for field in dataclasses.fields(lw.LayerRelevance)}
    composite = lw.alpha_beta(alpha=2, input="zB", low=0, high=1)
    explanation = lw.Explainer(model).explain(samples.inputs[:1], target=3, method=lw.LRP(composite))
    assert explanation.relevance.shape == (1, 1, 28, 28)
    assert explanation.heatmap().shape == (28, 28)
    assert explanation.scores.shape == (1, 10)
    assert explanation.layer("features.3").shape == model.features[:4](samples.inputs[:1]).shape
    assert lw.epsilon(epsilon=0.1).epsilon == 0.1 and lw.deep_taylor(input="z+").input == "z+"
    assert (lw.epsilon_gamma_box(-1, 2).low, lw.montavon2019(-1, 2).high) == (-1, 2)


def test_nothing_names_a_place_of_one_machine():
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    known = set(tracked.stdout.split("\0")) if tracked.returncode == 0 else None
    places = re.compile(r"(?<![\w.~/-])/(home|root|tmp|Users|work|mnt|var/tmp)(/|\b)|[A-Z]:\\\\Users")
    found = []
    for top in ("lrp_widgets", "notebooks", "binder", "docs", "README.md"):
        paths = [ROOT / top] if (ROOT / top).is_file() else sorted((ROOT / top).rglob("*"))
        for path in paths:
            name = path.relative_to(ROOT).as_posix()
            if not path.is_file() or "__pycache__" in name or (known and name not in known):
                continue
            if path.suffix in (".safetensors", ".png", ".gif", ".jpg", ".webp", ".woff2"):
                continue
            found += [f"{name}: {line.strip()}" for line in path.read_text().splitlines() if places.search(line)]
    assert found == []
