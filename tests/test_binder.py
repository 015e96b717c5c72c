"""binder/: the files as repo2docker reads them, and the app in an environment made of exactly what they say."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from serving import free_port, get, serving

from lrp_widgets.apps.serve import settings

ROOT = Path(__file__).parents[1]
BINDER = ROOT / "binder"
REQUIREMENTS = (BINDER / "requirements.txt").read_text()
NOT_COPIED = shutil.ignore_patterns(".venv", ".git", ".*_cache", ".hypothesis", "__pycache__", "node_modules", "dist")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the repository, as Binder has one."""
    return shutil.copytree(ROOT, tmp_path / "clone", ignore=NOT_COPIED)


def test_nothing_overrides_the_folder():
    # Each of these would make repo2docker fail, or ignore the files of this folder.
    for name in (".binder", "Dockerfile", "binder/Dockerfile", "binder/environment.yml", "environment.yml"):
        assert not (ROOT / name).exists()
    assert (BINDER / "runtime.txt").read_text().strip() == "python-3.12"


def test_the_scripts_stop_at_the_first_error():
    script = BINDER / "postBuild"
    assert script.read_text().startswith("#!/usr/bin/env bash\n")
    assert "\nset -e\n" in script.read_text()
    assert os.access(script, os.X_OK)
    if (BINDER / "start").exists():
        assert (BINDER / "start").read_text().rstrip().endswith('exec "$@"')


def test_the_pins_are_the_tested_versions():
    tested = set((ROOT / "constraints.txt").read_text().split())
    pins = [line for line in REQUIREMENTS.splitlines() if line and not line.startswith(("#", "-"))]
    assert "torch==2.13.0+cpu" in pins
    assert {pin.removesuffix("+cpu") for pin in pins} <= tested


def test_kernels_of_closed_tabs_are_ended():
    config = json.loads((BINDER / "jupyter_server_config.json").read_text())
    assert config["MappingKernelManager"]["cull_idle_timeout"] > 0
    assert "binder/jupyter_server_config.json" in (BINDER / "postBuild").read_text()


def test_a_busy_machine_makes_no_blank_page():
    """nbclient gives a cell's output up after 4 s without a word."""
    config = json.loads((BINDER / "jupyter_server_config.json").read_text())
    assert config["NotebookClient"] == settings(8866)["NotebookClient"] == {"iopub_timeout": 90}


def test_repo2docker_builds_from_it(clone):
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(clone)]
    said = subprocess.run(command, capture_output=True, text=True)
    dockerfile = said.stdout + said.stderr
    assert said.returncode == 0, dockerfile
    assert re.search(r"environment-2epy-2d3-2e12", dockerfile)  # its own spelling of environment.py-3.12
    assert 'pip install --no-cache-dir -r "binder/requirements.txt"' in dockerfile
    assert "RUN ./binder/postBuild" in dockerfile


@pytest.mark.install
def test_a_fresh_environment_starts_the_app(clone, tmp_path):
    """requirements.txt, then postBuild, in an empty environment; then the two addresses of the README's links.

    Binder's Python is 3.12; here it is the one that runs the tests.
    """
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    programs = tmp_path / "env" / "bin"
    # No PYTHON* of the tests' own, and nobody's Jupyter configuration: Binder has neither.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "JUPYTER"))}
    environment |= {"PATH": f"{programs}:{os.environ['PATH']}", "IPYTHONDIR": str(tmp_path / "ipython")}
    environment |= {f"JUPYTER_{kind}_DIR": str(tmp_path / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}

    requirements = clone / "binder/requirements.txt"
    leave_out_unreachable_indexes(requirements)
    environment["PIP_NO_COMPILE"] = "1"  # a minute for modules that nobody imports
    run(["pip", "install", "-r", requirements], clone, environment)
    run(["./binder/postBuild"], clone, environment)
    installed = run(["pip", "freeze"], clone, environment)
    for pin in re.findall(r"^[a-z_]+==\S+", REQUIREMENTS, re.MULTILINE):
        assert pin in installed.splitlines()  # postBuild moved none of them
    run(["pip", "check"], clone, environment)

    port = free_port()
    options = ["--ip=127.0.0.1", f"--port={port}", "--no-browser", "--allow-root", "--IdentityProvider.token="]
    with serving([programs / "jupyter", "lab", *options], port, tmp_path / "log", env=environment, cwd=clone):
        address = f"http://127.0.0.1:{port}"
        status, page = get(f"{address}/voila/render/notebooks/explore.ipynb", timeout=180)
        said = (tmp_path / "log").read_text()
        assert status == 200, said
        assert "application/vnd.jupyter.widget-view+json" in page, said  # the kernel ran the notebook to its end
        assert "There was an error when executing cell" not in page, said
        assert 'class="lrp-wait' in page  # our template, which asks no other server
        status, page = get(f"{address}/lab/tree/notebooks/explore.ipynb")
        assert status == 200
        assert "JupyterLab" in page


def leave_out_unreachable_indexes(requirements: Path) -> None:
    """Drop the extra index from the file where the machine cannot reach it; every pin stays.

    pip asks each index for each of a hundred packages, and waits for one that does not answer every time. Without the
    line the same versions, torch==2.13.0+cpu among them, have to come from where this machine's pip is set to look.
    """
    lines = requirements.read_text().splitlines()
    for line in lines:
        if line.startswith("--extra-index-url"):
            try:
                urllib.request.urlopen(line.split()[1], timeout=10).close()
            except (urllib.error.URLError, TimeoutError):
                lines = [other for other in lines if other != line]
    requirements.write_text("\n".join(lines) + "\n")


def run(command: list[str | Path], folder: Path, environment: dict[str, str]) -> str:
    """Run a command of the new environment; what it says is in the failure, or the answer."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
