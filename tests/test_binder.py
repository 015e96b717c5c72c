"""binder/: the files as repo2docker reads them, and the app in an environment made of exactly what they say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from installing import clone_into
from serving import free_port, get, serving

from lrp_widgets.apps.serving.serve import settings

ROOT = Path(__file__).parents[1]
BINDER = ROOT / "binder"
REQUIREMENTS = (BINDER / "requirements.txt").read_text()


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


def test_repo2docker_builds_from_it(tmp_path):
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(clone_into(tmp_path))]
    said = subprocess.run(command, capture_output=True, text=True)
    dockerfile = said.stdout + said.stderr
    assert said.returncode == 0, dockerfile
    assert re.search(r"environment-2epy-2d3-2e12", dockerfile)  # its own spelling of environment.py-3.12
    assert 'pip install --no-cache-dir -r "binder/requirements.txt"' in dockerfile
    assert "RUN ./binder/postBuild" in dockerfile


@pytest.mark.install
def test_a_fresh_environment_starts_the_app(fresh_environment, tmp_path):
    """An empty environment with what binder/ says; then the two addresses of the README's links.

    Binder's Python is 3.12; here it is the one that runs the tests.
    """
    installed = fresh_environment.installed()
    for pin in re.findall(r"^[a-z_]+==\S+", REQUIREMENTS, re.MULTILINE):
        assert pin in installed  # postBuild moved none of them

    port = free_port()
    options = ["--ip=127.0.0.1", f"--port={port}", "--no-browser", "--allow-root", "--IdentityProvider.token="]
    command = [fresh_environment.programs / "jupyter", "lab", *options]
    variables, log = fresh_environment.variables, tmp_path / "log"
    with serving(command, port, log, env=variables, cwd=fresh_environment.clone):
        address = f"http://127.0.0.1:{port}"
        status, page = get(f"{address}/voila/render/notebooks/explore.ipynb", timeout=180)
        said = log.read_text()
        assert status == 200, said
        assert "application/vnd.jupyter.widget-view+json" in page, said  # the kernel ran the notebook to its end
        assert "There was an error when executing cell" not in page, said
        assert 'class="lrp-wait' in page  # our template, which asks no other server
        status, page = get(f"{address}/lab/tree/notebooks/explore.ipynb")
        assert status == 200
        assert "JupyterLab" in page
