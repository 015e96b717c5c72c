"""Stage: the widgets of the explore app, made and put in their places; what they do is the dashboard's."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import ipywidgets
import traitlets

from lrp_widgets.apps.explore.arrangement import arranged, details, views
from lrp_widgets.apps.explore.composing import Composing
from lrp_widgets.apps.explore.inspection import Inspection
from lrp_widgets.apps.explore.patches import Patches
from lrp_widgets.apps.explore.pinning import Pins
from lrp_widgets.apps.explore.projection import Projection
from lrp_widgets.apps.inputs.source import Source
from lrp_widgets.apps.session.app import App, against
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.samples import Samples
from lrp_widgets.widgets import (
    ClassPicker,
    CurveView,
    HeatmapView,
    LayersView,
    LookEditor,
    ShareBar,
    StatusLine,
    Toolbar,
)
from lrp_widgets.widgets.controls.control import guard

__all__ = ["Stage"]

MOST_CLASSES = 1000  # offered to be contrasted with
MANY = 10_000  # pixels of an input that is a photograph
PIN = {"name": "pin", "label": "pin", "tooltip": "Keep this explanation beside the ones that follow", "keys": ["p"]}
KEYS = [
    ("mod+z", "Undo"),
    ("mod+shift+z, mod+y", "Redo"),
    ("Tab", "From part to part"),
    ("Arrows", "A slider by a step, the cursor on a picture by a pixel, from entry to entry in a list"),
    ("Page Up, Page Down", "Ten times as far"),
    ("Home, End", "To either end"),
    ("Enter, Space", "Choose; on the picture: the arithmetic of the pixel"),
    ("Escape", "Give up a region, close this list"),
]


class Stage(App):
    """Every part of the app as an attribute: `heatmap`, `layers`, `methods`, `source`, `curve`, …

    Whoever extends it says what happens: `_set(**changes)`, `_shown()` and `again()`.
    """

    settings: Any

    def __init__(self, explainer: Explainer, samples: Samples) -> None:
        self.explainer, self.samples = explainer, samples
        self.composing = Composing(explainer, samples, self._shown)
        self.methods, self.composite = self.composing.methods, self.composing.editor
        self.source, self.classes = Source(samples), ClassPicker()
        self.gallery, self.pad, self.upload = self.source.gallery, self.source.pad, self.source.upload
        self.against = guard(against(self._count(), samples.name), self.refuse)
        self.heatmap, self.layers, self.curve = HeatmapView(size=320, **_look(samples)), LayersView(), CurveView()
        self.look = LookEditor(self.heatmap, self.layers)
        self.inspection = Inspection(explainer, self._set, self._shown)
        self.pins = Pins(samples, self._set, lambda: self.settings)
        self.projection = Projection(explainer, self.heatmap, self.again, self.refuse)
        self.patches = Patches(explainer, samples, lambda sample: setattr(self.source, "value", sample), self._shown)
        self.equation, self.doctor, self.status = ipywidgets.HTML(""), ipywidgets.HTML(""), StatusLine()
        self.views, self.details = views(self), details(self)
        self.toolbar = Toolbar((PIN,), f"lrp_widgets · explore · {type(explainer.model).__name__}", more_keys=KEYS)
        self.sharebar = ShareBar(scope="lrp-app")
        super().__init__("explore", arranged(self))
        self._link()

    def _set(self, **changes: Any) -> None:
        """Replace settings."""
        raise NotImplementedError

    def _shown(self) -> bool:
        """Whether what changes in a control now is shown there, and no choice of a hand."""
        raise NotImplementedError

    def again(self) -> None:
        """Have the worker look again at what is shown, of which something else is wanted now."""
        raise NotImplementedError

    def _link(self) -> None:
        self.pins.view.observe(lambda _: setattr(self.views, "selected", "Curve"), "dismissed")
        for view in (self.inspection.channels, self.pins.view, self.patches.signals):
            traitlets.dlink((self.heatmap, "colormap"), (view, "colormap"))
        self._refuse_problems_of(
            self.methods,
            self.source,
            self.classes,
            self.layers,
            self.heatmap,
            self.look,
            self.composite,
            self.views,
            self.details,
            self.inspection.channels,
            self.inspection.arithmetic,
            self.pins.view,
            self.patches.crops,
            self.patches.signals,
            self.toolbar,
        )

    def _count(self) -> int:
        """How many classes there are; none where the model cannot say yet."""
        with suppress(Exception):  # whatever is wrong, the first explanation says it
            return min(MOST_CLASSES, self.explainer.tape(self.samples.inputs[:1]).scores[0].numel())
        return 0


def _look(samples: Samples) -> dict[str, Any]:
    """How pictures look first: of fifty thousand pixels a few would have all of the colour, and none is seen square."""
    many = samples.modality.planar and samples.inputs[0, 0].numel() >= MANY
    return {"percentile": 99.5, "pixelated": False} if many else {}
