"""QualityPage, the base of every page of the quality app; the scene that it measures, and its work as a job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ipywidgets
import numpy as np
from torch import Tensor

from lrp_widgets.apps.quality.request import Request
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.explanation import Explanation
from lrp_widgets.samples import Samples

__all__ = ["Job", "QualityPage", "Scene"]


@dataclass(frozen=True, eq=False)
class Scene:
    """One explained input with what measuring it needs.

    x: (1, …).  image: x as a picture in [0, 1]; None where x is no picture.
    """

    explainer: Explainer
    samples: Samples
    x: Tensor
    image: np.ndarray | None
    explanation: Explanation

    @property
    def target(self) -> Any:
        return self.explanation.target

    @property
    def has_probabilities(self) -> bool:
        """Whether the model's scores are probabilities once they are normalized: else only scores can fall."""
        return self.samples.probabilities(self.explanation.scores[0]) is not None

    @property
    def side(self) -> int:
        """The default side of a region: of a picture, a seventh of its width in pixels."""
        return self.samples.modality.side(self.x)


@dataclass
class Job:
    """The work of a page. After an interruption it goes on where it stopped, while the page's key is the same."""

    key: Any
    results: Iterator[Any]
    done: bool = False


class QualityPage:
    """A page: `view` is its widget, `key(request)` tells what it measures (None: nothing), `run` does, `show` draws.

    name, tooltip: of its button.  long: its work goes on while another page is visible.
    """

    name = ""
    tooltip = ""
    long = False
    view: ipywidgets.Widget

    @property
    def parts(self) -> tuple[QualityPage, ...]:
        """What is measured on this page, each with a job of its own; most pages have one part, themselves."""
        return (self,)

    def visible_part(self, request: Request) -> QualityPage:
        """The part that the user sees."""
        return self

    def key(self, request: Request) -> Any:
        raise NotImplementedError

    def run(self, scene: Scene, request: Request, superseded: Callable[[], bool]) -> Iterator[Any]:
        """Yield results, each of which can be shown.  superseded(): whether a newer request waits."""
        raise NotImplementedError

    def show(self, result: Any) -> None:
        raise NotImplementedError

    def turn(self, scene: Scene, request: Request) -> None:
        """Show what needs no measuring: another step, another method in force."""

    def stop(self) -> None:
        """Show that the work was cancelled."""

    def fail(self) -> None:
        """Grey what is shown, because it does not belong to the present request."""
