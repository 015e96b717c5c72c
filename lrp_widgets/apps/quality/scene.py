"""What a page of the quality app is made of: a scene to measure, a running job, the row that shows how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ipywidgets
import numpy as np
from torch import Tensor

from lrp_widgets.apps.quality.asking import Asked
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.samples import Samples
from lrp_widgets.widgets.controls.control import guard

__all__ = ["Job", "QualityPage", "Running", "Scene"]


@dataclass(frozen=True, eq=False)
class Scene:
    """One explained input, and whatever else a page needs to measure it."""

    explainer: Explainer
    samples: Samples
    x: Tensor
    image: np.ndarray | None
    explanation: Explanation

    @property
    def target(self) -> Any:
        return self.explanation.target

    @property
    def side(self) -> int:
        """Of a patch, by default: a seventh of the picture."""
        return self.samples.modality.side(self.x)


@dataclass
class Job:
    """Work of a page that goes on where it stopped, as long as its key is asked for."""

    key: Any
    results: Iterator[Any]
    done: bool = False


class QualityPage:
    """A page: `view` is shown, `key(asked)` says what it measures (None: nothing), `run` measures, `show` shows.

    long: it goes on in the background while another page is in sight, whatever is moved there.
    """

    name = ""
    said = ""
    long = False
    view: ipywidgets.Widget

    @property
    def parts(self) -> tuple[QualityPage, ...]:
        """What is measured on this page, each by itself: most often one thing."""
        return (self,)

    def in_sight(self, asked: Asked) -> QualityPage:
        """The one of its parts that is looked at."""
        return self

    def key(self, asked: Asked) -> Any:
        raise NotImplementedError

    def run(self, scene: Scene, asked: Asked, waits: Callable[[], bool]) -> Iterator[Any]:
        """Results, each of which can be shown; `waits()`: whether somebody asks for something else."""
        raise NotImplementedError

    def show(self, result: Any) -> None:
        raise NotImplementedError

    def turn(self, scene: Scene, asked: Asked) -> None:
        """Show what needs no measuring: another step, another method in force."""

    def stop(self) -> None:
        """Nothing is asked for any more: say so."""

    def fail(self) -> None:
        """What is shown is not what was asked for: grey it."""


class Running(ipywidgets.HBox):
    """Start, cancel, and how far it is: only the worker calls `tell`."""

    def __init__(self, start: str, act: Callable[[bool], None], tell: Callable[[str], None]) -> None:
        """act(go): start or cancel was pressed.  tell: where a refused message goes."""
        self.start = guard(
            ipywidgets.Button(description=start, tooltip="Begin to measure.", button_style="primary"), tell
        )
        self.cancel = guard(
            ipywidgets.Button(description="cancel", tooltip="Stop, and keep what there is.", disabled=True), tell
        )
        self.bar = ipywidgets.FloatProgress(0.0, min=0.0, max=1.0)
        self.text = ipywidgets.Label("")
        super().__init__([self.start, self.cancel, self.bar, self.text])
        self.add_class("lrp-running")
        self.start.on_click(lambda _: act(True))
        self.cancel.on_click(lambda _: act(False))

    def tell(self, done: int, total: int, left: float | None, what: str) -> None:
        """So many are done; `left` seconds remain."""
        self.bar.value = done / max(1, total)
        self.cancel.disabled = done >= total
        remaining = "" if left is None or done >= total else f" · {_time(left)} left"
        self.text.value = f"{done} of {total} {what}{remaining}"

    def stopped(self) -> None:
        """It was cancelled; what is there stays."""
        if not self.cancel.disabled:
            self.cancel.disabled = True
            self.text.value = self.text.value.partition(" · ")[0] + " · cancelled"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
