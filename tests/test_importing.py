"""What an import loads, each time in a fresh Python: the engine no widgets, the package nothing before it is used."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import lrp_widgets as lw

# What takes long to import, or what a machine that only explains may lack.
WIDGETS = ("IPython", "anywidget", "ipywidgets", "jupyterlab", "plotly", "voila")
SCIENCE = ("PIL", "dask", "matplotlib", "pandas", "plotly", "scipy", "skimage", "sklearn", "torchvision")


def loaded_by(code: str, *packages: str) -> list[str]:
    """Those of `packages` that a fresh Python has loaded after `code`."""
    script = f"{code}\nimport sys\nprint(*sorted(set({packages}) & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def test_the_check_sees_what_is_loaded():
    assert loaded_by("import ipywidgets, json", "json", "ipywidgets", "voila") == ["ipywidgets", "json"]


def test_the_package_alone_loads_nothing():
    assert loaded_by("import lrp_widgets", "torch", "numpy", *WIDGETS, *SCIENCE) == []


@pytest.mark.parametrize(
    "module",
    [
        "lrp_widgets.engine.propagation.explainer",
        "lrp_widgets.engine.analysis.doctor",
        "lrp_widgets.engine.analysis.neuron",
        "lrp_widgets.engine.analysis.receptive_field.receptive_field",
        "lrp_widgets.methods",
        "lrp_widgets.evaluation",
        "lrp_widgets.demo",
        "lrp_widgets.preprocessing",
    ],
)
def test_explaining_and_measuring_load_no_widgets(module):
    assert loaded_by(f"import {module}", "torch", *WIDGETS, *SCIENCE) == ["torch"]


def test_no_public_name_loads_a_library_that_only_some_calls_need():
    rare = set(SCIENCE) - {"PIL"}  # the apps take pictures
    assert loaded_by("from lrp_widgets import *", "torch", "ipywidgets", *rare) == ["ipywidgets", "torch"]


def test_every_module_is_there_without_an_import_of_its_own():
    names = [module.name for module in pkgutil.walk_packages(lw.__path__, "lrp_widgets.")]
    rooms = [name for name in names if name.startswith(("lrp_widgets.engine.", "lrp_widgets.apps."))]
    assert "lrp_widgets.engine.composites.presets" in rooms
    code = (
        "import operator, types, lrp_widgets as lw, lrp_widgets.engine.trace.step, lrp_widgets.apps.session.cores\n"
        f"for name in {[name.removeprefix('lrp_widgets.') for name in rooms]}:\n"
        "    assert isinstance(operator.attrgetter(name)(lw), types.ModuleType), name\n"
    )
    assert loaded_by(code, "torch") == ["torch"]


def test_a_name_that_does_not_exist_is_told_as_python_tells_it():
    with pytest.raises(AttributeError, match="'lrp_widgets' has no attribute 'explian'"):
        _ = lw.explian
    with pytest.raises(AttributeError, match=r"'lrp_widgets\.engine' has no attribute 'trase'"):
        _ = lw.engine.trase
    assert not hasattr(lw, "__wrapped__")
