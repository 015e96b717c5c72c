"""An app leaves nothing behind: no widget, no app of the cell's run before, and no thread that breaks Python's exit."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ipywidgets.widgets import widget

import lrp_widgets as lw
from lrp_widgets.apps.explore.explore import Dashboard
from tests.apps.explore.test_any_move import moves

PATIENCE = 120.0
ROOT = Path(__file__).parents[3]


def open_widgets() -> set[str]:
    return set(widget._instances)


def explored(few: lw.Samples) -> Dashboard:
    """A dashboard after moves that made other controls, pins and a figure."""
    app = lw.explore(lw.demo.models.digits_cnn(), few)
    dice = random.Random(3)
    for _ in range(25):
        dice.choice(list(moves(app, dice)))[1]()
    assert app.settled(PATIENCE)
    app.heatmap._handle_custom_msg({"painted": True}, [])  # the figure is made once a browser has painted
    for index in range(len(app.methods.picker.options)):
        app.methods.picker.set_state({"index": index})
    assert app.settled(PATIENCE)
    assert app.curve.figure is not None
    return app


def assessed(few: lw.Samples) -> Any:
    app = lw.quality(lw.demo.models.digits_cnn(), few)
    for page in app.pages.pages:
        app.pages.selected = page
        assert app.settled(PATIENCE)
    return app


def scanned(few: lw.Samples) -> Any:
    return lw.scan()


@pytest.mark.parametrize("opens", [explored, assessed, scanned])
def test_closing_closes_every_widget(opens: Callable[[lw.Samples], Any], few):
    before = open_widgets()
    app = opens(few)
    assert app.settled(PATIENCE)
    assert len(open_widgets() - before) > 150
    worker = app._latest._thread
    app.close()
    worker.join(PATIENCE)
    assert [widget._instances[name] for name in open_widgets() - before] == []


def test_closing_while_a_figure_is_made_closes_that_too(few):
    before = open_widgets()
    app = lw.explore(lw.demo.models.digits_cnn(), few)
    app.heatmap._handle_custom_msg({"painted": True}, [])
    worker = app._latest._thread
    app.close()
    worker.join(PATIENCE)
    assert [widget._instances[name] for name in open_widgets() - before] == []


SCRIPT = """
import torch, lrp_widgets as lw

class Slow(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Conv2d(8, 8, 5, padding=2) for _ in range(30))

    def forward(self, x):
        x = x.expand(-1, 8, -1, -1)
        for layer in self.layers:
            x = layer(x)
        return x.mean((2, 3))

app = lw.explore(Slow().eval(), torch.rand(3, 1, 128, 128))
app.gallery.selected = 1
print(app.status.level)
"""

CELLS = """
import sys
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
start = "import torch, lrp_widgets as lw; net = torch.nn.Linear(3, 2).eval(); x = torch.rand(2, 3)"
shell.run_cell(start, store_history=True)
apps = []
shell.user_ns["apps"] = apps
opens = "apps.append(lw.explore(net, x)); apps.append(lw.explore(net, x))"
closed = lambda: "".join("closed " if app.comm is None else "open " for app in apps)

def run(text, cell=None, kind="execute_request"):
    count = shell.execution_count
    if cell:
        shell.get_parent = lambda: {"header": {"msg_type": kind, "msg_id": str(count)}, "metadata": {"cellId": cell}}
    assert shell.run_cell(text, store_history=True).success
    print(closed())

run(opens)
run(opens)
run("apps[:2] = []; apps.append(lw.explore(net, x))")
run(opens, "first")
run(opens, "second")
run("apps.append(lw.explore(net, x))", "first")
run("apps.append(lw.explore(net, x))", "first", "comm_msg")
"""


def python(text: str) -> str:
    """What a script prints; it must end well and complain of nothing."""
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_script_ends_well_while_the_worker_is_busy():
    assert python(SCRIPT) == "ok\n"


def test_a_cell_that_runs_again_closes_what_it_opened_before():
    kept = "open open "
    by_text = [kept, f"closed closed {kept}", f"{kept}open "]
    by_id = [f"{kept}open {kept}", f"{kept}open {kept}{kept}"]  # the same text in another cell
    by_id += [f"{kept}open closed closed {kept}open ", f"{kept}open closed closed {kept}open open "]
    assert python(CELLS).splitlines() == [*by_text, *by_id]
