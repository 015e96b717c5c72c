"""Stage: makes the widgets of the explore app and puts them in their places; the dashboard says what they do."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import ipywidgets
import traitlets

from lrp_widgets.apps.explore.arrangement import arranged, details, region_buttons, views
from lrp_widgets.apps.explore.composing import Composing
from lrp_widgets.apps.explore.inspection import Inspection, region_filters
from lrp_widgets.apps.explore.patches import Patches
from lrp_widgets.apps.explore.pinning import Pins
from lrp_widgets.apps.explore.projection import Projection
from lrp_widgets.apps.explore.sought import Sought
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

MOST_CLASSES = 25_000  # offered to be contrasted with
MANY = 10_000  # pixels of an input that is a photograph
NOT_EXAMINED = '<div class="lrp-well">The model has not been examined yet.</div>'
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

    A subclass defines what happens: `_change(**changes)`, `_is_programmatic()` and `again()`.
    """

    settings: Any

    def __init__(self, explainer: Explainer, samples: Samples) -> None:
        self.explainer, self.samples = explainer, samples
        self.composing = Composing(explainer, samples, self._is_programmatic)
        self.methods, self.composite = self.composing.methods, self.composing.editor
        self.source, self.classes = Source(samples), ClassPicker()
        self.gallery, self.pad, self.upload = self.source.gallery, self.source.pad, self.source.upload
        self.against = guard(against(self._count(), samples.name), self.refuse)
        self.heatmap, self.layers, self.curve = HeatmapView(size=320, **_look(samples)), LayersView(), CurveView()
        self.look = LookEditor(self.heatmap, self.layers)
        self.inspection = Inspection(explainer, self._change, self._is_programmatic)
        self.pins = Pins(samples, self._change, lambda: self.settings)
        self.projection = Projection(explainer, self.heatmap, self.again, self.refuse)
        self.patches = Patches(
            explainer, samples, lambda sample: setattr(self.source, "value", sample), self._is_programmatic
        )
        self.sought = Sought(explainer, samples)
        self.equation, self.doctor, self.status = ipywidgets.HTML(""), ipywidgets.HTML(NOT_EXAMINED), StatusLine()
        self.region_buttons = region_buttons()
        self.views, self.details = views(self), details(self)
        self.toolbar = Toolbar((PIN,), f"lrp_widgets · explore · {type(explainer.model).__name__}", more_keys=KEYS)
        self.sharebar = ShareBar(scope="lrp-app")
        super().__init__("explore", arranged(self))
        self._link()

    def _change(self, **changes: Any) -> None:
        """Replace settings."""
        raise NotImplementedError

    def _is_programmatic(self) -> bool:
        """Whether a control changes now because the app sets its value, and not because the user chose one."""
        raise NotImplementedError

    def again(self) -> None:
        """Have the worker look at the settings again, because something else of the same explanation is wanted now."""
        raise NotImplementedError

    def pin(self) -> None:
        """Keep the present explanation beside the ones that follow."""
        try:
            self.pins.pin()
        except ValueError as error:
            self.refuse(str(error))
        else:
            self.views.selected = "Compare"

    def filter_region(self, block: bool) -> None:
        """Let only what lies inside of the region drawn on the picture pass the layer that is shown, or block it."""
        filters = region_filters(self.settings, *self.projection.region(), block)
        if filters and not self.inspection.has_regions:
            self.refuse(f"{self.settings.layer} has no map with rows and columns: keep or block some of its channels.")
        elif filters:
            self._change(filters=filters)
        else:
            self.refuse("Choose a layer and draw a region on its map first: a filter needs both.")

    def _link(self) -> None:
        self.pins.view.observe(lambda _: setattr(self.views, "selected", "Curve"), "dismissed")
        for view in (self.inspection.channels, self.pins.view, self.patches.signals, self.sought.prototypes):
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
            self.sought.prototypes,
            self.toolbar,
        )

    def _count(self) -> int:
        """How many classes there are; 0 where the model cannot be run: the first explanation then says why."""
        with suppress(Exception):
            return min(MOST_CLASSES, self.explainer.tape(self.samples.inputs[:1]).scores[0].numel())
        return 0


def _look(samples: Samples) -> dict[str, Any]:
    """How pictures look first. In a photograph, single pixels are too small to be seen, and a few large values would
    leave no colour for the others: so it is smoothed, and the colour scale ends at a percentile."""
    many = samples.modality.planar and samples.inputs[0, 0].numel() >= MANY
    return {"percentile": 99.5, "pixelated": False} if many else {}
