"""An environment made of binder/, begun before the tests: it takes minutes, and most of them wait for the disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOT_COPIED = shutil.ignore_patterns(".venv", ".git", ".*_cache", ".hypothesis", "__pycache__", "node_modules", "dist")
# requirements.txt, then postBuild, as Binder does it. The exit status comes last, and all at once.
STEPS = """
bash -ec '
  "$1" -m venv ../env
  pip install -r binder/requirements.txt
  ./binder/postBuild
  pip freeze > ../installed.txt
  pip check
' steps "$1"
echo $? > ../status.part
mv ../status.part ../status
"""
PATIENCE = 1800  # s
WAITING = "test_a_fresh_environment_starts_the_app"  # the test that needs it


def clone_into(folder: Path) -> Path:
    """A copy of the repository, as Binder has one."""
    return shutil.copytree(ROOT, folder / "clone", ignore=NOT_COPIED)


class FreshEnvironment:
    """A Python environment in a folder, which grows beside the tests, giving way to them.

    One process begins and ends it; any other that knows the folder may wait for it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.clone = folder, folder / "clone"
        self.programs = folder / "env" / "bin"
        # No PYTHON* of the tests' own, and nobody's Jupyter configuration: Binder has neither.
        self.variables = {name: at for name, at in os.environ.items() if not name.startswith(("PYTHON", "JUPYTER"))}
        self.variables |= {"PATH": f"{self.programs}:{os.environ['PATH']}", "IPYTHONDIR": str(folder / "ipython")}
        self.variables |= {f"JUPYTER_{kind}_DIR": str(folder / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
        self.variables |= {"PIP_NO_COMPILE": "1"}  # a minute for modules that nobody imports
        self._steps: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start the installation."""
        clone_into(self.folder)
        leave_out_unreachable_indexes(self.clone / "binder/requirements.txt")
        with (self.folder / "install.txt").open("w") as log:
            self._steps = subprocess.Popen(
                ["nice", "-n", "19", "bash", "-c", STEPS, "steps", sys.executable],
                cwd=self.clone, env=self.variables, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def installed(self) -> list[str]:
        """Wait for it: what `pip freeze` says."""
        if not self.clone.exists():
            raise RuntimeError(
                f"The environment in {self.folder} was never begun; {WAITING} is the test that needs it."
            )
        deadline = time.monotonic() + PATIENCE
        while not (status := self.folder / "status").exists():
            if time.monotonic() > deadline:
                raise TimeoutError(f"The installation has not come to its end:\n{self._log()}")
            time.sleep(0.2)
        assert status.read_text() == "0\n", self._log()
        return (self.folder / "installed.txt").read_text().splitlines()

    def end(self) -> None:
        """Stop whatever of it still runs."""
        if self._steps is not None and self._steps.poll() is None:
            os.killpg(self._steps.pid, signal.SIGKILL)
            self._steps.wait()

    def _log(self) -> str:
        return (self.folder / "install.txt").read_text()


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
