"""What the wheel carries, what it asks for, and that the tested versions cover it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import lrp_widgets as lw

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
DATA = f"lrp_widgets-{lw.__version__}.data/data/share/jupyter/voila/templates/lrp/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_carries_everything_an_app_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        carried = set(archive.namelist())
    package = ROOT / "lrp_widgets"
    wanted = [
        path for path in package.rglob("*") if path.suffix in (".py", ".pyi", ".js", ".css", ".safetensors", ".md")
    ]
    expected = {path.relative_to(ROOT).as_posix() for path in wanted}
    expected |= {f"lrp_widgets/apps/notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    expected |= {DATA + name for name in ("conf.json", "index.html.j2", "page.css")}
    expected.add("lrp_widgets/py.typed")
    assert {"lrp_widgets/apps/notebooks/explore.ipynb", "lrp_widgets/__init__.pyi"} <= expected
    assert expected <= carried
    assert any(name.endswith("/licenses/LICENSE") for name in carried)


def test_the_wheel_carries_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        carried = archive.namelist()
    assert not [name for name in carried if not name.startswith(("lrp_widgets/", f"lrp_widgets-{lw.__version__}."))]
    assert not [name for name in carried if re.search(r"__pycache__|\.ipynb_checkpoints|\.pyc$", name)]
    assert wheel.stat().st_size < 5e6


@pytest.mark.slow
def test_the_wheel_finds_its_own_notebooks(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = "from lrp_widgets.apps.serving.serve import notebook; print(notebook('explore'))"
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert found.stdout.strip() == str(tmp_path / "lrp_widgets/apps/notebooks/explore.ipynb"), found.stderr


def test_a_user_installs_no_tools_of_ours():
    assert PROJECT["requires-python"] == ">=3.11,<3.14"
    assert set(EXTRAS) == {"test", "peers", "dev", "distributed", "pandas", "vision"}
    tools = {Requirement(line).name for lines in EXTRAS.values() for line in lines}
    assert not tools & {Requirement(line).name for line in PROJECT["dependencies"]}


def test_the_constraints_pin_what_the_project_asks_for():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pins = dict(line.split("==") for line in lines)
    assert pins["torch"] == "2.13.0"  # without a local part, so that any build of it fits
    versions = {canonicalize_name(name): version for name, version in pins.items()}
    for line in [*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)]:
        asked = Requirement(line)
        assert asked.specifier.contains(versions[canonicalize_name(asked.name)]), line
