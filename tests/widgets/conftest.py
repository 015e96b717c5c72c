"""What the tests of several widgets share."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from lrp_widgets.widgets.browser import module

# The one thing of a browser that the modules under test need and node lacks.
IMAGE_DATA = """globalThis.ImageData = class {
  constructor(width, height) {
    Object.assign(this, { width, height, data: new Uint8ClampedArray(4 * width * height) });
  }
};"""


@pytest.fixture
def node():
    """Runs an expression over a module's exports, with `given` as its input."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("node is not installed")

    def run(name: str, expression: str, given: object = None):
        values = f"const given = {json.dumps(given)};\nconsole.log(JSON.stringify({expression}));"
        done = subprocess.run(
            [program, "--input-type=module"],
            input=f"{IMAGE_DATA}\n{module(name)}\n{values}",
            capture_output=True,
            encoding="utf-8",
            check=True,
            timeout=60,
        )
        return json.loads(done.stdout)

    return run
