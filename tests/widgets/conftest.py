"""What the tests of several widgets share."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from lrp_widgets.widgets.browser import module


@pytest.fixture
def node():
    """Runs an expression over a module's exports, with `given` as its input."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")

    def run(name: str, expression: str, given: object = None):
        source = f"{module(name)}\nconst given = {json.dumps(given)};\nconsole.log(JSON.stringify({expression}));"
        done = subprocess.run(
            [program, "--input-type=module"],
            input=source,
            capture_output=True,
            encoding="utf-8",
            check=True,
            timeout=60,
        )
        return json.loads(done.stdout)

    return run
